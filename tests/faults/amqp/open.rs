//! Deliveries that are with a consumer, as the ledger tells of them.

use std::collections::HashMap;

/// The proxy of each delivery that is not settled, by message and attempt.
#[derive(Debug, Default)]
pub(super) struct Open<'l>(HashMap<(&'l str, &'l str), &'l str>);

impl<'l> Open<'l> {
    /// The same after one line more.
    pub(super) fn with(mut self, line: &'l str) -> Self {
        let words: Vec<&str> = line.split(' ').collect();
        match words[1..] {
            ["given", id, attempt, proxy] => _ = self.0.insert((id, attempt), proxy),
            ["deleting", id, attempt] => _ = self.0.remove(&(id, attempt)),
            ["closed", proxy] => self.0.retain(|_, of| *of != proxy),
            _ => {}
        }
        self
    }

    pub(super) fn count(&self) -> u64 {
        self.0.len() as u64
    }
}
