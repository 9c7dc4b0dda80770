//! What RabbitMQ wrote on a letter that it gave up itself, and what letters are told apart by.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable},
};
use loafer_core::{DeadLetter, Message};

use crate::{message::ATTEMPT, names, topology::Plan};

/// The queue in which it died first, as RabbitMQ calls it.
const FIRST_QUEUE: &str = "x-first-death-queue";
/// Why: `rejected`, `expired`, `maxlen`, `delivery_limit`.
const FIRST_REASON: &str = "x-first-death-reason";
/// When it died there.
const DIED_AT: &str = "x-death-time";
/// What it was published with.
const ROUTING_KEY: &str = "x-death-routing-key";
/// Every death: a list of tables, the latest first (RabbitMQ docs, "Dead Letter Exchanges").
const DEATHS: &str = "x-death";

/// The letter with RabbitMQ's marks among its headers, in the form of texts, and with the attempt they tell of.
pub(super) fn marked(message: Message, properties: &BasicProperties) -> Message {
    let Some(headers) = properties.headers() else {
        return message.with_attempt(1);
    };
    // Less this look it is how often it was tried; that of what the broker gave up is known only where a retry of ours wrote it down.
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
    let queue = queue.map(|queue| names::of_rung(&queue).to_owned());
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

/// Where RabbitMQ gave it up, if it did.
pub(super) fn died_in(message: &Message) -> Option<&str> {
    message.headers().get(FIRST_QUEUE)
}

/// The topic a letter was published to, where its way here did not keep it.
pub(super) fn topic(message: &Message) -> Option<&str> {
    let envelope = message.headers().get(DeadLetter::HEADER).is_some();
    let died_with = message.headers().get(ROUTING_KEY).filter(|_| !envelope);
    died_with.or(message.topic())
}

/// The first death that was none: of those in a queue of retries every retry dies one.
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
    let is_retry = |table: &FieldTable| {
        let queue = table.inner().get("queue").and_then(text);
        queue.is_some_and(|queue| names::of_rung(&queue) != queue)
    };
    tables.find(|table| !is_retry(table)).or(oldest)
}

/// By what a letter is known, at every look: the id its sender gave it, with its queue where that is not the route's; else what it is made of.
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
    use loafer_core::Source;

    use super::*;

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
    fn a_letter_came_from_where_it_died_first() {
        let properties = died(vec![
            death("parked", "expired", "dead"),
            death("order.closed.stock", "delivery_limit", "order.closed"),
        ]);
        let letter = marked(Message::new("{}").with_topic("dead"), &properties);
        assert_eq!(died_in(&letter), Some("order.closed.stock"));
        assert_eq!(topic(&letter), Some("order.closed"));
        assert_eq!(letter.headers().get(FIRST_REASON), Some("delivery_limit"));
        assert_eq!(letter.attempt(), 4, "three tries, and this look");
    }

    #[test]
    fn a_death_among_the_retries_is_none() {
        let retry = || death("a.b.retry.16s", "expired", "a.b.retry.16s");
        let given_up = died(vec![death("a.b", "delivery_limit", "a.b"), retry()]);
        assert_eq!(died_in(&marked(Message::new(""), &given_up)), Some("a.b"));
        let only = died(vec![retry()]);
        assert_eq!(died_in(&marked(Message::new(""), &only)), Some("a.b"));
    }

    #[test]
    fn letters_are_known_by_the_same_id_at_every_look() {
        let plan = Plan::new(&Source::new("a", "a.b"), "event");
        let letter = || Message::new("{}").with_topic("a");
        let unnamed = id(&letter(), b"{}", &plan, true);
        assert_eq!(unnamed, id(&letter(), b"{}", &plan, true));
        assert_ne!(unnamed, id(&letter(), b"[]", &plan, true));
        let here = letter().with_header(FIRST_QUEUE, "a.b");
        assert_eq!(id(&here, b"", &plan, false), here.id().to_string());
        let theirs = letter().with_header(FIRST_QUEUE, "a.c");
        let expected = format!("{}@a.c", theirs.id());
        assert_eq!(id(&theirs, b"", &plan, false), expected);
    }
}
