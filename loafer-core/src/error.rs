//! The errors of the framework.

use std::time::Duration;

use crate::{outcome::BoxError, translate::TranslateError};

/// What went wrong between the framework, its configuration and a broker.
///
/// Messages name the route or queue and say what to do; [`source`](std::error::Error::source) keeps the cause.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration, an attribute or the command line asks for something that can't be.
    #[error("{0}")]
    Config(String),
    /// The program can't start; one line a reason.
    #[error("{0}")]
    Start(String),
    /// The queue is not there.
    #[error("queue `{queue}` does not exist{place}: {remedy}")]
    UnknownQueue {
        /// The queue, as it was named.
        queue: String,
        /// Where it was looked for, as ` in us-east-1`; may be empty.
        place: String,
        /// What to do.
        remedy: String,
    },
    /// The broker can't be reached, or did not answer in time.
    #[error("{what} of `{queue}` failed: {cause}")]
    Unreachable {
        /// The call, as `receive`.
        what: &'static str,
        /// The queue or topic.
        queue: String,
        /// What the client said, in short.
        cause: String,
        /// The client's error.
        #[source]
        source: Option<BoxError>,
    },
    /// The broker took no part in it: credentials, region, rights.
    #[error("{what} of `{queue}` was refused: {cause}")]
    Refused {
        /// The call, as `receive`.
        what: &'static str,
        /// The queue or topic.
        queue: String,
        /// What is missing, and what to do.
        cause: String,
        /// The client's error.
        #[source]
        source: Option<BoxError>,
    },
    /// A value could not be made into a message.
    #[error("a value for `{topic}` could not be encoded")]
    Encode {
        /// Where it should have gone.
        topic: String,
        /// Why.
        #[source]
        source: BoxError,
    },
    /// A call took longer than it may.
    #[error("{what} of `{queue}` took longer than {after:?}")]
    Timeout {
        /// The call, as `receive`.
        what: &'static str,
        /// The queue or topic.
        queue: String,
        /// How long it was given.
        after: Duration,
    },
    /// Nobody replied to a request in time.
    #[error(
        "no reply to request {request_id} to `{topic}` within {after:?}: it may still be handled"
    )]
    NoReply {
        /// Where the request went.
        topic: String,
        /// The request's id, as in its header `request-id`.
        request_id: String,
        /// How long was waited.
        after: Duration,
    },
    /// Whoever handled a request says that it failed for good: it is not tried again.
    #[error("request {request_id} to `{topic}` failed: {kind}{}", because(reason.as_deref()))]
    RequestFailed {
        /// Where the request went.
        topic: String,
        /// The request's id.
        request_id: String,
        /// The kind of the failure, as in dead letters: `rejected`, `error`, `panic`, `timeout`, `undecodable`.
        kind: String,
        /// What may be told of it.
        reason: Option<String>,
    },
    /// A reply does not decode as the type that was asked for.
    #[error("the reply to request {request_id} to `{topic}` does not decode: {source}")]
    UndecodableReply {
        /// Where the request went.
        topic: String,
        /// The request's id.
        request_id: String,
        /// The field, line and column; no value.
        source: TranslateError,
    },
}

fn because(reason: Option<&str>) -> String {
    reason
        .map(|reason| format!(": {reason}"))
        .unwrap_or_default()
}
