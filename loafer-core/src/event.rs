//! Events: types whose values are published, and where to.

use serde::Serialize;

use crate::{
    Error,
    message::{DeduplicationId, EVENT_TYPE, GroupId, Message, Outgoing},
};

/// The header that says which form of an event a message is, where that is not the first.
pub const EVENT_VERSION: &str = "event-version";

/// A type whose values are published, and where to.
///
/// ```
/// # use serde::Serialize;
/// use loafer::Event;
///
/// #[derive(Serialize)]
/// struct FriendCreated { id: String }
///
/// impl Event for FriendCreated {
///     const TOPIC: &'static str = "friend-created";
/// }
/// ```
///
/// Where the topic keeps groups in order, the event knows its group:
///
/// ```
/// # use serde::Serialize;
/// use loafer::{message::{DeduplicationId, GroupId}, Event};
///
/// #[derive(Serialize)]
/// struct Paid { customer: String, payment: u64 }
///
/// impl Event for Paid {
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
pub trait Event: Publishable {
    /// The topic its values go to.
    const TOPIC: &'static str;
    /// Which form of the event this is.
    const VERSION: u32 = 1;

    /// The group this value belongs to; unless implemented, none.
    fn group(&self) -> Option<GroupId> {
        None
    }

    /// What duplicates of this value are told by; unless implemented, the id of each message: no two are duplicates.
    fn deduplication_id(&self) -> Option<DeduplicationId> {
        None
    }
}

/// What can be published as JSON: whatever is [`Serialize`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be published",
    label = "not `Serialize`",
    note = "derive `serde::Serialize` for it; what a handler with `publish` returns is a value, an `Option`, a `Vec`, or a tuple of events"
)]
pub trait Publishable: Serialize {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + ?Sized> Publishable for T {}

impl Outgoing {
    /// An event, as JSON, in its group and with its deduplication id; to be sent to its topic.
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
    /// Where the event does not encode.
    pub fn event<E: Event>(event: &E) -> Result<Self, Error> {
        let mut outgoing = Self::new(encoded(E::TOPIC, event)?).header(EVENT_TYPE, E::TOPIC);
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

/// Encodes a value as JSON, for this topic.
///
/// # Errors
///
/// If the value does not encode.
pub fn encoded<T: Serialize + ?Sized>(topic: &str, value: &T) -> Result<Message, Error> {
    let payload = serde_json::to_vec(value).map_err(|error| Error::Encode {
        topic: topic.to_owned(),
        source: error.into(),
    })?;
    Ok(Message::new(payload))
}
