//! Several messages as one argument, and what is said of each.

mod item;
mod outcome;

use std::{ops::Deref, slice, vec};

pub use self::{
    item::BatchItem,
    outcome::{BatchOutcome, IntoBatchOutcome},
};

/// The messages of one call of a batch handler, decoded: its first argument.
///
/// Never empty in a call of the framework's. A message that does not decode is not in it: that one fails alone. Messages of one group come in
/// their order where the broker keeps it. It dereferences to a slice of [`BatchItem`]s; in a unit test it is made from values:
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
    #[doc(hidden)]
    pub fn with_capacity(items: usize) -> Self {
        Self {
            items: Vec::with_capacity(items),
        }
    }

    /// One more item of a call.
    #[doc(hidden)]
    pub fn push(&mut self, item: BatchItem<T>) {
        self.items.push(item.or_at(self.items.len()));
    }

    /// The values, without what else is known of their messages.
    pub fn values(&self) -> impl ExactSizeIterator<Item = &T> {
        self.items.iter().map(|item| &**item)
    }

    /// The items, each to be changed where it stands: their order is that of their outcomes.
    pub fn iter_mut(&mut self) -> slice::IterMut<'_, BatchItem<T>> {
        self.items.iter_mut()
    }

    /// The values by themselves.
    pub fn into_values(self) -> impl ExactSizeIterator<Item = T> {
        self.items.into_iter().map(BatchItem::into_value)
    }
}

/// Made by hand, each item's place is where it stands; items of a call keep the place they had there.
impl<T> FromIterator<BatchItem<T>> for Batch<T> {
    fn from_iter<I: IntoIterator<Item = BatchItem<T>>>(items: I) -> Self {
        let items = items.into_iter().enumerate();
        Self {
            items: items.map(|(place, item)| item.or_at(place)).collect(),
        }
    }
}

/// By hand, each value in a message of its own, which has a new id and is on its first attempt.
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
