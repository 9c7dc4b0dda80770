//! One message of a batch.

use std::ops::{Deref, DerefMut};

use crate::{extract::Metadata, message::Message};

/// One message of a [`Batch`](crate::extract::Batch): its decoded value and its metadata. It dereferences to the value.
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
    /// Its index in its call, and that of its outcome among the outcomes. `None` until a batch has it.
    index: Option<usize>,
}

impl<T> BatchItem<T> {
    /// Returns an item for a unit test. The batch that it is collected into gives it its index.
    pub fn new(value: T, metadata: Metadata) -> Self {
        Self {
            value,
            metadata,
            index: None,
        }
    }

    /// Sets its index, unless a batch had it before.
    pub(super) fn or_at(mut self, index: usize) -> Self {
        self.index.get_or_insert(index);
        self
    }

    /// Returns what is known of its message except the payload: attempt, id, group, headers.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Returns its index in its batch. The first is 0. Its outcome has the same index in [`BatchOutcome`](crate::extract::BatchOutcome).
    pub fn index(&self) -> usize {
        self.index.unwrap_or_default()
    }

    /// Returns the value.
    pub fn into_value(self) -> T {
        self.value
    }

    /// Returns the value and the metadata.
    pub fn into_parts(self) -> (T, Metadata) {
        (self.value, self.metadata)
    }
}

/// Makes an item for a unit test, with a message of its own that has an empty payload.
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
