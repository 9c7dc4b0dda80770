//! What the settler is to do with a message.

use std::time::Duration;

use loafer_core::{
    outcome::{FailureKind, Verdict},
    outcome::{Rare, Said},
};

/// What the settler is to do with a message. 16 bytes: the rare cases are boxed.
#[derive(Debug)]
pub(super) enum Fate {
    Ack,
    /// `false`.
    Nack,
    Rare(Box<RareFate>),
    /// Never started.
    Release,
    /// Cancelled: nothing is sent.
    Forget,
}

#[derive(Debug)]
pub(super) enum RareFate {
    Retry(Duration),
    Reject(String),
    Failed(FailureKind, String),
}

impl Fate {
    pub(super) fn failed(kind: FailureKind, reason: String) -> Self {
        Self::Rare(Box::new(RareFate::Failed(kind, reason)))
    }
}

impl From<Verdict> for Fate {
    fn from(verdict: Verdict) -> Self {
        match verdict.0 {
            Said::Ack => Self::Ack,
            Said::Nack => Self::Nack,
            Said::Rare(rare) => Self::Rare(Box::new(match *rare {
                Rare::Retry(after) => RareFate::Retry(after),
                Rare::Reject(reason) => RareFate::Reject(reason.into_owned()),
                Rare::Failed(kind, error) => RareFate::Failed(kind, error.to_string()),
                // Only the choice among handlers says so, never a handler.
                Rare::Unmatched(_) => return Self::Nack,
            })),
        }
    }
}
