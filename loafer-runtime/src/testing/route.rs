//! One route of a service in memory: its counts, and assertions about them.

use std::fmt;

use super::{TestApp, ledger::Evidence};
use crate::stats::RouteStats;
use loafer_core::{broker::DeadLetter, message::Message};

/// One route of a service in memory, at the moment it was asked for.
#[derive(Clone)]
pub struct TestRoute {
    route: String,
    queue: String,
    stats: RouteStats,
    dead_letters: Vec<Message>,
    evidence: Evidence,
}

impl TestRoute {
    pub(super) fn new(route: &str, queue: &str, stats: RouteStats, evidence: Evidence) -> Self {
        Self {
            route: route.to_owned(),
            queue: queue.to_owned(),
            stats,
            dead_letters: evidence.memory.dead_letters(queue),
            evidence,
        }
    }

    /// Returns how many deliveries were received.
    pub fn received(&self) -> u64 {
        self.stats.received
    }

    /// Returns how many messages were acked.
    pub fn acked(&self) -> u64 {
        self.stats.acked
    }

    /// Returns how many deliveries were retried: `false`, failures, `Outcome::Retry`.
    pub fn retried(&self) -> u64 {
        self.stats.retried
    }

    /// Returns how many deliveries failed: error, panic, timeout, undecodable.
    pub fn failed(&self) -> u64 {
        self.stats.failed
    }

    /// Returns its dead letters: messages that were rejected, or received too often.
    pub fn dead_letters(&self) -> &[Message] {
        &self.dead_letters
    }

    /// Returns how many dead letters it has.
    pub fn dead_lettered(&self) -> usize {
        self.dead_letters.len()
    }

    /// Returns all its counts.
    pub fn stats(&self) -> RouteStats {
        self.stats
    }

    /// Asserts how many messages were acked.
    ///
    /// # Panics
    ///
    /// If it was another number: the message lists what happened to each message.
    #[track_caller]
    pub fn assert_acked(&self, messages: u64) -> &Self {
        self.expect("acked", messages, self.stats.acked)
    }

    /// Asserts how many deliveries were retried: `false`, failures, `Outcome::Retry`.
    ///
    /// # Panics
    ///
    /// If it was another number: the message lists what happened to each message.
    #[track_caller]
    pub fn assert_retried(&self, deliveries: u64) -> &Self {
        self.expect("retried", deliveries, self.stats.retried)
    }

    /// Asserts how many deliveries failed: error, panic, timeout, undecodable.
    ///
    /// # Panics
    ///
    /// If it was another number: the message lists what happened to each message.
    #[track_caller]
    pub fn assert_failed(&self, deliveries: u64) -> &Self {
        self.expect("failed", deliveries, self.stats.failed)
    }

    /// Asserts that a message is among the dead letters whose reason contains this text: the reason of its rejection, or of any of its
    /// attempts. If it has the dead-letter header, the header's `kind` counts too: `rejected`, `undecodable`, `timeout`.
    ///
    /// # Panics
    ///
    /// If there is none: the message lists what happened to each message.
    #[track_caller]
    pub fn assert_dead_lettered(&self, reason: &str) -> &Self {
        if !self.dead_letters.iter().any(|dead| self.says(dead, reason)) {
            let found = match self.dead_letters.len() {
                0 => "no dead letter".to_owned(),
                1 => "one dead letter, for another reason".to_owned(),
                many => format!("{many} dead letters, for other reasons"),
            };
            self.fail(&format!("a dead letter because of “{reason}”"), &found);
        }
        self
    }

    /// Asserts that there are no dead letters.
    ///
    /// # Panics
    ///
    /// If there are some: the message lists what happened to each message.
    #[track_caller]
    pub fn assert_no_dead_letters(&self) -> &Self {
        self.expect("dead letters", 0, self.dead_letters.len() as u64)
    }

    fn says(&self, dead: &Message, reason: &str) -> bool {
        let envelope = DeadLetter::of(dead);
        let kind = envelope
            .as_ref()
            .is_some_and(|envelope| envelope.kind == reason);
        let of_envelope = envelope.and_then(|envelope| envelope.reason);
        let of_attempts = self.evidence.reasons(&self.route, dead.id(), None);
        let mut reasons = of_envelope.into_iter().chain(of_attempts);
        kind || reason.is_empty() || reasons.any(|known| known.contains(reason))
    }

    #[track_caller]
    fn expect(&self, what: &str, expected: u64, found: u64) -> &Self {
        if expected != found {
            self.fail(&format!("{expected} {what}"), &found.to_string());
        }
        self
    }

    #[track_caller]
    fn fail(&self, expected: &str, found: &str) -> ! {
        let story = self.evidence.story(&self.route, &self.queue);
        panic!(
            "route `{}`: expected {expected}, found {found}\n{story}\n",
            self.route
        );
    }
}

impl fmt::Debug for TestRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestRoute")
            .field("route", &self.route)
            .field("stats", &self.stats)
            .field("dead_letters", &self.dead_letters)
            .finish_non_exhaustive()
    }
}

/// Short forms of the assertions of [`TestRoute`].
impl TestApp {
    /// Asserts how many messages of a route were acked: see [`TestRoute::assert_acked`].
    ///
    /// # Panics
    ///
    /// If it was another number, or there is no such route.
    #[track_caller]
    pub fn assert_acked(&self, route: &str, messages: u64) {
        self.route(route).assert_acked(messages);
    }

    /// Asserts how many deliveries of a route were retried: see [`TestRoute::assert_retried`].
    ///
    /// # Panics
    ///
    /// If it was another number, or there is no such route.
    #[track_caller]
    pub fn assert_retried(&self, route: &str, deliveries: u64) {
        self.route(route).assert_retried(deliveries);
    }

    /// Asserts that a message of a route is among the dead letters, for this reason: see [`TestRoute::assert_dead_lettered`].
    ///
    /// # Panics
    ///
    /// If there is none, or there is no such route.
    #[track_caller]
    pub fn assert_dead_lettered(&self, route: &str, reason: &str) {
        self.route(route).assert_dead_lettered(reason);
    }
}
