//! The dead letters of a route, for people and pages.

mod browse;
mod message;
mod pace;
mod send;
mod transfer;

use std::{collections::HashMap, fmt};

use futures_util::future::BoxFuture;
use loafer_core::{
    Error,
    broker::{
        DeadLetterCapabilities, DeadLetterInfo, DeadLetterQueue, Delivery, Destination, ProgressFn,
    },
    message::MessageId,
};

pub use self::{
    browse::Listing,
    message::{DeadLetterMessage, DeadLetterSummary},
    send::{MoveResult, Selection},
};

/// The dead letters of a route: to list, try again, move and purge.
///
/// ```
/// use std::ops::ControlFlow;
///
/// use loafer::{Json, Memory, Message, Route, broker::Destination, dead_letters::Selection, program::Manager};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), loafer::Error> {
/// let memory = Memory::new();
/// memory.send("greetings-dlq", [Message::new("\"ana\"")]);
/// let route = Route::new("greetings").handler(Json, async |name: String| !name.is_empty());
/// let app = loafer::App::new().broker(memory.clone());
/// let manager = Manager::builder().app(app).route(route).build()?;
///
/// let dead_letters = manager.dead_letters("greetings").await?;
/// let sent = dead_letters.send(&Selection::All, &Destination::Source, None, &mut |_| ControlFlow::Continue(())).await?;
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
        let mut about = queue.open().await?;
        let own = std::mem::take(&mut about.remarks);
        about.remarks = remarks(queue.capabilities(), &about.queue);
        about.remarks.extend(own);
        Ok(Self { queue, about })
    }

    /// Returns what to know of the queue, as it was when it was found.
    pub fn about(&self) -> &DeadLetterInfo {
        &self.about
    }

    /// Returns what can be done with the dead letters of this queue.
    pub fn capabilities(&self) -> DeadLetterCapabilities {
        self.queue.capabilities()
    }

    /// Lists up to `max` dead letters. Each is leased for a moment and released, also if the listing fails.
    ///
    /// # Cancellation
    ///
    /// Not cancellation safe: dead letters stay leased until their leases end. `watch` stops a listing between two steps.
    ///
    /// # Errors
    ///
    /// The broker's.
    pub async fn list(&self, max: usize, watch: ProgressFn<'_>) -> Result<Listing, Error> {
        self.queue.browse(max, None, watch).await
    }

    /// Lists the dead letters with these ids, as far as they are in the queue.
    ///
    /// # Cancellation
    ///
    /// Not cancellation safe, like [`list`](Self::list).
    ///
    /// # Errors
    ///
    /// The broker's.
    pub async fn find(&self, ids: &[MessageId], watch: ProgressFn<'_>) -> Result<Listing, Error> {
        self.queue.browse(usize::MAX, Some(ids), watch).await
    }

    /// Sends dead letters to their source ("try again") or to another queue, and deletes each once the broker confirmed its copy.
    ///
    /// A dead letter is sent to its source with its body and headers, without the envelope, and with the header
    /// [`DeadLetter::RETRIED_FROM`](loafer_core::broker::DeadLetter::RETRIED_FROM). It is sent to another queue as it is. If all of them are sent, the
    /// broker moves them by itself if it can. They are unchanged then, without that header.
    ///
    /// `rate` is how many go in a second at most. `None` means as fast as it goes.
    ///
    /// # Cancellation
    ///
    /// Not cancellation safe: a dead letter may be copied and not deleted. `watch` stops the operation between two steps, each of which copies
    /// and deletes.
    ///
    /// # Errors
    ///
    /// If the destination is the dead-letter queue itself, the rate is 0, or dead letters can't be leased, or not be deleted one by one. What is wrong with single ones is in the result.
    pub async fn send(
        &self,
        which: &Selection,
        to: &Destination,
        rate: Option<u32>,
        watch: ProgressFn<'_>,
    ) -> Result<MoveResult, Error> {
        self.queue.send(which, to, rate, &self.about, watch).await
    }

    /// Returns what to know before a [`purge`](Self::purge), for example that other queues have their dead letters there. Each entry is a sentence.
    pub async fn purge_warnings(&self) -> Vec<String> {
        self.queue.purge_warnings().await
    }

    /// Deletes all of them.
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

/// Returns what to know before a look.
fn remarks(can: DeadLetterCapabilities, queue: &str) -> Vec<String> {
    let looks = "to look at a dead letter is to receive it: its receive count rises, and others do not see it meanwhile";
    let groups = format!(
        "`{queue}` keeps groups in order: of each group only the first dead letters can be seen, and those behind them once these are gone"
    );
    let looks = can.counts_looks.then(|| looks.to_owned());
    looks
        .into_iter()
        .chain(can.ordered.then_some(groups))
        .collect()
}

/// A dead-letter queue whose type is not known.
pub(crate) trait DynDeadLetters: Send + Sync {
    fn open(&self) -> BoxFuture<'_, Result<DeadLetterInfo, Error>>;

    fn capabilities(&self) -> DeadLetterCapabilities;

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
        rate: Option<u32>,
        info: &'a DeadLetterInfo,
        watch: ProgressFn<'a>,
    ) -> BoxFuture<'a, Result<MoveResult, Error>>;

    fn purge_warnings(&self) -> BoxFuture<'_, Vec<String>>;

    fn purge(&self) -> BoxFuture<'_, Result<(), Error>>;
}

impl<Q: DeadLetterQueue> DynDeadLetters for Q {
    fn open(&self) -> BoxFuture<'_, Result<DeadLetterInfo, Error>> {
        Box::pin(DeadLetterQueue::open(self))
    }

    fn capabilities(&self) -> DeadLetterCapabilities {
        DeadLetterQueue::capabilities(self)
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
        rate: Option<u32>,
        info: &'a DeadLetterInfo,
        watch: ProgressFn<'a>,
    ) -> BoxFuture<'a, Result<MoveResult, Error>> {
        Box::pin(send::send(self, which, to, rate, info, watch))
    }

    fn purge_warnings(&self) -> BoxFuture<'_, Vec<String>> {
        Box::pin(DeadLetterQueue::purge_warnings(self))
    }

    fn purge(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(DeadLetterQueue::purge(self))
    }
}

/// Leases on dead letters, which are released at the end.
struct Leases<'q, Q: DeadLetterQueue> {
    queue: &'q Q,
    /// By id, each with its place in the order in which they came. A dead letter whose lease has ended may be delivered again, with another
    /// receipt, which replaces the first.
    by_id: HashMap<MessageId, (usize, Q::Receipt)>,
    /// How many deliveries came.
    came: usize,
}

impl<'q, Q: DeadLetterQueue> Leases<'q, Q> {
    fn of(queue: &'q Q) -> Self {
        Self {
            queue,
            by_id: HashMap::new(),
            came: 0,
        }
    }

    fn len(&self) -> u64 {
        self.by_id.len() as u64
    }

    /// Keeps a lease. Returns whether the dead letter is new.
    fn keep(&mut self, delivery: &Delivery<Q::Receipt>) -> bool {
        self.came += 1;
        let lease = (self.came, delivery.receipt.clone());
        let known = self.by_id.insert(delivery.message.id().clone(), lease);
        known.is_none()
    }

    /// Forgets the lease of a dead letter that is deleted.
    fn forget(&mut self, id: &MessageId) {
        self.by_id.remove(id);
    }

    /// Releases all of them, in the order in which they came.
    async fn give_back(self) -> Result<(), Error> {
        if self.by_id.is_empty() {
            return Ok(());
        }
        let mut leases: Vec<_> = self.by_id.into_values().collect();
        leases.sort_unstable_by_key(|(place, _)| *place);
        let leases: Vec<_> = leases.into_iter().map(|(_, receipt)| receipt).collect();
        self.queue.give_back(&leases).await
    }
}
