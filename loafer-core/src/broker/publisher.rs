//! Where messages go: the contract of a publisher.

use std::{fmt, future::Future, sync::Arc};

use super::{Finding, Open, PublishCapabilities};
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

    /// Returns what it can do with the messages of this topic, as far as is known without a call. By default nothing is known.
    ///
    /// The command `check` prints it, and [`Bus`](https://docs.rs/loafer/latest/loafer/struct.Bus.html) passes it on to those who build on it. A
    /// publisher refuses by [`refusal`](PublishCapabilities::refusal) what goes beyond it.
    fn capabilities(&self, topic: &Topic) -> PublishCapabilities {
        _ = topic;
        PublishCapabilities::default()
    }

    /// Looks whether these topics exist and may be published to. Returns one finding for each, in order, or none at all. By default there are none.
    ///
    /// With [`Open::Create`] it makes what is missing, as a provider makes a queue, and never changes what exists. Otherwise it only looks. A topic
    /// that is missing and is not made is a [problem](Finding::problem), unless publishing makes it. The finding names the topic and the way out.
    ///
    /// # Cancellation
    ///
    /// If the future is dropped, what was made stays.
    fn check(&self, topics: &[Topic], mode: Open) -> impl Future<Output = Vec<Finding>> + Send {
        _ = (topics, mode);
        std::future::ready(Vec::new())
    }

    /// Returns the rights that publishing to these topics needs, as [`Provider::rights`](crate::broker::Provider::rights) returns those of a route.
    fn rights(&self, topics: &[Topic]) -> Option<serde_json::Value> {
        _ = topics;
        None
    }

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
