//! Several messages as one argument, and an outcome for each.

mod item;
mod outcome;

use std::{ops::Deref, slice, vec};

pub use self::{
    item::BatchItem,
    outcome::{BatchOutcome, IntoBatchOutcome},
};

/// The decoded messages of one call of a batch handler: its first argument.
///
/// The engine never calls a handler with an empty batch. A message that can't be decoded is not in the batch: it fails alone. If the broker keeps
/// groups in order, the messages of a group are in their order. A batch dereferences to a slice of [`BatchItem`]s. In a unit test, make it from
/// values:
///
/// ```
/// use loafer::{Batch, BatchOutcome};
///
/// async fn friends(batch: Batch<String>) -> BatchOutcome {
///     batch.iter().map(|name| !name.is_empty()).collect()
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let outcome = friends(Batch::from(["ana".to_owned(), String::new()])).await;
/// assert!(outcome.verdicts()[0].is_ack() && !outcome.verdicts()[1].is_ack());
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Batch<T> {
    items: Vec<BatchItem<T>>,
}

impl<T> Batch<T> {
    /// Returns an empty batch with room for this many items.
    #[doc(hidden)]
    pub fn with_capacity(items: usize) -> Self {
        Self {
            items: Vec::with_capacity(items),
        }
    }

    /// Adds an item of a call.
    #[doc(hidden)]
    pub fn push(&mut self, item: BatchItem<T>) {
        self.items.push(item.or_at(self.items.len()));
    }

    /// Returns the values, without their metadata.
    pub fn values(&self) -> impl ExactSizeIterator<Item = &T> {
        self.items.iter().map(|item| &**item)
    }

    /// Returns the items, so that each can be changed. Their order can't be: it is that of their outcomes.
    pub fn iter_mut(&mut self) -> slice::IterMut<'_, BatchItem<T>> {
        self.items.iter_mut()
    }

    /// Returns the values, without their metadata.
    pub fn into_values(self) -> impl ExactSizeIterator<Item = T> {
        self.items.into_iter().map(BatchItem::into_value)
    }
}

/// Collects items. An item that was made for a unit test gets the index that it has here. An item of a call keeps the index that it had there.
impl<T> FromIterator<BatchItem<T>> for Batch<T> {
    fn from_iter<I: IntoIterator<Item = BatchItem<T>>>(items: I) -> Self {
        let items = items.into_iter().enumerate();
        Self {
            items: items.map(|(index, item)| item.or_at(index)).collect(),
        }
    }
}

/// Collects values for a unit test. Each has a message of its own, with a new id and on its first attempt.
impl<T> FromIterator<T> for Batch<T> {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        values.into_iter().map(BatchItem::from).collect()
    }
}

impl<T> From<Vec<T>> for Batch<T> {
    fn from(values: Vec<T>) -> Self {
        values.into_iter().collect()
    }
}

impl<T, const N: usize> From<[T; N]> for Batch<T> {
    fn from(values: [T; N]) -> Self {
        values.into_iter().collect()
    }
}

impl<T> Deref for Batch<T> {
    type Target = [BatchItem<T>];

    fn deref(&self) -> &[BatchItem<T>] {
        &self.items
    }
}

impl<T> IntoIterator for Batch<T> {
    type Item = BatchItem<T>;
    type IntoIter = vec::IntoIter<BatchItem<T>>;

    fn into_iter(self) -> Self::IntoIter {
        self.items.into_iter()
    }
}

impl<'b, T> IntoIterator for &'b mut Batch<T> {
    type Item = &'b mut BatchItem<T>;
    type IntoIter = slice::IterMut<'b, BatchItem<T>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter_mut()
    }
}

impl<'b, T> IntoIterator for &'b Batch<T> {
    type Item = &'b BatchItem<T>;
    type IntoIter = slice::Iter<'b, BatchItem<T>>;

    fn into_iter(self) -> Self::IntoIter {
        self.items.iter()
    }
}
