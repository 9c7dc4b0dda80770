//! The errors of the framework, which can be cloned: one failed call is the answer to each message of a batch.

use std::time::Duration;

use crate::{shared_error::SharedError, translate::TranslateError};

/// What went wrong between the framework, its configuration and a broker.
///
/// Messages name the route or queue and say what to do. [`source`](std::error::Error::source) keeps the cause, also in a clone.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration, an attribute or the command line asks for something impossible.
    #[error("{0}")]
    Config(String),
    /// The program can't start. The text has one line for each reason.
    #[error("{0}")]
    Start(String),
    /// The queue does not exist.
    #[error("queue `{queue}` does not exist{location}: {remedy}")]
    UnknownQueue {
        /// The queue, as it was named.
        queue: String,
        /// Where it was looked for, for example ` in us-east-1`. It may be empty.
        location: String,
        /// What to do.
        remedy: String,
    },
    /// The broker can't be reached, is overloaded, or did not answer.
    #[error("{what} of `{queue}` failed: {cause}")]
    Unreachable {
        /// The call, for example `receive`.
        what: &'static str,
        /// The queue or topic.
        queue: String,
        /// What the client said, in short.
        cause: String,
        /// The client's error.
        #[source]
        source: Option<SharedError>,
    },
    /// The broker rejected the request: credentials, region, permissions, or the message itself.
    #[error("{what} of `{queue}` was refused: {cause}")]
    Refused {
        /// The call, for example `receive`.
        what: &'static str,
        /// The queue or topic.
        queue: String,
        /// What is missing, and what to do.
        cause: String,
        /// The client's error.
        #[source]
        source: Option<SharedError>,
    },
    /// A value could not be encoded as a message.
    #[error("a value for `{topic}` could not be encoded")]
    Encode {
        /// The topic it was meant for.
        topic: String,
        /// The encoder's error.
        #[source]
        source: SharedError,
    },
    /// A call took longer than it may.
    #[error("{what} of `{queue}` took longer than {after:?}")]
    Timeout {
        /// The call, for example `receive`.
        what: &'static str,
        /// The queue or topic.
        queue: String,
        /// The time that the call had.
        after: Duration,
    },
    /// Nobody replied to a request in time.
    #[error(
        "no reply to request {request_id} to `{topic}` within {after:?}: it may still be handled"
    )]
    NoReply {
        /// The topic of the request.
        topic: String,
        /// The request's id, as in its header `request-id`.
        request_id: String,
        /// The time that was waited.
        after: Duration,
    },
    /// The service that handled a request reports that it failed for good. The request is not tried again.
    #[error("request {request_id} to `{topic}` failed: {kind}{}", because(reason.as_deref()))]
    RequestFailed {
        /// The topic of the request.
        topic: String,
        /// The request's id.
        request_id: String,
        /// The kind of the failure, as in dead letters: `rejected`, `error`, `panic`, `timeout`, `undecodable`.
        kind: String,
        /// The reason, if the service gives it away.
        reason: Option<String>,
    },
    /// A reply does not decode as the type that was asked for.
    #[error("the reply to request {request_id} to `{topic}` does not decode: {source}")]
    UndecodableReply {
        /// The topic of the request.
        topic: String,
        /// The request's id.
        request_id: String,
        /// The field, line and column, without any value.
        source: TranslateError,
    },
}

impl Error {
    /// Returns whether the same call may succeed later although nobody changes anything: the broker was out of reach, overloaded or slow.
    ///
    /// | error | transient |
    /// |---|---|
    /// | [`Unreachable`](Self::Unreachable), [`Timeout`](Self::Timeout), [`NoReply`](Self::NoReply) | yes |
    /// | all others: the configuration, permissions, the queue or the message must change first | no |
    ///
    /// A call that failed with a transient error may have been carried out anyway: a publish that is repeated may arrive twice.
    ///
    /// ```
    /// use std::time::Duration;
    /// use loafer_core::Error;
    ///
    /// let slow = Error::Timeout { what: "publish", queue: "orders".into(), after: Duration::from_secs(5) };
    /// assert!(slow.is_transient());
    /// assert!(!Error::Config("no such route".into()).is_transient());
    /// ```
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Timeout { .. } | Self::NoReply { .. } => true,
            Self::Config(_)
            | Self::Start(_)
            | Self::UnknownQueue { .. }
            | Self::Refused { .. }
            | Self::Encode { .. }
            | Self::RequestFailed { .. }
            | Self::UndecodableReply { .. } => false,
        }
    }
}

fn because(reason: Option<&str>) -> String {
    reason
        .map(|reason| format!(": {reason}"))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::{error::Error as StdError, num::ParseIntError};

    use super::*;

    fn unreachable() -> Error {
        let error = "x".parse::<u8>().map(drop).map_err(SharedError::from);
        Error::Unreachable {
            what: "publish",
            queue: "orders".to_owned(),
            cause: "nobody there".to_owned(),
            source: error.err(),
        }
    }

    #[test]
    fn a_clone_keeps_text_and_source() {
        let error = unreachable();
        let clone = error.clone();
        assert_eq!(clone.to_string(), error.to_string());
        let source = StdError::source(&clone).and_then(|it| it.downcast_ref::<ParseIntError>());
        assert!(source.is_some(), "{clone:?}");
        let encode = Error::Encode {
            topic: "orders".to_owned(),
            source: unreachable().into(),
        };
        let source = StdError::source(&encode).and_then(|it| it.downcast_ref::<Error>());
        assert!(matches!(source, Some(Error::Unreachable { .. })));
    }

    #[test]
    fn what_passes_by_itself_is_transient() {
        let (what, queue) = ("publish", "orders".to_owned());
        let refused = Error::Refused {
            what,
            queue: queue.clone(),
            cause: "no".to_owned(),
            source: None,
        };
        let unknown = Error::UnknownQueue {
            queue: queue.clone(),
            location: String::new(),
            remedy: "make it".to_owned(),
        };
        let encode = Error::Encode {
            topic: queue.clone(),
            source: "no text".into(),
        };
        let undecodable = Error::UndecodableReply {
            topic: queue.clone(),
            request_id: "1".to_owned(),
            source: TranslateError::new("no number"),
        };
        let failed = Error::RequestFailed {
            topic: queue.clone(),
            request_id: "1".to_owned(),
            kind: "rejected".to_owned(),
            reason: None,
        };
        let (config, start) = (Error::Config(String::new()), Error::Start(String::new()));
        for lasting in [refused, unknown, encode, undecodable, failed, config, start] {
            assert!(!lasting.is_transient(), "{lasting:?}");
        }
        let after = Duration::from_secs(1);
        let no_reply = Error::NoReply {
            topic: queue.clone(),
            request_id: "1".to_owned(),
            after,
        };
        for passing in [
            unreachable(),
            Error::Timeout { what, queue, after },
            no_reply,
        ] {
            assert!(passing.is_transient(), "{passing:?}");
        }
    }
}
