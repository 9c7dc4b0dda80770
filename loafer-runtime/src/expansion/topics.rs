//! Which topics a handler publishes to, by the types that it returns: called by the expansion of `#[handler(publish)]`.
//!
//! No value is there yet, so a marker of the type goes the way that `returned` goes with the value: out of a `Result`, out of an `Option` or a
//! `Vec`, to an event. A type that is none of these passes a step unchanged.

use std::marker::PhantomData;

use loafer_core::event::Event;

/// A type that a handler returns, or a part of it.
#[derive(Debug)]
pub struct OfType<T>(PhantomData<fn() -> T>);

/// Returns the marker of a type.
#[must_use]
pub fn of_type<T>() -> OfType<T> {
    OfType(PhantomData)
}

impl<T, E> OfType<Result<T, E>> {
    /// Returns the type of what is there without an error.
    #[must_use]
    pub fn result(self) -> OfType<T> {
        of_type()
    }
}

impl<T> OfType<Option<T>> {
    /// Returns the type of one message.
    #[must_use]
    pub fn each(self) -> OfType<T> {
        of_type()
    }
}

impl<T> OfType<Vec<T>> {
    /// Returns the type of one message.
    #[must_use]
    pub fn each(self) -> OfType<T> {
        of_type()
    }
}

impl<E: Event> OfType<E> {
    /// Returns the topic of the event.
    #[must_use]
    pub fn topic(self) -> Option<&'static str> {
        Some(E::TOPIC)
    }
}

/// The steps of a type that is no `Result`, neither `Option` nor `Vec`, or no event.
pub trait PlainType: Sized {
    /// Returns the type itself.
    #[must_use]
    fn result(self) -> Self {
        self
    }

    /// Returns the type itself.
    #[must_use]
    fn each(self) -> Self {
        self
    }

    /// Returns no topic. That the type is no event is reported where its value is published.
    fn topic(self) -> Option<&'static str> {
        None
    }
}

impl<T> PlainType for OfType<T> {}
