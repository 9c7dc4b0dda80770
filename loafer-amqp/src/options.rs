//! The options of a route that only RabbitMQ has: how its queue is made, where it is bound, and where its dead letters go.

mod argument;

use std::collections::BTreeMap;

use loafer_core::policy::Names;
use serde::{Deserialize, Serialize};

pub use self::argument::Argument;

/// What a route may set that only RabbitMQ knows: `options(…)` of `#[handler]`, [`RouteOptions::broker_options`] in code, and
/// `[routes.ROUTE.options]` in `loafer.toml`.
///
/// ```
/// use loafer_amqp::{Amqp, Declare, Options};
/// use loafer::RouteOptions;
///
/// let options = Options::new().exchange("event").binding(["order.closed", "order.paid"]).declare(Declare::Verify);
/// let route = RouteOptions::new().broker_options::<Amqp>(options);
/// ```
///
/// [`RouteOptions::broker_options`]: https://docs.rs/loafer/latest/loafer/struct.RouteOptions.html#method.broker_options
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The exchange that the queue is bound to. `None` means the exchange of events.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) exchange: Option<String>,
    /// The routing keys that the queue is bound by. `None` means the topics of the route.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) binding: Option<Names>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) queue_type: Option<QueueType>,
    /// Further arguments of the queue, by their names on RabbitMQ.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) arguments: BTreeMap<String, Argument>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) declare: Option<Declare>,
    /// The exchange that dead letters go to. `None` means the default exchange.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) dead_letter_exchange: Option<String>,
    /// The routing key of dead letters. `None` means `dead_letter_queue`, else a queue of the route's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) dead_letter_routing_key: Option<String>,
    /// The queue that dead letters end in, which no exchange tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) dead_letter_queue: Option<String>,
}

impl Options {
    /// Returns options that set nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the exchange that the queue is bound to. Unless set, it is the exchange of events. The empty name binds the queue to nothing.
    #[must_use]
    pub fn exchange(mut self, exchange: impl Into<String>) -> Self {
        self.exchange = Some(exchange.into());
        self
    }

    /// Sets the routing keys that the queue is bound by, which may be patterns: `"order.*"`, or `["order.closed", "order.paid"]`. In a pattern `*`
    /// is one word and `#` is any number of words; words are what is between dots. Unless set, the queue is bound by the route's topics.
    #[must_use]
    pub fn binding(mut self, keys: impl Into<Names>) -> Self {
        self.binding = Some(keys.into());
        self
    }

    /// Sets the type of the queue. Unless set, it is a quorum queue.
    #[must_use]
    pub fn queue_type(mut self, queue_type: QueueType) -> Self {
        self.queue_type = Some(queue_type);
        self
    }

    /// Sets one further argument of the queue by its name on RabbitMQ, for example `x-max-length`. It outranks Loafer's own.
    #[must_use]
    pub fn argument(mut self, name: impl Into<String>, value: impl Into<Argument>) -> Self {
        self.arguments.insert(name.into(), value.into());
        self
    }

    /// Sets further arguments of the queue, as [`argument`](Self::argument) sets one.
    ///
    /// ```
    /// use loafer_amqp::Options;
    ///
    /// let options = Options::new().arguments([("x-max-length", 10_000.into()), ("x-overflow", "reject-publish".into())]);
    /// ```
    #[must_use]
    pub fn arguments<N: Into<String>>(
        mut self,
        arguments: impl IntoIterator<Item = (N, Argument)>,
    ) -> Self {
        let arguments = arguments.into_iter();
        self.arguments
            .extend(arguments.map(|(name, value)| (name.into(), value)));
        self
    }

    /// Sets what may be made on RabbitMQ. Unless set, whatever is missing.
    #[must_use]
    pub fn declare(mut self, declare: Declare) -> Self {
        self.declare = Some(declare);
        self
    }

    /// Sets the exchange that dead letters go to, by [`dead_letter_routing_key`](Self::dead_letter_routing_key). The exchange must exist. Unless
    /// set, it is the default exchange, whose routing keys are names of queues.
    #[must_use]
    pub fn dead_letter_exchange(mut self, exchange: impl Into<String>) -> Self {
        self.dead_letter_exchange = Some(exchange.into());
        self
    }

    /// Sets the routing key that dead letters are published with. Unless set, they go to [`dead_letter_queue`](Self::dead_letter_queue), else to
    /// `<queue>.dead`.
    #[must_use]
    pub fn dead_letter_routing_key(mut self, key: impl Into<String>) -> Self {
        self.dead_letter_routing_key = Some(key.into());
        self
    }

    /// Sets the queue that dead letters end in. Behind an exchange it is only for whoever looks at dead letters, since no exchange tells where it
    /// leads. Without one, dead letters go to this queue.
    #[must_use]
    pub fn dead_letter_queue(mut self, queue: impl Into<String>) -> Self {
        self.dead_letter_queue = Some(queue.into());
        self
    }

    /// Returns what is wrong with them. `None` means nothing.
    pub(crate) fn fault(&self) -> Option<&'static str> {
        if self.binding.as_ref().is_some_and(Names::is_blank) {
            return Some(
                "`binding` names no routing key, or an empty one: name one, or set `exchange = \"\"` to bind the queue to nothing",
            );
        }
        let kind = self.arguments.get("x-queue-type");
        if matches!(kind, Some(Argument::String(kind)) if kind == "stream") {
            return Some(STREAM);
        }
        let key = self.dead_letter_routing_key.as_deref();
        let queue = self.dead_letter_queue.as_deref();
        let exchange = self.dead_letter_exchange.as_deref();
        let exchange = exchange.filter(|exchange| !exchange.is_empty());
        match (exchange, key, queue) {
            (_, Some(""), _) => Some(
                "`dead_letter_routing_key` is empty: name a routing key; without an exchange it is the name of a queue",
            ),
            (_, _, Some("")) => {
                Some("`dead_letter_queue` is empty: name the queue, or leave it out")
            }
            (Some(_), None, _) => Some(
                "`dead_letter_exchange` is set and `dead_letter_routing_key` is not: an exchange finds the queue by it; set both or neither",
            ),
            (None, Some(key), Some(queue)) if key != queue => Some(
                "`dead_letter_routing_key` and `dead_letter_queue` differ: without an exchange both are the name of the queue; leave one of them out",
            ),
            _ => None,
        }
    }
}

/// The type of a route's queue (RabbitMQ: `x-queue-type`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum QueueType {
    /// The queue is replicated, and counts deliveries. New queues are of this type.
    #[default]
    Quorum,
    /// The queue is on one node.
    Classic,
}

impl QueueType {
    /// Returns RabbitMQ's name of the type.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Quorum => "quorum",
            Self::Classic => "classic",
        }
    }
}

/// What may be made on RabbitMQ when a route opens its queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Declare {
    /// Whatever is missing is made.
    #[default]
    Create,
    /// Nothing is made: exchange, queue and dead-letter queue must exist, or the program does not start. Only the delay queues with what
    /// leads back from them, and the queue of isolated messages, are made when they are first needed, since they are Loafer's own.
    Verify,
    /// Nothing is made, and nothing is asked for: others see to it.
    Off,
}

/// Why a stream is refused, and what to do.
pub(crate) const STREAM: &str = "it is a stream, which keeps what was handled, can't give a message back, and begins anew at each start: let a quorum queue get the same messages, bound to the same exchange, and consume that";

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(options: &Options) -> &'static str {
        options.fault().unwrap_or("none")
    }

    #[test]
    fn what_names_nothing_is_a_fault() {
        let blank = [Names::from(""), Names::Many(Vec::new()), ["a", ""].into()];
        for keys in blank {
            let said = fault(&Options::new().binding(keys));
            assert!(said.contains("names no routing key"), "{said}");
        }
        for (options, part) in [
            (
                Options::new().argument("x-queue-type", "stream"),
                "it is a stream",
            ),
            (
                Options::new().dead_letter_routing_key(""),
                "`dead_letter_routing_key` is empty",
            ),
            (
                Options::new().dead_letter_queue(""),
                "`dead_letter_queue` is empty",
            ),
            (
                Options::new()
                    .dead_letter_exchange("dead")
                    .dead_letter_queue("parked"),
                "`dead_letter_routing_key` is not",
            ),
            (
                Options::new()
                    .dead_letter_exchange("")
                    .dead_letter_routing_key("parked")
                    .dead_letter_queue("other"),
                "differ",
            ),
        ] {
            let said = fault(&options);
            assert!(said.contains(part), "{part} is not in {said}");
        }
    }

    #[test]
    fn what_can_be_made_is_none() {
        for options in [
            Options::new(),
            Options::new().exchange("").binding(["order.*", "paid"]),
            Options::new().dead_letter_queue("parked"),
            Options::new().dead_letter_routing_key("parked"),
            Options::new()
                .dead_letter_exchange("dead")
                .dead_letter_routing_key("order")
                .dead_letter_queue("parked"),
        ] {
            assert_eq!(options.fault(), None, "{options:?}");
        }
    }

    #[test]
    fn options_are_read_as_they_were_written() {
        let options = Options::new()
            .exchange("event")
            .binding(["a", "b"])
            .queue_type(QueueType::Classic)
            .arguments([
                ("x-max-length", 10.into()),
                ("x-overflow", "drop-head".into()),
            ])
            .argument("x-single-active-consumer", true)
            .declare(Declare::Verify)
            .dead_letter_queue("parked");
        let written = serde_json::to_value(&options).unwrap();
        assert_eq!(written["arguments"]["x-max-length"], 10);
        assert_eq!(written["declare"], "verify");
        assert_eq!(written.get("dead_letter_exchange"), None);
        let read: Options = serde_json::from_value(written).unwrap();
        assert_eq!(read, options);
        assert_eq!(
            serde_json::to_value(Options::new()).unwrap(),
            serde_json::json!({})
        );
    }
}
