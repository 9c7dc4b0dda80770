//! The API calls a proxy saw.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Every call so far. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Calls(Arc<Mutex<Vec<Call>>>);

/// One call.
#[derive(Clone, Debug)]
pub struct Call {
    /// As the API names it: `ReceiveMessage`.
    pub action: Box<str>,
    /// When it was sent.
    pub at: Instant,
}

impl Calls {
    /// Notes a call down.
    pub(super) fn add(&self, action: &str) {
        let call = Call {
            action: action.into(),
            at: Instant::now(),
        };
        self.lock().push(call);
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    /// Those after the first `count`.
    pub(super) fn since(&self, count: usize) -> Vec<Call> {
        self.lock().split_off(count)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Call>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many of these calls are of that action.
pub fn count(calls: &[Call], action: &str) -> usize {
    let same = calls.iter().filter(|call| *call.action == *action);
    same.count()
}

/// The calls over time, for people: a line for each tenth of a second with calls.
pub fn timeline(calls: &[Call], started: Instant, actions: &[&str]) {
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
