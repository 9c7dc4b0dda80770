//! What a handler returned, as messages to publish: what the expansion of `#[handler(publish = …)]` calls.
//!
//! What was returned is wrapped in [`Returned`], then in [`Several`], then each message in [`One`]. At each step a method of the type itself is
//! preferred to one of a trait, and one that takes the value to one that takes a reference: so a `Result`, an `Option`, a `Vec` and an `Event` are told from any other value by the compiler, whatever the user calls them.

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
    /// As it was returned.
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
    /// Without an error.
    ///
    /// # Errors
    ///
    /// None.
    fn result(self) -> Result<T, BoxError>;
}

impl<T> Plain<T> for Returned<T> {
    fn result(self) -> Result<T, BoxError> {
        Ok(self.0)
    }
}

/// A handler's error, as a failure of its message.
///
/// # Errors
///
/// Where the handler said so.
pub fn returned<T, E: HandlerError>(result: Result<T, E>) -> Result<T, Verdict> {
    result.map_err(|error| Verdict::failed(FailureKind::Error, error))
}

/// A message, and where it goes.
pub type Addressed = Result<(Topic, Outgoing), BoxError>;

/// One message to publish, several, or none.
#[derive(Debug)]
pub struct Several<T>(pub T);

impl<T> Several<Option<T>> {
    /// At most one.
    pub fn each(self, address: impl FnMut(T) -> Addressed) -> Vec<Addressed> {
        self.0.into_iter().map(address).collect()
    }
}

impl<T> Several<Vec<T>> {
    /// All of them, in order.
    pub fn each(self, address: impl FnMut(T) -> Addressed) -> Vec<Addressed> {
        self.0.into_iter().map(address).collect()
    }
}

/// A single value.
pub trait Single<T> {
    /// The one.
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
    /// As it is.
    ///
    /// # Errors
    ///
    /// None.
    pub fn to(self, topic: &'static str) -> Addressed {
        Ok((topic.into(), self.0))
    }
}

impl One<Message> {
    /// As it is.
    ///
    /// # Errors
    ///
    /// None.
    pub fn to(self, topic: &'static str) -> Addressed {
        Ok((topic.into(), self.0.into()))
    }
}

/// An event: preferred to any other value, since it is found without a reference.
pub trait EventValue {
    /// An event, with its group, to this topic instead of its own.
    ///
    /// # Errors
    ///
    /// Where it does not encode.
    fn to(self, topic: &'static str) -> Addressed;
}

impl<T: Event> EventValue for One<T> {
    fn to(self, topic: &'static str) -> Addressed {
        Ok((topic.into(), Outgoing::event(&self.0)?))
    }
}

/// Any other value: as JSON.
pub trait Value<T> {
    /// As JSON, to this topic.
    ///
    /// # Errors
    ///
    /// Where it does not encode.
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

/// An event, to its own topic.
///
/// # Errors
///
/// Where it does not encode.
#[allow(
    clippy::needless_pass_by_value,
    reason = "called with what a handler returned"
)]
pub fn addressed<E: Event>(event: E) -> Addressed {
    Ok((E::TOPIC.into(), Outgoing::event(&event)?))
}

/// Publishes what was returned, each topic's messages in one go; acks once the broker confirmed all of it.
///
/// A failure where one does not encode, and then none is published; or where one was not confirmed.
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

/// The same for a plain function, on its thread of the blocking pool.
///
/// # Panics
///
/// Outside of a tokio runtime.
pub fn publish_blocking(bus: &Bus, messages: Vec<Addressed>) -> Verdict {
    tokio::runtime::Handle::current().block_on(publish(bus, messages))
}

/// A field of an event that is its group, or what its duplicates are told by.
#[derive(Debug)]
pub struct Field<'f, T>(pub &'f T);

impl<T: GroupPart> Field<'_, Option<T>> {
    /// Its text, where it has one.
    pub fn text(self) -> Option<String> {
        self.0.as_ref().map(ToString::to_string)
    }
}

/// A field that every value has.
pub trait Whole<T> {
    /// Its text.
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

/// What can be a group or a deduplication id: whatever is shown as text.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be a group or a deduplication id",
    label = "it has no text of its own",
    note = "name a field that implements `Display`, as a `String` or a number, or an `Option` of one; a field of that field is written `group = customer.id`"
)]
pub trait GroupPart: Display {}

#[diagnostic::do_not_recommend]
impl<T: Display> GroupPart for T {}
