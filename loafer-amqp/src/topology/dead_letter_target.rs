//! Where a route's dead letters go: only RabbitMQ finds their queue by an exchange and a routing key.

use super::Plan;
use crate::{
    names,
    options::{Options, QueueType},
};

/// The arguments that decide what a queue does with a message that is rejected.
const DEAD_LETTERING: &[&str] = &[
    "x-queue-type",
    "x-dead-letter-exchange",
    "x-dead-letter-routing-key",
    "x-dead-letter-strategy",
    "x-overflow",
];

/// Where dead letters go: an exchange, and the routing key that they are published with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DeadLetterTarget {
    /// Empty means the default exchange, whose routing keys are names of queues.
    pub(crate) exchange: String,
    pub(crate) routing_key: String,
    /// The queue that they end in. `None` means that nobody said which one the exchange finds.
    pub(crate) queue: Option<String>,
}

impl DeadLetterTarget {
    /// Returns where the dead letters of a queue go, and the name of their queue if it is the route's own.
    pub(super) fn of(queue: &str, options: &Options) -> (Self, Option<String>) {
        let named = options.dead_letter_queue.clone();
        let key = options.dead_letter_routing_key.clone();
        let (key, own) = match key.or_else(|| named.clone()) {
            Some(key) => (key, None),
            None => {
                let own = names::dead(queue);
                (own.clone(), Some(own))
            }
        };
        let exchange = options.dead_letter_exchange.clone().unwrap_or_default();
        let by_key = exchange.is_empty().then(|| key.clone());
        let target = Self {
            queue: named.or(by_key),
            exchange,
            routing_key: key,
        };
        (target, own)
    }
}

impl Plan {
    /// Returns whether RabbitMQ itself moves a rejected message from the route's queue to its dead letters, and loses none on the way: a quorum queue
    /// that we made does so "at least once" (RabbitMQ docs, "Quorum Queues").
    pub(crate) fn moves_rejected(&self) -> bool {
        let arguments = self.arguments.iter();
        self.queue_type == QueueType::Quorum
            && self.made.get().is_some()
            && !arguments
                .map(|(name, _)| name.as_str())
                .any(|name| DEAD_LETTERING.contains(&name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(options: &Options) -> (String, String, Option<String>, bool) {
        let (target, own) = DeadLetterTarget::of("paid.billing", options);
        let DeadLetterTarget {
            exchange,
            routing_key,
            queue,
        } = target;
        (exchange, routing_key, queue, own.is_some())
    }

    fn to(exchange: &str, key: &str, queue: Option<&str>) -> (String, String, Option<String>) {
        (
            exchange.to_owned(),
            key.to_owned(),
            queue.map(str::to_owned),
        )
    }

    #[test]
    fn a_route_that_says_nothing_has_a_queue_of_its_own() {
        let (exchange, key, queue, own) = of(&Options::new().exchange("event"));
        let expected = to("", "paid.billing.dead", Some("paid.billing.dead"));
        assert_eq!((exchange, key, queue), expected);
        assert!(own);
    }

    #[test]
    fn a_target_is_a_queue_or_a_key_on_an_exchange() {
        let options = Options::new;
        for (options, expected) in [
            (
                options().dead_letter_queue("dead"),
                to("", "dead", Some("dead")),
            ),
            (
                options().dead_letter_routing_key("dead"),
                to("", "dead", Some("dead")),
            ),
            (
                options()
                    .dead_letter_exchange("amq.direct")
                    .dead_letter_routing_key("key"),
                to("amq.direct", "key", None),
            ),
            (
                options()
                    .dead_letter_exchange("amq.direct")
                    .dead_letter_routing_key("key")
                    .dead_letter_queue("dead"),
                to("amq.direct", "key", Some("dead")),
            ),
        ] {
            let (exchange, key, queue, own) = of(&options);
            assert_eq!((exchange, key, queue), expected);
            assert!(!own);
        }
    }
}
