//! The messages: what each is to do, and so where it is to end.

use fastrand::Rng;
use serde_json::json;

/// What a message is to do, as the service `recorded` reads it.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    work_ms: u64,
    /// On its first attempts.
    first: Vec<&'static str>,
    /// It is to end among the dead letters.
    pub(crate) rejected: bool,
}

impl Job {
    /// Most succeed at once; some fail first, in every way; some take longer than a lease; a few are rejected.
    pub(crate) fn random(rng: &mut Rng) -> Self {
        let work_ms = match rng.u32(0..100) {
            0 => 5_000,
            1..=3 => 2_500,
            4..=50 => rng.u64(1..100),
            _ => 0,
        };
        let first = match rng.u32(0..100) {
            0..=3 => vec!["decline"],
            4..=5 => vec!["later"],
            6..=7 => vec!["fail"],
            8 => vec!["panic"],
            9 => vec!["panic", "decline", "fail"],
            // One hang holds its place for the route's whole `timeout`.
            10 if rng.bool() => vec!["hang"],
            _ => Vec::new(),
        };
        Self {
            work_ms,
            first,
            rejected: rng.u32(0..200) == 0,
        }
    }

    pub(crate) fn body(&self, id: u64) -> String {
        let then = if self.rejected { "reject" } else { "ack" };
        json!({ "id": id, "work_ms": self.work_ms, "first": self.first, "then": then }).to_string()
    }
}
