//! A delivery as a message of Loafer, and what a copy of it says.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable},
};
use loafer_core::{CORRELATION_ID, Headers, Message, MessageId, REQUEST_ID};

use crate::{
    names::headers::{APP_ID, CONTENT_ENCODING, CONTENT_TYPE, KIND, PRIORITY, REPLY_TO},
    outgoing::PERSISTENT,
};

/// The header by which a copy says which attempt it is for: publishing it again reset the broker's own count.
pub(crate) const ATTEMPT: &str = "loafer-attempt";

/// The header by which a copy says what the message was published to: its own way led through a queue of retries.
pub(crate) const TOPIC: &str = "loafer-topic";

/// The header that Pigeon and its like read the event's name from.
pub(crate) const CATEGORY: &str = "category";

/// The header with the group a message was sent with: AMQP has no groups.
pub(crate) const GROUP: &str = "loafer-group";

/// The header that quorum queues count deliveries in.
const DELIVERY_COUNT: &str = "x-delivery-count";

/// From what the broker delivered.
pub(crate) fn received(
    routing_key: impl Into<Arc<str>>,
    redelivered: bool,
    properties: &BasicProperties,
    payload: Vec<u8>,
) -> Message {
    let id = match properties.message_id() {
        Some(id) if !id.as_str().is_empty() => MessageId::from(id.as_str()),
        _ => MessageId::new(),
    };
    let given = properties.headers().as_ref();
    let topic = given.and_then(|given| text_of(given, TOPIC));
    let mut message = Message::with_id(id, payload)
        .with_attempt(attempt(given, redelivered))
        .with_topic(topic.map_or_else(|| routing_key.into(), Arc::from));
    let headers = headers(properties, given);
    if !headers.is_empty() {
        message = message.with_headers(headers);
    }
    if let Some(group) = given.and_then(|given| text_of(given, GROUP)) {
        message = message.with_group(group);
    }
    if let Some(seconds) = properties.timestamp() {
        let sent = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(*seconds));
        message = sent.into_iter().fold(message, Message::with_sent_at);
    }
    message
}

/// Which delivery this is: what the last copy was for, and how often the broker has delivered that one before.
fn attempt(headers: Option<&FieldTable>, redelivered: bool) -> u32 {
    let number = |name: &str| headers.and_then(|headers| number_of(headers, name));
    let base = number(ATTEMPT).unwrap_or(1).max(1);
    // Classic queues do not count: that it came before is all they tell.
    let before = number(DELIVERY_COUNT).unwrap_or(u32::from(redelivered));
    base.saturating_add(before)
}

/// What the sender said of it; what brokers wrote on the way is left out.
fn headers(properties: &BasicProperties, given: Option<&FieldTable>) -> Headers {
    let mut headers = Headers::new();
    for (name, value) in given.into_iter().flatten() {
        let name = name.as_str();
        if is_brokers(name) || matches!(name, ATTEMPT | TOPIC | GROUP) {
            continue;
        }
        if let Some(text) = text(value) {
            headers.insert(name.to_owned(), text);
        }
    }
    // Of requests, by the convention of RabbitMQ's own clients, it is the request that is named there.
    let request_id = properties.correlation_id().as_ref();
    let request_id = request_id.filter(|_| properties.reply_to().is_some());
    let of_properties = [
        (REQUEST_ID, &request_id.cloned()),
        (CONTENT_TYPE, properties.content_type()),
        (CONTENT_ENCODING, properties.content_encoding()),
        (CORRELATION_ID, properties.correlation_id()),
        (REPLY_TO, properties.reply_to()),
        (APP_ID, properties.app_id()),
        (KIND, properties.kind()),
    ];
    for (name, value) in of_properties {
        // That text is UTF-8 goes without saying; so Pigeon writes it as well.
        let usual = |value: &str| {
            name == CONTENT_ENCODING && ["utf-8", "utf8"].contains(&&*value.to_ascii_lowercase())
        };
        if let Some(value) = value
            && headers.get(name).is_none()
            && !usual(value.as_str())
        {
            headers.insert(name, value.as_str());
        }
    }
    if let Some(priority) = properties.priority() {
        headers.insert(PRIORITY, priority.to_string());
    }
    headers
}

/// The properties of a copy: those the message came with, and what is said of the copy.
pub(crate) fn copied(
    original: &BasicProperties,
    topic: Option<&str>,
    said: impl IntoIterator<Item = (&'static str, AMQPValue)>,
) -> BasicProperties {
    let mut headers = FieldTable::default();
    for (name, value) in original.headers().iter().flatten() {
        // What the broker counted and wrote of the original is none of the copy's, which goes to one queue and to no others.
        if !is_brokers(name.as_str()) && !matches!(name.as_str(), ATTEMPT | "CC" | "BCC") {
            headers.insert(name.clone(), value.clone());
        }
    }
    if let Some(topic) = topic {
        headers.insert(TOPIC.into(), AMQPValue::LongString(topic.into()));
    }
    for (name, value) in said {
        headers.insert(name.into(), value);
    }
    let mut copy = BasicProperties::default()
        .with_headers(headers)
        .with_delivery_mode(PERSISTENT);
    // Without `expiration`, by which it would come back too early, and `user_id`, which only the user it names may publish.
    macro_rules! keep {
        ($($get:ident $with:ident),*) => {
            $(if let Some(value) = original.$get() {
                copy = copy.$with(value.clone());
            })*
        };
    }
    keep!(
        content_type with_content_type,
        content_encoding with_content_encoding,
        priority with_priority,
        correlation_id with_correlation_id,
        reply_to with_reply_to,
        message_id with_message_id,
        timestamp with_timestamp,
        kind with_type,
        app_id with_app_id,
        cluster_id with_cluster_id
    );
    copy
}

fn number_of(headers: &FieldTable, name: &str) -> Option<u32> {
    let whole = match headers.inner().get(name)? {
        AMQPValue::ShortShortInt(number) => i64::from(*number),
        AMQPValue::ShortShortUInt(number) => i64::from(*number),
        AMQPValue::ShortInt(number) => i64::from(*number),
        AMQPValue::ShortUInt(number) => i64::from(*number),
        AMQPValue::LongInt(number) => i64::from(*number),
        AMQPValue::LongUInt(number) => i64::from(*number),
        AMQPValue::LongLongInt(number) => *number,
        _ => return None,
    };
    u32::try_from(whole).ok()
}

fn text_of(headers: &FieldTable, name: &str) -> Option<String> {
    text(headers.inner().get(name)?)
}

/// A header as text; none of lists, tables and bytes that are no text.
fn text(value: &AMQPValue) -> Option<String> {
    Some(match value {
        AMQPValue::LongString(text) => std::str::from_utf8(text.as_bytes()).ok()?.to_owned(),
        AMQPValue::ShortString(text) => text.as_str().to_owned(),
        AMQPValue::Boolean(truth) => truth.to_string(),
        AMQPValue::ShortShortInt(number) => number.to_string(),
        AMQPValue::ShortShortUInt(number) => number.to_string(),
        AMQPValue::ShortInt(number) => number.to_string(),
        AMQPValue::ShortUInt(number) => number.to_string(),
        AMQPValue::LongInt(number) => number.to_string(),
        AMQPValue::LongUInt(number) => number.to_string(),
        AMQPValue::LongLongInt(number) => number.to_string(),
        AMQPValue::Float(number) => number.to_string(),
        AMQPValue::Double(number) => number.to_string(),
        AMQPValue::Timestamp(seconds) => seconds.to_string(),
        _ => return None,
    })
}

/// Whether RabbitMQ writes this header itself, of deaths and deliveries. Others that begin with `x-` are the sender's.
fn is_brokers(name: &str) -> bool {
    [
        "x-death",
        "x-first-death-",
        "x-last-death-",
        "x-delivery-",
        "x-acquired-",
        "x-stream-",
    ]
    .iter()
    .any(|own| name.starts_with(own))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What came with these headers.
    fn with(headers: &[(&str, AMQPValue)]) -> BasicProperties {
        let mut table = FieldTable::default();
        for (name, value) in headers {
            table.insert((*name).into(), value.clone());
        }
        BasicProperties::default().with_headers(table)
    }

    fn text(text: &str) -> AMQPValue {
        AMQPValue::LongString(text.into())
    }

    #[test]
    fn headers_of_the_sender_are_kept_and_those_of_the_broker_are_not() {
        let given = with(&[
            ("CC", text("billing")),
            ("x-tenant", text("acme")),
            ("x-first-death-queue", text("orders")),
            ("x-delivery-count", AMQPValue::LongLongInt(2)),
        ])
        .with_user_id("ana".into())
        .with_expiration("1000".into());
        let message = received("order.closed", true, &given, Vec::new());
        assert_eq!(message.headers().get("x-tenant"), Some("acme"));
        let copy = copied(&given, None, [(ATTEMPT, AMQPValue::LongLongInt(4))]);
        let headers = copy.headers().clone().unwrap();
        let names: Vec<&str> = headers.inner().keys().map(|name| name.as_str()).collect();
        assert_eq!(names, [ATTEMPT, "x-tenant"]);
        assert_eq!((copy.user_id(), copy.expiration()), (&None, &None));
    }

    #[test]
    fn attempts_are_those_of_the_copies_and_of_the_broker() {
        let attempt = |headers: &[(&str, AMQPValue)], redelivered| {
            received("key", redelivered, &with(headers), Vec::new()).attempt()
        };
        let number = AMQPValue::LongLongInt;
        assert_eq!(attempt(&[], false), 1);
        assert_eq!(attempt(&[("x-delivery-count", number(0))], false), 1);
        assert_eq!(attempt(&[("x-delivery-count", number(2))], true), 3);
        assert_eq!(attempt(&[(ATTEMPT, number(3))], false), 3);
        assert_eq!(
            attempt(
                &[(ATTEMPT, number(3)), ("x-delivery-count", number(1))],
                true
            ),
            4
        );
        // Classic queues don't count.
        assert_eq!(attempt(&[], true), 2);
        assert_eq!(attempt(&[(ATTEMPT, number(-1))], false), 1);
    }
}
