//! A message: payload, headers, id, attempt, and where it came from.

mod extensions;
mod headers;
mod id;
mod outgoing;

use std::{borrow::Cow, fmt, sync::Arc, time::SystemTime};

use bytes::Bytes;

use self::extensions::Extensions;

pub use self::{
    headers::Headers,
    id::MessageId,
    outgoing::{DeduplicationId, GroupId, Outgoing},
};

/// The header that says which event a message is: what `Bus::publish` sets to the event's topic.
pub const EVENT_TYPE: &str = "event-type";
/// The header with the id of an event: the same on every copy of it.
///
/// [`Bus`](https://docs.rs/loafer/latest/loafer/struct.Bus.html) gives each message that it publishes a new one (UUID version 7), unless the
/// message has one. Retries, dead letters, forwards and tries again keep it, while brokers give every copy an id of its own. Consumers in any
/// language recognise a duplicate by it.
pub const EVENT_ID: &str = "event-id";
/// The header that ties a message to the one it answers or follows.
pub const CORRELATION_ID: &str = "correlation-id";
/// The header with the id of the message whose handling published this one.
pub const CAUSATION_ID: &str = "causation-id";
/// The header with the span that a message belongs to (W3C Trace Context).
pub const TRACEPARENT: &str = "traceparent";
/// The header with what tracing systems add to [`TRACEPARENT`] (W3C Trace Context).
pub const TRACESTATE: &str = "tracestate";

/// One message, as its broker delivered it or as an [`Envelope`](crate::translate::Envelope) opened it.
///
/// A cheap handle (16 bytes): cloning shares the payload and the headers. The attempt stands
/// beside the shared part, since it differs from one delivery of a message to the next.
///
/// ```
/// use loafer::Message;
///
/// let message = Message::new(r#"{"id": 1}"#).with_header("tenant", "acme").with_attempt(2);
/// assert_eq!(message.headers().get("tenant"), Some("acme"));
/// assert_eq!(message.attempt(), 2);
/// ```
#[derive(Clone)]
pub struct Message {
    parts: Arc<Parts>,
    attempt: u32,
}

#[derive(Clone)]
struct Parts {
    id: MessageId,
    payload: Bytes,
    /// Apart, so that a message without any of it is small: it is freed faster.
    extra: Option<Box<Extra>>,
}

#[derive(Clone, Default)]
struct Extra {
    headers: Headers,
    topic: Option<Arc<str>>,
    group: Option<Arc<str>>,
    sent_at: Option<SystemTime>,
    extensions: Extensions,
}

impl Message {
    /// A message with a new id, on its first attempt.
    pub fn new(payload: impl Into<Bytes>) -> Self {
        Self::with_id(MessageId::new(), payload)
    }

    /// A message with the id its broker gave it, on its first attempt.
    pub fn with_id(id: impl Into<MessageId>, payload: impl Into<Bytes>) -> Self {
        let parts = Parts {
            id: id.into(),
            payload: payload.into(),
            extra: None,
        };
        Self {
            parts: Arc::new(parts),
            attempt: 1,
        }
    }

    /// The same message with the id that a broker gave it.
    #[must_use]
    pub fn with_broker_id(mut self, id: MessageId) -> Self {
        self.parts_mut().id = id;
        self
    }

    /// The same message with another payload: what an envelope held.
    #[must_use]
    pub fn with_payload(mut self, payload: impl Into<Bytes>) -> Self {
        self.parts_mut().payload = payload.into();
        self
    }

    /// The same message with one header more; an earlier one of that name is replaced.
    #[must_use]
    pub fn with_header(
        mut self,
        name: impl Into<Cow<'static, str>>,
        value: impl Into<String>,
    ) -> Self {
        self.extra_mut().headers.insert(name, value);
        self
    }

    /// The same message with these headers instead of its own.
    #[must_use]
    pub fn with_headers(mut self, headers: Headers) -> Self {
        self.extra_mut().headers = headers;
        self
    }

    /// The same message on another attempt; 1 is the first delivery.
    #[must_use]
    pub fn with_attempt(mut self, attempt: u32) -> Self {
        self.attempt = attempt;
        self
    }

    /// The same message with the topic it was published to.
    #[must_use]
    pub fn with_topic(mut self, topic: impl Into<Arc<str>>) -> Self {
        self.extra_mut().topic = Some(topic.into());
        self
    }

    /// The same message in a group: the messages of one group are handled one at a time, in order, where the broker keeps groups.
    #[must_use]
    pub fn with_group(mut self, group: impl Into<GroupId>) -> Self {
        self.extra_mut().group = Some(group.into().into_shared());
        self
    }

    /// The same message with the time at which it was sent.
    #[must_use]
    pub fn with_sent_at(mut self, sent_at: SystemTime) -> Self {
        self.extra_mut().sent_at = Some(sent_at);
        self
    }

    /// The same message with a value for whoever handles it: what a layer found out. It stays in the program; an earlier one of its type is replaced.
    ///
    /// A handler takes it as [`Extension`](crate::extract::Extension).
    #[must_use]
    pub fn with_extension<T: Send + Sync + 'static>(mut self, value: T) -> Self {
        self.extra_mut().extensions.insert(value);
        self
    }

    /// The identity its broker gave it; the same on every delivery.
    pub fn id(&self) -> &MessageId {
        &self.parts.id
    }

    /// Returns the id of the event: the header [`EVENT_ID`], the same on every copy. `None` if its publisher gave it none.
    #[must_use]
    pub fn event_id(&self) -> Option<&str> {
        self.headers().get(EVENT_ID)
    }

    /// Returns which event it is: the header [`EVENT_TYPE`], else its topic; `None` if it has neither.
    #[must_use]
    pub fn event_type(&self) -> Option<&str> {
        self.headers().get(EVENT_TYPE).or(self.topic())
    }

    /// The payload.
    pub fn payload(&self) -> &Bytes {
        &self.parts.payload
    }

    /// The headers (SQS: message attributes).
    pub fn headers(&self) -> &Headers {
        static NONE: Headers = Headers::new();
        self.parts
            .extra
            .as_ref()
            .map_or(&NONE, |extra| &extra.headers)
    }

    /// Which delivery this is: 1 on the first.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// The topic it was published to, where the broker or the envelope tells.
    pub fn topic(&self) -> Option<&str> {
        self.parts.extra.as_ref()?.topic.as_deref()
    }

    /// The group it belongs to (SQS: `MessageGroupId`).
    pub fn group(&self) -> Option<&str> {
        self.parts.extra.as_ref()?.group.as_deref()
    }

    /// When it was sent, by the broker's clock.
    pub fn sent_at(&self) -> Option<SystemTime> {
        self.parts.extra.as_ref()?.sent_at
    }

    /// What ties it to the message it answers or follows: the header [`CORRELATION_ID`].
    pub fn correlation_id(&self) -> Option<&str> {
        self.headers().get(CORRELATION_ID)
    }

    /// The value of this type that a layer put on it.
    pub fn extension<T: Send + Sync + 'static>(&self) -> Option<&T> {
        self.parts.extra.as_ref()?.extensions.get()
    }

    fn extra_mut(&mut self) -> &mut Extra {
        self.parts_mut().extra.get_or_insert_default()
    }

    fn parts_mut(&mut self) -> &mut Parts {
        Arc::make_mut(&mut self.parts)
    }
}

/// Shows everything but the payload, which may be personal data: of that, the size.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("id", &self.parts.id)
            .field("attempt", &self.attempt)
            .field("topic", &self.topic())
            .field("group", &self.group())
            .field("headers", self.headers())
            .field("payload_bytes", &self.parts.payload.len())
            .finish()
    }
}
