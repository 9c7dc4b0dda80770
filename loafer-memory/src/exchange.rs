//! The queues, topics and reply addresses of one broker in memory.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use loafer_core::{
    Error,
    broker::is_reply_queue,
    message::{Message, Outgoing},
    policy::topic_matches,
};
use tokio::sync::{Notify, mpsc};

use crate::queue::{Queue, QueueOptions};

/// The queues, topics and reply addresses of one broker in memory.
#[derive(Default)]
pub(crate) struct Exchange {
    registry: Mutex<Registry>,
    /// Notified whenever a queue becomes empty.
    emptied: Arc<Notify>,
}

/// What there is, by name.
#[derive(Default)]
struct Registry {
    queues: BTreeMap<String, Arc<Queue>>,
    /// The queues that are subscribed to each topic, or to the topics that match a pattern.
    subscriptions: BTreeMap<String, Vec<Arc<Queue>>>,
    /// What takes the replies of each reply address.
    reply_addresses: BTreeMap<String, mpsc::Sender<Message>>,
}

impl Registry {
    /// Returns the queues that are subscribed to a topic, each once.
    fn subscribers(&self, topic: &str) -> Vec<Arc<Queue>> {
        let mut queues = self.subscriptions.get(topic).cloned().unwrap_or_default();
        let patterns = self.subscriptions.iter().filter(|(pattern, _)| {
            pattern.contains(['*', '#']) && *pattern != topic && topic_matches(pattern, topic)
        });
        for queue in patterns.flat_map(|(_, queues)| queues) {
            if !queues.iter().any(|known| Arc::ptr_eq(known, queue)) {
                queues.push(queue.clone());
            }
        }
        queues
    }
}

impl Exchange {
    fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the queue of this name. Makes it with these options if it is missing.
    pub(crate) fn queue(&self, name: &str, options: &QueueOptions) -> Arc<Queue> {
        if let Some(queue) = self.registry().queues.get(name) {
            return queue.clone();
        }
        let queue = Arc::new(Queue::new(name, options, self.emptied.clone()));
        self.registry()
            .queues
            .entry(name.to_owned())
            .or_insert(queue)
            .clone()
    }

    /// Returns whether there is a queue of this name.
    pub(crate) fn has_queue(&self, name: &str) -> bool {
        self.registry().queues.contains_key(name)
    }

    /// Subscribes a queue to a topic, or to the topics that match a pattern.
    pub(crate) fn subscribe(&self, topic: &str, queue: &Arc<Queue>) {
        let mut registry = self.registry();
        let queues = registry.subscriptions.entry(topic.to_owned()).or_default();
        if !queues.iter().any(|known| Arc::ptr_eq(known, queue)) {
            queues.push(queue.clone());
        }
    }

    /// Puts a copy on every queue that is subscribed to the topic. What stands before the last `:` of the topic is left out.
    pub(crate) fn publish(&self, topic: &str, outgoing: &Outgoing) {
        let name = topic.rsplit(':').next().unwrap_or(topic);
        let queues = self.registry().subscribers(name);
        for queue in queues {
            queue.publish(outgoing, outgoing.message.clone().with_topic(name));
        }
    }

    /// Opens a reply address: replies to it go to `replies` from now on.
    pub(crate) fn open_reply_address(&self, name: &str, replies: mpsc::Sender<Message>) {
        self.registry()
            .reply_addresses
            .insert(name.to_owned(), replies);
    }

    /// Closes a reply address.
    pub(crate) fn close_reply_address(&self, name: &str) {
        self.registry().reply_addresses.remove(name);
    }

    /// Delivers a reply. Returns `None` if the queue is not a reply address.
    pub(crate) fn reply(&self, queue: &str, outgoing: &Outgoing) -> Option<Result<(), Error>> {
        if !is_reply_queue(queue) {
            return None;
        }
        let replies = self.registry().reply_addresses.get(queue).cloned();
        // If the buffer is full, nobody waits for most of what it holds.
        let taken = replies.is_some_and(|to| to.try_send(outgoing.message.clone()).is_ok());
        let gone = || Error::UnknownQueue {
            queue: queue.to_owned(),
            location: " in memory".to_owned(),
            remedy: "the requester is gone".to_owned(),
        };
        Some(taken.then_some(()).ok_or_else(gone))
    }

    /// Returns the names of the queues that are subscribed to a topic.
    pub(crate) fn subscribers(&self, topic: &str) -> Vec<String> {
        let queues = self.registry().subscribers(topic);
        queues.iter().map(|queue| queue.name.clone()).collect()
    }

    /// Returns the topics and patterns that queues are subscribed to, sorted.
    pub(crate) fn subscriptions(&self) -> Vec<String> {
        self.registry().subscriptions.keys().cloned().collect()
    }

    /// Ends every lease of every queue.
    pub(crate) fn expire(&self) {
        self.registry().queues.values().for_each(|queue| {
            queue.expire();
        });
    }

    /// Returns whether every queue that a route consumes is empty.
    pub(crate) fn is_settled(&self) -> bool {
        self.registry()
            .queues
            .values()
            .all(|queue| !queue.is_consumed() || queue.is_empty())
    }

    /// Waits until every queue that a route consumes is empty.
    pub(crate) async fn settled(&self) {
        loop {
            // Before the look, so that no queue that becomes empty afterwards is missed.
            let emptied = self.emptied.notified();
            if self.is_settled() {
                return;
            }
            emptied.await;
        }
    }
}
