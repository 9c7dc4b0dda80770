//! A message on its way in: the message that a delivery of RabbitMQ becomes.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable},
};
use loafer_core::{
    broker::{DueTime, REQUEST_ID},
    message::{CORRELATION_ID, HeaderValue, Headers, Message, MessageId},
};

use crate::names::{
    headers::{
        APP_ID, ATTEMPT, CONTENT_ENCODING, CONTENT_TYPE, DELIVERY_COUNT, GROUP, KIND, PRIORITY,
        REPLY_TO, TOPIC, is_brokers,
    },
    is_delay_queue,
};

/// Returns the message that RabbitMQ delivered.
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

/// Returns which attempt this delivery is: the attempt that the last copy was made for, and the earlier deliveries of that copy.
fn attempt(headers: Option<&FieldTable>, redelivered: bool) -> u32 {
    let number = |name: &str| headers.and_then(|headers| number_of(headers, name));
    let base = number(ATTEMPT).unwrap_or(1).max(1);
    // Classic queues do not count. They only say that the message was delivered before.
    let before = number(DELIVERY_COUNT).unwrap_or(u32::from(redelivered));
    base.saturating_add(before)
}

/// Returns the sender's headers, without those that RabbitMQ wrote on the way.
fn headers(properties: &BasicProperties, given: Option<&FieldTable>) -> Headers {
    let mut headers = Headers::new();
    for (name, value) in given.into_iter().flatten() {
        let name = name.as_str();
        if is_brokers(name) || matches!(name, ATTEMPT | TOPIC | GROUP) {
            continue;
        }
        if name == DueTime::HEADER && !given.is_some_and(was_delayed) {
            continue;
        }
        match (typed(value), text(value)) {
            (Some(value), Some(text)) => headers.insert_value_as(name.to_owned(), text, value),
            (Some(value), None) => headers.insert_value(name.to_owned(), value),
            (None, Some(text)) => _ = headers.insert(name.to_owned(), text),
            (None, None) => {}
        }
    }
    // In requests, by the convention of RabbitMQ's own clients, the correlation id is the id of the request.
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
        // UTF-8 is what text is in anyway, so it is no header. Pigeon writes it as `utf8`.
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

/// Returns whether RabbitMQ says that the message comes out of a delay queue. Only then is what our copies say of themselves ours.
fn was_delayed(headers: &FieldTable) -> bool {
    let Some(AMQPValue::FieldArray(deaths)) = headers.inner().get("x-death") else {
        return false;
    };
    deaths.as_slice().iter().any(|death| match death {
        AMQPValue::FieldTable(death) => {
            text_of(death, "queue").is_some_and(|queue| is_delay_queue(&queue))
        }
        _ => false,
    })
}

fn number_of(headers: &FieldTable, name: &str) -> Option<u32> {
    u32::try_from(whole(headers.inner().get(name)?)?).ok()
}

fn whole(value: &AMQPValue) -> Option<i64> {
    Some(match value {
        AMQPValue::ShortShortInt(number) => i64::from(*number),
        AMQPValue::ShortShortUInt(number) => i64::from(*number),
        AMQPValue::ShortInt(number) => i64::from(*number),
        AMQPValue::ShortUInt(number) => i64::from(*number),
        AMQPValue::LongInt(number) => i64::from(*number),
        AMQPValue::LongUInt(number) => i64::from(*number),
        AMQPValue::LongLongInt(number) => *number,
        _ => return None,
    })
}

fn text_of(headers: &FieldTable, name: &str) -> Option<String> {
    text(headers.inner().get(name)?)
}

/// Returns a header's value as a number or bytes. `None` means that it is a text, or something that only AMQP has.
fn typed(value: &AMQPValue) -> Option<HeaderValue> {
    Some(match value {
        AMQPValue::Float(number) => HeaderValue::Float(f64::from(*number)),
        AMQPValue::Double(number) => HeaderValue::Float(*number),
        AMQPValue::ByteArray(bytes) => bytes.as_slice().to_vec().into(),
        value => HeaderValue::Int(whole(value)?),
    })
}

/// Returns a header's value as text. `None` means a list, a table, or bytes that are no text.
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

#[cfg(test)]
mod tests {
    use lapin::types::FieldArray;

    use super::*;

    /// Returns properties with these headers.
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
            ("x-tenant", text("acme")),
            ("x-first-death-queue", text("orders")),
            ("x-delivery-count", AMQPValue::LongLongInt(2)),
        ]);
        let message = received("order.closed", true, &given, Vec::new());
        assert_eq!(message.headers().get("x-tenant"), Some("acme"));
        assert_eq!(message.headers().get("x-first-death-queue"), None);
        assert_eq!(message.headers().get("x-delivery-count"), None);
    }

    #[test]
    fn a_due_time_is_believed_behind_a_delay_queue_alone() {
        let due = |queue: Option<&str>| {
            let mut headers = vec![(DueTime::HEADER, text("1000"))];
            if let Some(queue) = queue {
                let mut death = FieldTable::default();
                death.insert("queue".into(), text(queue));
                let deaths = FieldArray::from(vec![AMQPValue::FieldTable(death)]);
                headers.push(("x-death", AMQPValue::FieldArray(deaths)));
            }
            DueTime::of(&received("key", false, &with(&headers), Vec::new())).is_some()
        };
        assert!(due(Some("orders.retry.960s")));
        assert!(!due(Some("orders")) && !due(None));
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
        // Classic queues do not count.
        assert_eq!(attempt(&[], true), 2);
        assert_eq!(attempt(&[(ATTEMPT, number(-1))], false), 1);
    }
}
