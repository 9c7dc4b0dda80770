//! Where messages go: the contract of a publisher.

use std::{fmt, future::Future, sync::Arc};

use crate::{
    Error,
    message::{MessageId, Outgoing},
};

/// Publishes messages to one broker.
pub trait Publisher: Send + Sync + 'static {
    /// Publishes a batch of messages and pushes one answer for each, in order. `Ok` means that the broker confirmed the message.
    ///
    /// If the broker keeps groups, the messages of a group stay in order, and after one that failed no later one of its group is published.
    /// [`Rounds`](crate::broker::Rounds) keeps these rules for any client.
    ///
    /// # Errors
    ///
    /// Each answer is the message's own. An error that is [transient](Error::is_transient) may hide a message that was published: one that is
    /// published again may arrive twice.
    ///
    /// # Cancellation
    ///
    /// If the future is dropped, any of the messages may or may not have been published.
    fn publish(
        &self,
        topic: &Topic,
        batch: &[Outgoing],
        answers: &mut Vec<Result<MessageId, Error>>,
    ) -> impl Future<Output = ()> + Send;

    /// Returns whether the broker accepts messages at the moment, as far as is known. The service's readiness depends on it. By default it is true.
    ///
    /// Implementors return false only if it becomes true again by itself, also when nobody publishes.
    fn is_ready(&self) -> bool {
        true
    }

    /// Flushes and closes. It is called once, after the last message was settled.
    fn close(&self) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }
}

/// Where a message goes. Its publisher interprets it: on SQS `friend-created` is an SNS topic, and `sqs:friend-created` is a queue.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Topic(Arc<str>);

impl Topic {
    /// Returns the name.
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
