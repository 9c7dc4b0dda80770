//! Moments, also in the far future, and a timer.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep_until};

/// What stands for a moment that the clock can't express.
const FAR: Duration = Duration::from_secs(30 * 365 * 86_400);

/// Returns the moment this long from now. Any duration is allowed, the longest included.
pub(crate) fn after(delay: Duration) -> Instant {
    later(Instant::now(), delay)
}

/// Returns the moment this much later. Any duration is allowed, the longest included.
pub(crate) fn later(than: Instant, by: Duration) -> Instant {
    than.checked_add(by).unwrap_or(than + FAR)
}

/// A timer. It is made when it is first armed, and reset for every further use.
#[derive(Default)]
pub(crate) struct Timer(Option<Pin<Box<Sleep>>>);

impl Timer {
    /// Arms it for this moment.
    pub(crate) fn arm(&mut self, at: Instant) {
        match &mut self.0 {
            Some(sleep) => sleep.as_mut().reset(at),
            None => self.0 = Some(Box::pin(sleep_until(at))),
        }
    }

    /// Waits for the moment that it was armed for. Waits forever if it was never armed.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let sleep = self.0.as_mut();
        sleep.map_or(Poll::Pending, |sleep| sleep.as_mut().poll(cx))
    }
}

/// A moment, in nanoseconds since a start that everybody who compares them shares. It is half the size of an [`Instant`], and each lease has two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(u64);

impl Moment {
    /// Returns this moment, counted from `start`.
    pub(crate) fn since_start(start: Instant) -> Self {
        Self(nanoseconds(start.elapsed()))
    }

    /// Later than any other moment.
    pub(crate) const NEVER: Self = Self(u64::MAX);

    /// Returns the moment that much later.
    pub(crate) fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(nanoseconds(by)))
    }

    /// Returns the moment that much earlier, but not before the start.
    pub(crate) fn minus(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(nanoseconds(by)))
    }

    /// Returns the time from `earlier` to this moment, or zero if `earlier` is the later one.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// Returns a duration in nanoseconds, or 584 years if it is longer.
fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
