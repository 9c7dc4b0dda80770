//! The messages: what each is to do, and so where it is to end.

use fastrand::Rng;
use serde_json::json;

/// What a message is to do, as the service `recorded` reads it.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    work_ms: u64,
    /// On its first attempts.
    first: Vec<&'static str>,
    pub(crate) end: End,
}

/// Where a message is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Acked,
    /// Among the dead letters: its handler rejects it.
    Rejected,
    /// Among the dead letters: its handler fails until its attempts are used up.
    GivenUp,
    /// Among the dead letters: its handler ends its process, each time.
    Crashed,
}

impl Job {
    /// Most succeed at once; some fail first, in every way; some take longer than a lease; a few are rejected. Where
    /// attempts are `limited`, a few fail for ever.
    pub(crate) fn random(rng: &mut Rng, limited: bool) -> Self {
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
            // One hang keeps its call slot for the route's whole `timeout`.
            10 if rng.bool() => vec!["hang"],
            _ => Vec::new(),
        };
        let end = match rng.u32(0..200) {
            0 => End::Rejected,
            1 if limited => End::GivenUp,
            _ => End::Acked,
        };
        let mut job = Self {
            work_ms,
            first,
            end,
        };
        if end == End::GivenUp {
            // Eight times five seconds would be most of a run.
            job.work_ms = job.work_ms.min(100);
        }
        job
    }

    /// Ends the process of whoever handles it.
    pub(crate) fn crash() -> Self {
        Self {
            work_ms: 0,
            first: Vec::new(),
            end: End::Crashed,
        }
    }

    pub(crate) fn body(&self, id: u64) -> String {
        let then = match self.end {
            End::Acked => "ack",
            End::Rejected => "reject",
            End::GivenUp => "fail",
            End::Crashed => "crash",
        };
        json!({ "id": id, "work_ms": self.work_ms, "first": self.first, "then": then }).to_string()
    }
}
