//! A message on its way, as [`Bus`](crate::bus::Bus) gives it to be awaited.

use std::{
    fmt,
    future::{Future, ready},
    pin::Pin,
    task::{Context, Poll},
};

use futures_util::future::BoxFuture;
use loafer_core::{Error, message::MessageId};

/// A message being published: gives the id that the broker confirmed.
///
/// Of one type, whatever is published: so an event that is none is one error of the compiler, and what was published need not be `Sync`.
///
/// # Cancellation
///
/// Dropped before it is over, the message may be published or not.
#[must_use = "nothing is published unless it is awaited"]
pub struct Publishing<'b>(BoxFuture<'b, Result<MessageId, Error>>);

impl<'b> Publishing<'b> {
    pub(crate) fn new(
        published: impl Future<Output = Result<MessageId, Error>> + Send + 'b,
    ) -> Self {
        Self(Box::pin(published))
    }

    /// What could not be encoded.
    pub(crate) fn failed(error: Error) -> Self {
        Self::new(ready(Err(error)))
    }
}

impl Future for Publishing<'_> {
    type Output = Result<MessageId, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl fmt::Debug for Publishing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publishing").finish_non_exhaustive()
    }
}
