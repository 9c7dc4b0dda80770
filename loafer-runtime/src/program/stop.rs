//! How far a program or one of its routes was asked to stop, and by when.

use std::{future::pending, time::Duration};

use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use crate::clock::later;

/// How far something was asked to stop. It only goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::program) enum Stop {
    No,
    /// What runs may finish until this moment.
    Drain(Instant),
    /// What runs is cancelled. The moment is that of the request, or the end of the drain if that was earlier.
    Cancel(Instant),
}

impl Stop {
    /// Returns the moment from which the rest of the end counts. `None` if nothing was asked.
    pub(in crate::program) fn deadline(self) -> Option<Instant> {
        match self {
            Self::No => None,
            Self::Drain(deadline) | Self::Cancel(deadline) => Some(deadline),
        }
    }

    /// Returns what holds once this is asked for too.
    fn and(self, asked: Self) -> Self {
        match (self, asked) {
            (Self::No, asked) => asked,
            (Self::Drain(deadline), Self::Cancel(now)) => Self::Cancel(now.min(deadline)),
            (known, _) => known,
        }
    }
}

/// Asks a program or a route to stop.
#[derive(Debug)]
pub(in crate::program) struct Stopper(watch::Sender<Stop>);

impl Stopper {
    pub(in crate::program) fn new() -> Self {
        Self(watch::Sender::new(Stop::No))
    }

    pub(in crate::program) fn ask(&self, asked: Stop) {
        self.0.send_modify(|known| *known = known.and(asked));
    }

    /// Returns how far it was asked to stop.
    pub(in crate::program) fn asked(&self) -> Stop {
        *self.0.borrow()
    }

    /// Returns what sees it, also if it was asked before.
    pub(in crate::program) fn watch(&self) -> Shutdown {
        Shutdown(self.0.subscribe())
    }
}

/// Tells a [task](crate::program::App::task) that the program stops. It is cheap to clone.
#[derive(Clone, Debug)]
pub struct Shutdown(watch::Receiver<Stop>);

impl Shutdown {
    /// Waits until the task is asked to end. Returns at once if it was asked before.
    ///
    /// # Cancellation
    ///
    /// Safe.
    pub async fn requested(&self) {
        // A program that is gone has stopped.
        _ = self.0.clone().wait_for(|stop| *stop != Stop::No).await;
    }

    /// Returns whether the task was asked to end.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        *self.0.borrow() != Stop::No
    }

    /// Waits for a request beyond this one. Never returns if nobody can ask any more.
    pub(in crate::program) async fn beyond(&self, known: Stop) {
        let mut stop = self.0.clone();
        if stop.wait_for(|stop| *stop != known).await.is_err() {
            pending().await
        }
    }

    /// Waits until the deadline of the stop has passed, and this much more. A cancel brings the deadline nearer. Returns the deadline that
    /// has passed.
    pub(in crate::program) async fn elapsed(&self, more: Duration) -> Instant {
        loop {
            let asked = *self.0.borrow();
            let elapsed = async {
                match asked.deadline() {
                    Some(deadline) => {
                        sleep_until(later(deadline, more)).await;
                        deadline
                    }
                    None => pending().await,
                }
            };
            tokio::select! {
                () = self.beyond(asked) => {}
                deadline = elapsed => return deadline,
            }
        }
    }
}
