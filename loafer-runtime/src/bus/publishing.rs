//! A message being published, as [`Bus`](crate::bus::Bus) returns it.

use std::{
    fmt,
    future::{Future, ready},
    pin::Pin,
    task::{Context, Poll},
};

use futures_util::future::BoxFuture;
use loafer_core::{Error, message::MessageId};

/// A message being published. When awaited, it returns the id that the broker gave the message, once the broker has confirmed it.
///
/// This is one concrete type for all events. So a type that is not an [`Event`](loafer_core::event::Event) gives a single compile error,
/// and the published value need not be `Sync`.
///
/// # Cancellation
///
/// Not safe: when dropped before it is ready, the message may have been published or not. Nothing is published before the first poll.
#[must_use = "nothing is published unless it is awaited"]
pub struct Publishing<'b>(BoxFuture<'b, Result<MessageId, Error>>);

impl<'b> Publishing<'b> {
    pub(crate) fn new(
        published: impl Future<Output = Result<MessageId, Error>> + Send + 'b,
    ) -> Self {
        Self(Box::pin(published))
    }

    /// Returns one that fails, because the value could not be encoded.
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
