//! The leases a route holds.

use tokio::time::Instant;

/// The leases a route holds, each in a numbered slot: workers see the number only.
pub(super) struct Slots<R> {
    entries: Vec<Option<Slot<R>>>,
    free: Vec<u32>,
}

pub(super) struct Slot<R> {
    pub(super) receipt: R,
    /// By our clock, with a margin: after it the message may be somebody else's.
    pub(super) leased_until: Instant,
    /// The ceiling of the lease counts from here.
    pub(super) received_at: Instant,
    /// Lost: nothing is sent for it.
    pub(super) lost: bool,
    /// About to be retried or released: a renewal would undo that.
    pub(super) leaving: bool,
}

impl<R> Default for Slots<R> {
    fn default() -> Self {
        Self { entries: Vec::new(), free: Vec::new() }
    }
}

impl<R> Slots<R> {
    pub(super) fn insert(&mut self, receipt: R, received_at: Instant, leased_until: Instant) -> u32 {
        let slot = Some(Slot { receipt, leased_until, received_at, lost: false, leaving: false });
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

    pub(super) fn remove(&mut self, number: u32) {
        if let Some(slot @ Some(_)) = self.entries.get_mut(number as usize) {
            *slot = None;
            self.free.push(number);
        }
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (u32, &mut Slot<R>)> {
        self.entries.iter_mut().enumerate().filter_map(|(number, slot)| Some((number as u32, slot.as_mut()?)))
    }
}
