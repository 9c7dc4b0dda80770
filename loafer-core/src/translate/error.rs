//! Why a message could not be decoded.

use std::fmt;

use crate::shared_error::SharedError;

/// Why a message could not be decoded. It quotes no value of the payload, which may be personal data.
#[derive(Clone, Debug)]
pub struct TranslateError {
    what: String,
    is_for_good: bool,
    /// Set only by the author of a translator, who knows that it quotes nothing.
    source: Option<SharedError>,
}

impl TranslateError {
    /// Returns an error with this text, which says what is wrong. The text goes to logs and must not quote the payload.
    pub fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            is_for_good: false,
            source: None,
        }
    }

    /// Returns an error for a message that is meant for no handler. It is dead-lettered now with this text as its reason, whatever the route's
    /// `undecodable` says, as after [`Outcome::Reject`](crate::outcome::Outcome::Reject). The text must not quote the payload.
    pub fn reject(what: impl Into<String>) -> Self {
        Self {
            is_for_good: true,
            ..Self::new(what)
        }
    }

    /// Returns whether the message is meant for no handler.
    pub fn is_for_good(&self) -> bool {
        self.is_for_good
    }

    /// Adds its cause: its [`source`](std::error::Error::source). The cause must not quote the payload either.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<SharedError>) -> Self {
        self.source = Some(source.into());
        self
    }
}

impl fmt::Display for TranslateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for TranslateError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
