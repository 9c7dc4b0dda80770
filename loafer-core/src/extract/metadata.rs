//! What else is known of a message: everything except its payload.

use std::{
    sync::{Arc, LazyLock},
    time::SystemTime,
};

use super::{Context, FromContext, Missing, Rejection, Resources, RouteName};
use crate::message::{Headers, Message, MessageId};

/// What is known of a message except its payload: attempt, id, queue, topic, headers.
///
/// In a unit test, make it from a message:
///
/// ```
/// use loafer::{Message, Metadata};
///
/// let metadata = Metadata::new(Message::new("{}").with_attempt(3).with_header("tenant", "acme"));
/// assert_eq!(metadata.attempt(), 3);
/// assert_eq!(metadata.headers().get("tenant"), Some("acme"));
/// ```
#[derive(Clone, Debug)]
pub struct Metadata {
    /// The opened message. It is a handle, so that nothing is copied.
    message: Message,
    names: Arc<RouteName>,
}

impl Metadata {
    /// Returns the metadata of this message, on a route and a queue called `test`.
    pub fn new(message: Message) -> Self {
        static TEST: LazyLock<Arc<RouteName>> =
            LazyLock::new(|| Arc::new(RouteName::new("test", "test", "test", "test")));
        Self {
            message,
            names: TEST.clone(),
        }
    }

    /// Returns the metadata of an opened message, on the route with these names.
    pub fn of(message: &Message, names: &Arc<RouteName>) -> Self {
        Self {
            message: message.clone(),
            names: names.clone(),
        }
    }

    /// Returns [which attempt](Message::attempt) this is. The first is 1.
    pub fn attempt(&self) -> u32 {
        self.message.attempt()
    }

    /// Returns [how many deliveries](Message::deliveries) its broker counts, this one included.
    pub fn deliveries(&self) -> u32 {
        self.message.deliveries()
    }

    /// Returns the id that its broker gave it.
    pub fn message_id(&self) -> &MessageId {
        self.message.id()
    }

    /// Returns the id of the event, which every copy keeps: retries, dead letters and tries again too. `None` means that its publisher gave it
    /// none.
    pub fn event_id(&self) -> Option<&str> {
        self.message.event_id()
    }

    /// Returns the name of the route.
    pub fn route(&self) -> &str {
        &self.names.route
    }

    /// Returns the queue that it came from, as it is configured.
    pub fn queue(&self) -> &str {
        &self.names.queue
    }

    /// Returns the topic that it was published to. `None` means that neither the broker nor the envelope says.
    pub fn topic(&self) -> Option<&str> {
        self.message.topic()
    }

    /// Returns the group that it belongs to. `None` means that it is in no group.
    pub fn group(&self) -> Option<&str> {
        self.message.group()
    }

    /// Returns when it was sent, by the broker's clock. `None` means that neither the broker nor the envelope says.
    pub fn sent_at(&self) -> Option<SystemTime> {
        self.message.sent_at()
    }

    /// Returns its headers, those of the envelope included.
    pub fn headers(&self) -> &Headers {
        self.message.headers()
    }

    /// Returns what ties it to the message that it answers or follows. `None` means that it has no header `correlation-id`.
    pub fn correlation_id(&self) -> Option<&str> {
        self.message.correlation_id()
    }
}

impl From<Message> for Metadata {
    fn from(message: Message) -> Self {
        Self::new(message)
    }
}

impl FromContext for Metadata {
    type Needs = ();

    fn needs(_: &Resources) -> Result<(), Missing> {
        Ok(())
    }

    fn from_context((): &(), context: &Context<'_>) -> Result<Self, Rejection> {
        Ok(Self::of(context.message(), context.names()))
    }
}
