//! The API calls a proxy saw.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

/// Every call since the calls were last taken. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Calls(Arc<Seen>);

#[derive(Debug, Default)]
struct Seen {
    calls: Mutex<Vec<Call>>,
    /// How many receipt handles were in calls that delete.
    deleted: AtomicUsize,
}

/// One call.
#[derive(Clone, Debug)]
pub struct Call {
    /// The name of the action in the API: `ReceiveMessage`.
    pub action: Box<str>,
    /// When it was sent.
    pub at: Instant,
}

impl Calls {
    /// Records a call.
    pub(super) fn add(&self, action: &str) {
        let call = Call {
            action: action.into(),
            at: Instant::now(),
        };
        self.lock().push(call);
    }

    /// Records how many messages a call deletes.
    pub(super) fn add_deleted(&self, messages: usize) {
        self.0.deleted.fetch_add(messages, Ordering::Release);
    }

    /// Returns how many messages were deleted.
    pub fn deleted(&self) -> usize {
        self.0.deleted.load(Ordering::Acquire)
    }

    /// Returns how many calls of that action there were.
    pub fn count(&self, action: &str) -> usize {
        count(&self.lock(), action)
    }

    /// Returns all of them, in their order. The next calls count from zero.
    pub fn take(&self) -> Vec<Call> {
        self.0.deleted.store(0, Ordering::Release);
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Call>> {
        self.0.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns how many of these calls are of that action.
pub fn count(calls: &[Call], action: &str) -> usize {
    let same = calls.iter().filter(|call| *call.action == *action);
    same.count()
}

/// Prints the calls over time, for people: one line for each tenth of a second with calls.
pub fn timeline(calls: &[Call], actions: &[&str]) {
    let Some(started) = calls.first().map(|call| call.at) else {
        return;
    };
    let slice = |call: &Call| call.at.saturating_duration_since(started).as_millis() / 100;
    for same in calls.chunk_by(|a, b| slice(a) == slice(b)) {
        let at = Duration::from_millis(u64::try_from(slice(&same[0]) * 100).unwrap_or(u64::MAX));
        let counts = actions
            .iter()
            .map(|action| format!("{action} {}", count(same, action)));
        let counts = counts.collect::<Vec<_>>().join(", ");
        println!(
            "  {:>6.1} s: {} calls, {counts}",
            at.as_secs_f64(),
            same.len()
        );
    }
}
