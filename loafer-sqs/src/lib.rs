//! Amazon SQS and SNS for Loafer: [`Sqs`] leases messages from queues and publishes to topics and queues, [`Sns`] and
//! [`EventBridge`] open the envelopes in which those deliver.
//!
//! | module | what it is |
//! |---|---|
//! | `config` | [`Sqs`], the broker: one AWS configuration, and the clients made of it |
//! | `queue` | a queue, found by name or URL, with its attributes; made where it may be |
//! | `provider` | [`SqsProvider`]: receive, settle, renew |
//! | `letters` | [`SqsDeadLetters`]: a dead-letter queue to look into, to try again from, to purge |
//! | `remedy` | the `aws` command lines that mend things |
//! | `publisher` | [`SqsPublisher`]: SNS topics, and queues as `sqs:NAME` |
//! | `replies` | [`SqsReplies`]: a temporary queue for replies to the requests of this process |
//! | `message` | an SDK message as a message of Loafer |
//! | `parcel` | a message of Loafer as SQS and SNS take it: attributes, sizes, batches |
//! | `payloads` | payloads too large for a message, on S3 |
//! | `translate` | the translators [`Sns`], [`EventBridge`], [`S3Event`] |
//! | `topic` | the SNS topic that feeds a queue: seen, made, subscribed |
//! | `check` | what the command `check` says of a queue |
//! | `error` | SDK errors, made short: [`ServiceError`] |
//! | `seconds` | durations as SQS takes them |

#![cfg_attr(
    test,
    allow(clippy::unwrap_used, reason = "a test that can't go on should fail")
)]

mod check;
mod config;
mod error;
mod letters;
mod message;
mod parcel;
mod payloads;
mod provider;
mod publisher;
mod queue;
mod remedy;
mod replies;
mod seconds;
mod topic;
mod translate;

pub use aws_config;

#[cfg(feature = "s3")]
pub use self::payloads::{Cleanup, S3Payloads};

pub use self::{
    config::Sqs,
    error::ServiceError,
    letters::{LetterReceipt, SqsDeadLetters},
    provider::{Receipt, SqsProvider},
    publisher::SqsPublisher,
    replies::SqsReplies,
    translate::{EventBridge, S3Bucket, S3Event, S3Notification, S3Object, S3Record, Sns},
};
