//! Copying: confirmed copies of dead letters in one queue.

use std::sync::Arc;

use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable, ShortString},
};
use loafer_core::{
    Error,
    broker::{DeadLetter, Destination, PackedDeadLetter},
    message::Headers,
};

use super::{
    AmqpDeadLetters, native,
    packed::{Original, original},
};
use crate::{
    error::refused,
    names::headers::{ACQUIRED_COUNT, DELIVERY_COUNT},
    outgoing::{Entry, PERSISTENT, copied},
    publisher::channels::Unsent,
};

impl AmqpDeadLetters {
    pub(super) async fn send_copies(
        &self,
        to: &Destination,
        dead_letters: &[PackedDeadLetter],
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
        let entry = |packed: &PackedDeadLetter| {
            Ok(Entry {
                exchange: exchange.clone(),
                routing_key: routing_key.clone(),
                properties: properties(to, packed, original(packed)?),
                payload: packed.message().payload().clone(),
                mandatory: true,
            })
        };
        let mut entries = Vec::with_capacity(dead_letters.len());
        let mut answers = Vec::with_capacity(dead_letters.len());
        for packed in dead_letters {
            answers.push(entry(packed).map(|entry| entries.push(entry)));
        }
        let sent = self.channels.publish(queue, &entries.into()).await;
        let mut sent = sent.into_iter();
        for answer in answers.iter_mut().filter(|answer| answer.is_ok()) {
            *answer = match sent.next() {
                Some(sent) => sent.map_err(|unsent| unsent_to(queue, unsent)),
                None => Err(unsent_to(queue, Unsent::Unknown("no answer".into()))),
            };
        }
        answers
    }
}

/// Returns the properties of a copy.
fn properties(to: &Destination, packed: &PackedDeadLetter, original: Original) -> BasicProperties {
    let (message, given) = (packed.message(), original.properties);
    let added = packed.added_headers(to);
    let copy = match to {
        Destination::Source => {
            let copy = copied(&given, native::topic(message), values(&added));
            let headers = copy.headers().clone().unwrap_or_default();
            copy.with_headers(without(&headers, DeadLetter::HEADER))
        }
        // As it is, except for RabbitMQ's counts: the headers that say where it came from are of use in another queue, too.
        Destination::Queue(_) => {
            let mut headers = FieldTable::default();
            for (name, value) in given.headers().iter().flatten() {
                if !matches!(
                    name.as_str(),
                    DELIVERY_COUNT | ACQUIRED_COUNT | "CC" | "BCC"
                ) {
                    headers.insert(name.clone(), value.clone());
                }
            }
            for (name, value) in values(&added) {
                headers.insert(name.into(), value);
            }
            given.with_headers(headers).with_delivery_mode(PERSISTENT)
        }
    };
    match original.unnamed && *to == Destination::Source {
        // Its attempts, and a second failure, need one id.
        true => copy.with_message_id(ShortString::from(message.id().to_string())),
        false => copy,
    }
}

fn values(headers: &Headers) -> impl Iterator<Item = (&str, AMQPValue)> {
    let value = |value: &str| AMQPValue::LongString(value.into());
    headers.iter().map(move |(name, text)| (name, value(text)))
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
