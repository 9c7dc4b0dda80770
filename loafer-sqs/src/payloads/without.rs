//! The bucket without the feature `s3`: types that have no values.

use std::future::Ready;

use aws_config::{Region, SdkConfig};
use aws_sdk_sqs::config::SharedHttpClient;
use loafer_core::{Error, translate::Bytes};

use super::{For, Offloaded, Pointer};

pub(crate) enum S3Payloads {}

#[derive(Clone)]
pub(crate) enum Store {}

impl Store {
    pub(crate) fn new(
        settings: &S3Payloads,
        _: &SdkConfig,
        _: &Region,
        _: SharedHttpClient,
    ) -> Self {
        match *settings {}
    }

    pub(crate) fn threshold(&self) -> usize {
        match *self {}
    }

    pub(crate) async fn put(&self, _: Bytes, _: For) -> Result<Pointer, Error> {
        match *self {}
    }

    pub(crate) async fn get(&self, _: &Pointer) -> Result<Bytes, Error> {
        match *self {}
    }

    pub(crate) fn cleans_up(&self, _: &Offloaded) -> bool {
        match *self {}
    }

    pub(crate) fn deletion(&self, _: &Pointer) -> Ready<Result<(), Error>> {
        match *self {}
    }
}
