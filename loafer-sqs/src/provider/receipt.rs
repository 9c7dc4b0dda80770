//! What settles one delivery. On SQS it also counts the twelve hours of a lease.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use loafer_core::message::Message;
use tokio::time::Instant;

use crate::{
    message::Labels,
    payloads::{Held, Offloaded},
    seconds,
};

/// Settles one delivery. It holds the receipt handle and the time of the receive.
#[derive(Clone)]
pub struct Receipt(Arc<Lease>);

struct Lease {
    /// SQS's receipt handle. Whoever has it may delete the message, so it is never shown.
    handle: String,
    /// The twelve hours count from here.
    received: Instant,
    /// Whether the copy among the dead letters is confirmed, so that a second try only deletes.
    copied: AtomicBool,
    /// The message as it was before its payload was fetched from S3.
    offloaded: Option<Arc<Offloaded>>,
    /// What its payload takes of the bytes that the route may hold.
    _held: Option<Held>,
    /// The types of attributes that have a label, for copies.
    labels: Labels,
}

impl Receipt {
    pub(super) fn new(handle: String, received: Instant, labels: Labels) -> Self {
        Self(Arc::new(Lease {
            handle,
            received,
            labels,
            copied: AtomicBool::new(false),
            offloaded: None,
            _held: None,
        }))
    }

    /// Returns the receipt of the same message, whose payload was on S3.
    pub(super) fn of_offloaded(&self, offloaded: Arc<Offloaded>, held: Held) -> Self {
        Self(Arc::new(Lease {
            handle: self.0.handle.clone(),
            received: self.0.received,
            labels: self.0.labels.clone(),
            copied: AtomicBool::new(self.is_copied()),
            offloaded: Some(offloaded),
            _held: Some(held),
        }))
    }

    pub(super) fn offloaded(&self) -> Option<&Arc<Offloaded>> {
        self.0.offloaded.as_ref()
    }

    /// Returns the message as SQS delivered it: with the pointer to a payload that was fetched since.
    pub(super) fn as_received(&self, message: &Message) -> Message {
        match self.offloaded() {
            Some(offloaded) => offloaded.message.clone(),
            None => message.clone(),
        }
    }

    pub(super) fn labels(&self) -> &Labels {
        &self.0.labels
    }

    pub(super) fn handle(&self) -> &str {
        &self.0.handle
    }

    /// Returns a new visibility timeout: what was asked for, but no more than what is left of the twelve hours.
    pub(super) fn visibility(&self, asked: Duration) -> i32 {
        seconds::visibility(asked, self.0.received.elapsed())
    }

    /// Returns whether the twelve hours are over.
    pub(super) fn is_used_up(&self) -> bool {
        seconds::left(self.0.received.elapsed()) == 0
    }

    pub(super) fn is_copied(&self) -> bool {
        self.0.copied.load(Ordering::Acquire)
    }

    pub(super) fn set_copied(&self) {
        self.0.copied.store(true, Ordering::Release);
    }
}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receipt")
            .field("age", &self.0.received.elapsed())
            .finish_non_exhaustive()
    }
}
