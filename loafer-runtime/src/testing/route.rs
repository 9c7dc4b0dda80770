//! One route of a service in memory: its counts, and what a test asserts of them.

use std::fmt;

use super::{TestApp, ledger::Evidence};
use crate::engine::RouteStats;
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

    /// Deliveries received.
    pub fn received(&self) -> u64 {
        self.stats.received
    }

    /// Messages acked.
    pub fn acked(&self) -> u64 {
        self.stats.acked
    }

    /// Deliveries that were left to be delivered again.
    pub fn retried(&self) -> u64 {
        self.stats.retried
    }

    /// Deliveries that failed: error, panic, timeout, undecodable.
    pub fn failed(&self) -> u64 {
        self.stats.failed
    }

    /// Its dead letters: rejected, or received too often.
    pub fn dead_letters(&self) -> &[Message] {
        &self.dead_letters
    }

    /// How many dead letters it has.
    pub fn dead_lettered(&self) -> usize {
        self.dead_letters.len()
    }

    /// All its counts.
    pub fn stats(&self) -> RouteStats {
        self.stats
    }

    /// So many messages were acked.
    ///
    /// # Panics
    ///
    /// Where it is not so: with what happened to each message.
    #[track_caller]
    pub fn assert_acked(&self, messages: u64) -> &Self {
        self.expect("acked", messages, self.stats.acked)
    }

    /// So many deliveries were left to be delivered again: `false`, errors, `Outcome::Retry`.
    ///
    /// # Panics
    ///
    /// As [`assert_acked`](Self::assert_acked).
    #[track_caller]
    pub fn assert_retried(&self, deliveries: u64) -> &Self {
        self.expect("retried", deliveries, self.stats.retried)
    }

    /// So many deliveries failed: error, panic, timeout, undecodable.
    ///
    /// # Panics
    ///
    /// As [`assert_acked`](Self::assert_acked).
    #[track_caller]
    pub fn assert_failed(&self, deliveries: u64) -> &Self {
        self.expect("failed", deliveries, self.stats.failed)
    }

    /// A message is among the dead letters, and its reason contains this: the rejection's, or that of any of its attempts. Where it
    /// has the dead-letter header, that one's `kind` does as well: `rejected`, `undecodable`, `timeout`.
    ///
    /// # Panics
    ///
    /// As [`assert_acked`](Self::assert_acked).
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

    /// No message is among the dead letters.
    ///
    /// # Panics
    ///
    /// As [`assert_acked`](Self::assert_acked).
    #[track_caller]
    pub fn assert_no_dead_letters(&self) -> &Self {
        self.expect("dead letters", 0, self.dead_letters.len() as u64)
    }

    fn says(&self, dead: &Message, reason: &str) -> bool {
        let letter = DeadLetter::of(dead);
        let kind = letter.as_ref().is_some_and(|letter| letter.kind == reason);
        let of_letter = letter.and_then(|letter| letter.reason);
        let of_attempts = self.evidence.reasons(&self.route, dead.id(), None);
        let mut reasons = of_letter.into_iter().chain(of_attempts);
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

/// The same in short, for one route each.
impl TestApp {
    /// As [`TestRoute::assert_acked`].
    ///
    /// # Panics
    ///
    /// Where it is not so, or there is no such route.
    #[track_caller]
    pub fn assert_acked(&self, route: &str, messages: u64) {
        self.route(route).assert_acked(messages);
    }

    /// As [`TestRoute::assert_retried`].
    ///
    /// # Panics
    ///
    /// Where it is not so, or there is no such route.
    #[track_caller]
    pub fn assert_retried(&self, route: &str, deliveries: u64) {
        self.route(route).assert_retried(deliveries);
    }

    /// As [`TestRoute::assert_dead_lettered`].
    ///
    /// # Panics
    ///
    /// Where it is not so, or there is no such route.
    #[track_caller]
    pub fn assert_dead_lettered(&self, route: &str, reason: &str) {
        self.route(route).assert_dead_lettered(reason);
    }
}
