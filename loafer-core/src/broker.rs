//! What an attribute names: a broker that makes providers and a publisher.

use std::time::Duration;

use crate::{Error, Provider, Publisher, Topic};

/// A broker, as `#[handler(provider = Sqs)]` names it.
///
/// An [`App`](crate::App) makes one value of each broker its routes name, by `Default`, and asks it for a provider a route. Nothing
/// here connects: that is [`Provider::open`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no provider",
    label = "no provider",
    note = "use `Sqs` or `Memory`, or a type of your own that implements `loafer::Broker`"
)]
pub trait Broker: Default + Send + Sync + 'static {
    /// What leases messages from one of its queues.
    type Provider: Provider;
    /// What publishes to it.
    type Publisher: Publisher;
    /// What the command line calls it: `--provider sqs`.
    const NAME: &'static str;

    /// A provider for one route's source.
    ///
    /// # Errors
    ///
    /// Where the route asks for what this broker can't do.
    fn provider(&self, source: &Source) -> Result<Self::Provider, Error>;

    /// Its publisher.
    fn publisher(&self) -> Self::Publisher;

    /// How a queue is written where a topic is asked for: `sqs:QUEUE`.
    fn queue_topic(&self, queue: &str) -> Topic {
        Topic::from(format!("{}:{queue}", Self::NAME))
    }
}

/// What a route asks of its broker.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Source {
    /// The route's name.
    pub route: String,
    /// The queue, by name or by the broker's own address of it.
    pub queue: String,
    /// The lease; none: the queue's own.
    pub visibility_timeout: Option<Duration>,
    /// The app's name, where it has one.
    pub app: Option<String>,
}

impl Source {
    /// A source with the queue's own lease.
    pub fn new(route: impl Into<String>, queue: impl Into<String>) -> Self {
        Self {
            route: route.into(),
            queue: queue.into(),
            visibility_timeout: None,
            app: None,
        }
    }
}
