//! The end of a route's `timeout`, or of a batch window.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Instant, Sleep};

/// A timer. It is made when it is first armed, and reset for every further use.
#[derive(Default)]
pub(super) struct Deadline(Option<Pin<Box<Sleep>>>);

impl Deadline {
    pub(super) fn arm(&mut self, at: Instant) {
        match &mut self.0 {
            Some(sleep) => sleep.as_mut().reset(at),
            None => self.0 = Some(Box::pin(tokio::time::sleep_until(at))),
        }
    }

    /// Waits for the moment that it was armed for. Waits forever if it was never armed.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.0
            .as_mut()
            .map_or(Poll::Pending, |sleep| sleep.as_mut().poll(cx))
    }

    /// Arms it for the end of a call that begins now, if the route has a `timeout`.
    pub(super) fn arm_timeout(&mut self, timeout: Option<Duration>) {
        if let Some(after) = timeout {
            self.arm(crate::clock::after(after));
        }
    }

    /// Whether the `timeout` of the waiting call is over.
    pub(super) fn is_over(&mut self, timeout: Option<Duration>, cx: &mut Context<'_>) -> bool {
        timeout.is_some() && self.poll(cx).is_ready()
    }
}
