//! What a handler returned, as a reply: what the expansion of `#[handler(reply)]` calls.
//!
//! As in `returned`, a method of the type itself is preferred to one of a trait: so an `Option`, a `Message` and any other value are told apart.

use serde::Serialize;

use crate::bus::{Bus, Replier};
use loafer_core::{
    extract::Context,
    message::{Message, Outgoing},
    outcome::{BoxError, FailureKind, Verdict},
};

/// A reply, or none.
#[derive(Debug)]
pub struct Answer<T>(pub T);

impl<T> Answer<Option<T>> {
    /// As it was returned.
    pub fn given(self) -> Option<T> {
        self.0
    }
}

/// What is a reply in any case.
pub trait Given<T> {
    /// The one.
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
    /// As it is.
    ///
    /// # Errors
    ///
    /// None.
    pub fn message(self) -> Result<Outgoing, BoxError> {
        Ok(self.0)
    }
}

impl Reply<Message> {
    /// As it is.
    ///
    /// # Errors
    ///
    /// None.
    pub fn message(self) -> Result<Outgoing, BoxError> {
        Ok(self.0.into())
    }
}

/// What can be a reply, as JSON.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be a reply",
    label = "not `Serialize`",
    note = "derive `Serialize` for it; what a handler with `reply` returns is a value, an `Option` of one (`None`: no reply), or a `Result` of either"
)]
pub trait Replyable: Serialize {}

#[diagnostic::do_not_recommend]
impl<T: Serialize> Replyable for T {}

/// Any other value: as JSON.
pub trait Encoded<T> {
    /// As JSON.
    ///
    /// # Errors
    ///
    /// Where it does not encode.
    fn message(self) -> Result<Outgoing, BoxError>
    where
        T: Replyable;
}

impl<T> Encoded<T> for Reply<T> {
    fn message(self) -> Result<Outgoing, BoxError>
    where
        T: Replyable,
    {
        Ok(Message::new(serde_json::to_vec(&self.0)?).into())
    }
}

/// What replies to the message of a call.
#[must_use]
pub fn replier(bus: &Bus, context: &Context<'_>) -> Replier {
    Replier::of(bus, context)
}

/// Sends what was returned to whoever asked; acks once the broker confirmed it.
///
/// A failure where it does not encode, or was not confirmed.
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

/// The same for a plain function, on its thread of the blocking pool.
///
/// # Panics
///
/// Outside of a tokio runtime.
pub fn reply_blocking(replier: &Replier, message: Option<Result<Outgoing, BoxError>>) -> Verdict {
    tokio::runtime::Handle::current().block_on(reply(replier, message))
}
