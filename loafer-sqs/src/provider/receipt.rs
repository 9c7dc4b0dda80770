//! What settles one delivery.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use loafer_core::Message;
use tokio::time::Instant;

use crate::{payloads::Offloaded, seconds};

/// What settles one delivery: its receipt handle, and when it came.
#[derive(Clone)]
pub struct Receipt(Arc<Lease>);

struct Lease {
    /// SQS's receipt handle: a right, so it is never shown.
    handle: String,
    /// The twelve hours count from here.
    received: Instant,
    /// Whether its dead letter is confirmed, so that a second try only deletes.
    copied: AtomicBool,
    /// What the message was before its payload was fetched from elsewhere.
    offloaded: Option<Arc<Offloaded>>,
}

impl Receipt {
    pub(super) fn new(handle: String, received: Instant) -> Self {
        Self(Arc::new(Lease {
            handle,
            received,
            copied: AtomicBool::new(false),
            offloaded: None,
        }))
    }

    /// The same, of a message whose payload was elsewhere.
    pub(super) fn of_offloaded(&self, offloaded: Arc<Offloaded>) -> Self {
        Self(Arc::new(Lease {
            handle: self.0.handle.clone(),
            received: self.0.received,
            copied: AtomicBool::new(self.is_copied()),
            offloaded: Some(offloaded),
        }))
    }

    pub(super) fn offloaded(&self) -> Option<&Arc<Offloaded>> {
        self.0.offloaded.as_ref()
    }

    /// The message as SQS had it: its pointer where it has a payload by now.
    pub(super) fn as_received(&self, message: &Message) -> Message {
        match self.offloaded() {
            Some(offloaded) => offloaded.message.clone(),
            None => message.clone(),
        }
    }

    pub(super) fn handle(&self) -> &str {
        &self.0.handle
    }

    /// A new visibility timeout: as asked for, within what is left of the twelve hours.
    pub(super) fn visibility(&self, asked: Duration) -> i32 {
        seconds::visibility(asked, self.0.received.elapsed())
    }

    /// Whether the twelve hours are over.
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
