//! What is said of copies that can't be made, and whether the dead letters of a route can be.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use crate::sync::locked;

/// How often the log says the same of a route.
const TELL: Duration = Duration::from_secs(60);

/// When the log last said something.
#[derive(Debug, Default)]
pub(crate) struct Told(Mutex<Option<Instant>>);

impl Told {
    /// Returns whether it is to be said now, and takes it to be said then.
    pub(crate) fn is_due(&self) -> bool {
        let mut told = locked(&self.0);
        let due = told.is_none_or(|told| told.elapsed() >= TELL);
        if due {
            *told = Some(Instant::now());
        }
        due
    }
}

/// Whether the last dead letters of a route could be made. While they could not, each one is tried once: the messages hold no capacity that others
/// need.
#[derive(Debug, Default)]
pub(crate) struct DeadLetterOutage {
    is_on: AtomicBool,
    told: Told,
}

impl DeadLetterOutage {
    pub(crate) fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Relaxed)
    }

    /// Records that a dead letter could not be made. Returns whether it is to be logged.
    pub(crate) fn begin(&self) -> bool {
        self.is_on.store(true, Ordering::Relaxed);
        self.told.is_due()
    }

    /// Records that a dead letter was made. Returns whether the outage is over by it.
    pub(crate) fn end(&self) -> bool {
        self.is_on() && self.is_on.swap(false, Ordering::Relaxed)
    }
}
