//! What a batch handler says of its messages.

use super::{Batch, BatchItem};
use crate::outcome::{FailureKind, HandlerError, IntoOutcome, Verdict};

/// What should become of each message of a [`Batch`]: one outcome per message, in the order of the batch.
///
/// Collect it if the handler goes through the messages in order. Set it by item if the handler takes them in another order:
///
/// ```
/// use std::time::Duration;
/// use loafer::{Batch, BatchOutcome, Outcome};
///
/// async fn in_turn(batch: Batch<u32>) -> BatchOutcome {
///     batch.iter().map(|number| **number > 0).collect()
/// }
///
/// async fn by_item(batch: Batch<u32>) -> BatchOutcome {
///     let mut outcome = BatchOutcome::all(&batch, true);
///     for item in batch.iter().filter(|number| ***number > 100) {
///         outcome.set(item, Outcome::Retry { after: Duration::from_secs(60) });
///     }
///     outcome
/// }
/// ```
///
/// If there are fewer or more outcomes than messages, nobody knows which outcome belongs to which message. Then no message is acked, and each fails
/// with an error that says so.
#[derive(Debug, Default)]
#[must_use = "it says which messages are done"]
pub struct BatchOutcome(Vec<Verdict>);

impl BatchOutcome {
    /// Returns an outcome for no message yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns this outcome for every message of the batch: `BatchOutcome::all(&batch, true)`.
    pub fn all<T>(batch: &Batch<T>, outcome: impl IntoOutcome) -> Self {
        Self(outcome.into_outcome().repeated(batch.len()))
    }

    /// Replaces the outcome of one message.
    ///
    /// # Panics
    ///
    /// If there is no outcome at the index of the item: the item is from another batch, or its outcome was not pushed yet.
    #[track_caller]
    pub fn set<T>(&mut self, item: &BatchItem<T>, outcome: impl IntoOutcome) {
        let (index, outcomes) = (item.index(), self.0.len());
        match self.0.get_mut(index) {
            Some(verdict) => *verdict = outcome.into_outcome(),
            None => panic!("there is no item {index} in a batch of {outcomes}"),
        }
    }

    /// Adds the outcome of the next message.
    pub fn push(&mut self, outcome: impl IntoOutcome) {
        self.0.push(outcome.into_outcome());
    }

    /// Returns the verdict on each message, in order.
    pub fn verdicts(&self) -> &[Verdict] {
        &self.0
    }
}

impl<O: IntoOutcome> FromIterator<O> for BatchOutcome {
    fn from_iter<I: IntoIterator<Item = O>>(outcomes: I) -> Self {
        let outcomes = outcomes.into_iter();
        Self(outcomes.map(IntoOutcome::into_outcome).collect())
    }
}

impl<O: IntoOutcome> Extend<O> for BatchOutcome {
    fn extend<I: IntoIterator<Item = O>>(&mut self, outcomes: I) {
        let outcomes = outcomes.into_iter();
        self.0.extend(outcomes.map(IntoOutcome::into_outcome));
    }
}

/// What a batch handler may return: [`BatchOutcome`], one outcome for all its messages, or a `Result` of either.
///
/// If it returns an error, each message of the call fails with it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no outcome of a batch: a batch handler must say which of its messages are done",
    label = "no outcome of a batch",
    note = "return `BatchOutcome` (one outcome a message: `batch.iter().map(…).collect()`), or one for all: `bool` (`true` acks), `Outcome`; or a `Result` of any of these"
)]
pub trait IntoBatchOutcome {
    /// Converts it to verdicts, one for each of this many messages.
    #[doc(hidden)]
    fn into_verdicts(self, messages: usize) -> Vec<Verdict>;
}

impl IntoBatchOutcome for BatchOutcome {
    fn into_verdicts(self, messages: usize) -> Vec<Verdict> {
        let outcomes = self.0.len();
        if outcomes == messages {
            return self.0;
        }
        let error = format!(
            "the handler gave {outcomes} outcomes for {messages} messages: none is acked, since it is not known which outcome belongs to which message; give one for each, in order"
        );
        Verdict::failed(FailureKind::Error, error).repeated(messages)
    }
}

impl<E: HandlerError> IntoBatchOutcome for Result<BatchOutcome, E> {
    fn into_verdicts(self, messages: usize) -> Vec<Verdict> {
        match self {
            Ok(outcome) => outcome.into_verdicts(messages),
            Err(error) => Verdict::failed(FailureKind::Error, error).repeated(messages),
        }
    }
}

#[diagnostic::do_not_recommend]
impl<O: IntoOutcome> IntoBatchOutcome for O {
    fn into_verdicts(self, messages: usize) -> Vec<Verdict> {
        self.into_outcome().repeated(messages)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Outcome;

    fn texts(verdicts: &[Verdict]) -> Vec<String> {
        let errors = verdicts.iter().filter_map(Verdict::error);
        errors.map(ToString::to_string).collect()
    }

    #[test]
    fn a_wrong_number_of_outcomes_acks_nothing() {
        for outcomes in [0, 2, 4] {
            let outcome: BatchOutcome = std::iter::repeat_n(true, outcomes).collect();
            let verdicts = outcome.into_verdicts(3);
            assert_eq!(verdicts.len(), 3);
            assert!(texts(&verdicts)[2].starts_with(&format!(
                "the handler gave {outcomes} outcomes for 3 messages"
            )));
        }
    }

    #[test]
    fn an_error_is_a_failure_of_each_and_can_be_found_in_each() {
        let error: Result<BatchOutcome, _> = Err(std::io::Error::other("no disk"));
        let verdicts = error.into_verdicts(2);
        assert_eq!(texts(&verdicts), ["no disk", "no disk"]);
        let source = verdicts[1].error().and_then(|error| error.source());
        assert!(source.is_some_and(|source| source.is::<std::io::Error>()));
    }

    #[test]
    fn an_outcome_of_another_order_is_set_by_item() {
        let batch = Batch::from([3, 1, 2]);
        let mut outcome = BatchOutcome::all(&batch, Outcome::Ack);
        let mut items: Vec<_> = batch.into_iter().collect();
        items.sort_unstable_by_key(|item| **item);
        outcome.set(&items[0], false);
        let acked: Vec<_> = outcome.verdicts().iter().map(Verdict::is_ack).collect();
        assert_eq!(acked, [true, false, true]);
    }
}
