//! What becomes of a message that was not acked, in words.

use std::time::Duration;

use super::Route;
use loafer_core::{broker::Settlement, message::Message};

impl Route {
    /// Returns what becomes of a message that was not acked, in words.
    pub(super) fn next(&self, message: &Message, settlement: &Settlement) -> String {
        let after = match settlement {
            Settlement::Ack => return "acked".to_owned(),
            Settlement::DeadLetter(_) if self.dead_letter_outage.is_on() => {
                return "dead-lettered, or retried while no dead letters can be made".to_owned();
            }
            Settlement::DeadLetter(_) => return "dead-lettered".to_owned(),
            Settlement::Release => return "released".to_owned(),
            Settlement::Defer { .. } | Settlement::Isolate => return "put off".to_owned(),
            Settlement::Retry { .. } if self.capabilities.gives_up_after(message.attempt()) => {
                return "given up by its queue, which allows no further receive".to_owned();
            }
            Settlement::Retry { after } => after,
        };
        let when = match after {
            Some(Duration::ZERO) => "at once".to_owned(),
            Some(after) => {
                // Nobody reads the nanoseconds of jitter.
                let after = Duration::from_millis(after.as_millis() as u64);
                format!("after {}", humantime::format_duration(after))
            }
            None if self.capabilities.lease.is_some() => "when its lease ends".to_owned(),
            None => "when the broker redelivers it".to_owned(),
        };
        let attempt = message.attempt().saturating_add(1);
        match self.policy.max_attempts {
            Some(most) => format!("retried {when} (attempt {attempt} of {most})"),
            None => format!("retried {when} (attempt {attempt})"),
        }
    }
}
