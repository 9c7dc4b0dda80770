//! The contract of a dead-letter queue: what can be done with messages that were given up.

use std::{fmt, future::Future, ops::ControlFlow};

use crate::{
    Error,
    broker::{DeadLetter, Delivery},
    message::Message,
};

/// The dead letters of one source: to look at, try again, move and purge.
///
/// A broker crate says how dead letters are leased, released, copied and deleted. `DeadLetters`, which people and pages use, builds
/// listings and retries on top, the same for every broker. It deletes a dead letter only after [`copy`](Self::copy) confirmed its copy.
pub trait DeadLetterQueue: Send + Sync + 'static {
    /// Releases or deletes one leased dead letter.
    type Receipt: Clone + fmt::Debug + Send + Sync + 'static;

    /// Connects and finds the queue. It is called first.
    ///
    /// # Errors
    ///
    /// If the source has no dead-letter queue. The error says what to do.
    fn open(&self) -> impl Future<Output = Result<DeadLetterInfo, Error>> + Send;

    /// Leases 0 to `max` dead letters and appends them to `into`. It appends none when there are no more to lease.
    ///
    /// # Cancellation
    ///
    /// If the future is dropped, dead letters may stay leased until their leases end.
    ///
    /// # Errors
    ///
    /// The broker's. What is in `into` is kept.
    fn lease(
        &self,
        max: usize,
        into: &mut Vec<Delivery<Self::Receipt>>,
    ) -> impl Future<Output = Result<(), Error>> + Send;

    /// Releases dead letters, so that they can be leased again at once. The receipts are in the order in which the dead letters came.
    ///
    /// # Errors
    ///
    /// The first error. Dead letters that could not be released stay leased until their leases end.
    fn give_back(&self, leases: &[Self::Receipt])
    -> impl Future<Output = Result<(), Error>> + Send;

    /// Copies dead letters to a queue, as the messages are now, and deletes none. Pushes one answer for each, in order. `Ok` means that the
    /// broker confirmed the copy.
    ///
    /// The receipts are here for what a [`Message`] can't carry, for example the types of attributes. A copy does not need a lease that is still
    /// valid.
    ///
    /// # Cancellation
    ///
    /// If the future is dropped, any of the copies may have been made.
    fn copy(
        &self,
        to: &Destination,
        dead_letters: &[Delivery<Self::Receipt>],
        answers: &mut Vec<Result<(), Error>>,
    ) -> impl Future<Output = ()> + Send;

    /// Deletes leased dead letters. Pushes one answer for each, in order. `Ok` means that the dead letter is no longer in the queue.
    ///
    /// A lease that is lost is an error that is not [transient](Error::is_transient). The caller repeats what failed with a transient one.
    ///
    /// # Cancellation
    ///
    /// If the future is dropped, any of the dead letters may have been deleted.
    fn delete(
        &self,
        leases: &[Self::Receipt],
        answers: &mut Vec<Result<(), Error>>,
    ) -> impl Future<Output = ()> + Send;

    /// Lets the broker move all dead letters by itself, unchanged, if it can. `watch` sees the progress and may stop the move.
    ///
    /// # Errors
    ///
    /// If the move began and its progress can no longer be seen.
    fn move_all(
        &self,
        to: &Destination,
        watch: ProgressFn<'_>,
    ) -> impl Future<Output = Result<BrokerMove, Error>> + Send {
        _ = (to, watch);
        std::future::ready(Ok(BrokerMove::default()))
    }

    /// Returns what to know before a purge, for example that the queue also holds the dead letters of others. Each entry is a sentence.
    fn purge_warnings(&self) -> impl Future<Output = Vec<String>> + Send {
        std::future::ready(Vec::new())
    }

    /// Deletes all dead letters, without copies.
    ///
    /// It depends on the broker whether those on lease are among them: SQS deletes them, too (API, `PurgeQueue`), and RabbitMQ does not (AMQP 0-9-1,
    /// `queue.purge`).
    ///
    /// # Errors
    ///
    /// The broker's.
    fn purge(&self) -> impl Future<Output = Result<(), Error>> + Send;

    /// Returns where a dead letter came from, according to the envelope and to the broker's own marks.
    fn origin(&self, message: &Message) -> Origin {
        let queue = DeadLetter::of(message).map(|envelope| envelope.queue);
        Origin {
            queue,
            ..Origin::default()
        }
    }
}

/// Sees the progress of a long operation. [`ControlFlow::Break`] stops it after the current step, with nothing left half done.
pub type ProgressFn<'w> = &'w mut (dyn FnMut(Progress) -> ControlFlow<()> + Send);

/// How far a long operation is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// The number of dead letters so far.
    pub done: u64,
    /// The number of dead letters at the beginning, approximately. `None` means that the broker does not say.
    pub of: Option<u64>,
}

impl Progress {
    /// Creates a progress of so many out of so many.
    pub fn new(done: u64, of: Option<u64>) -> Self {
        Self { done, of }
    }
}

/// What to know of a dead-letter queue before it is touched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeadLetterInfo {
    /// The name of the dead-letter queue.
    pub queue: String,
    /// The name of the queue that its dead letters came from, and are sent to for another try.
    pub source: String,
    /// The number of dead letters, approximately. `None` means that the broker does not say.
    pub count: Option<u64>,
    /// What looking at dead letters costs or hides here, for example that a look counts as a receive.
    pub remarks: Vec<String>,
    /// What is wrong with the queue, for example that a look may lose dead letters.
    pub warnings: Vec<String>,
}

/// Where dead letters are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// The queue they came from: they are tried again.
    Source,
    /// A queue, by name or by the broker's own address of it.
    Queue(String),
}

/// The result of a move that the broker makes by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BrokerMove {
    /// The number of dead letters moved, approximately.
    pub moved: u64,
    /// Whether the move was stopped. What is left stays in the dead-letter queue.
    pub stopped: bool,
    /// Why the broker did not move all of them. The rest is copied one by one.
    pub note: Option<String>,
}

/// Where a dead letter came from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The queue. `None` means that it is unknown.
    pub queue: Option<String>,
    /// Whether the broker itself gave it up, after too many deliveries.
    pub by_broker: bool,
    /// Whether it came from another queue than the route's. Such a dead letter is not tried again here.
    pub from_other_queue: bool,
}
