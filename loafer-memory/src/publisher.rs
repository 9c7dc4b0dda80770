//! The publisher of the broker in memory.

use std::sync::Arc;

use loafer_core::{
    Error,
    broker::{Finding, Open, PublishCapabilities, Publisher, Topic, is_reply_queue},
    message::{MessageId, Outgoing},
};

use crate::{
    exchange::Exchange,
    names::{is_fifo, queue_of},
    queue::QueueOptions,
};

/// Publishes to topics in memory. The topic `memory:QUEUE` is a queue, and so is one with another broker's name before the colon.
///
/// Each message gets a new id. A call is done when it returns, and it never waits.
pub struct MemoryPublisher {
    exchange: Arc<Exchange>,
    options: QueueOptions,
}

impl MemoryPublisher {
    pub(crate) fn new(exchange: Arc<Exchange>, options: QueueOptions) -> Self {
        Self { exchange, options }
    }
}

impl Publisher for MemoryPublisher {
    async fn publish(
        &self,
        topic: &Topic,
        batch: &[Outgoing],
        answers: &mut Vec<Result<MessageId, Error>>,
    ) {
        for outgoing in batch {
            // The id is the broker's own: one message that is sent twice becomes two.
            let id = MessageId::new();
            let mut outgoing = outgoing.clone();
            outgoing.message = outgoing.message.with_broker_id(id.clone());
            let queue = queue_of(topic.as_str());
            if let Some(taken) = queue.and_then(|queue| self.exchange.reply(queue, &outgoing)) {
                answers.push(taken.map(|()| id));
                continue;
            }
            match queue {
                Some(queue) => self
                    .exchange
                    .queue(queue, &self.options)
                    .publish(&outgoing, outgoing.message.clone()),
                None => self.exchange.publish(topic.as_str(), &outgoing),
            }
            answers.push(Ok(id));
        }
    }

    /// Memory limits nothing. A name that ends in `.fifo` keeps groups in order.
    fn capabilities(&self, topic: &Topic) -> PublishCapabilities {
        PublishCapabilities {
            ordered: is_fifo(topic.as_str()),
            ..PublishCapabilities::default()
        }
    }

    async fn check(&self, topics: &[Topic], mode: Open) -> Vec<Finding> {
        let look = |topic: &Topic| match queue_of(topic.as_str()) {
            Some(queue) => self.look_at_queue(queue, mode),
            None => {
                let queues = self.exchange.subscribers(topic.as_str());
                Finding::good(match queues.as_slice() {
                    [] => format!("topic `{topic}` in memory: no queue subscribes to it"),
                    queues => format!("topic `{topic}` in memory goes to {}", queues.join(", ")),
                })
            }
        };
        topics.iter().map(look).collect()
    }
}

impl MemoryPublisher {
    fn look_at_queue(&self, queue: &str, mode: Open) -> Finding {
        // A reply address is not a queue, and lives as long as its requester.
        if mode == Open::Create && !is_reply_queue(queue) {
            self.exchange.queue(queue, &self.options);
        }
        match self.exchange.has_queue(queue) {
            true => Finding::good(format!("queue `{queue}` exists in memory")),
            false => Finding::warning(format!(
                "queue `{queue}` does not exist in memory yet: the first message makes it"
            )),
        }
    }
}

impl std::fmt::Debug for MemoryPublisher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryPublisher").finish_non_exhaustive()
    }
}
