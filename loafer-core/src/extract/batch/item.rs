//! One message of a batch.

use std::ops::{Deref, DerefMut};

use crate::{extract::Metadata, message::Message};

/// One message of a [`Batch`](crate::extract::Batch): its value, to which it dereferences, and what else is known of it.
///
/// ```
/// use loafer::{Batch, Message, Metadata, extract::BatchItem};
///
/// let metadata = Metadata::new(Message::new("").with_attempt(2));
/// let batch: Batch<u32> = [BatchItem::new(7, metadata)].into_iter().collect();
/// assert_eq!((*batch[0], batch[0].metadata().attempt()), (7, 2));
/// ```
#[derive(Clone, Debug)]
pub struct BatchItem<T> {
    value: T,
    metadata: Metadata,
    /// Where it stood in its call, and its outcome among the outcomes; none until a batch has it.
    place: Option<usize>,
}

impl<T> BatchItem<T> {
    /// One made by hand, for a unit test. Its place is given to it by the batch it is collected into.
    pub fn new(value: T, metadata: Metadata) -> Self {
        Self {
            value,
            metadata,
            place: None,
        }
    }

    /// Where it stands, unless a batch had it before.
    pub(super) fn or_at(mut self, place: usize) -> Self {
        self.place.get_or_insert(place);
        self
    }

    /// Attempt, id, group, headers.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Where it stood in its batch: 0 is the first.
    pub fn place(&self) -> usize {
        self.place.unwrap_or_default()
    }

    /// The value alone.
    pub fn into_value(self) -> T {
        self.value
    }

    /// The value, and what else is known of its message.
    pub fn into_parts(self) -> (T, Metadata) {
        (self.value, self.metadata)
    }
}

/// By hand, in a message of its own.
impl<T> From<T> for BatchItem<T> {
    fn from(value: T) -> Self {
        Self::new(value, Metadata::new(Message::new("")))
    }
}

impl<T> Deref for BatchItem<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for BatchItem<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}
