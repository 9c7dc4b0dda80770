//! Where messages go: the contract of a publisher.

use std::{fmt, future::Future, sync::Arc};

use crate::{
    Error,
    message::{MessageId, Outgoing},
};

/// Publishes messages to one broker.
pub trait Publisher: Send + Sync + 'static {
    /// Publishes many messages; pushes one answer a message, in order. `Ok` means that the broker confirmed it. The messages of a group
    /// stay in order where the broker keeps groups: after one that failed none of its group is published.
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

    /// Whether the broker takes messages at the moment, as far as is known: readiness. False only where it becomes true again by itself, whether
    /// or not anybody publishes; unless implemented, true.
    fn is_ready(&self) -> bool {
        true
    }

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
