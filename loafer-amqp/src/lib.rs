//! RabbitMQ for Loafer, over AMQP 0-9-1: [`Amqp`] consumes queues that it declares itself, and publishes to exchanges.
//!
//! | module | what it is |
//! |---|---|
//! | `config` | [`Amqp`], the broker: addresses, names, what every message carries |
//! | `section` | `[amqp]` in `loafer.toml` |
//! | `link` | one connection, made again when it breaks |
//! | `hosts` | the addresses: whichever answers |
//! | `tls` | whom a connection trusts, and what it shows |
//! | `names` | what queues are called |
//! | `places` | what is there |
//! | `topology` | exchanges, queues and bindings: declared, or verified |
//! | `ladder` | the queues in which retries wait |
//! | `provider` | [`AmqpProvider`]: deliveries pushed by the broker, settled together |
//! | `outlet` | the way out: channels with confirms |
//! | `routing` | [`Routing`]: where a message goes, as a topic says it |
//! | `declared` | what the publisher makes: exchanges, and where delayed messages wait |
//! | `publisher` | [`AmqpPublisher`]: what is published, tried again, and told |
//! | `replies` | [`AmqpReplies`]: an exclusive queue for replies to the requests of this process |
//! | `unfetched` | replies that came in, until they are fetched |
//! | [`headers`] | headers that stand for properties of AMQP |
//! | `properties` | a message of Loafer as what is published |
//! | `message` | a delivery as a message of Loafer |
//! | `letters` | [`AmqpDeadLetters`]: letters on lease, tried again in the one queue they came from |
//! | `check` | what the command `check` says of a queue |
//! | `compare` | how a queue that is there differs from how it would be made |
//! | `rights` | which right is missing on what |
//! | `error` | what the broker and the client say, made short |

#![cfg_attr(
    test,
    allow(clippy::unwrap_used, reason = "a test that can't go on should fail")
)]

mod broker;
mod check;
mod client;
mod dead_letters;
mod error;
mod message;
mod names;
mod outgoing;
mod provider;
mod publisher;
mod replies;
mod rights;
mod topology;

pub use self::{
    broker::{Amqp, ExchangeType, Unroutable},
    dead_letters::{AmqpDeadLetters, LetterReceipt},
    names::{headers, routing::Routing},
    provider::{AmqpProvider, Receipt},
    publisher::AmqpPublisher,
    replies::AmqpReplies,
};
