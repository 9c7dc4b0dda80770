//! The properties of a message on its way out: what every message has, what the configuration adds, what the message itself says.

use std::time::{SystemTime, UNIX_EPOCH};

use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable, ShortString},
};
use loafer_core::{CORRELATION_ID, Message, REQUEST_ID};

use crate::{
    message::{CATEGORY, GROUP},
    names::headers::{
        APP_ID, CONTENT_ENCODING, CONTENT_TYPE, EXPIRATION, KIND, PRIORITY, REPLY_TO, STANDING_FOR,
    },
    names::routing::SHORT,
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
    let size = frame(&properties);
    if size > common.frame_max {
        return Err(format!(
            "its headers take {size} bytes, and RabbitMQ allows {} (`frame_max`): put into the payload what is large",
            common.frame_max
        ));
    }
    Ok(properties)
}

/// Of requests and their replies, by the convention of RabbitMQ's own clients, the request; else the conversation.
fn correlation_id(message: &Message, id: &str) -> Result<ShortString, String> {
    let own = message.headers();
    match own.get(REQUEST_ID) {
        Some(request) => short(REQUEST_ID, request),
        None => short(CORRELATION_ID, own.get(CORRELATION_ID).unwrap_or(id)),
    }
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
    let own = message.headers();
    // The property says which request it is: the conversation has no other place.
    let of_request = own.get(REQUEST_ID).is_some();
    for (name, value) in own.iter() {
        if (of_request || name != CORRELATION_ID) && !STANDING_FOR.contains(&name) {
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

/// The bytes that a header's value takes.
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
        // Numbers, truths and times.
        _ => 9,
    }
}

/// The bytes of the frame that carries properties.
pub(crate) fn frame(properties: &BasicProperties) -> usize {
    size(properties) + AROUND
}

/// The bytes that properties take in their frame.
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
    // The length of the table, delivery mode, priority, timestamp.
    4 + headers + texts.into_iter().map(short).sum::<usize>() + 1 + 1 + 8
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::message::received;

    fn common<'c>(event: Option<&'c str>, headers: &'c [(String, String)]) -> Common<'c> {
        Common {
            event,
            app_id: None,
            headers,
            frame_max: 128 * 1024,
        }
    }

    fn there_and_back(message: &Message) -> Message {
        let properties = published(message, &common(None, &[])).unwrap();
        received("key", false, &properties, message.payload().to_vec())
    }

    proptest! {
        #[test]
        fn headers_come_back_as_they_were_sent(
            // Not those of brokers, which are theirs to write.
            headers in prop::collection::btree_map("[a-w][ -~]{0,40}", "\\PC{0,80}", 0..12),
            group in prop::option::of("\\PC{1,20}"),
        ) {
            let mut message = Message::new("{}");
            for (name, value) in &headers {
                message = message.with_header(name.clone(), value.clone());
            }
            if let Some(group) = &group {
                message = message.with_group(group.as_str());
            }
            let came = there_and_back(&message);
            prop_assert_eq!(came.id(), message.id());
            prop_assert_eq!(came.group(), group.as_deref());
            for (name, value) in &headers {
                prop_assert_eq!(came.headers().get(name), Some(value.as_str()), "{}", name);
            }
            // Content type and correlation are always said.
            prop_assert_eq!(came.headers().len(), headers.len() + 2);
        }

        #[test]
        fn what_stands_for_properties_comes_back(
            texts in prop::collection::vec("[a-z/]{1,255}", 5),
            priority in any::<u8>(),
        ) {
            let names = [CONTENT_TYPE, CONTENT_ENCODING, REPLY_TO, APP_ID, KIND];
            let mut message = Message::new("{}").with_header(PRIORITY, priority.to_string());
            for (name, text) in names.into_iter().zip(&texts) {
                message = message.with_header(name, text.clone());
            }
            let came = there_and_back(&message);
            for (name, text) in names.into_iter().zip(&texts) {
                prop_assert_eq!(came.headers().get(name), Some(text.as_str()), "{}", name);
            }
            prop_assert_eq!(came.headers().get(PRIORITY), Some(&*priority.to_string()));
        }
    }

    #[test]
    fn the_message_outranks_the_configuration_but_not_the_name_of_the_event() {
        let headers = [("tenant", "everybody"), ("region", "sa")];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let message = Message::new("{}")
            .with_header("tenant", "acme")
            .with_header(CATEGORY, "order.placed");
        let properties = published(&message, &common(Some("order.closed"), &headers)).unwrap();
        let came = received("order.closed", false, &properties, Vec::new());
        let header = |name| came.headers().get(name);
        assert_eq!(header("tenant"), Some("acme"));
        assert_eq!(header("region"), Some("sa"));
        assert_eq!(header(CATEGORY), Some("order.closed"));
    }

    #[test]
    fn the_property_names_the_request_where_there_is_one() {
        let message = Message::new("{}").with_header(CORRELATION_ID, "talk");
        let named = |message: &Message| {
            let properties = published(message, &common(None, &[])).unwrap();
            properties.correlation_id().clone().unwrap().to_string()
        };
        assert_eq!(named(&message), "talk");
        assert_eq!(there_and_back(&message).headers().get(REQUEST_ID), None);
        let reply = message.with_header(REQUEST_ID, "7");
        for sent in [reply.clone(), reply.with_header(REPLY_TO, "amq.gen-1")] {
            assert_eq!(named(&sent), "7");
            let came = there_and_back(&sent);
            assert_eq!(came.headers().get(REQUEST_ID), Some("7"));
            assert_eq!(came.correlation_id(), Some("talk"));
        }
    }

    #[test]
    fn a_request_of_another_client_is_named_by_its_property() {
        let properties = BasicProperties::default()
            .with_reply_to("amq.gen-1".into())
            .with_correlation_id("7".into());
        let came = received("key", false, &properties, Vec::new());
        assert_eq!(came.headers().get(REQUEST_ID), Some("7"));
        assert_eq!(came.headers().get(REPLY_TO), Some("amq.gen-1"));
    }

    #[test]
    fn an_empty_payload_is_an_event_where_it_is_no_json() {
        let empty = Message::new("");
        let event = common(Some("e"), &[]);
        assert!(published(&empty, &event).is_err());
        assert!(published(&empty, &common(None, &[])).is_ok());
        let protobuf = empty.with_header(CONTENT_TYPE, "application/protobuf");
        assert!(published(&protobuf, &event).is_ok());
    }

    #[test]
    fn headers_that_fill_more_than_a_frame_are_told_by_their_size() {
        let sized = |bytes: usize| {
            let message = Message::new("{}").with_header("h", "x".repeat(bytes));
            published(&message, &common(None, &[]))
        };
        assert!(sized(100 * 1024).is_ok());
        assert!(sized(128 * 1024).unwrap_err().contains("frame_max"));
    }
}
