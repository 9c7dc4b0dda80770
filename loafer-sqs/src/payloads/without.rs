//! The bucket without the feature `s3`: types that have no values.

use std::{convert::Infallible, future::Ready};

use aws_config::{Region, SdkConfig};
use aws_sdk_sqs::config::SharedHttpClient;
use loafer_core::{Error, translate::Bytes};
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, IgnoredAny},
};

use super::{For, Offloaded, Pointer};
use crate::names::Endpoints;

#[derive(Clone)]
pub(crate) enum S3Payloads {}

impl S3Payloads {
    pub(crate) fn objects(&self) -> String {
        match *self {}
    }
}

/// The table `s3` of a section. Reading it is an error that names the feature.
pub(crate) struct Section(Infallible);

impl Section {
    pub(crate) fn over(self, _: Option<S3Payloads>, _: &str) -> Result<S3Payloads, Error> {
        match self.0 {}
    }
}

impl<'de> Deserialize<'de> for Section {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(from)?;
        Err(D::Error::custom(
            "this program keeps no payloads on S3: build it with the feature `s3` of loafer-sqs (of loafer: `sqs-s3`), or leave the table out",
        ))
    }
}

#[derive(Clone)]
pub(crate) enum Store {}

impl Store {
    pub(crate) fn new(
        settings: &S3Payloads,
        _: &SdkConfig,
        _: &Region,
        _: &Endpoints,
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

    pub(crate) fn in_flight(&self) -> u64 {
        match *self {}
    }

    pub(crate) async fn find(&self, _: &Pointer) -> Result<Object, Error> {
        match *self {}
    }

    pub(crate) fn cleans_up(&self, _: &Offloaded) -> bool {
        match *self {}
    }

    pub(crate) fn deletion(&self, _: &Pointer) -> Ready<Result<(), Error>> {
        match *self {}
    }
}

pub(crate) enum Object {}

impl Object {
    pub(crate) fn bytes(&self) -> u64 {
        match *self {}
    }

    pub(crate) async fn read(self) -> Result<Bytes, Error> {
        match self {}
    }
}
