//! Pauses of the program: it was stopped, or its threads were taken.

use std::{
    future::Future,
    pin::Pin,
    task::Context,
    time::{Duration, Instant},
};

use tokio::time::{Sleep, sleep};

use crate::clock::after;

/// How often a waiting future is looked at.
const LOOK: Duration = Duration::from_millis(500);
/// If a future was not looked at for longer than this, the program was paused.
const UNSEEN: Duration = Duration::from_millis(1500);

/// Notices that the program was paused while a future waited: what the future then returns may be as old.
///
/// It goes by the system's clock, which goes on while the program is stopped.
pub(crate) struct PauseWatch {
    next: Pin<Box<Sleep>>,
    looked: Instant,
    /// The last moment before a pause, and the first one after it.
    paused: Option<(Instant, Instant)>,
}

impl PauseWatch {
    pub(crate) fn new() -> Self {
        Self {
            next: Box::pin(sleep(LOOK)),
            looked: Instant::now(),
            paused: None,
        }
    }

    /// Called whenever the future is polled. Sees to it that it is polled often enough.
    pub(crate) fn look(&mut self, cx: &mut Context<'_>) {
        let now = Instant::now();
        if now - self.looked > UNSEEN {
            self.paused = Some((self.looked, now));
        }
        self.looked = now;
        while self.next.as_mut().poll(cx).is_ready() {
            self.next.as_mut().reset(after(LOOK));
        }
    }

    /// Returns how old the future's answer may be. It may take a few polls to be read after a pause.
    pub(crate) fn unseen(&self) -> Duration {
        let paused = self.paused.filter(|(_, end)| end.elapsed() < UNSEEN);
        paused.map_or(Duration::ZERO, |(began, _)| began.elapsed())
    }
}
