//! What is known of a message beside its payload.

use std::{
    sync::{Arc, LazyLock},
    time::SystemTime,
};

use super::Resources;
use super::{Context, FromContext, Missing, Rejection, RouteName};
use crate::message::{Headers, Message, MessageId};

/// What is known of a message beside its payload: attempt, id, queue, topic, headers.
///
/// In a unit test it is made from a message:
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
    /// The opened message: a handle, so that nothing is copied.
    message: Message,
    names: Arc<RouteName>,
}

impl Metadata {
    /// The metadata of this message, on a route and a queue called `test`.
    pub fn new(message: Message) -> Self {
        static TEST: LazyLock<Arc<RouteName>> =
            LazyLock::new(|| Arc::new(RouteName::new("test", "test", "test", "test")));
        Self {
            message,
            names: TEST.clone(),
        }
    }

    /// Returns the metadata of an opened message of the route with these names.
    pub fn of(message: &Message, names: &Arc<RouteName>) -> Self {
        Self {
            message: message.clone(),
            names: names.clone(),
        }
    }

    /// Which delivery this is: 1 on the first.
    pub fn attempt(&self) -> u32 {
        self.message.attempt()
    }

    /// The identity its broker gave it.
    pub fn message_id(&self) -> &MessageId {
        self.message.id()
    }

    /// Returns the id of the event: the same on every copy of it, retries, dead letters and tries again included. `None` if its publisher
    /// gave it none.
    pub fn event_id(&self) -> Option<&str> {
        self.message.event_id()
    }

    /// The route's name.
    pub fn route(&self) -> &str {
        &self.names.route
    }

    /// The queue it came from, as configured.
    pub fn queue(&self) -> &str {
        &self.names.queue
    }

    /// The topic it was published to, where the broker or the envelope tells.
    pub fn topic(&self) -> Option<&str> {
        self.message.topic()
    }

    /// The group it belongs to.
    pub fn group(&self) -> Option<&str> {
        self.message.group()
    }

    /// When it was sent, by the broker's clock.
    pub fn sent_at(&self) -> Option<SystemTime> {
        self.message.sent_at()
    }

    /// Its headers, the envelope's included.
    pub fn headers(&self) -> &Headers {
        self.message.headers()
    }

    /// What ties it to the message it answers or follows.
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
