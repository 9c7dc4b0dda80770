//! A broker with options, for the cases of `options(…)`. Its queues are in memory.

use std::sync::Mutex;

use loafer::{
    Error, Memory,
    broker::{Broker, NoOptions, Source},
    memory::{MemoryProvider, MemoryPublisher},
};
use serde::{Deserialize, Serialize};

#[derive(Default)]
pub(crate) struct Rabbit(Memory);

/// The options that providers were made with, each beside its route.
pub(crate) static SEEN: Mutex<Vec<(String, RabbitOptions)>> = Mutex::new(Vec::new());

#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RabbitOptions {
    pub(crate) exchange: Option<Exchange>,
    pub(crate) binding: Vec<String>,
    pub(crate) arguments: Vec<(String, Argument)>,
    pub(crate) priority: Option<u8>,
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub(crate) struct Exchange(pub(crate) String);

impl From<&str> for Exchange {
    fn from(name: &str) -> Self {
        Self(name.to_owned())
    }
}

impl From<String> for Exchange {
    fn from(name: String) -> Self {
        Self(name)
    }
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub(crate) enum Argument {
    Bool(bool),
    Int(i64),
    String(String),
}

impl From<bool> for Argument {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Argument {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<&str> for Argument {
    fn from(value: &str) -> Self {
        Self::String(value.into())
    }
}

impl RabbitOptions {
    pub(crate) fn exchange(mut self, exchange: impl Into<Exchange>) -> Self {
        self.exchange = Some(exchange.into());
        self
    }

    pub(crate) fn binding<const N: usize>(mut self, keys: [&str; N]) -> Self {
        self.binding = keys.map(str::to_owned).into();
        self
    }

    pub(crate) fn arguments<const N: usize>(mut self, arguments: [(&str, Argument); N]) -> Self {
        self.arguments = arguments
            .map(|(name, value)| (name.to_owned(), value))
            .into();
        self
    }

    pub(crate) fn priority(mut self, priority: u8) -> Self {
        self.priority = Some(priority);
        self
    }
}

impl Broker for Rabbit {
    type Provider = MemoryProvider;
    type Publisher = MemoryPublisher;
    type Options = RabbitOptions;

    const KIND: &'static str = "rabbit";

    fn provider(&self, source: &Source, options: &RabbitOptions) -> Result<MemoryProvider, Error> {
        let seen = (source.route.to_string(), options.clone());
        SEEN.lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .push(seen);
        self.0.provider(source, &NoOptions {})
    }

    fn publisher(&self) -> MemoryPublisher {
        self.0.publisher()
    }
}
