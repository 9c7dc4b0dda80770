//! Events: types whose values are published, each to a topic.

mod encode;

use serde::Serialize;

pub use self::encode::{Encode, Encoded};
use crate::{
    Error,
    message::{CONTENT_TYPE, DeduplicationId, EVENT_TYPE, GroupId, Message, Outgoing},
};

/// The header with the schema version of an event. Version 1 has no header.
pub const EVENT_VERSION: &str = "event-version";

/// A type whose values are published, each to the topic that it names.
///
/// ```
/// # use serde::Serialize;
/// use loafer::{Event, Json};
///
/// #[derive(Serialize)]
/// struct FriendCreated { id: String }
///
/// impl Event for FriendCreated {
///     type Encoding = Json;
///     const TOPIC: &'static str = "friend-created";
/// }
/// ```
///
/// If the topic keeps groups in order, the event says its group:
///
/// ```
/// # use serde::Serialize;
/// use loafer::{message::{DeduplicationId, GroupId}, Event, Json};
///
/// #[derive(Serialize)]
/// struct Paid { customer: String, payment: u64 }
///
/// impl Event for Paid {
///     type Encoding = Json;
///     const TOPIC: &'static str = "paid.fifo";
///
///     fn group(&self) -> Option<GroupId> {
///         Some(self.customer.as_str().into())
///     }
///
///     fn deduplication_id(&self) -> Option<DeduplicationId> {
///         Some(self.payment.to_string().into())
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no event",
    label = "no event",
    note = "derive it, as `#[derive(Serialize, Event)] #[event(topic = \"friend-created\")]`; or name the topic: `publish = \"…\"` of a handler, `Bus::publish_to`"
)]
pub trait Event {
    /// How its values become payloads: [`Json`](crate::translate::Json), unless `#[event(encoding = …)]` of the derive names another one.
    type Encoding: Encode<Self>;
    /// The topic that its values are published to.
    const TOPIC: &'static str;
    /// The version of its schema. From 2 on it is published in the header [`EVENT_VERSION`].
    const VERSION: u32 = 1;

    /// Returns the group that this value belongs to. `None`, the default, means that it is in no group.
    fn group(&self) -> Option<GroupId> {
        None
    }

    /// Returns the id by which the broker recognises duplicates of this value. `None`, the default, means that the id of each message serves, so
    /// that no two messages are duplicates.
    fn deduplication_id(&self) -> Option<DeduplicationId> {
        None
    }
}

/// A type whose values can be published as JSON: any type that is [`Serialize`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be published",
    label = "not `Serialize`",
    note = "derive `serde::Serialize` for it; what a handler with `publish` returns is a value, an `Option`, a `Vec`, or a tuple of events"
)]
pub trait Publishable: Serialize {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + ?Sized> Publishable for T {}

impl Outgoing {
    /// Returns the message of an event: its payload, its group and its deduplication id, and the headers [`EVENT_TYPE`], [`CONTENT_TYPE`] unless it is
    /// JSON, and, from version 2 on, [`EVENT_VERSION`]. Send it to the topic of the event.
    ///
    /// ```
    /// # use loafer::{Bus, Error, Event, Outgoing};
    /// # async fn example<Paid: Event>(bus: Bus, payments: Vec<Paid>) -> Result<(), Error> {
    /// let batch = payments.iter().map(Outgoing::event).collect::<Result<Vec<_>, _>>()?;
    /// let answers = bus.send_all(Paid::TOPIC, batch).await;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// If the event can't be encoded.
    pub fn event<E: Event>(event: &E) -> Result<Self, Error> {
        let mut outgoing = Self::new(encoded_event(event)?);
        // The first of these is the last to be left out.
        let content_type = outgoing.message.headers().get(CONTENT_TYPE).is_some();
        outgoing
            .optional
            .extend(content_type.then_some(CONTENT_TYPE));
        outgoing = outgoing.header(EVENT_TYPE, E::TOPIC);
        outgoing.optional.push(EVENT_TYPE);
        if E::VERSION > 1 {
            outgoing = outgoing.header(EVENT_VERSION, E::VERSION.to_string());
            outgoing.optional.push(EVENT_VERSION);
        }
        if let Some(group) = event.group() {
            outgoing = outgoing.group(group);
        }
        outgoing.deduplication_id = event.deduplication_id();
        Ok(outgoing)
    }
}

/// Encodes an event by its encoding. The message has no header but [`CONTENT_TYPE`], and that not if it is JSON.
///
/// # Errors
///
/// If the event can't be encoded. The error names the topic.
pub fn encoded_event<E: Event>(event: &E) -> Result<Message, Error> {
    match E::Encoding::default().encode(event) {
        Ok((payload, None)) => Ok(Message::new(payload)),
        Ok((payload, Some(of))) => Ok(Message::new(payload).with_header(CONTENT_TYPE, of)),
        Err(source) => Err(Error::Encode {
            topic: E::TOPIC.to_owned(),
            source,
        }),
    }
}

/// Encodes a value as the JSON payload of a message for this topic. The message has no headers.
///
/// # Errors
///
/// If the value can't be encoded. The error names the topic.
pub fn encoded<T: Serialize + ?Sized>(topic: &str, value: &T) -> Result<Message, Error> {
    let payload = serde_json::to_vec(value).map_err(|error| Error::Encode {
        topic: topic.to_owned(),
        source: error.into(),
    })?;
    Ok(Message::new(payload))
}
