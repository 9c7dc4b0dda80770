//! A batch: what is settled together.

use std::{mem, time::Duration};

use crate::{clock::Moment, engine::leases::Lease, scheduler::Key};
use loafer_core::broker::{Settle, Settlement};

/// What is settled together.
pub(super) struct Batch<R> {
    pub(super) entries: Vec<Settle<R>>,
    /// The lease of each entry.
    pub(super) holds: Vec<Hold>,
    /// When those that are no acks were received.
    pub(super) received: Vec<(Key, Moment)>,
    /// Whether it has nothing but acks.
    pub(super) acks_only: bool,
    /// How long they wait for the renewals of their leases that were in flight when they were taken. `None` if there were none.
    pub(super) renewing: Option<Duration>,
}

/// The lease of an entry, which has left the lease table.
#[derive(Clone, Copy)]
pub(super) struct Hold {
    pub(super) key: Key,
    pub(super) until: Moment,
}

impl Hold {
    pub(super) fn of<R>(key: Key, lease: &Lease<R>) -> Self {
        Self {
            key,
            until: lease.leased_until,
        }
    }
}

impl<R> Default for Batch<R> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            holds: Vec::new(),
            received: Vec::new(),
            acks_only: true,
            renewing: None,
        }
    }
}

impl<R> Batch<R> {
    pub(super) fn push(&mut self, hold: Hold, entry: Settle<R>) {
        self.holds.push(hold);
        self.entries.push(entry);
    }

    /// Empties the batch, to sort its entries.
    pub(super) fn take(&mut self) -> impl Iterator<Item = (Hold, Settle<R>)> + use<R> {
        let entries = mem::take(&mut self.entries);
        mem::take(&mut self.holds).into_iter().zip(entries)
    }

    /// Returns when a message was received that is no ack. `None` means that it is one.
    pub(super) fn received_at(&self, key: Key) -> Option<Moment> {
        let received = self.received.iter().find(|(known, _)| *known == key);
        received.map(|(_, at)| *at)
    }

    pub(super) fn has_dead_letter(&self) -> bool {
        let mut settlements = self.entries.iter().map(|entry| &entry.settlement);
        settlements.any(|settlement| matches!(settlement, Settlement::DeadLetter(_)))
    }

    /// Returns when the first lease ends.
    pub(super) fn first_end(&self) -> Moment {
        let ends = self.holds.iter().map(|hold| hold.until);
        ends.min().unwrap_or(Moment::NEVER)
    }
}

pub(super) fn is_ack<R>(entry: &Settle<R>) -> bool {
    matches!(entry.settlement, Settlement::Ack)
}
