//! The lease table: the leases of a route.

mod leaving;
pub(super) mod monitor;
pub(super) mod renewer;

use std::time::Duration;

use tokio::time::Instant;

use crate::{clock::Moment, scheduler::Key};

/// Returns by how much a lease is taken to be shorter than the broker says, because its answer took time to arrive.
pub(super) fn margin(lease: Duration) -> Duration {
    (lease / 10).min(Duration::from_secs(1))
}

/// The leases of a route, each in an entry of its own. Workers see only the keys of entries.
///
/// A lease leaves the table when a settler takes its message: what is not in the table is not renewed.
pub(super) struct LeaseTable<R> {
    entries: Vec<Entry<R>>,
    /// The number of the free entry that is used next, or [`NONE`]. Each free entry names the one after it.
    free: u32,
    began: Instant,
    /// When the settlements of each leaving in progress end.
    leavings: Vec<Moment>,
    /// How many deliveries that leave have come while leavings were in progress. It wraps.
    pub(super) came_leaving: u32,
}

/// Stands for no entry.
const NONE: u32 = u32::MAX;

struct Entry<R> {
    occupant: u32,
    /// The next free entry, or [`NONE`], while this one is free.
    next: u32,
    lease: Option<Lease<R>>,
}

pub(super) struct Lease<R> {
    pub(super) receipt: R,
    /// By our clock, with a margin. After this moment the message may be somebody else's.
    pub(super) leased_until: Moment,
    /// No renewal outlasts this moment: the lease leaves. [`Moment::NEVER`] means that it stays.
    pub(super) leaves_at: Moment,
    /// The ceiling of the lease counts from this moment.
    pub(super) received_at: Moment,
    /// Whether the lease is lost. If so, nothing is sent for it.
    pub(super) lost: bool,
    /// Whether a renewal is in flight. Until it is over, it could undo the delay of a retry.
    pub(super) renewing: bool,
}

impl<R> Lease<R> {
    /// Ends the lease at this moment, unless it ends earlier.
    pub(super) fn leave(&mut self, at: Moment) {
        self.leaves_at = self.leaves_at.min(at);
        self.leased_until = self.leased_until.min(at);
    }
}

impl<R> Default for LeaseTable<R> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            free: NONE,
            began: Instant::now(),
            leavings: Vec::new(),
            came_leaving: 0,
        }
    }
}

impl<R> LeaseTable<R> {
    pub(super) fn now(&self) -> Moment {
        Moment::since_start(self.began)
    }

    pub(super) fn insert(&mut self, receipt: R, received_at: Moment, leased_until: Moment) -> Key {
        let lease = Some(Lease {
            receipt,
            leased_until,
            leaves_at: Moment::NEVER,
            received_at,
            lost: false,
            renewing: false,
        });
        let number = self.free as usize;
        if let Some(entry) = self.entries.get_mut(number) {
            self.free = entry.next;
            entry.occupant = entry.occupant.wrapping_add(1);
            entry.lease = lease;
            return Key::new(number, entry.occupant);
        }
        let (occupant, next) = (0, NONE);
        self.entries.push(Entry {
            occupant,
            next,
            lease,
        });
        Key::new(self.entries.len() - 1, occupant)
    }

    pub(super) fn get_mut(&mut self, key: Key) -> Option<&mut Lease<R>> {
        let entry = self.entries.get_mut(key.number())?;
        entry.lease.as_mut().filter(|_| key.is_of(entry.occupant))
    }

    /// Returns when settlements of leases that leave end, if a leaving is in progress.
    pub(super) fn leaves_at(&self) -> Option<Moment> {
        self.leavings.iter().min().copied()
    }

    pub(super) fn remove(&mut self, key: Key) -> Option<Lease<R>> {
        self.remove_if(key, |_| true)
    }

    /// Takes a lease out, if it `is_wanted`.
    pub(super) fn remove_if<F>(&mut self, key: Key, is_wanted: F) -> Option<Lease<R>>
    where
        F: FnOnce(&mut Lease<R>) -> bool,
    {
        let entry = self.entries.get_mut(key.number())?;
        if !key.is_of(entry.occupant) {
            return None;
        }
        let lease = entry.lease.take_if(is_wanted)?;
        entry.next = self.free;
        self.free = key.number() as u32;
        Some(lease)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (Key, &mut Lease<R>)> {
        self.entries
            .iter_mut()
            .enumerate()
            .filter_map(|(number, entry)| {
                Some((Key::new(number, entry.occupant), entry.lease.as_mut()?))
            })
    }
}
