//! Copying: confirmed copies of dead letters in one queue.

use std::sync::Arc;

use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable, ShortString},
};
use loafer_core::{
    Error,
    broker::{DeadLetter, Delivery, Destination},
};

use super::{AmqpDeadLetters, DeadLetterReceipt, native};
use crate::{
    error::refused,
    names::headers::DELIVERY_COUNT,
    outgoing::{Entry, PERSISTENT, copied},
    publisher::channels::Unsent,
};

impl AmqpDeadLetters {
    pub(super) async fn send_copies(
        &self,
        to: &Destination,
        dead_letters: &[Delivery<DeadLetterReceipt>],
    ) -> Vec<Result<(), Error>> {
        let queue = match to {
            Destination::Source => &self.plan.queue,
            Destination::Queue(queue) => queue.strip_prefix("amqp:").unwrap_or(queue),
        };
        let from = self.plan.dead_letter_queue();
        if queue == from {
            // Written in another form, as `amqp:QUEUE`, it is known only here.
            let cause = format!("`{queue}` is the dead-letter queue itself: name another");
            let error = refused("sending dead letters", from, cause);
            return dead_letters.iter().map(|_| Err(error.clone())).collect();
        }
        // To one queue, and to no exchange that others listen to: services that handled the message do not get it again.
        let (exchange, routing_key): (Arc<str>, Arc<str>) = ("".into(), queue.into());
        let entries = dead_letters.iter().map(|dead| Entry {
            exchange: exchange.clone(),
            routing_key: routing_key.clone(),
            properties: properties(to, dead),
            payload: dead.message.payload().clone(),
            mandatory: true,
        });
        let sent = self.channels.publish(queue, &entries.collect()).await;
        let answers = sent.into_iter();
        answers
            .map(|sent| sent.map_err(|unsent| unsent_to(queue, unsent)))
            .collect()
    }
}

/// Returns the properties of a copy.
fn properties(to: &Destination, dead: &Delivery<DeadLetterReceipt>) -> BasicProperties {
    let (message, lease) = (&dead.message, &dead.receipt.0);
    let given = &lease.properties;
    let copy = match to {
        Destination::Source => {
            let from = message.headers().get(DeadLetter::RETRIED_FROM);
            let said = from.map(|from| {
                let value = AMQPValue::LongString(from.into());
                (DeadLetter::RETRIED_FROM, value)
            });
            let copy = copied(given, native::topic(message), said);
            let mut headers = copy.headers().clone().unwrap_or_default();
            let kept = |name: &str| message.headers().get(name).is_some();
            if !kept(DeadLetter::HEADER) {
                headers = without(&headers, DeadLetter::HEADER);
            }
            copy.with_headers(headers)
        }
        // As it is, except for RabbitMQ's count: the headers that say where it came from are of use in another queue, too.
        Destination::Queue(_) => {
            let mut headers = FieldTable::default();
            for (name, value) in given.headers().iter().flatten() {
                if !matches!(name.as_str(), DELIVERY_COUNT | "CC" | "BCC") {
                    headers.insert(name.clone(), value.clone());
                }
            }
            given
                .clone()
                .with_headers(headers)
                .with_delivery_mode(PERSISTENT)
        }
    };
    match lease.unnamed && *to == Destination::Source {
        // Its attempts, and a second failure, need one id.
        true => copy.with_message_id(ShortString::from(message.id().to_string())),
        false => copy,
    }
}

fn without(headers: &FieldTable, unwanted: &str) -> FieldTable {
    let mut kept = FieldTable::default();
    for (name, value) in headers {
        if name.as_str() != unwanted {
            kept.insert(name.clone(), value.clone());
        }
    }
    kept
}

fn unsent_to(queue: &str, unsent: Unsent) -> Error {
    let what = "sending a dead letter";
    match unsent {
        Unsent::Unroutable => refused(
            what,
            queue,
            "there is no such queue: make it, or name another; the dead letter stays where it is",
        ),
        Unsent::Refused(cause) | Unsent::Closed(_, cause) => refused(what, queue, cause),
        Unsent::Unknown(cause) => Error::Unreachable {
            what,
            queue: queue.to_owned(),
            cause: format!("{cause}; the dead letter stays where it is"),
            source: None,
        },
    }
}
