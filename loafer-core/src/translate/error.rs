//! Why a message could not be decoded.

use std::fmt;

use crate::shared_error::SharedError;

/// Why a message could not be decoded. It contains no value of the message, since bodies may be personal data.
#[derive(Clone, Debug)]
pub struct TranslateError {
    what: String,
    /// Kept for `source()` only where the author of a translator says that it quotes nothing.
    source: Option<SharedError>,
}

impl TranslateError {
    /// Creates an error that says what was wrong. The text goes to logs: it must not quote the payload.
    pub fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            source: None,
        }
    }

    /// Adds the cause, which must not quote the payload either.
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
