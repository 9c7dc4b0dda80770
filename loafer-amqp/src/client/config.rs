//! The configuration of one RabbitMQ: where it is, and what its publisher adds to every message.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use lapin::{ExchangeKind, uri::AMQPUri};
use loafer_core::{
    Error,
    broker::{DelaySteps, Instance},
};
use serde::Deserialize;

use super::{
    address,
    identity::Identity,
    password::Password,
    section::{Section, Urls},
    tls::Tls,
};

/// The exchange that events are published to and queues are bound to, unless another one is set.
const EXCHANGE: &str = "event";

/// The address used if none is set: RabbitMQ on this machine, with its default port and user.
const URL: &str = "amqp://guest:guest@127.0.0.1:5672/%2f";

/// The environment variable with the address of RabbitMQ.
const AMQP_URL: &str = "AMQP_URL";

/// What to do about a published message that no queue took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Unroutable {
    /// Publishing the message is an error, because an event that no queue takes is lost.
    #[default]
    Error,
    /// The message is dropped: events may have no listeners.
    Ignore,
}

/// The type of an exchange: how it routes messages to queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ExchangeType {
    /// Queues are bound by patterns, for example `order.*`.
    Topic,
    /// Queues are bound by the routing key itself.
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

/// Gives the value of a header, once for each publish call.
pub(crate) type HeaderValue = Arc<dyn Fn() -> String + Send + Sync>;

/// What is set of one RabbitMQ, by code, `loafer.toml` and environment.
#[derive(Clone, Default)]
pub(crate) struct Config {
    pub(crate) identity: Identity,
    /// The addresses of the nodes of one cluster. Each entry may hold several, separated by commas.
    pub(crate) urls: Vec<String>,
    pub(crate) tls: Tls,
    /// Where the password comes from. `None` means from the address.
    pub(crate) password: Option<Password>,
    /// How long connecting to one address may take, unless the address says it. `None` means 5 s.
    pub(crate) connect_timeout: Option<Duration>,
    /// The time between heartbeats, unless the address says it. `None` means 10 s.
    pub(crate) heartbeat: Option<Duration>,
    /// How long RabbitMQ lets a delivery go unsettled. `None` means its default.
    pub(crate) consumer_timeout: Option<Duration>,
    /// The exchange of events. `None` means `event`.
    pub(crate) exchange: Option<String>,
    /// The property `app-id` of published messages.
    pub(crate) app_id: Option<String>,
    pub(crate) unroutable: Unroutable,
    /// Headers of every published message, unless the message has one of that name.
    headers: Vec<(String, HeaderValue)>,
    /// The delays of delay queues, if tests have shortened them.
    pub(crate) steps: Option<DelaySteps>,
    /// Exchanges that the publisher makes if they are missing.
    pub(crate) exchanges: BTreeMap<String, ExchangeType>,
}

impl Config {
    /// Takes in the section of the instance and the environment, which outrank what code set.
    pub(crate) fn configure(&mut self, instance: &Instance<'_>) -> Result<(), Error> {
        self.identity = Identity::new(instance);
        if let Some(settings) = instance.settings() {
            self.merge(settings.read()?);
        }
        if !instance.is_first() && self.urls.is_empty() {
            return Err(Error::Config(self.identity.address_missing()));
        }
        if instance.is_first()
            && let Ok(url) = std::env::var(AMQP_URL)
            && !url.trim().is_empty()
        {
            self.urls = vec![url];
        }
        let app = instance.app().map(str::to_owned);
        self.app_id = self.app_id.take().or(app);
        self.addresses().map(drop)
    }

    fn merge(&mut self, section: Section) {
        match section.url {
            Some(Urls::One(url)) => self.urls = vec![url],
            Some(Urls::Many(urls)) => self.urls = urls,
            None => {}
        }
        let tls = &mut self.tls;
        tls.ca_file = section.ca_file.or(tls.ca_file.take());
        tls.cert_file = section.cert_file.or(tls.cert_file.take());
        tls.key_file = section.key_file.or(tls.key_file.take());
        let password_file = section.password_file.map(Password::File);
        self.password = password_file.or(self.password.take());
        self.connect_timeout = section.connect_timeout.or(self.connect_timeout);
        self.heartbeat = section.heartbeat.or(self.heartbeat);
        self.consumer_timeout = section.consumer_timeout.or(self.consumer_timeout);
        self.exchange = section.exchange.or(self.exchange.take());
        self.app_id = section.app_id.or(self.app_id.take());
        self.unroutable = section.unroutable.unwrap_or(self.unroutable);
        self.exchanges.extend(section.exchanges);
        let mut headers = Vec::new();
        for (name, tree) in section.headers {
            tree.flatten(name, &mut headers);
        }
        for (name, value) in headers {
            self.set_header(name, Arc::new(move || value.clone()));
        }
    }

    /// Returns the exchange of events.
    pub(crate) fn exchange(&self) -> &str {
        self.exchange.as_deref().unwrap_or(EXCHANGE)
    }

    /// Returns the type of an exchange that the publisher makes if it is missing. `None` means that it does not make this one.
    pub(crate) fn makes(&self, exchange: &str) -> Option<ExchangeType> {
        let set = self.exchanges.get(exchange).copied();
        set.or((exchange == self.exchange()).then_some(ExchangeType::Topic))
    }

    /// Returns the headers of all messages of one publish call.
    pub(crate) fn headers(&self) -> Vec<(String, String)> {
        let headers = self.headers.iter();
        headers
            .map(|(name, value)| (name.clone(), value()))
            .collect()
    }

    pub(crate) fn set_header(&mut self, name: String, value: HeaderValue) {
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value));
    }

    /// Reads the addresses, and checks that a certificate has its key.
    pub(crate) fn addresses(&self) -> Result<Vec<AMQPUri>, Error> {
        self.tls.check(&self.identity.section())?;
        let default = [URL.to_owned()];
        let urls = if self.urls.is_empty() {
            &default[..]
        } else {
            &self.urls
        };
        let urls = urls.iter().flat_map(|url| url.split(','));
        urls.map(|url| {
            let mut address = address::parse(url.trim()).map_err(|wrong| {
                Error::Config(format!("the address of RabbitMQ can't be read: {wrong}"))
            })?;
            let query = &mut address.query;
            if let Some(timeout) = self.connect_timeout {
                let millis = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
                query.connection_timeout.get_or_insert(millis.max(1));
            }
            if let Some(heartbeat) = self.heartbeat {
                let seconds = u16::try_from(heartbeat.as_secs()).unwrap_or(u16::MAX);
                query.heartbeat.get_or_insert(seconds.max(1));
            }
            Ok(address)
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_outranks_the_section_and_the_section_outranks_code() {
        let mut config = Config {
            connect_timeout: Some(Duration::from_secs(60)),
            heartbeat: Some(Duration::from_secs(60)),
            ..Config::default()
        };
        let section = serde_json::json!({
            "url": ["amqp://one/v", "amqp://two/v?heartbeat=9&connection_timeout=900"],
            "connect_timeout": "300ms",
            "heartbeat": "2s",
        });
        config.merge(serde_json::from_value(section).unwrap());
        let addresses = config.addresses().unwrap();
        let set = addresses.iter().map(|address| &address.query);
        let set: Vec<_> = set
            .map(|query| (query.connection_timeout, query.heartbeat))
            .collect();
        assert_eq!(set, [(Some(300), Some(2)), (Some(900), Some(9))]);
    }
}
