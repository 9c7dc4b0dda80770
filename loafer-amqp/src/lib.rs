//! RabbitMQ for Loafer, over AMQP 0-9-1: [`Amqp`] consumes queues that it declares itself, and publishes to exchanges.
//!
//! | module | what it is |
//! |---|---|
//! | `config` | [`Amqp`], the broker: addresses, names, what every message carries |
//! | `link` | one connection, made again when it breaks |
//! | `names` | what queues are called |
//! | `topology` | exchanges, queues and bindings: declared, or verified |
//! | `ladder` | the queues in which retries wait |
//! | `provider` | [`AmqpProvider`]: deliveries pushed by the broker, settled together |
//! | `outlet` | the way out: one channel with confirms |
//! | `publisher` | [`AmqpPublisher`]: topics, routing keys, queues |
//! | `message` | a delivery as a message of Loafer, and back |
//! | `letters` | [`AmqpDeadLetters`]: letters on lease, tried again in the one queue they came from |
//! | `check` | what the command `check` says of a queue |
//! | `error` | what the broker and the client say, made short |

#![cfg_attr(
    test,
    allow(clippy::unwrap_used, reason = "a test that can't go on should fail")
)]

mod check;
mod config;
mod error;
mod ladder;
mod letters;
mod link;
mod message;
mod names;
mod outlet;
mod provider;
mod publisher;
mod topology;

pub use self::{
    config::{Amqp, Unroutable},
    letters::{AmqpDeadLetters, LetterReceipt},
    provider::{AmqpProvider, Receipt},
    publisher::{AmqpPublisher, Routing},
};
