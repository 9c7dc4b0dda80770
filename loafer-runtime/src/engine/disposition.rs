//! What the settler does with a message.

use std::time::Duration;

use loafer_core::{
    outcome::{FailureKind, Verdict},
    outcome::{Rare, Said},
};

/// What the settler does with a message. It takes 16 bytes: the rare cases are boxed.
#[derive(Debug)]
pub(super) enum Disposition {
    Ack,
    /// The handler returned `false`.
    Nack,
    Rare(Box<RareDisposition>),
    /// It was never started.
    Release,
    /// It was cancelled: nothing is sent.
    Forget,
}

#[derive(Debug)]
pub(super) enum RareDisposition {
    Retry(Duration),
    Reject(String),
    Failed(FailureKind, String),
}

impl Disposition {
    pub(super) fn failed(kind: FailureKind, reason: String) -> Self {
        Self::Rare(Box::new(RareDisposition::Failed(kind, reason)))
    }
}

impl From<Verdict> for Disposition {
    fn from(verdict: Verdict) -> Self {
        match verdict.0 {
            Said::Ack => Self::Ack,
            Said::Nack => Self::Nack,
            Said::Rare(rare) => Self::Rare(Box::new(match *rare {
                Rare::Retry(after) => RareDisposition::Retry(after),
                Rare::Reject(reason) => RareDisposition::Reject(reason.into_owned()),
                Rare::Failed(kind, error) => RareDisposition::Failed(kind, error.to_string()),
                // Only the choice among handlers gives this verdict, never a handler.
                Rare::Unmatched(_) => return Self::Nack,
            })),
        }
    }
}
