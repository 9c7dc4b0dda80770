//! What becomes of messages that no handler can take.

use serde::Deserialize;

/// What becomes of a message that can't be decoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Undecodable {
    /// It is retried, until `max_attempts` or the broker's own redrive moves it to the dead letters.
    #[default]
    Retry,
    /// It goes to the dead letters at once.
    Reject,
}

/// What becomes of a message that no handler of its route takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unmatched {
    /// It is retried, until `max_attempts` or the broker's own redrive moves it to the dead letters.
    #[default]
    Retry,
    /// It goes to the dead letters at once.
    Reject,
    /// It is acked: it is for somebody else.
    Ignore,
}
