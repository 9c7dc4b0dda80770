//! The envelope in which SNS delivers.

use std::{borrow::Cow, collections::BTreeMap};

use crate::{
    message::{HeaderValue, Message},
    translate::{Envelope, Json, TranslateError, Translator, json::text_of},
};
use ::base64::{Engine as _, engine::general_purpose::STANDARD};
use memchr::memmem;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    fields::{text, time},
    notices,
};

/// Opens the envelope in which SNS delivers, then decodes the published payload with `T`.
///
/// | envelope | message |
/// |---|---|
/// | `Message` | payload |
/// | `MessageAttributes` | headers, which replace headers of the same name; numbers and bytes are [values](crate::message::Headers::value), the text of bytes is their base64 |
/// | `TopicArn` | topic (its name), header `sns-topic-arn` |
/// | `MessageId`, `Subject` | headers `sns-message-id`, `sns-subject` |
/// | `Timestamp` | time of sending |
///
/// With raw message delivery there is no envelope. A payload that is not a JSON object with `"Type": "Notification"` and a
/// `TopicArn` or `MessageId` is therefore decoded as it is. The same holds for a message that was sent straight to the queue.
///
/// ```
/// use loafer::{Message, Sns, Text, translate::{Envelope, Translator}};
///
/// let sns = Sns::of(Text);
/// let raw = Message::new(r#"{"Type": "Notification", "TopicArn": "arn:aws:sns:eu-west-1:1:greeted", "Message": "hello"}"#);
/// let message = sns.open(&raw)?;
/// assert_eq!(message.topic(), Some("greeted"));
/// let text: &str = sns.translate(&message)?;
/// assert_eq!(text, "hello");
/// # Ok::<(), loafer::translate::TranslateError>(())
/// ```
///
/// What AWS sends when something is set up is no event: a confirmation that SNS asks for, and the tests of S3, SES and CloudTrail. Such a message is
/// dead-lettered, with a reason that says what it is and what to do.
///
/// # Errors
///
/// Returns an error if the envelope has no `Message`, or if that is not a string, and for what is no event. The error never quotes the payload, except for
/// the ARN of the topic that a confirmation is about.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sns<T = Json> {
    payload: T,
}

impl Sns {
    /// Returns a translator for payloads in JSON.
    pub const fn new() -> Self {
        Self { payload: Json }
    }
}

impl<T> Sns<T> {
    /// Returns a translator for payloads that `payload` decodes.
    pub const fn of(payload: T) -> Self {
        Self { payload }
    }
}

/// The fields we read, still as JSON. All others are skipped without being decoded.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Notification<'m> {
    #[serde(borrow)]
    r#type: Option<&'m RawValue>,
    #[serde(borrow)]
    topic_arn: Option<&'m RawValue>,
    #[serde(borrow)]
    message_id: Option<&'m RawValue>,
    #[serde(borrow)]
    message: Option<&'m RawValue>,
    #[serde(borrow)]
    subject: Option<&'m RawValue>,
    #[serde(borrow)]
    timestamp: Option<&'m RawValue>,
    #[serde(borrow)]
    message_attributes: Option<&'m RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Attribute {
    #[serde(default)]
    r#type: String,
    value: String,
}

impl Attribute {
    /// Returns the value of one that is no text.
    fn typed(&self) -> Option<HeaderValue> {
        match &*self.r#type {
            "Number" => HeaderValue::number(&self.value),
            "Binary" => STANDARD.decode(&self.value).ok().map(Into::into),
            _ => None,
        }
    }
}

impl<T: Envelope> Envelope for Sns<T> {
    fn open<'m>(&self, raw: &'m Message) -> Result<Cow<'m, Message>, TranslateError> {
        self.open_unless(raw, notices::of_others)
    }
}

impl<T: Envelope> Sns<T> {
    /// Opens the envelope, unless the message is a notice of SNS or of those that `notice` knows.
    pub(super) fn open_unless<'m>(
        &self,
        raw: &'m Message,
        notice: fn(&[u8]) -> Option<TranslateError>,
    ) -> Result<Cow<'m, Message>, TranslateError> {
        let Some(notification) = Notification::of(raw.payload()) else {
            let payload = raw.payload();
            return match notices::of_sns(payload).or_else(|| notice(payload)) {
                Some(notice) => Err(notice),
                None => self.payload.open(raw),
            };
        };
        let opened = notification.open(raw)?;
        match notice(opened.payload()) {
            Some(notice) => Err(notice),
            None => self.payload.open_inner(opened).map(Cow::Owned),
        }
    }
}

impl<'m, X, T: Translator<'m, X>> Translator<'m, X> for Sns<T> {
    fn translate(&self, message: &'m Message) -> Result<X, TranslateError> {
        self.payload.translate(message)
    }
}

impl<'m> Notification<'m> {
    /// Reads the envelope, if the payload is one. A payload that can't be one is not parsed.
    fn of(payload: &'m [u8]) -> Option<Self> {
        if payload.trim_ascii_start().first() != Some(&b'{')
            || memmem::find(payload, b"\"Notification\"").is_none()
        {
            return None;
        }
        let read: Self = serde_json::from_slice(payload).ok()?;
        let is_one = read
            .r#type
            .is_some_and(|kind| kind.get() == "\"Notification\"")
            && (read.topic_arn.is_some() || read.message_id.is_some());
        is_one.then_some(read)
    }

    fn open(&self, raw: &Message) -> Result<Message, TranslateError> {
        let missing = || TranslateError::new("the SNS envelope has no `Message`");
        let message = self.message.ok_or_else(missing)?;
        let wrong = || TranslateError::new("the `Message` of the SNS envelope is no valid text");
        let payload = text_of(raw.payload(), message).ok_or_else(wrong)?;
        let mut opened = raw.clone().with_payload(payload);
        if let Some(arn) = text(self.topic_arn) {
            opened = opened.with_topic(arn.rsplit(':').next().unwrap_or_default());
            opened = opened.with_header("sns-topic-arn", arn);
        }
        if let Some(id) = text(self.message_id) {
            opened = opened.with_header("sns-message-id", id);
        }
        if let Some(subject) = text(self.subject) {
            opened = opened.with_header("sns-subject", subject);
        }
        if let Some(sent_at) = text(self.timestamp).as_deref().and_then(time) {
            opened = opened.with_sent_at(sent_at);
        }
        for (name, attribute) in self.attributes()? {
            opened = match attribute.typed() {
                None => opened.with_header(name, attribute.value),
                Some(typed) => {
                    let mut headers = opened.headers().clone();
                    headers.insert_value_as(name, attribute.value, typed);
                    opened.with_headers(headers)
                }
            };
        }
        Ok(opened)
    }

    fn attributes(&self) -> Result<BTreeMap<String, Attribute>, TranslateError> {
        let Some(attributes) = self.message_attributes else {
            return Ok(BTreeMap::new());
        };
        let read: Option<_> = serde_json::from_str(attributes.get()).map_err(|_| {
            TranslateError::new(
                "the `MessageAttributes` of the SNS envelope are not as SNS writes them",
            )
        })?;
        Ok(read.unwrap_or_default())
    }
}

/// Returns what a payload that does not decode is, if it comes from SNS: an envelope that nobody opened, or a notice of SNS itself.
#[cold]
pub(in crate::translate) fn mistaken(payload: &[u8]) -> Option<&'static str> {
    if Notification::of(payload).is_some() {
        return Some("; this is an envelope of SNS, which `translator = Sns` opens");
    }
    let read: Notification<'_> = serde_json::from_slice(payload).ok()?;
    read.topic_arn?;
    match read.r#type?.get() {
        "\"SubscriptionConfirmation\"" | "\"UnsubscribeConfirmation\"" => {
            Some("; this is no event: SNS asks to confirm a subscription, by its `SubscribeURL`")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
