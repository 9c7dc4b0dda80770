//! Messages: payload, headers, id, attempt, and where they came from.
//!
//! | type | what it is |
//! |---|---|
//! | [`Message`] | a message as a broker delivered it |
//! | [`Outgoing`] | a message on its way to a broker |
//! | [`Headers`] | names and values beside the payload |
//! | [`HeaderValue`] | the value of a header that is a number or bytes |
//! | [`MessageId`] | the id that a broker gave a message |
//! | [`GroupId`], [`DeduplicationId`] | what a publisher says of a message for ordered queues |

mod counts;
mod extensions;
mod header_value;
mod headers;
mod id;
mod opened;
mod outgoing;

use std::{borrow::Cow, fmt, sync::Arc, time::SystemTime};

use bytes::Bytes;

use self::{counts::Counts, extensions::Extensions};

pub use self::{
    header_value::HeaderValue,
    headers::Headers,
    id::MessageId,
    outgoing::{DeduplicationId, GroupId, Outgoing},
};

/// The header that says which event a message is. `Bus::publish` sets it to the topic of the event.
pub const EVENT_TYPE: &str = "event-type";
/// The header with the id of an event: the same on every copy of it.
///
/// [`Bus`](https://docs.rs/loafer/latest/loafer/struct.Bus.html) gives a new id (UUID version 7) to each message that it publishes, unless the
/// message has one already. Retries, dead letters, forwards and tries again keep it, while brokers give every copy an id of its own. Consumers
/// in any language recognise a duplicate by it.
pub const EVENT_ID: &str = "event-id";
/// The header with the type of the payload, for example `application/x-protobuf`. Without it the payload is JSON. On RabbitMQ it is the property
/// `content-type`.
pub const CONTENT_TYPE: &str = "content-type";
/// The header that ties a message to the one that it answers or follows. A conversation keeps its value from message to message.
pub const CORRELATION_ID: &str = "correlation-id";
/// The header with the id of the message whose handler published this one.
pub const CAUSATION_ID: &str = "causation-id";
/// The header with the span that a message belongs to ([W3C Trace Context](https://www.w3.org/TR/trace-context/)).
pub const TRACEPARENT: &str = "traceparent";
/// The header with what tracing systems add to [`TRACEPARENT`] ([W3C Trace Context](https://www.w3.org/TR/trace-context/)).
pub const TRACESTATE: &str = "tracestate";

/// One message, as its broker delivered it or as an [`Envelope`](crate::translate::Envelope) opened it.
///
/// It is a cheap handle of 16 bytes: clones share the payload and the headers. Attempt and deliveries are not in the shared part, since they differ
/// from one delivery of a message to the next. A method `with_…` copies what is shared, if somebody shares it.
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
    counts: Counts,
}

#[derive(Clone)]
struct Parts {
    id: MessageId,
    payload: Bytes,
    /// Boxed, so that a message without any of it is small and is freed faster.
    extra: Option<Box<Extra>>,
}

#[derive(Clone, Default)]
struct Extra {
    headers: Headers,
    topic: Option<Arc<str>>,
    group: Option<Arc<str>>,
    sent_at: Option<SystemTime>,
    first_failed_at: Option<SystemTime>,
    extensions: Extensions,
    /// What translators found in the envelope, by their numbers: it is opened once, whoever looks into it.
    opened: Vec<(u64, Message)>,
}

impl Message {
    /// Returns a message with a new id, on its first attempt.
    pub fn new(payload: impl Into<Bytes>) -> Self {
        Self::with_id(MessageId::new(), payload)
    }

    /// Returns a message with the id that its broker gave it, on its first attempt.
    pub fn with_id(id: impl Into<MessageId>, payload: impl Into<Bytes>) -> Self {
        let parts = Parts {
            id: id.into(),
            payload: payload.into(),
            extra: None,
        };
        Self {
            parts: Arc::new(parts),
            counts: Counts::FIRST,
        }
    }

    /// Sets the id that a broker gave it.
    #[must_use]
    pub fn with_broker_id(mut self, id: MessageId) -> Self {
        self.parts_mut().id = id;
        self
    }

    /// Sets another payload, for example what an envelope held.
    #[must_use]
    pub fn with_payload(mut self, payload: impl Into<Bytes>) -> Self {
        self.parts_mut().payload = payload.into();
        self
    }

    /// Sets a header. It replaces an earlier one of its name.
    #[must_use]
    pub fn with_header(
        mut self,
        name: impl Into<Cow<'static, str>>,
        value: impl Into<String>,
    ) -> Self {
        self.extra_mut().headers.insert(name, value);
        self
    }

    /// Sets a header that is a number or bytes. It replaces an earlier one of its name.
    #[must_use]
    pub fn with_header_value(
        mut self,
        name: impl Into<Cow<'static, str>>,
        value: impl Into<HeaderValue>,
    ) -> Self {
        self.extra_mut().headers.insert_value(name, value);
        self
    }

    /// Replaces all headers.
    #[must_use]
    pub fn with_headers(mut self, headers: Headers) -> Self {
        self.extra_mut().headers = headers;
        self
    }

    /// Sets which attempt this delivery is. The first is 1. Each attempt was delivered at least once.
    #[must_use]
    pub fn with_attempt(mut self, attempt: u32) -> Self {
        self.counts = self.counts.with_attempt(attempt);
        self
    }

    /// Sets how many deliveries its broker counts, this one included. They are at least as many as its attempts.
    #[must_use]
    pub fn with_deliveries(mut self, deliveries: u32) -> Self {
        self.counts = self.counts.with_deliveries(deliveries);
        self
    }

    /// Counts one more delivery, of a broker that keeps its messages itself.
    #[doc(hidden)]
    #[must_use]
    pub fn delivered_again(mut self) -> Self {
        self.counts = self.counts.plus_delivery();
        self
    }

    /// Counts one more attempt. It must have been delivered for it.
    #[doc(hidden)]
    #[must_use]
    pub fn tried_again(mut self) -> Self {
        self.counts = self.counts.plus_attempt();
        self
    }

    /// Sets when an attempt at it failed first.
    #[must_use]
    pub fn with_first_failed_at(mut self, at: SystemTime) -> Self {
        self.unchanged_mut().first_failed_at = Some(at);
        self
    }

    /// Sets the topic that it was published to.
    #[must_use]
    pub fn with_topic(mut self, topic: impl Into<Arc<str>>) -> Self {
        self.extra_mut().topic = Some(topic.into());
        self
    }

    /// Puts it in a group. If the broker keeps groups in order, the messages of one group are handled one at a time, in order.
    #[must_use]
    pub fn with_group(mut self, group: impl Into<GroupId>) -> Self {
        self.extra_mut().group = Some(group.into().into_shared());
        self
    }

    /// Sets when it was sent, by the broker's clock.
    #[must_use]
    pub fn with_sent_at(mut self, sent_at: SystemTime) -> Self {
        self.extra_mut().sent_at = Some(sent_at);
        self
    }

    /// Adds a value for the handler, for example what a layer found out. It replaces an earlier one of its type, and it never leaves the
    /// program: no broker sees it.
    ///
    /// A handler takes it as [`Extension`](crate::extract::Extension).
    #[must_use]
    pub fn with_extension<T: Send + Sync + 'static>(mut self, value: T) -> Self {
        self.unchanged_mut().extensions.insert(value);
        self
    }

    /// Returns the id that its broker gave it. If [`Capabilities::own_ids`](crate::broker::Capabilities::own_ids) says so, it is the same on every
    /// delivery of this message, and no other message has it.
    pub fn id(&self) -> &MessageId {
        &self.parts.id
    }

    /// Returns the id of the event: the header [`EVENT_ID`], which every copy keeps. `None` means that its publisher gave it none.
    #[must_use]
    pub fn event_id(&self) -> Option<&str> {
        self.headers().get(EVENT_ID)
    }

    /// Returns which event it is: the header [`EVENT_TYPE`], otherwise its topic. `None` means that it has neither.
    #[must_use]
    pub fn event_type(&self) -> Option<&str> {
        self.headers().get(EVENT_TYPE).or(self.topic())
    }

    /// Returns the payload.
    pub fn payload(&self) -> &Bytes {
        &self.parts.payload
    }

    /// Returns the headers. On SQS they are the message attributes.
    pub fn headers(&self) -> &Headers {
        static NONE: Headers = Headers::new();
        self.parts
            .extra
            .as_ref()
            .map_or(&NONE, |extra| &extra.headers)
    }

    /// Returns which attempt this delivery is: 1, and one more for each time that the message was tried and failed. On a broker that can't tell what
    /// was tried, as SQS, each delivery counts as an attempt.
    pub fn attempt(&self) -> u32 {
        self.counts.attempt()
    }

    /// Returns how many deliveries its broker counts, this one included. Deploys, lost connections and crashes make it more than
    /// [`attempt`](Self::attempt). Where retries are copies, as on RabbitMQ, each earlier attempt counts as one delivery.
    pub fn deliveries(&self) -> u32 {
        self.counts.deliveries()
    }

    /// Returns when an attempt at it failed first. `None` means that none has failed, or that its broker does not tell.
    pub fn first_failed_at(&self) -> Option<SystemTime> {
        // A copy that was sent anew is on its first attempt.
        let tried = self.attempt() > 1;
        self.parts.extra.as_ref()?.first_failed_at.filter(|_| tried)
    }

    /// Returns the topic that it was published to. `None` means that neither the broker nor the envelope says.
    pub fn topic(&self) -> Option<&str> {
        self.parts.extra.as_ref()?.topic.as_deref()
    }

    /// Returns the group that it belongs to. On SQS it is the `MessageGroupId`. `None` means that it is in no group.
    pub fn group(&self) -> Option<&str> {
        self.parts.extra.as_ref()?.group.as_deref()
    }

    /// Returns when it was sent, by the broker's clock. `None` means that neither the broker nor the envelope says.
    pub fn sent_at(&self) -> Option<SystemTime> {
        self.parts.extra.as_ref()?.sent_at
    }

    /// Returns what ties it to the message that it answers or follows: the header [`CORRELATION_ID`]. `None` means that it has no such header.
    pub fn correlation_id(&self) -> Option<&str> {
        self.headers().get(CORRELATION_ID)
    }

    /// Returns the value of this type that a layer added. `None` means that no layer added one.
    pub fn extension<T: Send + Sync + 'static>(&self) -> Option<&T> {
        self.parts.extra.as_ref()?.extensions.get()
    }

    fn extra_mut(&mut self) -> &mut Extra {
        self.parts_mut().extra.get_or_insert_default()
    }

    /// Returns what is not a part of the message as it was delivered.
    fn unchanged_mut(&mut self) -> &mut Extra {
        Arc::make_mut(&mut self.parts).extra.get_or_insert_default()
    }

    /// Returns what is shared, to change it: what was found in the envelope is no longer true then.
    fn parts_mut(&mut self) -> &mut Parts {
        let parts = Arc::make_mut(&mut self.parts);
        if let Some(extra) = &mut parts.extra {
            extra.opened.clear();
        }
        parts
    }
}

/// Shows the size of the payload and not the payload itself, which may be personal data.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("id", &self.parts.id)
            .field("attempt", &self.attempt())
            .field("deliveries", &self.deliveries())
            .field("topic", &self.topic())
            .field("group", &self.group())
            .field("headers", self.headers())
            .field("payload_bytes", &self.parts.payload.len())
            .finish()
    }
}
