//! Where messages go: the contract of a publisher.

use std::{fmt, future::Future, sync::Arc, time::Duration};

use crate::{Error, Message, MessageId, dynamic::BoxFuture};

/// Publishes messages to one broker.
pub trait Publisher: Send + Sync + 'static {
    /// Publishes many messages; pushes one answer a message, in order. `Ok` means that the broker confirmed it.
    ///
    /// # Cancellation
    ///
    /// Dropped in flight, any of them may or may not have been published.
    fn publish(
        &self,
        topic: &Topic,
        batch: &[Outgoing],
        answers: &mut Vec<Result<MessageId, Error>>,
    ) -> impl Future<Output = ()> + Send;

    /// Flushes and lets go. Called once, after the last message was settled.
    fn close(&self) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }
}

/// Where a message goes, as its publisher reads it: on SQS `friend-created` is an SNS topic and `sqs:friend-created` a queue.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Topic(Arc<str>);

impl Topic {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<T: Into<Arc<str>>> From<T> for Topic {
    fn from(name: T) -> Self {
        Self(name.into())
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

/// A message on its way out.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// Payload, headers and group. Its id is offered to the broker, which may give another.
    pub message: Message,
    /// How long it stays invisible; the broker may limit it (SQS: 15 minutes; SNS: not at all).
    pub delay: Option<Duration>,
    /// What the broker tells duplicates by (SQS and SNS FIFO).
    pub deduplication_id: Option<Arc<str>>,
}

impl From<Message> for Outgoing {
    fn from(message: Message) -> Self {
        Self {
            message,
            delay: None,
            deduplication_id: None,
        }
    }
}

/// A publisher whose type is not known.
pub(crate) trait DynPublisher: Send + Sync {
    fn publish<'a>(
        &'a self,
        topic: &'a Topic,
        batch: &'a [Outgoing],
    ) -> BoxFuture<'a, Vec<Result<MessageId, Error>>>;

    fn close(&self) -> BoxFuture<'_, ()>;
}

impl<P: Publisher> DynPublisher for P {
    fn publish<'a>(
        &'a self,
        topic: &'a Topic,
        batch: &'a [Outgoing],
    ) -> BoxFuture<'a, Vec<Result<MessageId, Error>>> {
        Box::pin(async move {
            let mut answers = Vec::with_capacity(batch.len());
            Publisher::publish(self, topic, batch, &mut answers).await;
            answers
        })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(Publisher::close(self))
    }
}
