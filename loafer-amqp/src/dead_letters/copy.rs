//! Copying: a confirmed copy in one queue, then the dead letter is deleted.

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
        dead: &[Delivery<DeadLetterReceipt>],
        answers: &mut Vec<Result<(), Error>>,
    ) {
        let (queue, from) = match self.target(to) {
            Ok(found) => found,
            Err(cause) => {
                let refused = || refused("sending dead letters", &self.plan.queue, cause.clone());
                return answers.extend(dead.iter().map(|_| Err(refused())));
            }
        };
        // To one queue, and to no exchange that others listen to: services that handled the message do not get it again.
        let (exchange, routing_key): (Arc<str>, Arc<str>) = ("".into(), queue.as_str().into());
        let entries = dead.iter().map(|dead| Entry {
            exchange: exchange.clone(),
            routing_key: routing_key.clone(),
            properties: properties(to, dead),
            payload: dead.message.payload().clone(),
            mandatory: true,
        });
        let sent = self.channels.publish(&queue, &entries.collect()).await;
        let confirmed: Vec<_> = dead
            .iter()
            .zip(&sent)
            .filter(|(_, sent)| sent.is_ok())
            .map(|(dead, _)| &dead.receipt)
            .collect();
        let mut leased = self.leased.lock().await;
        let mut deleted = leased.delete(from, &confirmed).await.into_iter();
        drop(leased);
        answers.extend(sent.into_iter().map(|sent| match sent {
            Ok(()) => deleted.next().unwrap_or(Ok(())).map_err(|error| {
                let cause =
                    format!("its copy is in `{queue}`, and it is still in `{from}`: {error}");
                refused("deleting a dead letter", from, cause)
            }),
            Err(unsent) => Err(unsent_to(&queue, unsent)),
        }));
    }

    /// Returns the queue that dead letters go to, and the one they are in.
    fn target(&self, to: &Destination) -> Result<(String, &str), String> {
        let from = self.queue().map_err(|error| error.to_string())?;
        let queue = match to {
            Destination::Source => &self.plan.queue,
            Destination::Queue(queue) => queue.strip_prefix("amqp:").unwrap_or(queue),
        };
        match queue == from {
            true => Err(format!(
                "`{queue}` is the dead-letter queue itself: name another"
            )),
            false => Ok((queue.to_owned(), from)),
        }
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
