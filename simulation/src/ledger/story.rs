//! The story of a message: what happened to it, in lines.

use std::fmt::Write;

use super::{Event, Ledger, MessageKey};
use crate::Millis;

impl Ledger {
    /// Returns all that happened to a message, one line for each event.
    #[must_use]
    pub fn story(&self, message: MessageKey) -> String {
        let is_of = |event: &Event| match event {
            Event::Published(key) | Event::Redriven(key) => *key == message,
            Event::Began(_) | Event::Stopping | Event::Cancelling | Event::Killed | Event::Over => {
                true
            }
            event => event
                .delivery()
                .is_some_and(|id| self.delivery(id).given.message == message),
        };
        let events = self.events.iter().filter(|(_, event)| is_of(event));
        let mut lines = String::new();
        for (at, event) in events {
            _ = writeln!(lines, "  {} {}", clock(*at), line(event));
        }
        lines
    }

    /// Returns all that happened, one line for each event.
    #[must_use]
    pub fn log(&self) -> String {
        let mut lines = String::new();
        for (at, event) in &self.events {
            _ = writeln!(lines, "{} {}", clock(*at), line(event));
        }
        lines
    }
}

/// Returns a moment in seconds.
pub(crate) fn clock(at: Millis) -> String {
    format!("{:>4}.{:03}", at / 1_000, at % 1_000)
}

fn line(event: &Event) -> String {
    match event {
        Event::Delivered(id, made) => {
            let until = made.until.map_or_else(String::new, |until| {
                format!(", leased until {}", clock(until).trim_start())
            });
            let due = made.due.map_or_else(String::new, |due| {
                format!(", due at {}", clock(due).trim_start())
            });
            let duplicate = if made.duplicate { ", a duplicate" } else { "" };
            let alone = if made.isolated { ", alone" } else { "" };
            format!(
                "delivery {id} made: r{} message {}, its delivery {}, attempt {} of {}{until}{due}{duplicate}{alone}",
                made.message.route, made.message.index, made.nth, made.attempt, made.deliveries
            )
        }
        event => format!("{event:?}"),
    }
}
