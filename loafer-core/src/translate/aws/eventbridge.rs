//! The envelope of EventBridge.

use std::borrow::Cow;

use crate::{
    message::Message,
    translate::{Envelope, Json, TranslateError, Translator},
};
use memchr::memmem;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::fields::{text, time};

/// Opens the event in which EventBridge delivers (rules, pipes, templates of the scheduler, AWS services), then decodes its `detail` with `T`.
///
/// | event | message |
/// |---|---|
/// | `detail` | payload, a slice of the body |
/// | `detail-type` | topic, header `eventbridge-detail-type` |
/// | `id`, `source`, `account`, `region`, `replay-name` | headers `eventbridge-id`, `eventbridge-source`, … |
/// | `resources` | header `eventbridge-resources`, in JSON, if there are any |
/// | `time` | time of sending |
///
/// A payload that is not a JSON object with the strings `detail-type` and `source` is decoded as it is. That includes the bodies that a
/// target's `InputPath` or `InputTransformer` made.
///
/// ```
/// use loafer::{Message, translate::{Envelope, EventBridge, Translator}};
///
/// let eventbridge = EventBridge::new();
/// let raw = Message::new(r#"{"version": "0", "source": "shop", "detail-type": "order placed", "detail": {"count": 3}}"#);
/// let message = eventbridge.open_inner(raw)?;
/// assert_eq!(message.topic(), Some("order placed"));
/// let order: serde_json::Value = eventbridge.translate(&message)?;
/// assert_eq!(order["count"], 3);
/// # Ok::<(), loafer::translate::TranslateError>(())
/// ```
///
/// # Errors
///
/// Returns an error if the event has no `detail`.
#[derive(Clone, Copy, Debug, Default)]
pub struct EventBridge<T = Json> {
    payload: T,
}

impl EventBridge {
    /// Returns a translator for details in JSON.
    pub const fn new() -> Self {
        Self { payload: Json }
    }
}

impl<T> EventBridge<T> {
    /// Returns a translator for details that `payload` decodes.
    pub const fn of(payload: T) -> Self {
        Self { payload }
    }
}

/// The fields we read, still as JSON. All others are skipped without being decoded.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Event<'m> {
    #[serde(borrow)]
    detail_type: Option<&'m RawValue>,
    #[serde(borrow, default, deserialize_with = "there")]
    detail: Option<&'m RawValue>,
    #[serde(borrow)]
    source: Option<&'m RawValue>,
    #[serde(borrow)]
    id: Option<&'m RawValue>,
    #[serde(borrow)]
    account: Option<&'m RawValue>,
    #[serde(borrow)]
    region: Option<&'m RawValue>,
    #[serde(borrow)]
    replay_name: Option<&'m RawValue>,
    #[serde(borrow)]
    resources: Option<&'m RawValue>,
    #[serde(borrow)]
    time: Option<&'m RawValue>,
}

/// Accepts `null` too: it is a detail like any other.
fn there<'m, D: Deserializer<'m>>(json: D) -> Result<Option<&'m RawValue>, D::Error> {
    <&RawValue>::deserialize(json).map(Some)
}

impl<T: Envelope> Envelope for EventBridge<T> {
    fn open<'m>(&self, raw: &'m Message) -> Result<Cow<'m, Message>, TranslateError> {
        match Event::of(raw.payload()) {
            Some((event, detail_type)) => {
                let opened = event.open(raw, detail_type)?;
                self.payload.open_inner(opened).map(Cow::Owned)
            }
            None => self.payload.open(raw),
        }
    }
}

impl<'m, X, T: Translator<'m, X>> Translator<'m, X> for EventBridge<T> {
    fn translate(&self, message: &'m Message) -> Result<X, TranslateError> {
        self.payload.translate(message)
    }
}

impl<'m> Event<'m> {
    /// Reads the event and its type, if the payload is an event. A payload that can't be one is not parsed.
    fn of(payload: &'m [u8]) -> Option<(Self, String)> {
        if payload.trim_ascii_start().first() != Some(&b'{')
            || memmem::find(payload, b"\"detail-type\"").is_none()
        {
            return None;
        }
        let read: Self = serde_json::from_slice(payload).ok()?;
        text(read.source)?;
        let detail_type = text(read.detail_type)?;
        Some((read, detail_type))
    }

    fn open(&self, raw: &Message, detail_type: String) -> Result<Message, TranslateError> {
        let detail = self
            .detail
            .ok_or_else(|| TranslateError::new("the EventBridge event has no `detail`"))?;
        let payload = raw.payload().slice_ref(detail.get().as_bytes());
        let mut opened = raw
            .clone()
            .with_payload(payload)
            .with_topic(detail_type.as_str())
            .with_header("eventbridge-detail-type", detail_type);
        for (header, field) in [
            ("eventbridge-id", self.id),
            ("eventbridge-source", self.source),
            ("eventbridge-account", self.account),
            ("eventbridge-region", self.region),
            ("eventbridge-replay-name", self.replay_name),
        ] {
            if let Some(value) = text(field) {
                opened = opened.with_header(header, value);
            }
        }
        let resources = self.resources.map(RawValue::get);
        if let Some(resources) = resources.filter(|json| json.contains('"')) {
            opened = opened.with_header("eventbridge-resources", resources);
        }
        if let Some(sent_at) = text(self.time).as_deref().and_then(time) {
            opened = opened.with_sent_at(sent_at);
        }
        Ok(opened)
    }
}

#[cfg(test)]
mod tests;
