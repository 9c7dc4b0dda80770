//! Reporters of messages that failed.

use std::{sync::Arc, time::Duration};

use crate::handler::Failure;

/// Receives every message whose handling failed: error, panic, timeout, undecodable. Error trackers implement it.
///
/// It is called while the message is on its way, once for each failure, before `on_error`. It must not block. If it panics, the panic is
/// logged and the message goes on.
pub trait Report: Send + Sync + 'static {
    /// Called for a message that failed.
    fn failed(&self, failure: &Failure);

    /// Called when the program is about to end: sends what is not sent yet, within this time. It may block.
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
