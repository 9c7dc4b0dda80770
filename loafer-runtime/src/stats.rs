//! The counts of a route, and whether it is failing.

use std::{
    mem,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

use crate::sync::locked;

use loafer_core::broker::Settlement;

/// The counts of one route since its start. Cheap to clone; clones count together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stats(Arc<Counters>);

/// The counts of one route at one moment, since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RouteStats {
    /// Deliveries leased from the broker.
    pub received: u64,
    /// Messages whose ack the broker confirmed.
    pub acked: u64,
    /// Deliveries that are retried: `false`, failures, `Outcome::Retry`.
    pub retried: u64,
    /// Messages whose dead-letter copy the broker confirmed.
    pub rejected: u64,
    /// Deliveries released unhandled: at shutdown, and behind a failed message of an ordered group.
    pub released: u64,
    /// Deliveries that were put off unstarted: they came before they were due, or are to run alone.
    pub deferred: u64,
    /// Deliveries whose lease was lost before they were settled.
    pub lost: u64,
    /// Deliveries acked without calling the handler: it had returned `true` before, and that ack could not be sent. They also count in
    /// `acked`.
    pub repeated: u64,
    /// Deliveries that failed: error, panic, timeout, undecodable. They also count by what became of them.
    pub failed: u64,
}

#[derive(Debug, Default)]
struct Counters {
    received: AtomicU64,
    acked: AtomicU64,
    retried: AtomicU64,
    rejected: AtomicU64,
    released: AtomicU64,
    deferred: AtomicU64,
    lost: AtomicU64,
    repeated: AtomicU64,
    failed: AtomicU64,
}

impl RouteStats {
    /// Counts one more settlement of this kind.
    pub(crate) fn settled(&mut self, settlement: &Settlement) {
        match settlement {
            Settlement::Ack => self.acked += 1,
            Settlement::Retry { .. } => self.retried += 1,
            Settlement::DeadLetter(_) => self.rejected += 1,
            Settlement::Release => self.released += 1,
            Settlement::Defer { .. } | Settlement::Isolate => self.deferred += 1,
        }
    }
}

impl Stats {
    /// Returns the counts of this moment.
    pub(crate) fn now(&self) -> RouteStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Acquire);
        RouteStats {
            received: read(&self.0.received),
            acked: read(&self.0.acked),
            retried: read(&self.0.retried),
            rejected: read(&self.0.rejected),
            released: read(&self.0.released),
            deferred: read(&self.0.deferred),
            lost: read(&self.0.lost),
            repeated: read(&self.0.repeated),
            failed: read(&self.0.failed),
        }
    }

    /// Counts received messages.
    pub(crate) fn received(&self, messages: usize) {
        self.0
            .received
            .fetch_add(messages as u64, Ordering::Release);
    }

    /// Counts acked messages. Most batches need nothing else.
    pub(crate) fn acked(&self, messages: usize) {
        self.0.acked.fetch_add(messages as u64, Ordering::Release);
    }

    /// Adds the counts of a batch, with one atomic operation for each count that changed.
    pub(crate) fn add(&self, change: &RouteStats) {
        let add = |counter: &AtomicU64, by: u64| {
            if by > 0 {
                counter.fetch_add(by, Ordering::Release);
            }
        };
        add(&self.0.received, change.received);
        add(&self.0.acked, change.acked);
        add(&self.0.retried, change.retried);
        add(&self.0.rejected, change.rejected);
        add(&self.0.released, change.released);
        add(&self.0.deferred, change.deferred);
        add(&self.0.lost, change.lost);
        add(&self.0.repeated, change.repeated);
        add(&self.0.failed, change.failed);
    }
}

/// How long nothing must have failed before a success ends the streak of those that make no calls any more.
const QUIET: Duration = Duration::from_secs(5);

/// Which tasks of one kind are failing, each since its last call.
#[derive(Default)]
pub(crate) struct Failing {
    tasks: AtomicUsize,
    /// Whether tasks ended, or had no more calls to make, while they were failing.
    any_gave_up: AtomicBool,
    /// The last failure, of whichever task.
    last: Mutex<Option<LastFailure>>,
}

struct LastFailure {
    at: Instant,
    /// Whether any task has succeeded since.
    well: bool,
}

impl Failing {
    /// Records whether a task's last call succeeded, with the task's own flag. Returns whether a streak of failures begins or ends: one
    /// that all the tasks have in common.
    #[inline]
    pub(crate) fn record(&self, failing: &mut bool, well: bool) -> bool {
        if well && !*failing && !self.is_any() {
            return false;
        }
        self.record_change(failing, well)
    }

    #[cold]
    fn record_change(&self, failing: &mut bool, well: bool) -> bool {
        if !well {
            let at = Instant::now();
            *locked(&self.last) = Some(LastFailure { at, well });
        }
        let ends = well && self.is_any() && self.succeeded();
        let changed = mem::replace(failing, !well) == well;
        match (changed, well) {
            (true, true) => self.tasks.fetch_sub(1, Ordering::Relaxed) == 1 && !self.is_any(),
            (true, false) => {
                let first = self.tasks.fetch_add(1, Ordering::Relaxed) == 0;
                first && !self.any_gave_up.load(Ordering::Relaxed)
            }
            (false, _) => ends && !self.is_any(),
        }
    }

    /// Records that a task ends, or makes no calls for now. Returns whether it was failing.
    pub(crate) fn give_up(&self, failing: &mut bool) -> bool {
        let gives_up = mem::take(failing);
        if gives_up {
            self.any_gave_up.store(true, Ordering::Relaxed);
            self.tasks.fetch_sub(1, Ordering::Relaxed);
        }
        gives_up
    }

    /// Waits, after a task has given up, until nothing has failed for long enough. Returns whether the streak ends by that: others have succeeded
    /// meanwhile, and there may be no more calls that would tell.
    pub(crate) async fn ends_quietly(&self) -> bool {
        let failed_at = locked(&self.last).as_ref().map(|last| last.at);
        if let Some(at) = failed_at {
            sleep_until(at + QUIET).await;
        }
        let last = locked(&self.last);
        let over = last
            .as_ref()
            .is_some_and(|last| last.well && last.is_long_ago());
        over && self.any_gave_up.swap(false, Ordering::Relaxed) && !self.is_any()
    }

    /// Whether any task is failing.
    pub(crate) fn is_any(&self) -> bool {
        self.tasks.load(Ordering::Relaxed) > 0 || self.any_gave_up.load(Ordering::Relaxed)
    }

    /// Records a success during a streak. Forgets those that gave up, if the last failure was long enough ago, and returns whether there were any.
    fn succeeded(&self) -> bool {
        let mut last = locked(&self.last);
        let Some(last) = last.as_mut() else {
            return false;
        };
        last.well = true;
        last.is_long_ago() && self.any_gave_up.swap(false, Ordering::Relaxed)
    }
}

impl LastFailure {
    fn is_long_ago(&self) -> bool {
        self.at.elapsed() >= QUIET
    }
}
