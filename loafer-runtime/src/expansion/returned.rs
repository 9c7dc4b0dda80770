//! What a handler returned, as messages to publish: called by the expansion of `#[handler(publish = …)]`.
//!
//! What was returned is wrapped in [`Returned`], then in [`Several`], then each message in [`One`]. At each step the compiler prefers a
//! method of the type itself to a method of a trait, and a method that takes the value to one that takes a reference. So it distinguishes a
//! `Result`, an `Option`, a `Vec` and an `Event` from any other value, whatever the user calls them.

use std::fmt::Display;

use crate::bus::Bus;
use loafer_core::event::{Event, Publishable};
use loafer_core::{
    broker::Topic,
    message::{Message, Outgoing},
    outcome::{BoxError, FailureKind, HandlerError, Verdict},
};

/// What a handler returned.
#[derive(Debug)]
pub struct Returned<T>(pub T);

impl<T, E> Returned<Result<T, E>> {
    /// Returns it as it is.
    ///
    /// # Errors
    ///
    /// The handler's own.
    pub fn result(self) -> Result<T, E> {
        self.0
    }
}

/// What was returned by a handler that can't fail.
pub trait Plain<T> {
    /// Returns it, without an error.
    ///
    /// # Errors
    ///
    /// Never.
    fn result(self) -> Result<T, BoxError>;
}

impl<T> Plain<T> for Returned<T> {
    fn result(self) -> Result<T, BoxError> {
        Ok(self.0)
    }
}

/// Turns a handler's error into a failure of its message.
///
/// # Errors
///
/// If the handler returned an error.
pub fn returned<T, E: HandlerError>(result: Result<T, E>) -> Result<T, Verdict> {
    result.map_err(|error| Verdict::failed(FailureKind::Error, error))
}

/// A message and its topic, or the reason why it can't be encoded.
pub type Addressed = Result<(Topic, Outgoing), BoxError>;

/// One message to publish, several, or none.
#[derive(Debug)]
pub struct Several<T>(pub T);

impl<T> Several<Option<T>> {
    /// Returns the message, if there is one.
    pub fn each(self, address: impl FnMut(T) -> Addressed) -> Vec<Addressed> {
        self.0.into_iter().map(address).collect()
    }
}

impl<T> Several<Vec<T>> {
    /// Returns all of them, in order.
    pub fn each(self, address: impl FnMut(T) -> Addressed) -> Vec<Addressed> {
        self.0.into_iter().map(address).collect()
    }
}

/// A single value.
pub trait Single<T> {
    /// Returns the one message.
    fn each(self, address: impl FnMut(T) -> Addressed) -> Vec<Addressed>;
}

impl<T> Single<T> for Several<T> {
    fn each(self, mut address: impl FnMut(T) -> Addressed) -> Vec<Addressed> {
        vec![address(self.0)]
    }
}

/// One message to publish to a topic.
#[derive(Debug)]
pub struct One<T>(pub T);

impl One<Outgoing> {
    /// Returns the message as it is, for this topic.
    ///
    /// # Errors
    ///
    /// Never.
    pub fn to(self, topic: &'static str) -> Addressed {
        Ok((topic.into(), self.0))
    }
}

impl One<Message> {
    /// Returns the message as it is, for this topic.
    ///
    /// # Errors
    ///
    /// Never.
    pub fn to(self, topic: &'static str) -> Addressed {
        Ok((topic.into(), self.0.into()))
    }
}

/// An event. It is preferred to any other value, because it is found without a reference.
pub trait EventValue {
    /// Returns the event, with its group, for this topic instead of its own.
    ///
    /// # Errors
    ///
    /// If the event can't be encoded.
    fn to(self, topic: &'static str) -> Addressed;
}

impl<T: Event> EventValue for One<T> {
    fn to(self, topic: &'static str) -> Addressed {
        Ok((topic.into(), Outgoing::event(&self.0)?))
    }
}

/// Any other value, as JSON.
pub trait Value<T> {
    /// Returns the value as JSON, for this topic.
    ///
    /// # Errors
    ///
    /// If the value can't be encoded.
    fn to(&self, topic: &'static str) -> Addressed
    where
        T: Publishable;
}

impl<T> Value<T> for One<T> {
    fn to(&self, topic: &'static str) -> Addressed
    where
        T: Publishable,
    {
        let message = Message::new(serde_json::to_vec(&self.0)?);
        Ok((topic.into(), message.into()))
    }
}

/// Returns an event, for its own topic.
///
/// # Errors
///
/// If the event can't be encoded.
#[allow(
    clippy::needless_pass_by_value,
    reason = "called with what a handler returned"
)]
pub fn addressed<E: Event>(event: E) -> Addressed {
    Ok((E::TOPIC.into(), Outgoing::event(&event)?))
}

/// Publishes what was returned, the messages of each topic in one call. Acks once the broker has confirmed all of them.
///
/// Returns a failure if one can't be encoded, and then none is published; and if one was not confirmed.
pub async fn publish(bus: &Bus, messages: Vec<Addressed>) -> Verdict {
    match publish_all(bus, messages).await {
        Ok(()) => Verdict::ACK,
        Err(error) => Verdict::failed(FailureKind::Error, error),
    }
}

async fn publish_all(bus: &Bus, messages: Vec<Addressed>) -> Result<(), BoxError> {
    let messages: Result<Vec<_>, _> = messages.into_iter().collect();
    let mut of_topics: Vec<(Topic, Vec<Outgoing>)> = Vec::new();
    for (topic, message) in messages? {
        match of_topics.iter_mut().find(|(known, _)| *known == topic) {
            Some((_, batch)) => batch.push(message),
            None => of_topics.push((topic, vec![message])),
        }
    }
    for (topic, batch) in of_topics {
        for answer in bus.send_all(topic, batch).await {
            answer?;
        }
    }
    Ok(())
}

/// Publishes what a plain function returned, on the function's thread of the blocking pool. See [`publish`].
///
/// # Panics
///
/// Outside of a tokio runtime.
pub fn publish_blocking(bus: &Bus, messages: Vec<Addressed>) -> Verdict {
    tokio::runtime::Handle::current().block_on(publish(bus, messages))
}

/// A field of an event that is the event's group or its deduplication id.
#[derive(Debug)]
pub struct Field<'f, T>(pub &'f T);

impl<T: GroupPart> Field<'_, Option<T>> {
    /// Returns its text, if it has one.
    pub fn text(self) -> Option<String> {
        self.0.as_ref().map(ToString::to_string)
    }
}

/// A field that always has a value.
pub trait Whole<T> {
    /// Returns its text.
    fn text(self) -> Option<String>
    where
        T: GroupPart;
}

impl<T> Whole<T> for Field<'_, T> {
    fn text(self) -> Option<String>
    where
        T: GroupPart,
    {
        Some(self.0.to_string())
    }
}

/// What can be a group or a deduplication id: any value with a `Display`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be a group or a deduplication id",
    label = "it has no text of its own",
    note = "name a field that implements `Display`, as a `String` or a number, or an `Option` of one; a field of that field is written `group = customer.id`"
)]
pub trait GroupPart: Display {}

#[diagnostic::do_not_recommend]
impl<T: Display> GroupPart for T {}
