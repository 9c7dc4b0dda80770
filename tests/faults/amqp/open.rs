//! Deliveries that are with a consumer, as the ledger tells of them: to be handled, or due and to be carried on.

use std::collections::{HashMap, hash_map::Entry};

/// How many deliveries are not settled, by message, attempt and proxy. An isolated copy may be given before the ack of what it is a copy of.
#[derive(Debug, Default)]
pub(super) struct Open<'l>(HashMap<[&'l str; 3], u64>);

impl<'l> Open<'l> {
    /// The same after one line more.
    pub(super) fn with(mut self, line: &'l str) -> Self {
        let words: Vec<&str> = line.split(' ').collect();
        match words[1..] {
            ["given" | "due", id, attempt, proxy] => {
                *self.0.entry([id, attempt, proxy]).or_default() += 1
            }
            ["deleting" | "carried", id, attempt, proxy] => {
                if let Entry::Occupied(mut open) = self.0.entry([id, attempt, proxy]) {
                    *open.get_mut() -= 1;
                    if *open.get() == 0 {
                        open.remove();
                    }
                }
            }
            ["closed", proxy] => self.0.retain(|[.., of], _| *of != proxy),
            _ => {}
        }
        self
    }

    pub(super) fn count(&self) -> u64 {
        self.0.values().sum()
    }
}
