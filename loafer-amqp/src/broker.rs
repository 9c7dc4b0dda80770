//! The broker value: where RabbitMQ is, and what is said of every message.

use std::{
    collections::BTreeMap,
    fmt,
    path::PathBuf,
    sync::{Arc, OnceLock},
    time::Duration,
};

use lapin::{ExchangeKind, uri::AMQPUri};
use loafer_core::{Broker, DeadLetterQueue, Error, Replies, Settings, Source, Topic};
use serde::Deserialize;

use crate::{
    AmqpDeadLetters, AmqpProvider, AmqpPublisher, AmqpReplies,
    client::Link,
    client::hosts::Hosts,
    client::section::{Section, Urls},
    client::tls::Tls,
    names,
    names::routing::queue_topic,
    publisher::channels::Outlet,
    replies,
};

/// The exchange that events are published to, and that queues are bound to.
const EXCHANGE: &str = "event";

/// Where RabbitMQ is, where nothing else is said: this machine, its default port and user.
const URL: &str = "amqp://guest:guest@127.0.0.1:5672/%2f";

/// The variable of the environment that says where RabbitMQ is.
const AMQP_URL: &str = "AMQP_URL";

/// RabbitMQ: `provider = Amqp`.
///
/// A route's queue is declared when it opens, and again whenever the connection was lost: a durable quorum queue `<route>.<app>`, bound to the
/// durable topic exchange `event` with the route's name as routing key, with a dead-letter queue beside it. Nothing that is there is changed.
///
/// Where the broker is says, from weakest to strongest: code ([`Amqp::new`]), `[amqp] url` in `loafer.toml`, `LOAFER_AMQP__URL`, `AMQP_URL`. Several
/// addresses, separated by commas, are those of one cluster.
///
/// ```
/// use loafer_amqp::Amqp;
/// use loafer_core::Broker;
///
/// assert_eq!(Amqp::NAME, "amqp");
/// assert_eq!(Amqp::queue_name("Sample Event", Some("billing")), "sample.event.billing");
/// ```
#[derive(Default)]
pub struct Amqp {
    options: Options,
    shared: OnceLock<Arc<Shared>>,
}

/// What becomes of a published message that no queue took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Unroutable {
    /// Publishing it is an error: an event that nobody's queue took is lost.
    #[default]
    Error,
    /// Nothing: events may have no listeners.
    Ignore,
}

/// What an exchange does with a routing key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ExchangeType {
    /// Queues are bound with patterns, as `order.*`.
    Topic,
    /// Queues are bound with the key itself.
    Direct,
    /// Every bound queue gets every message.
    Fanout,
    /// Queues are bound by headers.
    Headers,
}

impl ExchangeType {
    pub(crate) fn kind(self) -> ExchangeKind {
        match self {
            Self::Topic => ExchangeKind::Topic,
            Self::Direct => ExchangeKind::Direct,
            Self::Fanout => ExchangeKind::Fanout,
            Self::Headers => ExchangeKind::Headers,
        }
    }
}

type HeaderValue = Arc<dyn Fn() -> String + Send + Sync>;

#[derive(Clone, Default)]
pub(crate) struct Options {
    urls: Vec<String>,
    tls: Tls,
    /// How long RabbitMQ lets a delivery go unsettled; none: its default.
    pub(crate) consumer_timeout: Option<Duration>,
    /// None: `event`.
    exchange: Option<String>,
    pub(crate) app_id: Option<String>,
    pub(crate) unroutable: Unroutable,
    /// What every published message carries.
    headers: Vec<(String, HeaderValue)>,
    /// Exchanges that are made where they are missing.
    exchanges: BTreeMap<String, ExchangeType>,
}

/// What the providers and the publisher of one [`Amqp`] have in common.
pub(crate) struct Shared {
    pub(crate) options: Options,
    /// Consumes. Apart from what publishes: the broker stops reading from connections that publish while it is short of memory, and acks would wait with them.
    pub(crate) consuming: Link,
    /// Publishes: events, retries, dead letters.
    pub(crate) outlet: Outlet,
}

impl Amqp {
    /// RabbitMQ at this address, as `amqp://user:password@host:5672/vhost` or `amqps://…`; the virtual host `/` is written `%2f`. What the
    /// environment and `loafer.toml` say outranks it.
    pub fn new(url: impl Into<String>) -> Self {
        Self::with_urls([url])
    }

    /// The same with the addresses of several nodes of one cluster: one that answers is taken.
    pub fn with_urls(urls: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let options = Options {
            urls: urls.into_iter().map(Into::into).collect(),
            ..Options::default()
        };
        Self {
            options,
            shared: OnceLock::new(),
        }
    }

    /// The same where servers at `amqps://…` are trusted whose certificates are by the authorities in this file (PEM), and no others: those of a
    /// company. Without it, those that this machine trusts are, or those of `SSL_CERT_FILE`. The file is read at each connection.
    #[must_use]
    pub fn ca_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.options.tls.ca_file = Some(file.into());
        self
    }

    /// The same with this certificate shown to servers at `amqps://…` that demand one, and its key: both in PEM, the key unencrypted. The files are read
    /// at each connection.
    #[must_use]
    pub fn client_certificate(
        mut self,
        certificate: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> Self {
        self.options.tls.cert_file = Some(certificate.into());
        self.options.tls.key_file = Some(key.into());
        self
    }

    /// The same where RabbitMQ's `consumer_timeout` is another than its default of 30 minutes. Nothing is changed on the server: it is what warnings and
    /// `check` go by. A queue's own, the argument `x-consumer-timeout`, outranks it.
    #[must_use]
    pub fn consumer_timeout(mut self, timeout: Duration) -> Self {
        self.options.consumer_timeout = Some(timeout);
        self
    }

    /// The same with this exchange for events; else `event`.
    #[must_use]
    pub fn exchange(mut self, exchange: impl Into<String>) -> Self {
        self.options.exchange = Some(exchange.into());
        self
    }

    /// The same with this header on every message published, where the message has none of that name.
    #[must_use]
    pub fn header(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let value = value.into();
        self.header_with(name, move || value.clone())
    }

    /// The same with the value asked for at each publication: of one message, or of a batch. It should not block.
    #[must_use]
    pub fn header_with(
        mut self,
        name: impl Into<String>,
        value: impl Fn() -> String + Send + Sync + 'static,
    ) -> Self {
        self.options.set_header(name.into(), Arc::new(value));
        self
    }

    /// The same with this exchange made, durable, where it is missing when something is published to it; one that is there stays as it is.
    /// The exchange of events is made anyway.
    #[must_use]
    pub fn declare_exchange(mut self, name: impl Into<String>, of: ExchangeType) -> Self {
        self.options.exchanges.insert(name.into(), of);
        self
    }

    /// The same with this to be done about messages that no queue took; else it is an error.
    #[must_use]
    pub fn unroutable(mut self, unroutable: Unroutable) -> Self {
        self.options.unroutable = unroutable;
        self
    }

    fn shared(&self) -> Result<&Arc<Shared>, Error> {
        if let Some(shared) = self.shared.get() {
            return Ok(shared);
        }
        let addresses = self.options.addresses()?;
        let tls = self.options.tls.clone();
        tls.check(&addresses)?;
        let hosts = Arc::new(Hosts::new(addresses, tls));
        let shared = Shared {
            consuming: Link::new("consuming", hosts.clone()),
            outlet: Outlet::new(Link::new("publishing", hosts)),
            options: self.options.clone(),
        };
        Ok(self.shared.get_or_init(|| Arc::new(shared)))
    }
}

impl Options {
    pub(crate) fn exchange(&self) -> &str {
        self.exchange.as_deref().unwrap_or(EXCHANGE)
    }

    /// As what an exchange is made where it is missing; none: it is not.
    pub(crate) fn makes(&self, exchange: &str) -> Option<ExchangeType> {
        let set = self.exchanges.get(exchange).copied();
        set.or((exchange == self.exchange()).then_some(ExchangeType::Topic))
    }

    /// What every message of one publication carries.
    pub(crate) fn headers(&self) -> Vec<(String, String)> {
        let headers = self.headers.iter();
        headers
            .map(|(name, value)| (name.clone(), value()))
            .collect()
    }

    fn set_header(&mut self, name: String, value: HeaderValue) {
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value));
    }

    fn addresses(&self) -> Result<Vec<AMQPUri>, Error> {
        let default = [URL.to_owned()];
        let urls = if self.urls.is_empty() {
            &default[..]
        } else {
            &self.urls
        };
        let urls = urls.iter().flat_map(|url| url.split(','));
        urls.map(|url| {
            // Never quoted, nor what is said of it, which quotes: it may hold a password.
            url.trim().parse().map_err(|_| {
                Error::Config(
                    "the address of RabbitMQ can't be read: write it as \"amqp://user:password@host:5672/vhost\", the virtual host `/` as `%2f`, a comma as `%2C`"
                        .to_owned(),
                )
            })
        })
        .collect()
    }
}

/// Shows neither addresses nor headers: they may be secrets.
impl fmt::Debug for Amqp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Amqp")
            .field("exchange", &self.options.exchange())
            .field("unroutable", &self.options.unroutable)
            .finish_non_exhaustive()
    }
}

impl Broker for Amqp {
    type Provider = AmqpProvider;
    type Publisher = AmqpPublisher;
    const NAME: &'static str = "amqp";
    const TOPOLOGY: bool = true;

    fn queue_name(route: &str, app: Option<&str>) -> String {
        names::queue(route, app)
    }

    fn configure(&mut self, settings: Option<&Settings>, app: Option<&str>) -> Result<(), Error> {
        let options = &mut self.options;
        if let Some(settings) = settings {
            let section: Section = settings.read()?;
            match section.url {
                Some(Urls::One(url)) => options.urls = vec![url],
                Some(Urls::Many(urls)) => options.urls = urls,
                None => {}
            }
            let tls = &mut options.tls;
            tls.ca_file = section.ca_file.or(tls.ca_file.take());
            tls.cert_file = section.cert_file.or(tls.cert_file.take());
            tls.key_file = section.key_file.or(tls.key_file.take());
            options.consumer_timeout = section.consumer_timeout.or(options.consumer_timeout);
            options.exchange = section.exchange.or(options.exchange.take());
            options.app_id = section.app_id.or(options.app_id.take());
            options.unroutable = section.unroutable.unwrap_or(options.unroutable);
            options.exchanges.extend(section.exchanges);
            let mut headers = Vec::new();
            for (name, tree) in section.headers {
                tree.flatten(name, &mut headers);
            }
            for (name, value) in headers {
                options.set_header(name, Arc::new(move || value.clone()));
            }
        }
        if let Ok(url) = std::env::var(AMQP_URL)
            && !url.trim().is_empty()
        {
            options.urls = vec![url];
        }
        options.app_id = options.app_id.take().or(app.map(str::to_owned));
        Ok(())
    }

    /// # Errors
    ///
    /// An address that can't be read; a `visibility_timeout`, which RabbitMQ has none of; a queue without name where the app has none.
    fn provider(&self, source: &Source) -> Result<AmqpProvider, Error> {
        if source.visibility_timeout.is_some() {
            return Err(Error::Config(
                "`visibility_timeout` is set, and RabbitMQ has no such thing: a message is the consumer's until it is settled or its connection ends; leave it out"
                    .to_owned(),
            ));
        }
        AmqpProvider::new(Arc::clone(self.shared()?), source)
    }

    /// Those in `<queue>.dead`, or where `dead_letter` says.
    fn dead_letters(&self, source: &Source) -> Result<impl DeadLetterQueue, Error> {
        Ok(AmqpDeadLetters::new(Arc::clone(self.shared()?), source))
    }

    fn publisher(&self) -> AmqpPublisher {
        AmqpPublisher::new(self.shared().cloned())
    }

    /// `amqp:QUEUE`; of a queue with `/` in its name `amqp:/QUEUE`.
    fn queue_topic(&self, queue: &str) -> Topic {
        queue_topic(queue)
    }

    fn replies(&self, app: Option<&str>) -> Result<impl Replies, Error> {
        Ok(AmqpReplies::new(Arc::clone(self.shared()?), app))
    }

    fn reply_topic(&self, address: &str) -> Result<Topic, Error> {
        replies::topic(address)
    }
}
