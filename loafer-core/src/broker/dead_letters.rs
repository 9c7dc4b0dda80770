//! The contract of a dead-letter queue: what can be done with messages that were given up.

use std::{fmt, future::Future, ops::ControlFlow};

use crate::{
    Error,
    broker::{DeadLetter, Delivery, PackedDeadLetter},
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

    /// Returns what can be done here. Called after `open`, and must return the same each time.
    fn capabilities(&self) -> DeadLetterCapabilities {
        DeadLetterCapabilities::default()
    }

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

    /// Packs a dead letter, with what a [`Message`] can't carry and a copy needs: the types of attributes, tables among the headers, the bytes of a
    /// key. By default it packs the message alone.
    ///
    /// It makes no call. No receipt and no secret is in it, since it may be kept for years.
    fn pack(&self, dead_letter: &Delivery<Self::Receipt>) -> PackedDeadLetter {
        PackedDeadLetter::new(&dead_letter.message)
    }

    /// Copies dead letters to a queue and deletes none. Pushes one answer for each, in order. `Ok` means that the broker confirmed the copy.
    ///
    /// Each copy is what [`PackedDeadLetter::copy_to`] says, with the types that [`pack`](Self::pack) kept. No lease is needed: the dead letters may
    /// have been packed long ago, by another process. One that can't be copied, for example since another broker packed it, fails alone.
    ///
    /// # Cancellation
    ///
    /// If the future is dropped, any of the copies may have been made.
    fn copy(
        &self,
        to: &Destination,
        dead_letters: &[PackedDeadLetter],
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

    /// Lets the broker move all dead letters by itself, unchanged. `watch` sees the progress and may stop the move.
    ///
    /// Called only if [`DeadLetterCapabilities::moves`] is set, with a `rate`, in messages a second and at least 1, only if
    /// [`DeadLetterCapabilities::rate`] is set, too. `None` means as fast as the broker moves them. It must not be faster than `rate`.
    ///
    /// # Errors
    ///
    /// If the move began and its progress can no longer be seen.
    fn move_all(
        &self,
        to: &Destination,
        rate: Option<u32>,
        watch: ProgressFn<'_>,
    ) -> impl Future<Output = Result<BrokerMove, Error>> + Send {
        _ = (to, rate, watch);
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

/// What can be done with the dead letters of a queue. A broker names what differs from the [default](Self::default).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeadLetterCapabilities {
    /// How many dead letters are leased and copied at once. The default is 10.
    pub batch: usize,
    /// Whether single dead letters can be deleted, so that they can be sent away one by one. The default is `true`.
    pub deletes: bool,
    /// Whether a look counts as a receive that somebody goes by: a limit of the queue, or who reads the count. The default is `false`.
    pub counts_looks: bool,
    /// Whether the dead letters of a group are kept in order: those behind a leased one can't be leased. The default is `false`.
    pub ordered: bool,
    /// Whether the broker can move all dead letters by itself. The default is `false`.
    pub moves: bool,
    /// Whether such a move takes a rate. The default is `false`: with a rate, dead letters are copied one by one.
    pub rate: bool,
}

impl Default for DeadLetterCapabilities {
    fn default() -> Self {
        Self {
            batch: 10,
            deletes: true,
            counts_looks: false,
            ordered: false,
            moves: false,
            rate: false,
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
    /// What else to know before a look, for example whose dead letters are there, too. What [`DeadLetterCapabilities`] say is added by who asks.
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
