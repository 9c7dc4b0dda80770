//! The contract of a dead-letter queue: what may be done with messages that were given up.

use std::{fmt, future::Future, ops::ControlFlow};

use crate::{
    Error,
    broker::{DeadLetter, Delivery},
    message::Message,
};

/// The dead letters of one source: looked at, tried again, moved, thrown away.
///
/// A broker crate says how letters are leased, given back, copied and deleted; `DeadLetters`, which people and pages
/// use, makes listings and retries of it, the same on every broker. A letter is deleted only after its copy is confirmed.
pub trait DeadLetterQueue: Send + Sync + 'static {
    /// What gives back or deletes one leased letter.
    type Receipt: Clone + fmt::Debug + Send + Sync + 'static;

    /// Connects and finds the queue. Called first.
    ///
    /// # Errors
    ///
    /// Where the source has no dead-letter queue: with what to do.
    fn open(&self) -> impl Future<Output = Result<DeadLetterInfo, Error>> + Send;

    /// Leases 0 to `max` letters and appends them to `into`; none, once no more can be had.
    ///
    /// # Cancellation
    ///
    /// Dropped in flight it may leave letters to the end of their leases.
    ///
    /// # Errors
    ///
    /// The broker's. What stands in `into` is kept.
    fn lease(
        &self,
        max: usize,
        into: &mut Vec<Delivery<Self::Receipt>>,
    ) -> impl Future<Output = Result<(), Error>> + Send;

    /// Gives letters back, named in the order they came: they can be leased again at once.
    ///
    /// # Errors
    ///
    /// The first of them: such letters come back at the end of their leases.
    fn give_back(&self, leases: &[Self::Receipt])
    -> impl Future<Output = Result<(), Error>> + Send;

    /// Sends copies of leased letters, as the messages now are, and deletes each letter whose copy is confirmed; pushes one answer a letter, in order.
    ///
    /// A letter whose copy was confirmed and which could not be deleted is an error that says so.
    fn send(
        &self,
        to: &Destination,
        letters: &[Delivery<Self::Receipt>],
        answers: &mut Vec<Result<(), Error>>,
    ) -> impl Future<Output = ()> + Send;

    /// Lets the broker move all letters by itself, unchanged, where it can; `watch` is told how far it is, and may stop it.
    ///
    /// # Errors
    ///
    /// Where it could begin, and then lost sight of it.
    fn move_all(
        &self,
        to: &Destination,
        watch: ProgressFn<'_>,
    ) -> impl Future<Output = Result<BrokerMove, Error>> + Send {
        _ = (to, watch);
        std::future::ready(Ok(BrokerMove::default()))
    }

    /// What is to be known before all letters are thrown away, as whose else they are: a sentence each.
    fn purge_warnings(&self) -> impl Future<Output = Vec<String>> + Send {
        std::future::ready(Vec::new())
    }

    /// Throws all letters away.
    ///
    /// # Errors
    ///
    /// The broker's.
    fn purge(&self) -> impl Future<Output = Result<(), Error>> + Send;

    /// Where a letter came from, by the envelope and by the broker's own marks.
    fn origin(&self, message: &Message) -> Origin {
        let queue = DeadLetter::of(message).map(|envelope| envelope.queue);
        Origin {
            queue,
            ..Origin::default()
        }
    }
}

/// Is told how far something is; [`ControlFlow::Break`] stops it after the step at hand, with nothing left half done.
pub type ProgressFn<'w> = &'w mut (dyn FnMut(Progress) -> ControlFlow<()> + Send);

/// How far something is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Letters so far.
    pub done: u64,
    /// How many there were at the beginning, about; none where the broker does not tell.
    pub of: Option<u64>,
}

impl Progress {
    /// So far, of so many.
    pub fn new(done: u64, of: Option<u64>) -> Self {
        Self { done, of }
    }
}

/// What is to be known of a dead-letter queue before it is touched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeadLetterInfo {
    /// Its name.
    pub queue: String,
    /// How many letters it holds, about; none where the broker does not tell.
    pub count: Option<u64>,
    /// What looking at letters costs or hides here, as that it counts as a receive.
    pub remarks: Vec<String>,
    /// What is wrong with it, as that looking may lose letters.
    pub warnings: Vec<String>,
}

/// Where letters are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// The queue they came from: they are tried again.
    Source,
    /// A queue, by name or by the broker's own address of it.
    Queue(String),
}

/// What became of a move that the broker was to make by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BrokerMove {
    /// Letters moved, about.
    pub moved: u64,
    /// Whether it was stopped: what is left stays.
    pub stopped: bool,
    /// Why it was not used, or not to the end: the rest is copied one by one.
    pub note: Option<String>,
}

/// Where a letter came from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The queue, where that is known.
    pub queue: Option<String>,
    /// Whether the broker itself gave it up, after too many deliveries.
    pub by_broker: bool,
    /// Whether it came from another source than the route's: it must not be tried again here.
    pub from_other_queue: bool,
}
