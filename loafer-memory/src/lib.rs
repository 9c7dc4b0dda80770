//! The broker in memory: topics that fan out to queues, leases, attempts, dead letters and delays, as SNS and SQS have them, on tokio's clock.
//!
//! Nothing leaves the process and nothing outlives it. Under tokio's paused clock it is deterministic, and no test waits.

mod broker;
mod clock;
mod dead_letters;
mod inbox;
mod provider;
mod publisher;
mod queue;
mod replies;
mod shelf;
mod state;

use std::{sync::Arc, time::Duration};

use self::{broker::Exchange, queue::QueueOptions};
use loafer_core::{
    Error,
    broker::{Broker, DeadLetterQueue, NoOptions, Replies, Source, Topic},
    message::Message,
};

pub use self::{
    dead_letters::MemoryDeadLetters,
    provider::{MemoryProvider, MemoryReceipt},
    publisher::MemoryPublisher,
    replies::MemoryReplies,
};

/// The broker in memory: `provider = Memory`, `--provider memory`, and what tests run on.
///
/// Every value is a broker of its own; clones share it. A route's queue hears the topic that has the route's name. A queue whose name ends in
/// `.fifo` keeps the messages of a group in order, as SQS does: none is delivered while another one of its group is on lease.
#[derive(Clone)]
pub struct Memory {
    exchange: Arc<Exchange>,
    options: QueueOptions,
}

impl Memory {
    /// Queues with a lease of 30 s, which give a message to the dead letters (`<queue>-dlq`) after 3 receives.
    pub fn new() -> Self {
        Self {
            exchange: Arc::default(),
            options: QueueOptions::default(),
        }
    }

    /// The same with queues that give a message up after this many receives; none: never.
    #[must_use]
    pub fn with_max_receives(mut self, receives: Option<u32>) -> Self {
        self.options.max_receives = receives;
        self
    }

    /// The same with queues of this lease, where a route does not set its own.
    #[must_use]
    pub fn with_visibility_timeout(mut self, lease: Duration) -> Self {
        // A lease of nothing would be over before it began.
        self.options.lease = lease.max(Duration::from_millis(1));
        self
    }

    /// The same with this many messages a receive and a settlement; else 100.
    #[must_use]
    pub fn with_batch(mut self, batch: usize) -> Self {
        self.options.batch = batch.max(1);
        self
    }

    /// Puts messages on a queue, as if somebody had sent them.
    pub fn send(&self, queue: &str, messages: impl IntoIterator<Item = Message>) {
        self.exchange
            .queue(queue, &self.options)
            .send(messages, None);
    }

    /// The messages on a queue, visible, delayed or in flight.
    pub fn messages(&self, queue: &str) -> Vec<Message> {
        self.exchange.queue(queue, &self.options).messages()
    }

    /// The dead letters of a queue.
    pub fn dead_letters(&self, queue: &str) -> Vec<Message> {
        self.messages(&dead_letter_queue(queue))
    }

    /// Puts a reply where its requester waits for it, if it still does.
    #[doc(hidden)]
    pub fn reply(&self, address: &str, reply: Message) {
        _ = self.exchange.reply(address, &reply.into());
    }

    /// The queues that hear a topic.
    #[doc(hidden)]
    pub fn listeners(&self, topic: &str) -> Vec<String> {
        self.exchange.listeners(topic)
    }

    /// The topics and patterns that routes hear, sorted.
    #[doc(hidden)]
    pub fn heard(&self) -> Vec<String> {
        self.exchange.heard()
    }

    /// Ends every lease of a queue, as if its time were up; says how many there were.
    #[doc(hidden)]
    pub fn expire(&self, queue: &str) -> usize {
        self.exchange.queue(queue, &self.options).expire()
    }

    /// Ends every lease of every queue.
    #[doc(hidden)]
    pub fn expire_all(&self) {
        self.exchange.expire();
    }

    /// Whether the queues that routes consume are empty, nothing in flight and nothing delayed.
    pub fn is_settled(&self) -> bool {
        self.exchange.is_settled()
    }

    /// Waits until [`is_settled`](Self::is_settled).
    ///
    /// # Cancellation
    ///
    /// Safe.
    pub async fn settled(&self) {
        self.exchange.settled().await;
    }
}

/// Where a queue's dead letters go.
fn dead_letter_queue(queue: &str) -> String {
    format!("{queue}-dlq")
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Memory")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl Broker for Memory {
    type Provider = MemoryProvider;
    type Publisher = MemoryPublisher;
    type Options = NoOptions;

    const KIND: &'static str = "memory";
    const RENAMES_TOPICS: bool = false;

    fn provider(&self, source: &Source, _: &NoOptions) -> Result<MemoryProvider, Error> {
        let mut options = self.options.clone();
        options.lease = source.policy.lease.unwrap_or(options.lease);
        Ok(MemoryProvider::new(&self.exchange, options, source))
    }

    fn dead_letters(&self, source: &Source, _: &NoOptions) -> Result<impl DeadLetterQueue, Error> {
        Ok(MemoryDeadLetters::new(
            self.exchange.clone(),
            self.options.clone(),
            source,
        ))
    }

    fn publisher(&self) -> MemoryPublisher {
        MemoryPublisher::new(self.exchange.clone(), self.options.clone())
    }

    fn replies(&self, app: Option<&str>) -> Result<impl Replies, Error> {
        Ok(MemoryReplies::new(self.exchange.clone(), app))
    }

    fn reply_topic(&self, address: &str) -> Result<Topic, Error> {
        replies::topic(address)
    }
}
