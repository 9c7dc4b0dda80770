//! Somebody to tell of messages that failed.

use std::{sync::Arc, time::Duration};

use crate::handler::Failure;

/// Is told of every message whose handling failed: error, panic, timeout, undecodable. Error trackers implement it.
///
/// Called on the way of the message, once a failure, before `on_error`: it must not block.
pub trait Report: Send + Sync + 'static {
    /// A message failed.
    fn failed(&self, failure: &Failure);

    /// The program is about to end: sends what is not sent yet, in at most this time. May block.
    fn flush(&self, _within: Duration) {}
}

impl<R: Report> Report for Arc<R> {
    fn failed(&self, failure: &Failure) {
        (**self).failed(failure);
    }

    fn flush(&self, within: Duration) {
        (**self).flush(within);
    }
}
