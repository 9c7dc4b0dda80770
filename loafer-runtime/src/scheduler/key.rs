//! The key of a message: by it the scheduler knows its lease, whatever the types of the provider.

/// The number of an entry of the lease table and, in the lower half, which of the entry's occupants is meant. An entry is used again: the key
/// of an earlier occupant finds nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key(u64);

impl Key {
    pub(crate) fn new(number: usize, occupant: u32) -> Self {
        Self((number as u64) << 32 | u64::from(occupant))
    }

    pub(crate) fn number(self) -> usize {
        (self.0 >> 32) as usize
    }

    pub(crate) fn is_of(self, occupant: u32) -> bool {
        self.0 as u32 == occupant
    }
}
