//! Whether the dead letters of a route can be made.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use crate::sync::locked;

/// How often it is said that dead letters can't be made.
const TELL: Duration = Duration::from_secs(60);

/// Whether the last dead letters of a route could be made. While they could not, each one is tried once: the messages hold no capacity that others
/// need.
#[derive(Debug, Default)]
pub(in crate::engine) struct DeadLetterOutage {
    is_on: AtomicBool,
    /// When the log last said so.
    told: Mutex<Option<Instant>>,
}

impl DeadLetterOutage {
    pub(super) fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Relaxed)
    }

    /// Records that a dead letter could not be made. Returns whether it is to be logged.
    pub(super) fn begin(&self) -> bool {
        self.is_on.store(true, Ordering::Relaxed);
        let mut told = locked(&self.told);
        let due = told.is_none_or(|told| told.elapsed() >= TELL);
        if due {
            *told = Some(Instant::now());
        }
        due
    }

    /// Records that a dead letter was made. Returns whether the outage is over by it.
    pub(super) fn end(&self) -> bool {
        self.is_on() && self.is_on.swap(false, Ordering::Relaxed)
    }
}
