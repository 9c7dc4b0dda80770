//! Turns: how a place hands messages to the future that runs its calls, and hears what was said of each.

use std::{
    future::poll_fn,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Poll,
};

use crate::{Message, Verdict};

/// What a place and its calls share. The lock is contended by nobody: one task polls the calls of a worker.
#[doc(hidden)]
#[derive(Clone, Debug, Default)]
pub struct Turns(Arc<Mutex<Turn>>);

#[derive(Debug, Default)]
enum Turn {
    #[default]
    Idle,
    Given(Message),
    Said(Verdict),
}

impl Turns {
    fn turn(&self) -> MutexGuard<'_, Turn> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn give(&self, message: Message) {
        *self.turn() = Turn::Given(message);
    }

    /// What was said of the message that was given; none while its call runs.
    pub(super) fn said(&self) -> Option<Verdict> {
        let mut turn = self.turn();
        match mem::take(&mut *turn) {
            Turn::Said(verdict) => Some(verdict),
            given => {
                *turn = given;
                None
            }
        }
    }

    /// The next message. Nobody is woken for it: whoever gives one polls.
    pub async fn next(&self) -> Option<Message> {
        poll_fn(|_| {
            let mut turn = self.turn();
            match mem::take(&mut *turn) {
                Turn::Given(message) => Poll::Ready(Some(message)),
                said => {
                    *turn = said;
                    Poll::Pending
                }
            }
        })
        .await
    }

    /// What becomes of the message that was given.
    pub fn say(&self, verdict: Verdict) {
        *self.turn() = Turn::Said(verdict);
    }
}
