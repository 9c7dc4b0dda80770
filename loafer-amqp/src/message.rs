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
        ACQUIRED_COUNT, APP_ID, ATTEMPT, CONTENT_ENCODING, CONTENT_TYPE, DELIVERIES,
        DELIVERY_COUNT, FIRST_FAILED_AT, GROUP, KIND, PRIORITY, REPLY_TO, TOPIC, is_brokers,
        is_ours,
    },
    is_delay_queue,
};

/// How RabbitMQ delivered a message. It decides what is believed of the message's headers.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Arrival<'d> {
    /// The exchange that it was published to. It is empty for the default exchange, whose publishers name a queue.
    pub(crate) exchange: &'d str,
    pub(crate) redelivered: bool,
    /// Whether its queue counts deliveries: a quorum queue does.
    pub(crate) counted: bool,
    /// The exchange behind the service's delay queues. Only what carries its retries on publishes there.
    pub(crate) delays: &'d str,
    /// Whether its queue is for messages that we write, for example dead letters. What headers of ours say is believed there.
    pub(crate) ours: bool,
}

/// Returns the message that RabbitMQ delivered.
pub(crate) fn received(
    routing_key: impl Into<Arc<str>>,
    arrival: Arrival<'_>,
    properties: &BasicProperties,
    payload: Vec<u8>,
) -> Message {
    let id = match properties.message_id() {
        Some(id) if !id.as_str().is_empty() => MessageId::from(id.as_str()),
        _ => MessageId::new(),
    };
    let given = properties.headers().as_ref();
    // Our copies reach a queue by the default exchange, which only those may write to who may write into each queue. So others can't say any of it, not
    // even with a death that they made up.
    let returned = arrival.exchange == arrival.delays;
    let direct = given.filter(|_| returned || arrival.exchange.is_empty());
    // The exchange behind the delay queues has no other publishers. Otherwise RabbitMQ itself must say that the message comes out of a delay queue.
    let delayed = direct.is_some_and(|given| !arrival.exchange.is_empty() || was_delayed(given));
    let believed = direct.filter(|_| delayed || arrival.ours);
    // A dead letter that is retried comes straight to the queue. It says no more than the routing key does elsewhere.
    let topic = direct.and_then(|given| text_of(given, TOPIC));
    let attempt = believed.and_then(|given| number_of(given, ATTEMPT));
    let attempt = attempt.unwrap_or(1).max(1);
    let mut message = Message::with_id(id, payload)
        .with_attempt(attempt)
        .with_topic(topic.map_or_else(|| routing_key.into(), Arc::from));
    // Only an isolated copy says how often its message was delivered before it.
    let isolated = direct.filter(|_| arrival.ours);
    let earlier = isolated.and_then(|given| number_of(given, DELIVERIES));
    if arrival.redelivered || earlier.is_some() {
        let first = earlier.map_or(attempt, |earlier| earlier.saturating_add(1));
        let returns = returns(arrival, given).unwrap_or(u32::from(arrival.redelivered));
        message = message.with_deliveries(first.saturating_add(returns));
    }
    let headers = headers(properties, given, delayed);
    if !headers.is_empty() {
        message = message.with_headers(headers);
    }
    // Every publisher may say a group, which only says what is not handled at the same time.
    if let Some(group) = given.and_then(|given| text_of(given, GROUP)) {
        message = message.with_group(group);
    }
    if let Some(first) = believed.and_then(first_failed_at) {
        message = message.with_first_failed_at(first);
    }
    if let Some(seconds) = properties.timestamp() {
        message = sent_at(*seconds)
            .into_iter()
            .fold(message, Message::with_sent_at);
    }
    message
}

/// Returns how often this copy of a message was delivered before, once RabbitMQ says that it was. Before that, the counts are those of an earlier queue,
/// or of a publisher. `None` means that it was not, or that its queue does not count.
pub(crate) fn returns(arrival: Arrival<'_>, headers: Option<&FieldTable>) -> Option<u32> {
    let headers = headers.filter(|_| arrival.redelivered && arrival.counted)?;
    // From RabbitMQ 4.3 on, only the first counts each return. Before, there is only the second.
    let mut counts = [ACQUIRED_COUNT, DELIVERY_COUNT].into_iter();
    let count = counts.find_map(|name| number_of(headers, name))?;
    Some(count.max(1))
}

/// Returns when a publisher says that it sent a message. RabbitMQ does not look at it, so zero, and what is no time before the year 10000 in seconds,
/// are no time: some publishers write milliseconds.
fn sent_at(seconds: u64) -> Option<SystemTime> {
    const YEAR_10000: u64 = 253_402_300_800;
    let known = (1..YEAR_10000).contains(&seconds);
    known.then(|| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
}

fn first_failed_at(headers: &FieldTable) -> Option<SystemTime> {
    match headers.inner().get(FIRST_FAILED_AT)? {
        AMQPValue::Timestamp(seconds) => {
            SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(*seconds))
        }
        _ => None,
    }
}

/// Returns the sender's headers, without those that RabbitMQ wrote on the way.
fn headers(properties: &BasicProperties, given: Option<&FieldTable>, delayed: bool) -> Headers {
    let mut headers = Headers::new();
    for (name, value) in given.into_iter().flatten() {
        let name = name.as_str();
        let due = delayed && name == DueTime::HEADER;
        if is_brokers(name) || (is_ours(name) && !due) {
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

/// Returns whether RabbitMQ says that the message comes out of a delay queue. Only then does a copy say which attempt it is.
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

pub(crate) fn text_of(headers: &FieldTable, name: &str) -> Option<String> {
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

    #[test]
    fn a_time_that_is_none_is_left_out() {
        let sent = |seconds| {
            let properties = BasicProperties::default().with_timestamp(seconds);
            received("key", Arrival::default(), &properties, Vec::new()).sent_at()
        };
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_793_000_000);
        assert_eq!(sent(1_793_000_000), Some(at));
        for odd in [0, 1_793_000_000_000, 1 << 63, u64::MAX] {
            assert_eq!(sent(odd), None, "{odd}");
        }
    }

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

    fn number(number: i64) -> AMQPValue {
        AMQPValue::LongLongInt(number)
    }

    /// Returns RabbitMQ's header about a death in this queue.
    fn died_in(queue: &str) -> (&'static str, AMQPValue) {
        let mut death = FieldTable::default();
        death.insert("queue".into(), text(queue));
        let deaths = FieldArray::from(vec![AMQPValue::FieldTable(death)]);
        ("x-death", AMQPValue::FieldArray(deaths))
    }

    /// Returns a message that was published to this exchange and delivered from a route's queue.
    fn from(exchange: &str, headers: &[(&str, AMQPValue)], redelivered: bool) -> Message {
        let arrival = Arrival {
            exchange,
            delays: "app.delays",
            redelivered,
            counted: true,
            ours: false,
        };
        received("key", arrival, &with(headers), Vec::new())
    }

    #[test]
    fn headers_of_the_sender_are_kept_and_those_of_the_broker_are_not() {
        let given = [
            ("x-tenant", text("acme")),
            ("x-first-death-queue", text("orders")),
            ("x-delivery-count", number(2)),
        ];
        let message = from("event", &given, true);
        assert_eq!(message.headers().get("x-tenant"), Some("acme"));
        assert_eq!(message.headers().get("x-first-death-queue"), None);
        assert_eq!(message.headers().get("x-delivery-count"), None);
    }

    #[test]
    fn what_copies_say_is_believed_behind_a_delay_queue_and_in_queues_of_ours_alone() {
        let said = [
            (DueTime::HEADER, text("1000")),
            (ATTEMPT, number(4)),
            (DELIVERIES, number(21)),
            (FIRST_FAILED_AT, AMQPValue::Timestamp(7)),
            (TOPIC, text("order.closed")),
        ];
        let behind = |queue: &str, exchange: &str| {
            let death = died_in(queue);
            let headers: Vec<_> = said.iter().cloned().chain([death]).collect();
            from(exchange, &headers, false)
        };
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(7);
        let copy = behind("orders.retry.960s", "");
        assert!(DueTime::of(&copy).is_some());
        assert_eq!((copy.attempt(), copy.first_failed_at()), (4, Some(at)));
        assert_eq!(copy.deliveries(), 4);
        assert_eq!(copy.topic(), Some("order.closed"));
        assert_eq!(from("app.delays", &said, false).attempt(), 4);
        let ours = Arrival {
            ours: true,
            ..Arrival::default()
        };
        let isolated = received("key", ours, &with(&said), Vec::new());
        assert_eq!((isolated.attempt(), isolated.topic()), (4, copy.topic()));
        assert_eq!(isolated.deliveries(), 22);
        for forged in [
            behind("orders.retry.960s", "event"),
            behind("orders", "event"),
            from("event", &said, false),
        ] {
            assert!(DueTime::of(&forged).is_none());
            assert_eq!((forged.attempt(), forged.first_failed_at()), (1, None));
            assert_eq!((forged.topic(), forged.headers().len()), (Some("key"), 0));
        }
        // A dead letter that is retried goes to the queue itself.
        let retried = from("", &said, false);
        assert_eq!(
            (retried.topic(), retried.attempt()),
            (Some("order.closed"), 1)
        );
    }

    #[test]
    fn a_time_beyond_all_clocks_is_none() {
        let far = (FIRST_FAILED_AT, AMQPValue::Timestamp(u64::MAX));
        let text = (FIRST_FAILED_AT, text("yesterday"));
        for at in [far, text] {
            let message = from("", &[died_in("orders.retry.1s"), at], false);
            assert_eq!(message.first_failed_at(), None);
        }
    }

    #[test]
    fn attempts_are_those_of_the_copies_and_deliveries_those_of_the_broker() {
        let counts = |headers: &[(&str, AMQPValue)], redelivered| {
            let headers: Vec<_> = headers
                .iter()
                .cloned()
                .chain([died_in("orders.retry.1s")])
                .collect();
            let message = from("", &headers, redelivered);
            (message.attempt(), message.deliveries())
        };
        let delivered = |times| (DELIVERY_COUNT, number(times));
        let acquired = |times| (ACQUIRED_COUNT, number(times));
        let attempt = |attempt| (ATTEMPT, number(attempt));
        assert_eq!(counts(&[], false), (1, 1));
        assert_eq!(counts(&[delivered(0)], false), (1, 1));
        assert_eq!(counts(&[delivered(2)], true), (1, 3));
        assert_eq!(counts(&[attempt(3)], false), (3, 3));
        assert_eq!(counts(&[attempt(3), delivered(1)], true), (3, 4));
        // RabbitMQ 4.3 counts each return in one header, and some of them in the other.
        assert_eq!(counts(&[acquired(4)], true), (1, 5));
        assert_eq!(counts(&[acquired(4), delivered(1)], true), (1, 5));
        // Left over from an earlier queue, or forged.
        assert_eq!(counts(&[acquired(9), delivered(9)], false), (1, 1));
        for forged in [-1, 0, i64::MAX] {
            assert_eq!(counts(&[attempt(forged), delivered(forged)], true), (1, 2));
        }
        let most = i64::from(u32::MAX);
        assert_eq!(
            counts(&[attempt(most), delivered(most)], true),
            (u32::MAX, u32::MAX)
        );
        // Classic queues do not count.
        let classic = Arrival {
            redelivered: true,
            ..Arrival::default()
        };
        let message = received("key", classic, &with(&[delivered(9)]), Vec::new());
        assert_eq!((message.attempt(), message.deliveries()), (1, 2));
    }
}
