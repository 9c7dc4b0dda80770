//! The publisher: events and messages to queues, each published until it is confirmed.
//!
//! | module | what it is |
//! |---|---|
//! | `calls` | one publish call: rounds until each message has an answer |
//! | `check` | whether what topics name exists; it is made if it may be |
//! | `target` | where a message goes first: its exchange, or a delay queue |
//! | `channels` | the publish channels, with confirms, that providers and dead letters use as well |

mod calls;
pub(crate) mod channels;
mod check;
mod target;

use std::{fmt, sync::Arc};

use loafer_core::{
    Error,
    broker::{DueTime, Finding, Open, PublishCapabilities, Publisher, Topic},
    message::{MessageId, Outgoing},
};

use self::{calls::PublishCall, channels::PublishChannels, check::Check};
use crate::{
    client::config::Config, error::refused, names::routing::Routing, topology::required::Made,
};

/// Publishes to RabbitMQ. A topic is the routing key of an event on the exchange `event`; [`Routing`] names another exchange; `amqp:QUEUE` is a queue.
///
/// `Ok` means that RabbitMQ confirmed the message: each queue it was routed to has it on disk. **At least once**: a message that is not
/// confirmed, because the connection was lost or no answer came, is published again with the same id for 30 seconds, until it is confirmed or an
/// error is returned. While RabbitMQ is short of memory or disk and takes nothing, publishing waits, for as long as that lasts; a handler's
/// `timeout` ends it.
///
/// The publisher makes what it needs: the exchange of events, those of [`Amqp::declare_exchange`](crate::Amqp::declare_exchange), and the delay
/// queues of delayed messages. It does so once a connection, so that they exist again on a broker that was set up anew.
///
/// # Errors
///
/// Fails for a message that no queue took, unless [`Unroutable::Ignore`](crate::Unroutable::Ignore) is set; for one that a queue refused, for
/// example because it is full; for an exchange that does not exist; and for what AMQP can't carry: names over 255 bytes, headers larger than a
/// frame. None of these is tried again.
///
/// # Cancellation
///
/// If the future is dropped, any of the messages may or may not have been published. The publisher works as before.
pub struct AmqpPublisher {
    /// The error means that the broker is configured wrongly: every call fails with it.
    parts: Result<Parts, Error>,
    made: Made,
}

/// What a publisher works with.
struct Parts {
    config: Arc<Config>,
    channels: Arc<PublishChannels>,
}

impl AmqpPublisher {
    pub(crate) fn new(config: Arc<Config>, channels: Arc<PublishChannels>) -> Self {
        Self::with(Ok(Parts { config, channels }))
    }

    /// Returns a publisher that fails with this error at every call.
    pub(crate) fn misconfigured(error: Error) -> Self {
        Self::with(Err(error))
    }

    fn with(parts: Result<Parts, Error>) -> Self {
        Self {
            parts,
            made: Made::default(),
        }
    }
}

impl Publisher for AmqpPublisher {
    async fn publish(
        &self,
        topic: &Topic,
        batch: &[Outgoing],
        answers: &mut Vec<Result<MessageId, Error>>,
    ) {
        let known = match &self.parts {
            Ok(parts) => Routing::of(topic.as_str())
                .map(|routing| (parts, routing))
                .map_err(|cause| refused("publish", topic.as_str(), cause)),
            Err(error) => Err(error.clone()),
        };
        match known {
            Ok((parts, routing)) => {
                let call = PublishCall::new(
                    (&parts.config, &parts.channels, &self.made),
                    topic,
                    routing,
                    batch,
                );
                answers.extend(call.run().await);
            }
            Err(error) => answers.extend(batch.iter().map(|_| Err(error.clone()))),
        }
    }

    /// Delays go by [delay queues](https://www.rabbitmq.com/docs/ttl), up to 16 minutes. How large a message may be (`max_message_size`, 16 MiB in
    /// RabbitMQ 4 unless changed: [limits](https://www.rabbitmq.com/docs/limits)) can't be asked over AMQP. Headers are bounded by their bytes, all of
    /// which fit into one frame, and not by their number. RabbitMQ keeps no order of groups.
    fn capabilities(&self, _: &Topic) -> PublishCapabilities {
        capabilities()
    }

    async fn check(&self, topics: &[Topic], mode: Open) -> Vec<Finding> {
        match &self.parts {
            Ok(parts) => {
                let check = Check {
                    config: &parts.config,
                    channels: &parts.channels,
                    mode,
                };
                check.all(topics).await
            }
            Err(error) => topics
                .iter()
                .map(|_| Finding::problem(error.to_string()))
                .collect(),
        }
    }

    fn is_ready(&self) -> bool {
        let parts = self.parts.as_ref();
        parts.is_ok_and(|parts| !parts.channels.link.is_blocked())
    }

    /// Ends the connection that publishes.
    async fn close(&self) {
        if let Ok(parts) = &self.parts {
            parts.channels.close().await;
        }
    }
}

/// What the publisher can do, whatever the topic.
fn capabilities() -> PublishCapabilities {
    PublishCapabilities {
        max_delay: Some(DueTime::LONGEST),
        batch: channels::WINDOW,
        ..PublishCapabilities::default()
    }
}

impl fmt::Debug for AmqpPublisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AmqpPublisher").finish_non_exhaustive()
    }
}
