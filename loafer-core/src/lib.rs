//! The contract of Loafer: all that a broker crate, a translator or an extractor may name, and nothing that runs.
//!
//! Users of Loafer name these types by the facade `loafer`; authors of brokers, translators and extractors depend on this crate alone.
//!
//! | module | what it holds |
//! |---|---|
//! | [`message`] | payload, headers, ids; a message on its way out |
//! | [`outcome`] | what a handler says of its message |
//! | [`translate`] | envelopes and translators: from a raw message to what a handler takes |
//! | [`event`] | types whose values are published |
//! | [`policy`] | how a route behaves, and which messages a handler takes |
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
