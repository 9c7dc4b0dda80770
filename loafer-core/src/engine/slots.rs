//! The leases a route holds.

use std::time::Duration;

use tokio::time::Instant;

/// A moment, in nanoseconds since the route began: half the size of an [`Instant`], and there are two a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(u64);

impl Moment {
    /// Later than any other.
    pub(super) const NEVER: Self = Self(u64::MAX);

    pub(super) fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(by.as_nanos() as u64))
    }

    /// How long from `earlier` until here; nothing where it is later.
    pub(super) fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// The leases a route holds, each in a numbered slot: workers see the number only.
pub(super) struct Slots<R> {
    entries: Vec<Option<Slot<R>>>,
    free: Vec<u32>,
    began: Instant,
}

pub(super) struct Slot<R> {
    pub(super) receipt: R,
    /// By our clock, with a margin: after it the message may be somebody else's.
    pub(super) leased_until: Moment,
    /// The ceiling of the lease counts from here.
    pub(super) received_at: Moment,
    /// Lost: nothing is sent for it.
    pub(super) lost: bool,
}

impl<R> Default for Slots<R> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            free: Vec::new(),
            began: Instant::now(),
        }
    }
}

impl<R> Slots<R> {
    pub(super) fn now(&self) -> Moment {
        Moment(self.began.elapsed().as_nanos() as u64)
    }

    pub(super) fn insert(&mut self, receipt: R, received_at: Moment, leased_until: Moment) -> u32 {
        let slot = Some(Slot {
            receipt,
            leased_until,
            received_at,
            lost: false,
        });
        match self.free.pop() {
            Some(number) => {
                self.entries[number as usize] = slot;
                number
            }
            None => {
                self.entries.push(slot);
                (self.entries.len() - 1) as u32
            }
        }
    }

    pub(super) fn get_mut(&mut self, number: u32) -> Option<&mut Slot<R>> {
        self.entries.get_mut(number as usize)?.as_mut()
    }

    pub(super) fn remove(&mut self, number: u32) -> Option<Slot<R>> {
        let slot = self.entries.get_mut(number as usize)?.take()?;
        self.free.push(number);
        Some(slot)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (u32, &mut Slot<R>)> {
        self.entries
            .iter_mut()
            .enumerate()
            .filter_map(|(number, slot)| Some((number as u32, slot.as_mut()?)))
    }
}
