//! Where a message goes: a routing key on an exchange, as a topic says it.

use std::borrow::Cow;

use loafer_core::Topic;

/// What a topic begins with that is no event.
const PREFIX: &str = "amqp:";

/// A routing key on an exchange, as a topic.
///
/// | topic | goes to |
/// |---|---|
/// | `order.closed` | the exchange of events, with that routing key |
/// | `amqp:QUEUE` | the default exchange: that queue |
/// | `amqp:EXCHANGE/KEY` | that exchange, with that routing key, which may be empty |
/// | `amqp:/QUEUE` | the default exchange: a queue whose name has a `/` |
///
/// In the name of an exchange `/` is written `%2f` and `%` is written `%25`; what a [`Routing`] becomes is written so.
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
    /// None: the exchange of events.
    pub(crate) exchange: Option<String>,
    pub(crate) key: String,
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

    /// Reads a topic; the error says what is wrong with it.
    pub(crate) fn of(topic: &str) -> Result<Self, &'static str> {
        let routing = match topic.strip_prefix(PREFIX) {
            None => Self::key(topic),
            Some(address) => match address.split_once('/') {
                Some((exchange, key)) => Self::key(key).exchange(decoded(exchange)),
                None => Self::key(address).exchange(""),
            },
        };
        let named = |name: &str| name.len() <= SHORT;
        match &routing.exchange {
            None if routing.key.is_empty() => {
                Err("it has no name: an event has one, as `order.closed`")
            }
            Some(exchange) if exchange.is_empty() && routing.key.is_empty() => {
                Err("it names no queue: write `amqp:QUEUE`, or `amqp:EXCHANGE/KEY`")
            }
            Some(exchange) if !named(exchange) => {
                Err("the name of its exchange is longer than 255 bytes, which AMQP can't carry")
            }
            _ if !named(&routing.key) => {
                Err("its routing key is longer than 255 bytes, which AMQP can't carry: shorten it")
            }
            _ => Ok(routing),
        }
    }
}

/// The longest name, in bytes (AMQP 0-9-1, short strings).
pub(crate) const SHORT: usize = 255;

impl From<Routing> for Topic {
    fn from(routing: Routing) -> Self {
        match routing.exchange {
            None => Self::from(routing.key),
            Some(exchange) => Self::from(format!("{PREFIX}{}/{}", encoded(&exchange), routing.key)),
        }
    }
}

/// How a queue is written as a topic.
pub(crate) fn queue_topic(queue: &str) -> Topic {
    match queue.contains('/') {
        true => Topic::from(format!("{PREFIX}/{queue}")),
        false => Topic::from(format!("{PREFIX}{queue}")),
    }
}

/// The name of an exchange, so that what stands behind a `/` is told from it.
pub(crate) fn encoded(exchange: &str) -> Cow<'_, str> {
    match exchange.contains(['/', '%']) {
        true => exchange.replace('%', "%25").replace('/', "%2f").into(),
        false => exchange.into(),
    }
}

fn decoded(exchange: &str) -> String {
    let slashes = exchange.replace("%2f", "/").replace("%2F", "/");
    slashes.replace("%25", "%")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(topic: &str) -> (Option<String>, String) {
        let routing = Routing::of(topic).unwrap();
        (routing.exchange, routing.key)
    }

    fn to(exchange: &str, key: &str) -> (Option<String>, String) {
        (Some(exchange.to_owned()), key.to_owned())
    }

    #[test]
    fn a_name_is_an_event() {
        assert_eq!(read("order.closed"), (None, "order.closed".to_owned()));
        assert_eq!(read("orders/closed"), (None, "orders/closed".to_owned()));
        assert_eq!(read("sqs:orders"), (None, "sqs:orders".to_owned()));
    }

    #[test]
    fn an_address_is_a_queue_or_a_key_on_an_exchange() {
        assert_eq!(read("amqp:billing"), to("", "billing"));
        assert_eq!(read("amqp:pigeon/prices"), to("pigeon", "prices"));
        assert_eq!(read("amqp:pigeon/a/b"), to("pigeon", "a/b"));
        assert_eq!(read("amqp:/a/b"), to("", "a/b"));
        assert_eq!(read("amqp:a%2Fb%25/c%2f"), to("a/b%", "c%2f"));
        assert_eq!(read("amqp:fans/"), to("fans", ""));
    }

    #[test]
    fn what_names_nothing_or_too_much_is_told() {
        let told = |topic: &str| Routing::of(topic).unwrap_err();
        assert!(told("").contains("no name"));
        assert!(told("amqp:").contains("no queue"));
        assert!(told("amqp:/").contains("no queue"));
        let long = "k".repeat(256);
        assert!(told(&long).contains("routing key"));
        assert!(told(&format!("amqp:{long}/k")).contains("exchange"));
        assert!(Routing::of(&long[1..]).is_ok());
    }

    #[test]
    fn a_routing_is_read_as_it_was_written() {
        for (exchange, key) in [
            ("", "a"),
            ("", "a/b"),
            ("pigeon", ""),
            ("a/b", "c/d"),
            ("100%2f", "%25"),
        ] {
            let routing = Routing::key(key).exchange(exchange);
            let topic = Topic::from(routing.clone());
            assert_eq!(Routing::of(topic.as_str()), Ok(routing), "{topic}");
        }
        assert_eq!(read(Topic::from(Routing::key("a.b")).as_str()).1, "a.b");
        for queue in ["orders", "a/b"] {
            assert_eq!(read(queue_topic(queue).as_str()), to("", queue));
        }
    }
}
