//! What a handler returned, as a reply: called by the expansion of `#[handler(reply)]`.
//!
//! As in `returned`, the compiler prefers a method of the type itself to a method of a trait. So an `Option`, a `Message`, an event and any
//! other value are distinguished.

use serde::Serialize;

use crate::bus::{Bus, Replier};
use loafer_core::{
    event::{Event, encoded_event},
    extract::Context,
    message::{Message, Outgoing},
    outcome::{BoxError, FailureKind, Verdict},
};

/// What a handler returned: a reply, or none.
#[derive(Debug)]
pub struct Answer<T>(pub T);

impl<T> Answer<Option<T>> {
    /// Returns it as it is.
    pub fn given(self) -> Option<T> {
        self.0
    }
}

/// A value that is always a reply.
pub trait Given<T> {
    /// Returns the reply.
    fn given(self) -> Option<T>;
}

impl<T> Given<T> for Answer<T> {
    fn given(self) -> Option<T> {
        Some(self.0)
    }
}

/// One reply.
#[derive(Debug)]
pub struct Reply<T>(pub T);

impl Reply<Outgoing> {
    /// Returns it as it is.
    ///
    /// # Errors
    ///
    /// Never.
    pub fn message(self) -> Result<Outgoing, BoxError> {
        Ok(self.0)
    }
}

impl Reply<Message> {
    /// Returns it as it is.
    ///
    /// # Errors
    ///
    /// Never.
    pub fn message(self) -> Result<Outgoing, BoxError> {
        Ok(self.0.into())
    }
}

/// A value that can be a reply, as JSON.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be a reply",
    label = "not `Serialize`",
    note = "derive `Serialize` for it; what a handler with `reply` returns is a value, an `Option` of one (`None`: no reply), or a `Result` of either"
)]
pub trait Replyable: Serialize {}

#[diagnostic::do_not_recommend]
impl<T: Serialize> Replyable for T {}

/// An event, by its encoding. It is preferred to any other value, because it is found without a reference.
pub trait EventReply {
    /// Returns the event as a reply: neither topic nor group matter to who asked.
    ///
    /// # Errors
    ///
    /// If the event can't be encoded.
    fn message(self) -> Result<Outgoing, BoxError>;
}

impl<T: Event> EventReply for Reply<T> {
    fn message(self) -> Result<Outgoing, BoxError> {
        Ok(encoded_event(&self.0)?.into())
    }
}

/// Any other value, as JSON.
pub trait Encoded<T> {
    /// Returns the value as JSON.
    ///
    /// # Errors
    ///
    /// If the value can't be encoded.
    fn message(&self) -> Result<Outgoing, BoxError>
    where
        T: Replyable;
}

impl<T> Encoded<T> for Reply<T> {
    fn message(&self) -> Result<Outgoing, BoxError>
    where
        T: Replyable,
    {
        Ok(Message::new(serde_json::to_vec(&self.0)?).into())
    }
}

/// Returns the replier to the message of a call.
#[must_use]
pub fn replier(bus: &Bus, context: &Context<'_>) -> Replier {
    Replier::of(bus, context)
}

/// Sends what was returned to the requester. Acks once the broker has confirmed it.
///
/// Returns a failure if it can't be encoded, or was not confirmed.
pub async fn reply(replier: &Replier, message: Option<Result<Outgoing, BoxError>>) -> Verdict {
    let sent = match message {
        Some(Ok(message)) => replier.send(message).await.map_err(BoxError::from),
        Some(Err(error)) => Err(error),
        None => Ok(()),
    };
    match sent {
        Ok(()) => Verdict::ACK,
        Err(error) => Verdict::failed(FailureKind::Error, error),
    }
}

/// Sends what a plain function returned to the requester, on the function's thread of the blocking pool. See [`reply`].
///
/// # Panics
///
/// Outside of a tokio runtime.
pub fn reply_blocking(replier: &Replier, message: Option<Result<Outgoing, BoxError>>) -> Verdict {
    tokio::runtime::Handle::current().block_on(reply(replier, message))
}
