//! The contract of Loafer: all that a broker crate, a translator or an extractor may name. Nothing in it runs.
//!
//! Users of Loafer name these types through the facade `loafer`. Authors of brokers, translators and extractors need this crate alone; the guide
//! to writing a broker is [`broker`].
//!
//! | module | what it is |
//! |---|---|
//! | [`message`] | messages: payload, headers, ids; and messages on their way to a broker |
//! | [`outcome`] | what a handler says of its message |
//! | [`translate`] | envelopes and translators: from a raw message to the first argument of a handler |
//! | [`event`] | types whose values are published |
//! | [`policy`] | how a route behaves, and which messages each of its handlers takes |
//! | [`extract`] | the other arguments of a handler |
//! | [`broker`] | brokers, providers, publishers, replies and dead letters |

pub mod broker;
mod error;
pub mod event;
pub mod extract;
pub mod message;
pub mod outcome;
pub mod policy;
mod shared_error;
pub mod translate;

pub use self::{error::Error, shared_error::SharedError};
