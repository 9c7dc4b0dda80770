//! Whom a change at the scheduler wakes.

use std::{mem, task::Waker};

use super::{Limits, Phase, State};

/// The tasks that wait for what is held, and for what runs alone.
type Rare = [Option<Waker>; 2];

/// Whom to wake once the lock is free.
#[must_use]
pub(super) struct Due {
    rare: Option<Box<Rare>>,
    pub(super) settler: Option<Waker>,
    pub(super) receiver: Option<Waker>,
    supervisor: Option<Waker>,
}

impl Due {
    /// Wakes them.
    #[inline(always)]
    pub(super) fn wake(self) {
        if let Some(settler) = self.settler {
            settler.wake();
        }
        if let Some(receiver) = self.receiver {
            receiver.wake();
        }
        if let Some(supervisor) = self.supervisor {
            supervisor.wake();
        }
        if let Some(rare) = self.rare {
            rare.into_iter().flatten().for_each(Waker::wake);
        }
    }
}

impl State {
    /// Returns whom to wake because they can act now. Every change ends with it, so no wakeup is lost. With `linger`, a settler is also
    /// woken to wait for others to join what is done.
    pub(super) fn due(&mut self, limits: &Limits, linger: bool) -> Due {
        Due {
            rare: match self.wary | self.isolated | self.held_anew {
                true => self.rarely_due(),
                false => None,
            },
            settler: self.settler_for(limits, linger),
            receiver: self.receiver_for(limits),
            supervisor: match self.phase {
                Phase::Open => None,
                _ => self.supervisor.pop(),
            },
        }
    }

    /// Returns whom to wake for what is held or runs alone.
    #[cold]
    fn rarely_due(&mut self) -> Option<Box<Rare>> {
        self.pick_suspects();
        let fetcher = match self.may_fetch() {
            true => self.fetcher.pop(),
            false => None,
        };
        let keeper = match mem::take(&mut self.held_anew) {
            true => self.keeper.pop(),
            false => None,
        };
        (fetcher.is_some() || keeper.is_some()).then(|| Box::new([fetcher, keeper]))
    }
}
