//! The properties of a message on its way out: what every message has, what the configuration adds, what the message itself says.

use std::time::{SystemTime, UNIX_EPOCH};

use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable, ShortString},
};
use loafer_core::{CORRELATION_ID, Message};

use crate::{
    headers::{
        APP_ID, CONTENT_ENCODING, CONTENT_TYPE, EXPIRATION, KIND, PRIORITY, REPLY_TO, STANDING_FOR,
    },
    message::{CATEGORY, GROUP},
    routing::SHORT,
};

/// Persistent: written to disk.
pub(crate) const PERSISTENT: u8 = 2;

pub(crate) const JSON: &str = "application/json";

const UTF_8: &str = "utf-8";

/// What a frame with properties holds beside them: its own frame, class, size of the body, flags.
const AROUND: usize = 8 + 14;

/// What is said of every message of one publication.
pub(crate) struct Common<'c> {
    /// The name of the event; none: what is published is no event.
    pub(crate) event: Option<&'c str>,
    pub(crate) app_id: Option<&'c str>,
    /// Headers, where the message has none of that name.
    pub(crate) headers: &'c [(String, String)],
    /// The largest frame, in bytes: properties can't be cut.
    pub(crate) frame_max: usize,
}

/// The properties of a message. What its own headers say outranks the rest; the error says what of it AMQP can't carry.
pub(crate) fn published(message: &Message, common: &Common<'_>) -> Result<BasicProperties, String> {
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
        .with_correlation_id(short(
            CORRELATION_ID,
            own.get(CORRELATION_ID).unwrap_or(&id),
        )?)
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
    let size = size(&properties) + AROUND;
    if size > common.frame_max {
        return Err(format!(
            "its headers take {size} bytes, and RabbitMQ allows {} (`frame_max`): put into the payload what is large",
            common.frame_max
        ));
    }
    Ok(properties)
}

fn table(message: &Message, common: &Common<'_>) -> Result<FieldTable, String> {
    let mut headers = FieldTable::default();
    let mut set = |name: &str, value: &str| -> Result<(), String> {
        let value = AMQPValue::LongString(value.into());
        headers.insert(short("name of a header", name)?, value);
        Ok(())
    };
    for (name, value) in common.headers {
        set(name, value)?;
    }
    for (name, value) in message.headers().iter() {
        if name != CORRELATION_ID && !STANDING_FOR.contains(&name) {
            set(name, value)?;
        }
    }
    // A message that is passed on has the name of another event.
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
        ..=SHORT => Ok(ShortString::from(text)),
        length => Err(format!(
            "its {what} has {length} bytes, and AMQP carries {SHORT}: shorten it"
        )),
    }
}

/// The bytes that properties take in their frame.
fn size(properties: &BasicProperties) -> usize {
    let short =
        |text: &Option<ShortString>| text.as_ref().map_or(0, |text| 1 + text.as_str().len());
    let value = |value: &AMQPValue| match value {
        AMQPValue::LongString(text) => 5 + text.as_bytes().len(),
        // Ours are texts.
        _ => 16,
    };
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
    // The length of the table, delivery mode, priority, timestamp.
    4 + headers + texts.into_iter().map(short).sum::<usize>() + 1 + 1 + 8
}
