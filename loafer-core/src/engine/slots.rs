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

    /// Earlier than this, but not before the route began.
    pub(super) fn minus(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(by.as_nanos() as u64))
    }

    /// How long from `earlier` until here; nothing where it is later.
    pub(super) fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// The leases a route holds, each in a slot: workers see its key only.
pub(super) struct Slots<R> {
    entries: Vec<Entry<R>>,
    free: Vec<u32>,
    began: Instant,
}

/// A slot, and which of its occupants it is in the lower half. A slot is used again: the key of an earlier occupant finds nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key(u64);

struct Entry<R> {
    occupant: u32,
    slot: Option<Slot<R>>,
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

impl Key {
    fn new(number: usize, occupant: u32) -> Self {
        Self((number as u64) << 32 | u64::from(occupant))
    }

    fn number(self) -> usize {
        (self.0 >> 32) as usize
    }

    fn is_of(self, occupant: u32) -> bool {
        self.0 as u32 == occupant
    }
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

    pub(super) fn insert(&mut self, receipt: R, received_at: Moment, leased_until: Moment) -> Key {
        let slot = Some(Slot {
            receipt,
            leased_until,
            received_at,
            lost: false,
        });
        match self.free.pop() {
            Some(number) => {
                let entry = &mut self.entries[number as usize];
                entry.occupant = entry.occupant.wrapping_add(1);
                entry.slot = slot;
                Key::new(number as usize, entry.occupant)
            }
            None => {
                self.entries.push(Entry { occupant: 0, slot });
                Key::new(self.entries.len() - 1, 0)
            }
        }
    }

    pub(super) fn get_mut(&mut self, key: Key) -> Option<&mut Slot<R>> {
        let entry = self.entries.get_mut(key.number())?;
        entry.slot.as_mut().filter(|_| key.is_of(entry.occupant))
    }

    pub(super) fn remove(&mut self, key: Key) -> Option<Slot<R>> {
        let entry = self.entries.get_mut(key.number())?;
        if !key.is_of(entry.occupant) {
            return None;
        }
        let slot = entry.slot.take()?;
        self.free.push(key.number() as u32);
        Some(slot)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (Key, &mut Slot<R>)> {
        self.entries
            .iter_mut()
            .enumerate()
            .filter_map(|(number, entry)| {
                Some((Key::new(number, entry.occupant), entry.slot.as_mut()?))
            })
    }
}
