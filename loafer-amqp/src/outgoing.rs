//! A message on its way out: where it goes, and its properties.
//!
//! What every message has comes first, then what the configuration adds, then what the message itself says, which is the strongest.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable, ShortString},
};
use loafer_core::{
    broker::REQUEST_ID,
    message::{CORRELATION_ID, HeaderValue, Message, Outgoing},
};

use crate::names::{
    MAX_BYTES,
    headers::{
        APP_ID, CATEGORY, CONTENT_ENCODING, CONTENT_TYPE, EXPIRATION, GROUP, KIND, PRIORITY,
        REPLY_TO, STANDING_FOR, TOPIC, is_brokers, is_ours,
    },
};

/// One message for the client, and where it goes.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) exchange: Arc<str>,
    pub(crate) routing_key: Arc<str>,
    pub(crate) properties: BasicProperties,
    pub(crate) payload: Bytes,
    /// Whether RabbitMQ returns the message if no queue takes it.
    pub(crate) mandatory: bool,
}

/// The delivery mode of messages that are written to disk.
pub(crate) const PERSISTENT: u8 = 2;

const JSON: &str = "application/json";

const UTF_8: &str = "utf-8";

/// The bytes of a frame with properties beside these: its own frame, the class, the size of the body, the flags.
const AROUND: usize = 8 + 14;

/// The bytes that RabbitMQ adds on the way, beside names: `x-death`, `x-first-death-…`, `x-last-death-…`, and counts of deliveries.
const ADDED: usize = 400;

/// How often RabbitMQ writes a name into these headers.
const NAMED: usize = 4;

impl Entry {
    /// Returns how many bytes of it count towards RabbitMQ's `max_message_size`, or a few more.
    pub(crate) fn size(&self) -> usize {
        self.payload.len() + frame(&self.properties)
    }
}

/// What all messages of one publish call have in common.
pub(crate) struct Common<'c> {
    /// The name of the event. `None` means that the messages are no events.
    pub(crate) event: Option<&'c str>,
    pub(crate) app_id: Option<&'c str>,
    /// Headers of every message that has none of that name.
    pub(crate) headers: &'c [(String, String)],
    /// The largest frame in bytes: properties must fit into one.
    pub(crate) frame_max: usize,
}

/// Returns the properties of a message on its way out. If they don't fit into a frame, optional headers are left out, the last first. The id of the
/// event is not among these. The error says what AMQP can't carry.
pub(crate) fn published(
    outgoing: &Outgoing,
    common: &Common<'_>,
) -> Result<BasicProperties, String> {
    let whole = properties(&outgoing.message, common)?;
    let size = frame(&whole);
    if size <= common.frame_max {
        return Ok(whole);
    }
    let mut message = outgoing.message.clone();
    for optional in outgoing.optional.iter().rev() {
        let mut headers = message.headers().clone();
        headers.remove(optional);
        message = message.with_headers(headers);
        let fewer = properties(&message, common)?;
        if frame(&fewer) <= common.frame_max {
            return Ok(fewer);
        }
    }
    Err(format!(
        "its headers take {size} bytes, and RabbitMQ allows {} (`frame_max`): put into the payload what is large",
        common.frame_max
    ))
}

/// Returns the properties of a message. Its own headers outrank the rest.
fn properties(message: &Message, common: &Common<'_>) -> Result<BasicProperties, String> {
    let own = message.headers();
    let id = message.id().to_string();
    let content_type = own.get(CONTENT_TYPE).unwrap_or(JSON);
    if common.event.is_some() && content_type == JSON && message.payload().is_empty() {
        return Err(
            "an event can't be empty: nobody who listens could decode it; publish a value, or say by the header `content-type` that it is no JSON"
                .to_owned(),
        );
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let mut properties = BasicProperties::default()
        .with_delivery_mode(PERSISTENT)
        .with_content_type(short(CONTENT_TYPE, content_type)?)
        .with_message_id(short("message id", &id)?)
        .with_correlation_id(correlation_id(message, &id)?)
        .with_timestamp(now.map_or(0, |now| now.as_secs()))
        .with_headers(table(message, common)?);
    let text = content_type == JSON || content_type.starts_with("text/");
    if let Some(encoding) = own.get(CONTENT_ENCODING).or(text.then_some(UTF_8)) {
        properties = properties.with_content_encoding(short(CONTENT_ENCODING, encoding)?);
    }
    if let Some(app_id) = own.get(APP_ID).or(common.app_id) {
        properties = properties.with_app_id(short(APP_ID, app_id)?);
    }
    if let Some(reply_to) = own.get(REPLY_TO) {
        properties = properties.with_reply_to(short(REPLY_TO, reply_to)?);
    }
    if let Some(kind) = own.get(KIND) {
        properties = properties.with_type(short(KIND, kind)?);
    }
    if let Some(priority) = own.get(PRIORITY) {
        let number = priority.parse().map_err(|_| {
            format!(
                "its header `{PRIORITY}` is no whole number from 0 to 255: set one, or leave it out"
            )
        })?;
        properties = properties.with_priority(number);
    }
    if let Some(expiration) = own.get(EXPIRATION) {
        let millis: u32 = expiration.parse().map_err(|_| {
            format!("its header `{EXPIRATION}` is no whole number of milliseconds, as `60000`: set one, or leave it out")
        })?;
        properties = properties.with_expiration(millis.to_string().into());
    }
    Ok(properties)
}

/// Returns the correlation id. In requests and replies, by the convention of RabbitMQ's own clients, it is the id of the request.
fn correlation_id(message: &Message, id: &str) -> Result<ShortString, String> {
    let own = message.headers();
    match own.get(REQUEST_ID) {
        Some(request) => short(REQUEST_ID, request),
        None => short(CORRELATION_ID, own.get(CORRELATION_ID).unwrap_or(id)),
    }
}

fn table(message: &Message, common: &Common<'_>) -> Result<FieldTable, String> {
    let mut headers = FieldTable::default();
    let own = message.headers();
    let mut set = |name: &str, text: &str| -> Result<(), String> {
        let value = match own.value(name) {
            Some(HeaderValue::Int(number)) => AMQPValue::LongLongInt(*number),
            Some(HeaderValue::Float(number)) => AMQPValue::Double(*number),
            Some(HeaderValue::Binary(bytes)) => AMQPValue::ByteArray(bytes.to_vec().into()),
            _ => AMQPValue::LongString(text.into()),
        };
        headers.insert(short("name of a header", name)?, value);
        Ok(())
    };
    for (name, value) in common.headers {
        set(name, value)?;
    }
    // In requests the property is the id of the request, so the correlation id goes into the table.
    let of_request = own.get(REQUEST_ID).is_some();
    for (name, value) in own.iter() {
        if (of_request || name != CORRELATION_ID) && !STANDING_FOR.contains(&name) && !is_ours(name)
        {
            set(name, value)?;
        }
    }
    // A message that is forwarded may have the name of another event.
    if let Some(event) = common.event {
        set(CATEGORY, event)?;
    }
    if let Some(group) = message.group() {
        set(GROUP, group)?;
    }
    Ok(headers)
}

fn short(what: &str, text: &str) -> Result<ShortString, String> {
    match text.len() {
        ..=MAX_BYTES => Ok(ShortString::from(text)),
        length => Err(format!(
            "its {what} has {length} bytes, and AMQP carries {MAX_BYTES}: shorten it"
        )),
    }
}

/// Returns the bytes that a header's value takes.
fn value(of: &AMQPValue) -> usize {
    match of {
        AMQPValue::LongString(text) => 5 + text.as_bytes().len(),
        AMQPValue::ShortString(text) => 2 + text.as_str().len(),
        AMQPValue::ByteArray(bytes) => 5 + bytes.as_slice().len(),
        AMQPValue::FieldArray(values) => 5 + values.as_slice().iter().map(value).sum::<usize>(),
        AMQPValue::FieldTable(table) => {
            let entries = table.into_iter();
            5 + entries
                .map(|(name, of)| 1 + name.as_str().len() + value(of))
                .sum::<usize>()
        }
        // Numbers, booleans and times.
        _ => 9,
    }
}

/// Returns the bytes of the frame that carries these properties.
pub(crate) fn frame(properties: &BasicProperties) -> usize {
    size(properties) + AROUND
}

/// Returns how many bytes RabbitMQ adds to the frame of a message that is dead-lettered once, at most. `name` is the longest of queue, exchange and
/// routing key.
pub(crate) fn growth(name: usize) -> usize {
    ADDED + NAMED * name
}

/// Returns the bytes that properties take in their frame.
fn size(properties: &BasicProperties) -> usize {
    let short =
        |text: &Option<ShortString>| text.as_ref().map_or(0, |text| 1 + text.as_str().len());
    let headers = properties.headers().iter().flatten();
    let headers: usize = headers
        .map(|(name, of)| 1 + name.as_str().len() + value(of))
        .sum();
    let texts = [
        properties.content_type(),
        properties.content_encoding(),
        properties.correlation_id(),
        properties.reply_to(),
        properties.expiration(),
        properties.message_id(),
        properties.kind(),
        properties.app_id(),
    ];
    // The length of the table, the delivery mode, the priority and the timestamp.
    4 + headers + texts.into_iter().map(short).sum::<usize>() + 1 + 1 + 8
}

/// Returns the properties of a copy: those of the original, its topic, and what else is said of the copy.
pub(crate) fn copied<'s>(
    original: &BasicProperties,
    topic: Option<&str>,
    said: impl IntoIterator<Item = (&'s str, AMQPValue)>,
) -> BasicProperties {
    // What was said of the original does not hold for the copy. A group is the publisher's.
    let mut headers = headers_of(original, |name| !is_ours(name) || name == GROUP);
    if let Some(topic) = topic {
        headers.insert(TOPIC.into(), AMQPValue::LongString(topic.into()));
    }
    for (name, value) in said {
        headers.insert(name.into(), value);
    }
    with_headers(original, headers)
}

/// Returns the properties of a copy that is on its way further: it says what the original said.
pub(crate) fn passed_on(original: &BasicProperties) -> BasicProperties {
    with_headers(original, headers_of(original, |_| true))
}

/// Returns the headers that a copy has of its original.
fn headers_of(original: &BasicProperties, keep: impl Fn(&str) -> bool) -> FieldTable {
    let mut headers = FieldTable::default();
    for (name, value) in original.headers().iter().flatten() {
        let name = name.as_str();
        // A copy goes to one queue only.
        if keep(name) && !is_brokers(name) && !matches!(name, "CC" | "BCC") {
            headers.insert(name.into(), value.clone());
        }
    }
    headers
}

/// Returns the properties of a copy with these headers.
fn with_headers(original: &BasicProperties, headers: FieldTable) -> BasicProperties {
    let mut copy = BasicProperties::default()
        .with_headers(headers)
        .with_delivery_mode(PERSISTENT);
    // Not `expiration`, which would end the copy's delay, and not `user_id`, which only that user may publish.
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

#[cfg(test)]
mod tests;
