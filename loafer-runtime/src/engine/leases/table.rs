//! The lease table: the leases of a route.

use std::time::Duration;

use tokio::time::Instant;

/// A moment, in nanoseconds since the route began. It is half the size of an [`Instant`], and each lease has two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::engine) struct Moment(u64);

impl Moment {
    /// Later than any other moment.
    pub(in crate::engine) const NEVER: Self = Self(u64::MAX);

    pub(in crate::engine) fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(by.as_nanos() as u64))
    }

    /// Returns the moment that much earlier, but not before the route began.
    pub(in crate::engine) fn minus(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(by.as_nanos() as u64))
    }

    /// Returns the time from `earlier` to this moment, or zero if `earlier` is the later one.
    pub(in crate::engine) fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// The leases of a route, each in an entry of its own. Workers see only the keys of entries.
pub(in crate::engine) struct LeaseTable<R> {
    entries: Vec<Entry<R>>,
    free: Vec<u32>,
    began: Instant,
}

/// The number of an entry and, in the lower half, which of the entry's occupants is meant. An entry is used again: the key of an earlier
/// occupant finds nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::engine) struct Key(u64);

struct Entry<R> {
    occupant: u32,
    lease: Option<Lease<R>>,
}

pub(in crate::engine) struct Lease<R> {
    pub(in crate::engine) receipt: R,
    /// By our clock, with a margin. After this moment the message may be somebody else's.
    pub(in crate::engine) leased_until: Moment,
    /// The ceiling of the lease counts from this moment.
    pub(in crate::engine) received_at: Moment,
    /// Whether the lease is lost. If so, nothing is sent for it.
    pub(in crate::engine) lost: bool,
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

impl<R> Default for LeaseTable<R> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            free: Vec::new(),
            began: Instant::now(),
        }
    }
}

impl<R> LeaseTable<R> {
    pub(in crate::engine) fn now(&self) -> Moment {
        Moment(self.began.elapsed().as_nanos() as u64)
    }

    pub(in crate::engine) fn insert(
        &mut self,
        receipt: R,
        received_at: Moment,
        leased_until: Moment,
    ) -> Key {
        let lease = Some(Lease {
            receipt,
            leased_until,
            received_at,
            lost: false,
        });
        match self.free.pop() {
            Some(number) => {
                let entry = &mut self.entries[number as usize];
                entry.occupant = entry.occupant.wrapping_add(1);
                entry.lease = lease;
                Key::new(number as usize, entry.occupant)
            }
            None => {
                self.entries.push(Entry { occupant: 0, lease });
                Key::new(self.entries.len() - 1, 0)
            }
        }
    }

    pub(in crate::engine) fn get_mut(&mut self, key: Key) -> Option<&mut Lease<R>> {
        let entry = self.entries.get_mut(key.number())?;
        entry.lease.as_mut().filter(|_| key.is_of(entry.occupant))
    }

    pub(in crate::engine) fn remove(&mut self, key: Key) -> Option<Lease<R>> {
        let entry = self.entries.get_mut(key.number())?;
        if !key.is_of(entry.occupant) {
            return None;
        }
        let lease = entry.lease.take()?;
        self.free.push(key.number() as u32);
        Some(lease)
    }

    pub(in crate::engine) fn iter_mut(&mut self) -> impl Iterator<Item = (Key, &mut Lease<R>)> {
        self.entries
            .iter_mut()
            .enumerate()
            .filter_map(|(number, entry)| {
                Some((Key::new(number, entry.occupant), entry.lease.as_mut()?))
            })
    }
}
