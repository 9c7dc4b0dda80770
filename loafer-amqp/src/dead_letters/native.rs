//! What RabbitMQ wrote on a message that it gave up itself, and the ids of dead letters.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable},
};
use loafer_core::{broker::DeadLetter, message::Message};

use crate::{
    names::{self, headers::ATTEMPT},
    topology::Plan,
};

/// The queue in which the message was dead-lettered first, in RabbitMQ's own header.
const FIRST_QUEUE: &str = "x-first-death-queue";
/// The reason: `rejected`, `expired`, `maxlen`, `delivery_limit`.
const FIRST_REASON: &str = "x-first-death-reason";
/// The time of that death.
const DIED_AT: &str = "x-death-time";
/// The routing key that it was published with.
const ROUTING_KEY: &str = "x-death-routing-key";
/// Every death: a list of tables, the latest first (RabbitMQ docs, "Dead Letter Exchanges").
const DEATHS: &str = "x-death";

/// Adds to a dead letter the headers that say where and why RabbitMQ gave it up, as text, and the attempt.
pub(super) fn marked(message: Message, properties: &BasicProperties) -> Message {
    let Some(headers) = properties.headers() else {
        return message.with_attempt(1);
    };
    // One more than it was tried, for this look. Of a message that RabbitMQ gave up, tries are known only if a retry of ours wrote them down.
    let tried = headers.inner().get(ATTEMPT).and_then(number).unwrap_or(0);
    let mut message = message.with_attempt(tried.saturating_add(1));
    let death = first_death(headers);
    let said = |name: &str| death.and_then(|death| death.inner().get(name));
    let queue = said("queue")
        .and_then(text)
        .or_else(|| text(headers.inner().get(FIRST_QUEUE)?));
    let reason = said("reason")
        .and_then(text)
        .or_else(|| text(headers.inner().get(FIRST_REASON)?));
    let key = said("routing-keys").and_then(|keys| match keys {
        AMQPValue::FieldArray(keys) => text(keys.as_slice().first()?),
        _ => None,
    });
    let at = said("time").and_then(|time| match time {
        AMQPValue::Timestamp(seconds) => Some(seconds.to_string()),
        _ => None,
    });
    let queue = queue.map(|queue| names::without_delay(&queue).to_owned());
    let marks = [
        (FIRST_QUEUE, queue),
        (FIRST_REASON, reason),
        (DIED_AT, at),
        (ROUTING_KEY, key),
    ];
    for (name, mark) in marks {
        if let Some(mark) = mark {
            message = message.with_header(name, mark);
        }
    }
    message
}

/// Returns the queue in which RabbitMQ gave the message up. `None` means that it did not.
pub(super) fn died_in(message: &Message) -> Option<&str> {
    message.headers().get(FIRST_QUEUE)
}

/// Returns the topic that a dead letter was published to: the one RabbitMQ remembers, unless an envelope of ours kept the message's own.
pub(super) fn topic(message: &Message) -> Option<&str> {
    let envelope = message.headers().get(DeadLetter::HEADER).is_some();
    let died_with = message.headers().get(ROUTING_KEY).filter(|_| !envelope);
    died_with.or(message.topic())
}

/// Returns the first death outside the delay queues, where each retry dies once by design. If there is no other, returns the oldest.
fn first_death(headers: &FieldTable) -> Option<&FieldTable> {
    let AMQPValue::FieldArray(deaths) = headers.inner().get(DEATHS)? else {
        return None;
    };
    let tables = deaths.as_slice().iter().rev();
    let mut tables = tables.filter_map(|death| match death {
        AMQPValue::FieldTable(table) => Some(table),
        _ => None,
    });
    let oldest = tables.clone().next();
    let in_delay_queue = |table: &FieldTable| {
        let queue = table.inner().get("queue").and_then(text);
        queue.is_some_and(|queue| names::is_delay_queue(&queue))
    };
    tables.find(|table| !in_delay_queue(table)).or(oldest)
}

/// Returns the id of a dead letter, the same at every look: the sender's id, or a hash of the message. A message of another queue has that queue added.
pub(super) fn id(message: &Message, payload: &[u8], plan: &Plan, unnamed: bool) -> String {
    let envelope = DeadLetter::of(message).map(|envelope| envelope.queue);
    let queue = envelope.as_deref().or_else(|| died_in(message));
    let id = match unnamed {
        false => message.id().to_string(),
        true => {
            let mut hasher = DefaultHasher::new();
            payload.hash(&mut hasher);
            message.topic().hash(&mut hasher);
            for (name, value) in message.headers().iter() {
                (name, value).hash(&mut hasher);
            }
            format!("unnamed-{:016x}", hasher.finish())
        }
    };
    match queue {
        Some(queue) if queue != plan.queue => format!("{id}@{queue}"),
        _ => id,
    }
}

fn text(value: &AMQPValue) -> Option<String> {
    match value {
        AMQPValue::LongString(text) => Some(String::from_utf8_lossy(text.as_bytes()).into_owned()),
        AMQPValue::ShortString(text) => Some(text.to_string()),
        _ => None,
    }
}

fn number(value: &AMQPValue) -> Option<u32> {
    match value {
        AMQPValue::LongLongInt(number) => u32::try_from(*number).ok(),
        AMQPValue::LongInt(number) => u32::try_from(*number).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use lapin::types::FieldArray;
    use loafer_core::broker::Source;

    use super::*;
    use crate::{client::config::Config, options::Options};

    fn words(text: &str) -> AMQPValue {
        AMQPValue::LongString(text.into())
    }

    fn death(queue: &str, reason: &str, key: &str) -> AMQPValue {
        let mut table = FieldTable::default();
        table.insert("queue".into(), words(queue));
        table.insert("reason".into(), words(reason));
        table.insert("time".into(), AMQPValue::Timestamp(7));
        let keys = FieldArray::from(vec![words(key)]);
        table.insert("routing-keys".into(), AMQPValue::FieldArray(keys));
        AMQPValue::FieldTable(table)
    }

    fn died(deaths: Vec<AMQPValue>) -> BasicProperties {
        let mut headers = FieldTable::default();
        let deaths = AMQPValue::FieldArray(FieldArray::from(deaths));
        headers.insert(DEATHS.into(), deaths);
        headers.insert(ATTEMPT.into(), AMQPValue::LongLongInt(3));
        BasicProperties::default().with_headers(headers)
    }

    #[test]
    fn a_dead_letter_came_from_where_it_died_first() {
        let properties = died(vec![
            death("parked", "expired", "dead"),
            death("order.closed.stock", "delivery_limit", "order.closed"),
        ]);
        let dead = marked(Message::new("{}").with_topic("dead"), &properties);
        assert_eq!(died_in(&dead), Some("order.closed.stock"));
        assert_eq!(topic(&dead), Some("order.closed"));
        assert_eq!(dead.headers().get(FIRST_REASON), Some("delivery_limit"));
        assert_eq!(dead.attempt(), 4, "three tries, and this look");
    }

    #[test]
    fn a_death_in_a_delay_queue_does_not_count() {
        let retry = || death("a.b.retry.16s", "expired", "a.b.retry.16s");
        let given_up = died(vec![death("a.b", "delivery_limit", "a.b"), retry()]);
        assert_eq!(died_in(&marked(Message::new(""), &given_up)), Some("a.b"));
        let only = died(vec![retry()]);
        assert_eq!(died_in(&marked(Message::new(""), &only)), Some("a.b"));
    }

    #[test]
    fn a_dead_letter_has_the_same_id_at_every_look() {
        let plan = Plan::new(
            &Source::new("a", "a.b"),
            &Options::new(),
            &Config::default(),
        );
        let dead = || Message::new("{}").with_topic("a");
        let unnamed = id(&dead(), b"{}", &plan, true);
        assert_eq!(unnamed, id(&dead(), b"{}", &plan, true));
        assert_ne!(unnamed, id(&dead(), b"[]", &plan, true));
        let here = dead().with_header(FIRST_QUEUE, "a.b");
        assert_eq!(id(&here, b"", &plan, false), here.id().to_string());
        let theirs = dead().with_header(FIRST_QUEUE, "a.c");
        let expected = format!("{}@a.c", theirs.id());
        assert_eq!(id(&theirs, b"", &plan, false), expected);
    }
}
