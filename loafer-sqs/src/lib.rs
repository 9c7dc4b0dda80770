//! Amazon SQS and SNS for Loafer. [`Sqs`] leases messages from queues and publishes to topics and queues. The translators `Sns`,
//! `EventBridge` and `S3Event`, which open the envelopes in which AWS delivers, need no broker: they are in `loafer_core::translate`.
//!
//! | module | what it is |
//! |---|---|
//! | `broker` | [`Sqs`], the broker value |
//! | `client` | the clients of the SDK, and the four calls on messages |
//! | `names` | ARNs, queue addresses, endpoints, header names |
//! | `message` | messages in: from the SDK to Loafer |
//! | `outgoing` | messages out: attributes, sizes, batches |
//! | `error` | errors of the SDK in short: [`ServiceError`] |
//! | `provider` | [`SqsProvider`]: receive, settle, renew |
//! | `publisher` | [`SqsPublisher`]: SNS topics, and queues as `sqs:NAME` |
//! | `dead_letters` | [`SqsDeadLetters`]: a dead-letter queue to look into, to try again from, to purge |
//! | `replies` | [`SqsReplies`]: a temporary queue for replies to the requests of this process |
//! | `topology` | queues and topics, found and made; the `aws` command lines that mend them |
//! | `check` | what the command `check` says of a queue |
//! | `payloads` | payloads too large for a message, on S3 |
//! | `seconds` | durations as SQS counts them |
//!
//! There is no `options`: a route sets nothing that only SQS knows.

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
mod payloads;
mod provider;
mod publisher;
mod replies;
mod seconds;
mod topology;

pub use aws_config;

#[cfg(feature = "s3")]
pub use self::payloads::{Cleanup, S3Payloads};

pub use self::{
    broker::Sqs,
    dead_letters::{DeadLetterReceipt, SqsDeadLetters},
    error::ServiceError,
    provider::{Receipt, SqsProvider},
    publisher::SqsPublisher,
    replies::SqsReplies,
};
