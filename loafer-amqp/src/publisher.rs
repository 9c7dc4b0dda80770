//! The publisher: topics, routing keys on exchanges, and queues.

use std::{fmt, sync::Arc};

use loafer_core::{Error, MessageId, Outgoing, Publisher, Topic};

use crate::{
    config::{Shared, Unroutable},
    error::{self, refused},
    message,
    outlet::{Parcel, Unsent},
    topology::declare_exchange,
};

/// Publishes to RabbitMQ. A topic is the routing key of an event on the exchange `event`; [`Routing`] names another exchange; `amqp:QUEUE` is a queue.
pub struct AmqpPublisher {
    shared: Result<Arc<Shared>, Error>,
    /// Whether the exchange of events was declared on this connection.
    declared: tokio::sync::OnceCell<()>,
}

/// A routing key on an exchange, as a topic.
///
/// ```
/// # use loafer_core::{Bus, Error};
/// use loafer_amqp::Routing;
///
/// # async fn example(bus: Bus) -> Result<(), Error> {
/// bus.publish_to(Routing::key("prices").exchange("pigeon"), &12.5).await?;
/// bus.publish_to(Routing::key("order.closed.billing").exchange(""), &12.5).await?; // the default exchange: a queue
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Routing {
    exchange: Option<String>,
    key: String,
}

impl Routing {
    /// This routing key on the exchange of events.
    pub fn key(key: impl Into<String>) -> Self {
        Self {
            exchange: None,
            key: key.into(),
        }
    }

    /// The same on this exchange; the empty name is the default exchange, whose routing keys are queues.
    #[must_use]
    pub fn exchange(mut self, exchange: impl Into<String>) -> Self {
        self.exchange = Some(exchange.into());
        self
    }

    /// Reads a topic: `KEY`, `amqp:QUEUE`, `amqp:EXCHANGE/KEY`.
    pub(crate) fn of(topic: &str) -> Self {
        let Some(address) = topic.strip_prefix("amqp:") else {
            return Self::key(topic);
        };
        match address.split_once('/') {
            Some((exchange, key)) => Self::key(key).exchange(exchange),
            None => Self::key(address).exchange(""),
        }
    }
}

impl From<Routing> for Topic {
    fn from(routing: Routing) -> Self {
        match routing.exchange {
            None => Self::from(routing.key),
            Some(exchange) => Self::from(format!("amqp:{exchange}/{}", routing.key)),
        }
    }
}

impl AmqpPublisher {
    pub(crate) fn new(shared: Result<Arc<Shared>, Error>) -> Self {
        Self {
            shared,
            declared: tokio::sync::OnceCell::new(),
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
        let shared = match &self.shared {
            Ok(shared) => shared,
            Err(error) => {
                answers.extend(batch.iter().map(|_| Err(Error::Config(error.to_string()))));
                return;
            }
        };
        let options = &shared.options;
        let Routing { exchange, key } = Routing::of(topic.as_str());
        let exchange = exchange.unwrap_or_else(|| options.exchange().to_owned());
        if exchange == options.exchange() {
            let declared = self.declared.get_or_try_init(|| {
                declare_exchange(&shared.outlet.link, &exchange, topic.as_str())
            });
            if let Err(error) = declared.await {
                let cause = error.to_string();
                answers.extend(
                    batch
                        .iter()
                        .map(|_| Err(refused("publish", topic.as_str(), cause.clone()))),
                );
                return;
            }
        }
        let ids: Vec<MessageId> = batch
            .iter()
            .map(|outgoing| outgoing.message.id().clone())
            .collect();
        let parcels = batch.iter().zip(&ids).map(|(outgoing, id)| Parcel {
            exchange: &exchange,
            routing_key: &key,
            properties: message::published(
                &outgoing.message,
                id,
                &key,
                options.app_id.as_deref(),
                options
                    .headers
                    .iter()
                    .map(|(name, value)| (name.clone(), value())),
            ),
            payload: outgoing.message.payload(),
            mandatory: options.unroutable == Unroutable::Error,
        });
        let sent = shared.outlet.send(topic.as_str(), parcels.collect()).await;
        answers.extend(sent.into_iter().zip(ids).map(|(sent, id)| match sent {
            Ok(()) => Ok(id),
            Err(unsent) => Err(unpublished(topic.as_str(), unsent)),
        }));
    }

    async fn close(&self) {
        if let Ok(shared) = &self.shared {
            shared.outlet.close().await;
            shared.consuming.close().await;
        }
    }
}

fn unpublished(topic: &str, unsent: Unsent) -> Error {
    match unsent {
        Unsent::Unroutable => refused(
            "publish",
            topic,
            "no queue took it: nobody listens. Start a listener first, or set `unroutable = \"ignore\"` under [amqp] in loafer.toml where events may have none",
        ),
        Unsent::Refused(cause) => refused("publish", topic, cause),
        Unsent::Closed(error::NOT_FOUND, cause) => refused(
            "publish",
            topic,
            format!("{cause}: make the exchange, or name another"),
        ),
        Unsent::Closed(_, cause) | Unsent::Unknown(cause) => Error::Unreachable {
            what: "publish",
            queue: topic.to_owned(),
            cause,
            source: None,
        },
    }
}

impl fmt::Debug for AmqpPublisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AmqpPublisher").finish_non_exhaustive()
    }
}
