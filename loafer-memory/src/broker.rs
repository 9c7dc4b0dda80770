//! [`Memory`], the broker: its settings, and what tests ask it.

use std::{fmt, sync::Arc, time::Duration};

use loafer_core::{
    Error,
    broker::{Broker, DeadLetterQueue, NoOptions, Replies, Source, Topic},
    message::Message,
};

use crate::{
    MemoryDeadLetters, MemoryProvider, MemoryPublisher, MemoryReplies,
    exchange::Exchange,
    names::{self, dead_letter_queue},
    queue::QueueOptions,
};

/// The broker in memory: `provider = Memory`, `--provider memory`, and what the test kit runs on.
///
/// Each value made by [`Memory::new`] is a broker of its own, and its clones share it. A queue is made when something first names it, and gets
/// the options of the value that named it.
///
/// A route's queue is subscribed to the topics of the route: to the topic of the route's name, unless the route names others. A queue whose
/// name ends in `.fifo` keeps the messages of a group in order, as SQS does: while one message of a group is on lease, no other message of
/// that group is delivered. The dead letters of a queue go to `<queue>-dlq`.
///
/// ```
/// use loafer::{Memory, Message};
///
/// let memory = Memory::new().with_max_receives(Some(5));
/// memory.send("orders", [Message::new("1"), Message::new("2")]);
/// assert_eq!(memory.messages("orders").len(), 2);
/// assert!(memory.dead_letters("orders").is_empty());
/// ```
#[derive(Clone)]
pub struct Memory {
    exchange: Arc<Exchange>,
    /// What the queues get that this value names first.
    options: QueueOptions,
}

impl Memory {
    /// Returns a broker without queues. Its queues have a lease of 30 s, and a message goes to the dead letters after 3 receives.
    pub fn new() -> Self {
        Self {
            exchange: Arc::default(),
            options: QueueOptions::default(),
        }
    }

    /// Sets after how many receives a queue gives a message to the dead letters, those that were released or put off left out. `None` means never.
    /// The default is 3.
    #[must_use]
    pub fn with_max_receives(mut self, receives: Option<u32>) -> Self {
        self.options.max_receives = receives;
        self
    }

    /// Sets the lease of queues whose route sets none. The default is 30 s. A lease under 1 ms counts as 1 ms.
    #[must_use]
    pub fn with_visibility_timeout(mut self, lease: Duration) -> Self {
        // A lease of zero would end before it began.
        self.options.lease = lease.max(Duration::from_millis(1));
        self
    }

    /// Sets how many messages one receive brings and one call settles, at most. The default is 100, and 0 counts as 1.
    #[must_use]
    pub fn with_batch(mut self, batch: usize) -> Self {
        self.options.batch = batch.max(1);
        self
    }

    /// Sets how long one stay of a delayed message is, at most, in queues that keep no order. A longer delay is made up of several stays, as on SQS and
    /// RabbitMQ. Unless set, one stay may have any length.
    #[doc(hidden)]
    #[must_use]
    pub fn with_longest_delay(mut self, delay: Duration) -> Self {
        self.options.longest_delay = Some(delay);
        self
    }

    /// Puts messages on a queue, as if a client had sent them there. Their attempts begin at 1.
    pub fn send(&self, queue: &str, messages: impl IntoIterator<Item = Message>) {
        self.exchange
            .queue(queue, &self.options)
            .send(messages, None);
    }

    /// Returns the messages on a queue: visible, delayed and in flight.
    pub fn messages(&self, queue: &str) -> Vec<Message> {
        self.exchange.queue(queue, &self.options).messages()
    }

    /// Returns the dead letters of a queue.
    pub fn dead_letters(&self, queue: &str) -> Vec<Message> {
        self.messages(&dead_letter_queue(queue))
    }

    /// Delivers a reply to its requester. Does nothing if the requester has gone.
    #[doc(hidden)]
    pub fn reply(&self, address: &str, reply: Message) {
        _ = self.exchange.reply(address, &reply.into());
    }

    /// Returns the names of the queues that are subscribed to a topic.
    #[doc(hidden)]
    pub fn subscribers(&self, topic: &str) -> Vec<String> {
        self.exchange.subscribers(topic)
    }

    /// Returns the topics and patterns that queues are subscribed to, sorted.
    #[doc(hidden)]
    pub fn subscriptions(&self) -> Vec<String> {
        self.exchange.subscriptions()
    }

    /// Ends every lease of a queue, as if it had expired. Returns how many there were.
    #[doc(hidden)]
    pub fn expire(&self, queue: &str) -> usize {
        self.exchange.queue(queue, &self.options).expire()
    }

    /// Ends every lease of every queue, as if it had expired.
    #[doc(hidden)]
    pub fn expire_all(&self) {
        self.exchange.expire();
    }

    /// Returns whether every queue that a route consumes is empty: nothing visible, nothing delayed, nothing in flight.
    pub fn is_settled(&self) -> bool {
        self.exchange.is_settled()
    }

    /// Waits until [`is_settled`](Self::is_settled) returns `true`.
    ///
    /// # Cancellation
    ///
    /// Safe: it only waits.
    pub async fn settled(&self) {
        self.exchange.settled().await;
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
    const STANDS_IN: bool = true;

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
        names::reply_topic(address)
    }
}
