//! Where a route's queue hangs, on brokers that route messages by exchanges and bindings.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Deserializer, de};

/// Where a route's queue hangs, and how it is made, on a broker that routes messages by exchanges and bindings (RabbitMQ).
///
/// What is not set is the broker's own default. Set by the attribute, [`RouteOptions`](super::RouteOptions) and `loafer.toml`; a broker that
/// has no such thing refuses it at the start.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Topology {
    /// The exchange its queue is bound to; an empty name binds it to none.
    pub exchange: Option<String>,
    /// The routing keys it hears, which may be patterns; none: the route's name.
    pub binding: Option<Bindings>,
    /// What kind of queue it is.
    pub queue_type: Option<QueueType>,
    /// Further arguments of the queue, by their names on the broker, as `x-max-length`.
    pub arguments: BTreeMap<String, Argument>,
    /// What may be made on the broker.
    pub declare: Option<Declare>,
    /// Where its dead letters go, instead of a queue of their own.
    pub dead_letter: Option<DeadLetterTarget>,
}

impl Topology {
    /// The keys of it, as they are written in `loafer.toml`.
    pub const KEYS: &[&str] = &[
        "exchange",
        "binding",
        "queue_type",
        "arguments",
        "declare",
        "dead_letter",
    ];

    /// Returns the first of its keys that is set.
    #[must_use]
    pub fn first_key(&self) -> Option<&'static str> {
        let set = [
            self.exchange.is_some(),
            self.binding.is_some(),
            self.queue_type.is_some(),
            !self.arguments.is_empty(),
            self.declare.is_some(),
            self.dead_letter.is_some(),
        ];
        let at = set.iter().position(|set| *set)?;
        Some(Self::KEYS[at])
    }
}

/// The routing keys a queue hears: one, or several.
///
/// In a pattern `*` is one word and `#` any number of them; words are what is between dots.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(
    untagged,
    expecting = "a routing key, as \"order.*\", or a list of them"
)]
pub enum Bindings {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

impl Bindings {
    /// The keys.
    pub fn keys(&self) -> &[String] {
        match self {
            Self::One(key) => std::slice::from_ref(key),
            Self::Many(keys) => keys,
        }
    }
}

impl From<&str> for Bindings {
    fn from(key: &str) -> Self {
        Self::One(key.to_owned())
    }
}

impl From<String> for Bindings {
    fn from(key: String) -> Self {
        Self::One(key)
    }
}

impl<K: Into<String>, const N: usize> From<[K; N]> for Bindings {
    fn from(keys: [K; N]) -> Self {
        Self::Many(keys.into_iter().map(Into::into).collect())
    }
}

/// What kind of queue a route's is (RabbitMQ: `x-queue-type`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum QueueType {
    /// Replicated, counts deliveries: what new queues are.
    #[default]
    Quorum,
    /// On one node.
    Classic,
}

impl QueueType {
    /// As the broker calls it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Quorum => "quorum",
            Self::Classic => "classic",
        }
    }
}

/// What may be made on the broker when a route opens its source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Declare {
    /// Whatever is missing.
    #[default]
    Create,
    /// Nothing: exchange, queue and place for dead letters must be there, or the start fails. Queues in which only retries wait are the
    /// framework's own and are made when first needed.
    Verify,
    /// Nothing, and nothing is asked: others see to it.
    Off,
}

/// Where dead letters go that have no queue of their own: an exchange, and the routing key they are published with.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct DeadLetterTarget {
    /// The exchange; empty: the default exchange, whose routing keys are queue names.
    #[serde(default)]
    pub exchange: String,
    /// The routing key.
    pub routing_key: String,
    /// The queue that hears it, for whoever looks at dead letters: no exchange tells. None: by the default exchange the routing key is its name.
    pub queue: Option<String>,
}

impl DeadLetterTarget {
    /// This routing key on this exchange.
    pub fn new(exchange: impl Into<String>, routing_key: impl Into<String>) -> Self {
        Self {
            exchange: exchange.into(),
            routing_key: routing_key.into(),
            queue: None,
        }
    }

    /// The same, heard by this queue.
    #[must_use]
    pub fn in_queue(mut self, queue: impl Into<String>) -> Self {
        self.queue = Some(queue.into());
        self
    }
}

/// The value of a queue's argument.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Argument {
    /// `true` or `false`.
    Truth(bool),
    /// A whole number.
    Whole(i64),
    /// A text.
    Text(String),
}

impl From<bool> for Argument {
    fn from(truth: bool) -> Self {
        Self::Truth(truth)
    }
}

impl From<i64> for Argument {
    fn from(number: i64) -> Self {
        Self::Whole(number)
    }
}

impl From<&str> for Argument {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Argument {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl<'de> Deserialize<'de> for Argument {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = Argument;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`true`, `false`, a whole number or a text")
            }

            fn visit_bool<E: de::Error>(self, truth: bool) -> Result<Argument, E> {
                Ok(Argument::Truth(truth))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Argument, E> {
                Ok(Argument::Whole(number))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Argument, E> {
                Ok(Argument::Text(text.to_owned()))
            }
        }

        from.deserialize_any(Visitor)
    }
}
