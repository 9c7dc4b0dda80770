//! CloudEvents, in both of their modes.

mod binary;
mod structured;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use super::{Envelope, Json, TranslateError, Translator, aws::time};
use crate::message::{CORRELATION_ID, Headers, Message};

/// Opens [CloudEvents 1.0](https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md), then decodes their data with `T`.
///
/// The mode is recognised for each message. In the structured mode the content type is `application/cloudevents+json`, or the payload is a JSON
/// object with a `specversion`. In the binary mode there are headers `ce-specversion`, `ce-id`, …, which may also be written `ce_id`,
/// `cloudEvents:id` or `cloudEvents_id`.
///
/// | CloudEvent | message |
/// |---|---|
/// | `data`, `data_base64`, or the payload as it is | payload |
/// | every attribute, extensions too | header `ce-NAME`, in both modes |
/// | `datacontenttype` | header `content-type` |
/// | `type` | topic |
/// | `time` | time of sending |
/// | `correlationid`, `traceparent`, `tracestate` | also headers `correlation-id`, `traceparent`, `tracestate`, unless the message has them |
///
/// An extension that is an object or an array, which some SDKs write, is a header in JSON. A `time` that can't be read is no time of sending.
///
/// The message keeps the id that its broker gave it. If `datacontenttype` says that `data` is not JSON and `data` is a string, the payload is that
/// string without quotes and escapes. A message that is not a CloudEvent is decoded as it is.
///
/// ```
/// use loafer::{Message, translate::{Cloudevents, Envelope, Translator}};
///
/// let cloudevents = Cloudevents::new();
/// let raw = Message::new(r#"{"specversion": "1.0", "id": "1", "source": "/orders", "type": "order.placed", "data": {"count": 3}}"#);
/// let message = cloudevents.open_inner(raw)?;
/// assert_eq!((message.topic(), message.headers().get("ce-source")), (Some("order.placed"), Some("/orders")));
/// let order: serde_json::Value = cloudevents.translate(&message)?;
/// assert_eq!(order["count"], 3);
/// # Ok::<(), loafer::translate::TranslateError>(())
/// ```
///
/// # Errors
///
/// If the event has another version or another format than JSON, is a batch, lacks an attribute, has an `id`, `source` or `type` that is no text, or
/// has data that can't be read. The error never quotes the event.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cloudevents<T = Json> {
    payload: T,
}

impl Cloudevents {
    /// Returns a translator for data in JSON.
    pub const fn new() -> Self {
        Self { payload: Json }
    }
}

impl<T> Cloudevents<T> {
    /// Returns a translator for data that `payload` decodes.
    pub const fn of(payload: T) -> Self {
        Self { payload }
    }
}

impl<T: Envelope> Envelope for Cloudevents<T> {
    fn open<'m>(&self, raw: &'m Message) -> Result<Cow<'m, Message>, TranslateError> {
        match event(raw)? {
            Some(opened) => self.payload.open_inner(finish(opened)?).map(Cow::Owned),
            None => self.payload.open(raw),
        }
    }
}

impl<'m, X, T: Translator<'m, X>> Translator<'m, X> for Cloudevents<T> {
    fn translate(&self, message: &'m Message) -> Result<X, TranslateError> {
        self.payload.translate(message)
    }
}

/// Returns the event with its attributes as headers `ce-…`. `None` means that the message is not an event.
fn event(raw: &Message) -> Result<Option<Message>, TranslateError> {
    let kind = content_type(raw.headers()).map(|(_, value)| media_type(value));
    match kind.as_deref() {
        Some("application/cloudevents+json" | "application/cloudevents") => {
            structured::open(raw).map(Some)
        }
        Some(kind) if kind.starts_with("application/cloudevents-batch") => Err(batch()),
        Some(kind) if kind.starts_with("application/cloudevents") => Err(TranslateError::new(
            "the CloudEvent is in another format than JSON: publish it in the structured mode of JSON, or in the binary mode",
        )),
        _ if binary::is_one(raw.headers()) => Ok(Some(binary::open(raw))),
        _ => structured::recognise(raw),
    }
}

fn batch() -> TranslateError {
    TranslateError::new(
        "the payload is a batch of CloudEvents: publish one event a message, each is acked by itself",
    )
}

/// Checks what every event must have, and sets what a message has elsewhere than in its headers `ce-…`.
fn finish(mut event: Message) -> Result<Message, TranslateError> {
    let headers = event.headers();
    if headers.get("ce-specversion") != Some("1.0") {
        return Err(TranslateError::new(
            "the CloudEvent's `specversion` is not 1.0",
        ));
    }
    let required = ["ce-id", "ce-source", "ce-type"];
    if let Some(missing) = required
        .into_iter()
        .find(|name| headers.get(name).is_none_or(str::is_empty))
    {
        return Err(TranslateError::new(format!(
            "the CloudEvent has no `{}`",
            &missing["ce-".len()..]
        )));
    }
    let sent_at = headers.get("ce-time").and_then(time);
    let topic = headers.get("ce-type").map(str::to_owned);
    let known = [
        ("ce-correlationid", CORRELATION_ID),
        ("ce-traceparent", "traceparent"),
        ("ce-tracestate", "tracestate"),
    ];
    for (attribute, header) in known {
        let value = event.headers().get(attribute).map(str::to_owned);
        if let Some(value) = value.filter(|_| event.headers().get(header).is_none()) {
            event = event.with_header(header, value);
        }
    }
    if let Some(topic) = topic {
        event = event.with_topic(topic);
    }
    if let Some(sent_at) = sent_at {
        event = event.with_sent_at(sent_at);
    }
    Ok(event)
}

/// Returns name and value of the header `content-type`, in small and capital letters alike.
fn content_type(headers: &Headers) -> Option<(&str, &str)> {
    headers
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case("content-type"))
}

/// Returns a content type without its parameters, in lower case.
fn media_type(content_type: &str) -> String {
    let end = content_type.find(';').unwrap_or(content_type.len());
    content_type[..end].trim().to_ascii_lowercase()
}
