//! [`Amqp`], the broker: what a route and an app ask for, and what it makes for them.

use std::{
    fmt,
    path::PathBuf,
    sync::{Arc, OnceLock},
    time::Duration,
};

use futures_util::future::BoxFuture;
use loafer_core::{
    Error,
    broker::{Broker, DeadLetterQueue, DelaySteps, Instance, Replies, Source, Topic},
    outcome::BoxError,
};

use crate::{
    client::{
        Link,
        config::{Config, ExchangeType, Unroutable},
        hosts::Hosts,
        identity::KIND,
        password::Password,
    },
    dead_letters::AmqpDeadLetters,
    due::DueMessages,
    names,
    options::Options,
    provider::AmqpProvider,
    publisher::{AmqpPublisher, channels::PublishChannels},
    replies::AmqpReplies,
};

/// RabbitMQ: `provider = Amqp`.
///
/// When a route opens, it declares its queue, and again whenever the connection was lost: a durable quorum queue `<route>.<app>`, bound to the
/// durable topic exchange `event` by the route's topics, and a dead-letter queue beside it. What exists already is not changed. A route's
/// [`Options`] say otherwise.
///
/// The address of the broker comes from, weakest to strongest: code ([`Amqp::new`]), `url` under `[brokers.amqp]` in `loafer.toml`,
/// `LOAFER_BROKERS__AMQP__URL`, `AMQP_URL`. Several addresses, separated by commas, are the nodes of one cluster.
///
/// A second RabbitMQ has a name of its own, for example `[brokers.legacy]` with `kind = "amqp"`. It needs a `url`: `AMQP_URL` is the address of the
/// first one.
///
/// ```
/// use loafer_amqp::Amqp;
/// use loafer::broker::Broker;
///
/// assert_eq!(Amqp::KIND, "amqp");
/// assert_eq!(Amqp::queue_name("Sample Event", Some("billing")), "sample.event.billing");
/// ```
#[derive(Default)]
pub struct Amqp {
    config: Config,
    /// Made when first asked for, since the configuration is complete only then.
    shared: OnceLock<Shared>,
}

/// What the providers and the publisher of one [`Amqp`] have in common.
#[derive(Clone)]
struct Shared {
    config: Arc<Config>,
    /// The connection that consumes. RabbitMQ stops reading from connections that publish while it is short of memory, and acks on such a
    /// connection would wait: so publishing has its own.
    consuming: Arc<Link>,
    /// What publishes: events, retries, dead letters.
    channels: Arc<PublishChannels>,
    /// What carries on retries whose time has come.
    due: Arc<DueMessages>,
}

impl Amqp {
    /// Returns RabbitMQ at this address: `amqp://user:password@host:5672/vhost` or `amqps://…`. The virtual host `/` is written `%2f`.
    /// The environment and `loafer.toml` outrank this address.
    pub fn new(url: impl Into<String>) -> Self {
        Self::with_urls([url])
    }

    /// Returns RabbitMQ at the addresses of several nodes of one cluster. Each connection goes to one that answers.
    pub fn with_urls(urls: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let mut amqp = Self::default();
        amqp.config.urls = urls.into_iter().map(Into::into).collect();
        amqp
    }

    /// Takes the password from this function instead of the address: for example a token of OAuth 2. It is asked at each connection, and every 10 s while
    /// a connection stands; a new password is passed on to RabbitMQ at once (`update-secret`), so that the connection outlives the last one. It may take
    /// 10 s. If it fails while nothing is connected, that is a failure to connect, which is tried again.
    ///
    /// `password_file` under `[brokers.amqp]` outranks it.
    #[must_use]
    pub fn password<F>(mut self, ask: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<String, BoxError>> + Send + 'static,
    {
        let ask = Arc::new(move || -> BoxFuture<'static, _> { Box::pin(ask()) });
        self.config.password = Some(Password::Function(ask));
        self
    }

    /// Takes the password from this file instead of the address, without the line break at its end. The file is read as the function of
    /// [`password`](Self::password) is asked.
    #[must_use]
    pub fn password_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.config.password = Some(Password::File(file.into()));
        self
    }

    /// Trusts only those servers at `amqps://…` whose certificates come from the authorities in this file (PEM), for example those of a
    /// company. Without it, the authorities that this machine trusts count, or those of `SSL_CERT_FILE`. The file is read at each connection.
    #[must_use]
    pub fn ca_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.config.tls.ca_file = Some(file.into());
        self
    }

    /// Shows this certificate to servers at `amqps://…` that demand one. Certificate and key are PEM files, and the key is unencrypted. The
    /// files are read at each connection.
    #[must_use]
    pub fn client_certificate(
        mut self,
        certificate: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> Self {
        self.config.tls.cert_file = Some(certificate.into());
        self.config.tls.key_file = Some(key.into());
        self
    }

    /// Sets how long connecting to one address may take, from the first packet to the end of the login. The default is 5 s. The parameter
    /// `connection_timeout` of an address outranks it.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.config.connect_timeout = Some(timeout);
        self
    }

    /// Sets the time between heartbeats, in whole seconds. A connection that is silent for twice as long is lost. The default is 10 s. The parameter
    /// `heartbeat` of an address outranks it.
    #[must_use]
    pub fn heartbeat(mut self, interval: Duration) -> Self {
        self.config.heartbeat = Some(interval);
        self
    }

    /// Says that RabbitMQ's `consumer_timeout` differs from its default of 30 minutes. Warnings and `check` go by this value; the server is not
    /// changed. The argument `x-consumer-timeout` of a queue outranks it.
    #[must_use]
    pub fn consumer_timeout(mut self, timeout: Duration) -> Self {
        self.config.consumer_timeout = Some(timeout);
        self
    }

    /// Sets the exchange of events. The default is `event`.
    #[must_use]
    pub fn exchange(mut self, exchange: impl Into<String>) -> Self {
        self.config.exchange = Some(exchange.into());
        self
    }

    /// Adds this header to every published message that has none of that name.
    #[must_use]
    pub fn header(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let value = value.into();
        self.header_with(name, move || value.clone())
    }

    /// Adds a header whose value is asked for at each publish call, of one message or of a batch. The function should not block.
    #[must_use]
    pub fn header_with(
        mut self,
        name: impl Into<String>,
        value: impl Fn() -> String + Send + Sync + 'static,
    ) -> Self {
        self.config.set_header(name.into(), Arc::new(value));
        self
    }

    /// Makes this exchange, durable, if it is missing when something is published to it. An exchange that exists stays as it is. The exchange of
    /// events is made in any case.
    #[must_use]
    pub fn declare_exchange(mut self, name: impl Into<String>, of: ExchangeType) -> Self {
        self.config.exchanges.insert(name.into(), of);
        self
    }

    /// Sets what to do about messages that no queue took. The default is an error.
    #[must_use]
    pub fn unroutable(mut self, unroutable: Unroutable) -> Self {
        self.config.unroutable = unroutable;
        self
    }

    /// Sets the delays of delay queues. Unless set, they are of 1 s to 16 minutes.
    #[doc(hidden)]
    #[must_use]
    pub fn delay_steps(mut self, steps: DelaySteps) -> Self {
        self.config.steps = Some(steps);
        self
    }

    fn shared(&self) -> Result<&Shared, Error> {
        if let Some(shared) = self.shared.get() {
            return Ok(shared);
        }
        let addresses = self.config.addresses()?;
        let (tls, identity) = (self.config.tls.clone(), self.config.identity.clone());
        tls.warn_of_plain(&addresses, &identity.section());
        let password = self.config.password.clone();
        let hosts = Arc::new(Hosts::new(addresses, tls, password, identity));
        let shared = Shared {
            consuming: Arc::new(Link::new("consuming", hosts.clone())),
            channels: Arc::new(PublishChannels::new(Link::new("publishing", hosts))),
            config: Arc::new(self.config.clone()),
            due: Arc::default(),
        };
        Ok(self.shared.get_or_init(|| shared))
    }
}

/// Shows neither addresses nor headers, which may be secrets.
impl fmt::Debug for Amqp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Amqp")
            .field("exchange", &self.config.exchange())
            .field("unroutable", &self.config.unroutable)
            .finish_non_exhaustive()
    }
}

impl Broker for Amqp {
    type Provider = AmqpProvider;
    type Publisher = AmqpPublisher;
    type Options = Options;
    const KIND: &'static str = KIND;

    fn queue_name(route: &str, consumer: Option<&str>) -> String {
        names::queue(route, consumer)
    }

    /// # Errors
    ///
    /// Fails if a key is unknown or a value is invalid, if an address can't be read, if a certificate has no key, or if an instance beside the first
    /// has no address.
    fn configure(&mut self, instance: &Instance<'_>) -> Result<(), Error> {
        self.config.configure(instance)
    }

    /// # Errors
    ///
    /// Fails if an address can't be read, if the route's options contradict each other, if the route sets a `lease` (RabbitMQ has none), or if the
    /// queue has no name and its consumer has none either.
    fn provider(&self, source: &Source, options: &Options) -> Result<AmqpProvider, Error> {
        if source.policy.lease.is_some() {
            return Err(Error::Config(
                "`lease` (on SQS `visibility_timeout`) is set, and RabbitMQ has no such thing: a message is the consumer's until it is settled or its connection ends; leave it out"
                    .to_owned(),
            ));
        }
        let Shared {
            config,
            consuming,
            channels,
            due,
        } = self.shared()?.clone();
        AmqpProvider::new(&config, consuming, (channels, due), (source, options))
    }

    /// Returns the dead letters in `<queue>.dead`, or in the queue that the route's options name.
    fn dead_letters(
        &self,
        source: &Source,
        options: &Options,
    ) -> Result<impl DeadLetterQueue, Error> {
        let Shared {
            config,
            consuming,
            channels,
            ..
        } = self.shared()?.clone();
        let of_route = (source, options);
        Ok(AmqpDeadLetters::new(&config, consuming, channels, of_route))
    }

    fn publisher(&self) -> AmqpPublisher {
        match self.shared().cloned() {
            Ok(shared) => {
                shared.channels.link.stay_here();
                AmqpPublisher::new(shared.config, shared.channels)
            }
            Err(error) => AmqpPublisher::misconfigured(error),
        }
    }

    /// Ends the connections of all routes.
    async fn close(&self) {
        if let Some(shared) = self.shared.get() {
            shared.due.close().await;
            shared.channels.close().await;
            shared.consuming.close().await;
        }
    }

    /// Returns `amqp:QUEUE`, or `amqp:/QUEUE` if the queue's name contains a `/`.
    fn queue_topic(&self, queue: &str) -> Topic {
        names::routing::queue_topic(queue)
    }

    fn replies(&self, app: Option<&str>) -> Result<impl Replies, Error> {
        Ok(AmqpReplies::new(self.shared()?.consuming.clone(), app))
    }

    fn reply_topic(&self, address: &str) -> Result<Topic, Error> {
        names::replies::topic(address)
    }
}
