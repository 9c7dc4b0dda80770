//! RabbitMQ for Loafer, over AMQP 0-9-1: [`Amqp`] consumes queues that it declares itself, and publishes to exchanges.
//!
//! | module | what it is |
//! |---|---|
//! | `broker` | [`Amqp`], the broker |
//! | `client` | the connections: configuration, addresses, certificates |
//! | `options` | [`Options`], the options of a route that only RabbitMQ has |
//! | `names` | names of queues; [`headers`]; [`Routing`], what a topic stands for |
//! | `message` | a message on its way in |
//! | `outgoing` | a message on its way out |
//! | `topology` | exchanges, queues and bindings: found, made, compared |
//! | `provider` | [`AmqpProvider`]: messages that RabbitMQ pushes, settled together |
//! | `publisher` | [`AmqpPublisher`], and the channels with confirms |
//! | `dead_letters` | [`AmqpDeadLetters`]: dead letters on lease, sent to another queue or deleted |
//! | `due` | retries whose time has come, on their way to their queues |
//! | `replies` | [`AmqpReplies`]: an exclusive queue for replies to the requests of this process |
//! | `check` | what the command `check` says about a queue |
//! | `error` | errors of RabbitMQ and its client |

#![cfg_attr(
    test,
    allow(clippy::unwrap_used, reason = "a test that can't go on should fail")
)]

mod broker;
mod check;
mod client;
mod dead_letters;
mod due;
mod error;
mod message;
mod names;
mod options;
mod outgoing;
mod provider;
mod publisher;
mod replies;
mod topology;

/// What the fuzz targets call. Users do not name it.
#[doc(hidden)]
pub mod __private {
    use lapin::BasicProperties;
    use loafer_core::message::Message;

    pub use crate::client::{read_address, readable};
    use crate::message::{Arrival, received};

    /// Returns the message that RabbitMQ delivered to a queue that counts deliveries. What headers of ours say is believed if it is `ours`.
    pub fn delivered(properties: &BasicProperties, payload: Vec<u8>, ours: bool) -> Message {
        let arrival = Arrival {
            exchange: if ours { "app.delays" } else { "event" },
            delays: "app.delays",
            redelivered: true,
            counted: true,
            ours,
        };
        received("order.placed", arrival, properties, payload)
    }
}

pub use self::{
    broker::Amqp,
    client::config::{ExchangeType, Unroutable},
    dead_letters::{AmqpDeadLetters, DeadLetterReceipt},
    names::{headers, routing::Routing},
    options::{Argument, Declare, Options, QueueType},
    provider::{AmqpProvider, Receipt},
    publisher::AmqpPublisher,
    replies::AmqpReplies,
};
