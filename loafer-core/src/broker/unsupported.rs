//! What stands for dead letters and replies on a broker that has none.

use std::time::Duration;

use super::{DeadLetterInfo, DeadLetterQueue, Delivery, Destination, PackedDeadLetter, Replies};
use crate::{Error, message::Message};

/// The dead letters and the replies of a broker that supports neither. The type has no values.
#[derive(Clone, Copy, Debug)]
pub enum Unsupported {}

impl DeadLetterQueue for Unsupported {
    type Receipt = Self;

    async fn open(&self) -> Result<DeadLetterInfo, Error> {
        match *self {}
    }

    async fn lease(&self, _: usize, _: &mut Vec<Delivery<Self>>) -> Result<(), Error> {
        match *self {}
    }

    async fn give_back(&self, _: &[Self]) -> Result<(), Error> {
        match *self {}
    }

    async fn copy(&self, _: &Destination, _: &[PackedDeadLetter], _: &mut Vec<Result<(), Error>>) {
        match *self {}
    }

    async fn delete(&self, _: &[Self], _: &mut Vec<Result<(), Error>>) {
        match *self {}
    }

    async fn purge(&self) -> Result<(), Error> {
        match *self {}
    }
}

impl Replies for Unsupported {
    async fn address(&self) -> Result<String, Error> {
        match *self {}
    }

    async fn receive(&self, _: Duration, _: &mut Vec<Message>) -> Result<(), Error> {
        match *self {}
    }
}
