//! The arguments that queues are declared with: only RabbitMQ's queues have them.

use std::time::Duration;

use lapin::types::{AMQPValue, FieldTable};

use super::{Plan, dead_letter_target::DeadLetterTarget, limit};
use crate::options::{Argument, QueueType};

/// How often RabbitMQ takes a message back before it gives it up itself. RabbitMQ 4's own default of 20 is for consumers that return what fails: ours
/// copies it, so that only deploys, crashes and lost connections count.
pub(super) const DELIVERY_LIMIT: i64 = 100;

/// How often RabbitMQ takes a dead letter or an isolated message back before it drops it: always. `-1` means always only from RabbitMQ 4 on, and "not once" before. A number means the same
/// in all versions, so the queue compares equal after an upgrade.
const NEVER: i64 = i32::MAX as i64;

impl Plan {
    /// Returns the arguments of the route's queue. What the route sets outranks our own.
    pub(super) fn queue_arguments(&self) -> FieldTable {
        let DeadLetterTarget {
            exchange,
            routing_key,
            ..
        } = &self.dead_letter;
        let mut arguments = vec![
            ("x-queue-type".to_owned(), self.queue_type.as_str().into()),
            (
                "x-dead-letter-exchange".to_owned(),
                exchange.as_str().into(),
            ),
            (
                "x-dead-letter-routing-key".to_owned(),
                routing_key.as_str().into(),
            ),
        ];
        if self.queue_type == QueueType::Quorum {
            arguments.extend([
                (limit::ARGUMENT.to_owned(), DELIVERY_LIMIT.into()),
                ("x-dead-letter-strategy".to_owned(), "at-least-once".into()),
                ("x-overflow".to_owned(), "reject-publish".into()),
            ]);
        }
        for (name, value) in &self.arguments {
            arguments.retain(|(known, _)| known != name);
            arguments.push((name.clone(), value.clone()));
        }
        table(arguments)
    }
}

/// Returns the arguments of a queue of dead letters or of isolated messages, which keeps what it has.
pub(super) fn unlimited(queue_type: QueueType) -> FieldTable {
    let mut arguments = vec![("x-queue-type", queue_type.as_str().into())];
    if queue_type == QueueType::Quorum {
        arguments.push((limit::ARGUMENT, NEVER.into()));
    }
    table(arguments)
}

/// Returns the arguments of a delay queue. Its messages wait this long, then go on to an exchange, with this routing key, or with their own if it is
/// `None`.
pub(super) fn delay(delay: Duration, exchange: &str, routing_key: Option<&str>) -> FieldTable {
    let mut arguments = vec![
        ("x-queue-type", QueueType::Quorum.as_str().into()),
        (
            "x-message-ttl",
            i64::try_from(delay.as_millis()).unwrap_or(i64::MAX).into(),
        ),
        ("x-dead-letter-exchange", exchange.into()),
        ("x-dead-letter-strategy", "at-least-once".into()),
        ("x-overflow", "reject-publish".into()),
    ];
    let key = routing_key.map(|key| ("x-dead-letter-routing-key", key.into()));
    arguments.extend(key);
    table(arguments)
}

/// Returns the arguments of an exchange whose messages go to another one if no queue of its own takes them.
pub(super) fn alternate(exchange: &str) -> FieldTable {
    table([("alternate-exchange", exchange.into())])
}

/// Returns the arguments of a queue that keeps what nobody takes.
pub(super) fn keeping() -> FieldTable {
    table([("x-queue-type", QueueType::Quorum.as_str().into())])
}

fn table<N: Into<String>>(arguments: impl IntoIterator<Item = (N, Argument)>) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in arguments {
        let value = match value {
            Argument::Bool(truth) => AMQPValue::Boolean(truth),
            Argument::Int(number) => AMQPValue::LongLongInt(number),
            Argument::String(text) => AMQPValue::LongString(text.into()),
        };
        table.insert(name.into().into(), value);
    }
    table
}
