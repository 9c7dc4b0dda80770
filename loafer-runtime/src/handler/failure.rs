//! Failures: what a route's `on_error` and the reporters receive.

use std::{
    error::Error as StdError,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use sha2::{Digest, Sha256};

use loafer_core::{
    extract::Metadata,
    message::Message,
    outcome::{BoxError, FailureKind},
};

/// A message that was not handled, and why: the argument of a route's `on_error`.
///
/// Cheap to clone.
#[derive(Clone)]
pub struct Failure {
    kind: FailureKind,
    error: Arc<dyn StdError + Send + Sync>,
    /// Made once, because making it runs the user's code.
    reason: Arc<str>,
    message: Message,
    metadata: Metadata,
}

impl Failure {
    /// Returns a failure made by hand, for the unit test of an `on_error`.
    pub fn new(kind: FailureKind, error: impl Into<BoxError>, message: Message) -> Self {
        let metadata = Metadata::new(message.clone());
        let error: Arc<dyn StdError + Send + Sync> = Arc::from(error.into());
        let reason = reason_of(&*error).into();
        Self {
            kind,
            error,
            reason,
            message,
            metadata,
        }
    }

    pub(crate) fn with_metadata(mut self, metadata: Metadata) -> Self {
        self.metadata = metadata;
        self
    }

    /// Returns the kind of the failure.
    pub fn kind(&self) -> FailureKind {
        self.kind
    }

    /// Returns the handler's error. For a panic or a timeout, returns an error that describes it.
    pub fn error(&self) -> &(dyn StdError + Send + Sync + 'static) {
        &*self.error
    }

    /// Returns the message as the broker delivered it, body included.
    pub fn message(&self) -> &Message {
        &self.message
    }

    /// Returns attempt, id, route and queue. Topic and headers are what the handler sees, or those of the message as delivered if its envelope
    /// can't be opened.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Returns the error and its causes, in one line.
    pub fn reason(&self) -> String {
        self.reason.to_string()
    }
}

/// Returns the error and its causes, in one line. An error whose `Display` panics must not end its worker.
fn reason_of(error: &(dyn StdError + 'static)) -> String {
    let shown = catch_unwind(AssertUnwindSafe(|| {
        let mut reason = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            let text = error.to_string();
            if !reason.contains(&text) {
                reason.push_str(": ");
                reason.push_str(&text);
            }
            cause = error.source();
        }
        reason
    }));
    shown.unwrap_or_else(|_| "an error whose `Display` panicked".to_owned())
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Failure")
            .field("kind", &self.kind)
            .field("error", &self.error)
            .field("message", &self.message)
            .finish_non_exhaustive()
    }
}

/// A payload that did not decode: what is wrong with it, and how to find it again without quoting it.
#[derive(Debug, thiserror::Error)]
#[error("{error} (payload of {bytes} bytes, SHA-256 {digest})")]
pub(crate) struct Undecoded {
    #[source]
    error: BoxError,
    bytes: usize,
    /// The first 16 hexadecimal digits.
    digest: String,
}

impl Undecoded {
    pub(crate) fn new(error: BoxError, message: &Message) -> Self {
        let digest = Sha256::digest(message.payload());
        let digest = digest[..8]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Self {
            error,
            bytes: message.payload().len(),
            digest,
        }
    }
}
