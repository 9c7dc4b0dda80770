//! [`Routing`]: the exchange and routing key that a topic stands for.

use std::borrow::Cow;

use loafer_core::broker::Topic;
use percent_encoding::{AsciiSet, percent_decode_str, utf8_percent_encode};

use super::MAX_BYTES;

/// What a topic begins with that is no event.
const PREFIX: &str = "amqp:";

/// What is written as `%XX` in the name of an exchange: the `/` that ends it, and the `%` itself. So is all that is not ASCII.
const IN_EXCHANGE: &AsciiSet = &AsciiSet::EMPTY.add(b'/').add(b'%');

/// A topic that is a routing key on an exchange.
///
/// | topic | goes to |
/// |---|---|
/// | `order.closed` | the exchange of events, with that routing key |
/// | `amqp:QUEUE` | the default exchange: that queue |
/// | `amqp:EXCHANGE/KEY` | that exchange, with that routing key, which may be empty |
/// | `amqp:/QUEUE` | the default exchange: a queue whose name has a `/` |
///
/// In the name of an exchange `/` is written `%2F` and `%` is written `%25`. A [`Routing`] becomes a topic in this form.
///
/// ```
/// # use loafer::{Bus, Error};
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
    /// `None` means the exchange of events.
    pub(crate) exchange: Option<String>,
    pub(crate) key: String,
}

impl Routing {
    /// Returns this routing key on the exchange of events.
    pub fn key(key: impl Into<String>) -> Self {
        Self {
            exchange: None,
            key: key.into(),
        }
    }

    /// Sets the exchange. The empty name is the default exchange, whose routing keys are queues.
    #[must_use]
    pub fn exchange(mut self, exchange: impl Into<String>) -> Self {
        self.exchange = Some(exchange.into());
        self
    }

    /// Reads a topic. The error says what is wrong with it.
    pub(crate) fn of(topic: &str) -> Result<Self, &'static str> {
        let routing = match topic.strip_prefix(PREFIX) {
            None => Self::key(topic),
            Some(address) => match address.split_once('/') {
                Some((exchange, key)) => Self::key(key).exchange(decoded(exchange)),
                None => Self::key(address).exchange(""),
            },
        };
        let fits = |name: &str| name.len() <= MAX_BYTES;
        match &routing.exchange {
            None if routing.key.is_empty() => {
                Err("it has no name: an event has one, as `order.closed`")
            }
            Some(exchange) if exchange.is_empty() && routing.key.is_empty() => {
                Err("it names no queue: write `amqp:QUEUE`, or `amqp:EXCHANGE/KEY`")
            }
            Some(exchange) if !fits(exchange) => {
                Err("the name of its exchange is longer than 255 bytes, which AMQP can't carry")
            }
            _ if !fits(&routing.key) => {
                Err("its routing key is longer than 255 bytes, which AMQP can't carry: shorten it")
            }
            _ => Ok(routing),
        }
    }
}

impl From<Routing> for Topic {
    fn from(routing: Routing) -> Self {
        match routing.exchange {
            None => Self::from(routing.key),
            Some(exchange) => Self::from(format!("{PREFIX}{}/{}", encoded(&exchange), routing.key)),
        }
    }
}

/// Returns the topic of a queue.
pub(crate) fn queue_topic(queue: &str) -> Topic {
    match queue.contains('/') {
        true => Topic::from(format!("{PREFIX}/{queue}")),
        false => Topic::from(format!("{PREFIX}{queue}")),
    }
}

/// Returns the name of an exchange in a form that has no `/`.
pub(super) fn encoded(exchange: &str) -> Cow<'_, str> {
    utf8_percent_encode(exchange, IN_EXCHANGE).into()
}

fn decoded(exchange: &str) -> Cow<'_, str> {
    percent_decode_str(exchange).decode_utf8_lossy()
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
    fn a_topic_that_names_nothing_or_too_much_is_refused() {
        let cause = |topic: &str| Routing::of(topic).unwrap_err();
        assert!(cause("").contains("no name"));
        assert!(cause("amqp:").contains("no queue"));
        assert!(cause("amqp:/").contains("no queue"));
        let long = "k".repeat(256);
        assert!(cause(&long).contains("routing key"));
        assert!(cause(&format!("amqp:{long}/k")).contains("exchange"));
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
