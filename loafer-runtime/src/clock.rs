//! Moments in the far future, and a timer.

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
