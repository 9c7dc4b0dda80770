//! The publisher of the broker in memory.

use std::sync::Arc;

use loafer_core::{
    Error,
    broker::{Publisher, Topic},
    message::{MessageId, Outgoing},
};

use crate::{exchange::Exchange, names::queue_of, queue::QueueOptions};

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
}

impl std::fmt::Debug for MemoryPublisher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryPublisher").finish_non_exhaustive()
    }
}
