//! The publisher of the broker in memory.

use std::sync::Arc;

use super::{broker::Exchange, queue::QueueOptions};
use loafer_core::{
    Error,
    broker::{Publisher, Topic},
    message::{MessageId, Outgoing},
};

/// Publishes to topics in memory, or to a queue where the topic is written `memory:QUEUE`, or with another broker's name before the colon.
pub struct MemoryPublisher {
    exchange: Arc<Exchange>,
    options: QueueOptions,
}

impl MemoryPublisher {
    pub(super) fn new(exchange: Arc<Exchange>, options: QueueOptions) -> Self {
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
            // The broker's own identity: one message sent twice is two.
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
}

/// The queue that a topic names, as `memory:QUEUE` or `sqs:QUEUE`. An ARN names a topic.
fn queue_of(topic: &str) -> Option<&str> {
    let (broker, queue) = topic.split_once(':')?;
    (broker != "arn").then_some(queue)
}

impl std::fmt::Debug for MemoryPublisher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryPublisher").finish_non_exhaustive()
    }
}
