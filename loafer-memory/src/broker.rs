//! The queues and topics of one broker in memory.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{Notify, mpsc};

use super::queue::{Queue, QueueOptions};
use loafer_core::{
    Error,
    broker::is_reply_queue,
    message::{Message, Outgoing},
    policy::topic_matches,
};

/// The queues and topics of one broker in memory.
#[derive(Default)]
pub(super) struct Exchange {
    state: Mutex<State>,
    /// Told whenever a queue has become empty.
    emptied: Arc<Notify>,
}

#[derive(Default)]
struct State {
    queues: BTreeMap<String, Arc<Queue>>,
    /// The queues that hear each topic, or the topics that fit a pattern.
    topics: BTreeMap<String, Vec<Arc<Queue>>>,
    /// Where replies come in.
    inboxes: BTreeMap<String, mpsc::Sender<Message>>,
}

impl State {
    /// The queues that hear a topic, each once.
    fn hearing(&self, topic: &str) -> Vec<Arc<Queue>> {
        let mut queues = self.topics.get(topic).cloned().unwrap_or_default();
        let patterns = self.topics.iter().filter(|(pattern, _)| {
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
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The queue of this name, made where it is missing.
    pub(super) fn queue(&self, name: &str, options: &QueueOptions) -> Arc<Queue> {
        if let Some(queue) = self.state().queues.get(name) {
            return queue.clone();
        }
        let queue = Arc::new(Queue::new(name, options.max_receives, self.emptied.clone()));
        self.state()
            .queues
            .entry(name.to_owned())
            .or_insert(queue)
            .clone()
    }

    pub(super) fn subscribe(&self, topic: &str, queue: &Arc<Queue>) {
        let mut state = self.state();
        let queues = state.topics.entry(topic.to_owned()).or_default();
        if !queues.iter().any(|known| Arc::ptr_eq(known, queue)) {
            queues.push(queue.clone());
        }
    }

    /// A copy to every queue that hears the topic.
    pub(super) fn publish(&self, topic: &str, outgoing: &Outgoing) {
        let name = topic.rsplit(':').next().unwrap_or(topic);
        let queues = self.state().hearing(name);
        for queue in queues {
            queue.publish(outgoing, outgoing.message.clone().with_topic(name));
        }
    }

    pub(super) fn open_inbox(&self, name: &str, inbox: mpsc::Sender<Message>) {
        self.state().inboxes.insert(name.to_owned(), inbox);
    }

    pub(super) fn close_inbox(&self, name: &str) {
        self.state().inboxes.remove(name);
    }

    /// Takes a reply in; none where the queue is none of replies.
    pub(super) fn reply(&self, queue: &str, outgoing: &Outgoing) -> Option<Result<(), Error>> {
        if !is_reply_queue(queue) {
            return None;
        }
        let inbox = self.state().inboxes.get(queue).cloned();
        // Where it is full, nobody waits for most of what is in it.
        let taken = inbox.is_some_and(|inbox| inbox.try_send(outgoing.message.clone()).is_ok());
        let gone = || Error::UnknownQueue {
            queue: queue.to_owned(),
            place: " in memory".to_owned(),
            remedy: "whoever waited for a reply is gone".to_owned(),
        };
        Some(taken.then_some(()).ok_or_else(gone))
    }

    /// The queues that hear a topic.
    pub(super) fn listeners(&self, topic: &str) -> Vec<String> {
        let queues = self.state().hearing(topic);
        queues.iter().map(|queue| queue.name.clone()).collect()
    }

    /// The topics and patterns that queues are bound to, sorted.
    pub(super) fn heard(&self) -> Vec<String> {
        self.state().topics.keys().cloned().collect()
    }

    /// Ends every lease.
    pub(super) fn expire(&self) {
        self.state().queues.values().for_each(|queue| {
            queue.expire();
        });
    }

    pub(super) fn is_settled(&self) -> bool {
        self.state()
            .queues
            .values()
            .all(|queue| !queue.is_consumed() || queue.is_empty())
    }

    pub(super) async fn settled(&self) {
        loop {
            let emptied = self.emptied.notified();
            if self.is_settled() {
                return;
            }
            emptied.await;
        }
    }
}
