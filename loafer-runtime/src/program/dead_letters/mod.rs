//! The dead letters of a route, as people and pages see them.

mod browse;
mod message;
mod send;

use std::{collections::HashMap, fmt};

use futures_util::future::BoxFuture;
use loafer_core::{
    Error,
    broker::{DeadLetterInfo, DeadLetterQueue, Delivery, Destination, ProgressFn},
    message::MessageId,
};

pub use self::{
    browse::Listing,
    message::{DeadLetterMessage, DeadLetterSummary},
    send::{MoveResult, Selection},
};

/// The dead letters of a route: to list, try again, move and throw away.
///
/// ```
/// use std::ops::ControlFlow;
///
/// use loafer::{broker::Destination, Json, Manager, Memory, Message, Route, dead_letters::Selection};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), loafer::Error> {
/// let memory = Memory::new();
/// memory.send("greetings-dlq", [Message::new("\"ana\"")]);
/// let route = Route::new("greetings").handler(Json, async |name: String| !name.is_empty());
/// let app = loafer::App::new().broker(memory.clone());
/// let manager = Manager::builder().app(app).route(route).build()?;
///
/// let letters = manager.dead_letters("greetings").await?;
/// let sent = letters.send(&Selection::All, &Destination::Source, &mut |_| ControlFlow::Continue(())).await?;
/// assert_eq!(sent.sent, 1);
/// assert_eq!(memory.messages("greetings").len(), 1);
/// # Ok(())
/// # }
/// ```
pub struct DeadLetters {
    queue: Box<dyn DynDeadLetters>,
    about: DeadLetterInfo,
}

impl DeadLetters {
    pub(crate) async fn open(queue: Box<dyn DynDeadLetters>) -> Result<Self, Error> {
        let about = queue.open().await?;
        Ok(Self { queue, about })
    }

    /// What is to be known of the queue, as it was when it was found.
    pub fn about(&self) -> &DeadLetterInfo {
        &self.about
    }

    /// Up to `max` letters. Each is leased for a moment and given back, whatever happens in between.
    ///
    /// # Cancellation
    ///
    /// Not safe: letters stay on lease until that ends. `watch` stops it between two steps.
    ///
    /// # Errors
    ///
    /// The broker's; what was leased is given back.
    pub async fn list(&self, max: usize, watch: ProgressFn<'_>) -> Result<Listing, Error> {
        self.queue.browse(max, None, watch).await
    }

    /// The letters with these ids, as far as they are there.
    ///
    /// # Cancellation
    ///
    /// As [`list`](Self::list).
    ///
    /// # Errors
    ///
    /// As [`list`](Self::list).
    pub async fn find(&self, ids: &[MessageId], watch: ProgressFn<'_>) -> Result<Listing, Error> {
        self.queue.browse(usize::MAX, Some(ids), watch).await
    }

    /// Sends letters to their source ("try again") or to another queue, and deletes each once its copy is confirmed.
    ///
    /// To the source a letter goes with its body and headers, without the envelope, and with the header
    /// [`DeadLetter::RETRIED_FROM`](loafer_core::broker::DeadLetter::RETRIED_FROM); to another queue as it is. All of them go by the broker's own means
    /// where it has some: unchanged then, and without that header.
    ///
    /// # Cancellation
    ///
    /// Not safe: a letter may be sent and not deleted. `watch` stops it between two steps.
    ///
    /// # Errors
    ///
    /// Where letters can't be leased. What is wrong with single ones stands in the answer.
    pub async fn send(
        &self,
        which: &Selection,
        to: &Destination,
        watch: ProgressFn<'_>,
    ) -> Result<MoveResult, Error> {
        self.queue.send(which, to, self.about.count, watch).await
    }

    /// What is to be known before [`purge`](Self::purge), as that other queues have their dead letters there: a sentence each.
    pub async fn purge_warnings(&self) -> Vec<String> {
        self.queue.purge_warnings().await
    }

    /// Throws all of them away.
    ///
    /// # Errors
    ///
    /// The broker's.
    pub async fn purge(&self) -> Result<(), Error> {
        self.queue.purge().await
    }
}

impl fmt::Debug for DeadLetters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeadLetters")
            .field("about", &self.about)
            .finish_non_exhaustive()
    }
}

/// A dead-letter queue whose type is not known.
pub(crate) trait DynDeadLetters: Send + Sync {
    fn open(&self) -> BoxFuture<'_, Result<DeadLetterInfo, Error>>;

    fn browse<'a>(
        &'a self,
        max: usize,
        ids: Option<&'a [MessageId]>,
        watch: ProgressFn<'a>,
    ) -> BoxFuture<'a, Result<Listing, Error>>;

    fn send<'a>(
        &'a self,
        which: &'a Selection,
        to: &'a Destination,
        count: Option<u64>,
        watch: ProgressFn<'a>,
    ) -> BoxFuture<'a, Result<MoveResult, Error>>;

    fn purge_warnings(&self) -> BoxFuture<'_, Vec<String>>;

    fn purge(&self) -> BoxFuture<'_, Result<(), Error>>;
}

impl<Q: DeadLetterQueue> DynDeadLetters for Q {
    fn open(&self) -> BoxFuture<'_, Result<DeadLetterInfo, Error>> {
        Box::pin(DeadLetterQueue::open(self))
    }

    fn browse<'a>(
        &'a self,
        max: usize,
        ids: Option<&'a [MessageId]>,
        watch: ProgressFn<'a>,
    ) -> BoxFuture<'a, Result<Listing, Error>> {
        Box::pin(browse::browse(self, max, ids, watch))
    }

    fn send<'a>(
        &'a self,
        which: &'a Selection,
        to: &'a Destination,
        count: Option<u64>,
        watch: ProgressFn<'a>,
    ) -> BoxFuture<'a, Result<MoveResult, Error>> {
        Box::pin(send::send(self, which, to, count, watch))
    }

    fn purge_warnings(&self) -> BoxFuture<'_, Vec<String>> {
        Box::pin(DeadLetterQueue::purge_warnings(self))
    }

    fn purge(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(DeadLetterQueue::purge(self))
    }
}

/// Letters asked for at once.
const BATCH: usize = 10;

/// Leases on letters, given back at the end.
struct Held<'q, Q: DeadLetterQueue> {
    queue: &'q Q,
    /// By id, each with its place in the order they came: a letter whose lease ended meanwhile comes again, with another receipt.
    leases: HashMap<MessageId, (usize, Q::Receipt)>,
    /// How many came.
    came: usize,
}

impl<'q, Q: DeadLetterQueue> Held<'q, Q> {
    fn of(queue: &'q Q) -> Self {
        Self {
            queue,
            leases: HashMap::new(),
            came: 0,
        }
    }

    /// Keeps a lease; says whether the letter was not held before.
    fn keep(&mut self, delivery: &Delivery<Q::Receipt>) -> bool {
        self.came += 1;
        let lease = (self.came, delivery.receipt.clone());
        let known = self.leases.insert(delivery.message.id().clone(), lease);
        known.is_none()
    }

    /// Gives everything back.
    async fn give_back(self) -> Result<(), Error> {
        if self.leases.is_empty() {
            return Ok(());
        }
        let mut leases: Vec<_> = self.leases.into_values().collect();
        leases.sort_unstable_by_key(|(place, _)| *place);
        let leases: Vec<_> = leases.into_iter().map(|(_, receipt)| receipt).collect();
        self.queue.give_back(&leases).await
    }
}
