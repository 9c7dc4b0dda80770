//! From the disposition of a message to the settlement that its provider gets.

use std::{sync::Arc, time::Duration};

use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{Disposition, RareDisposition, Shared};
use loafer_core::{
    broker::{DeadLetter, Provider, Settlement},
    message::Message,
    outcome::FailureKind,
    policy::Undecodable,
};

/// The longest reason of a dead letter, in bytes.
const REASON: usize = 512;

impl<P: Provider> Shared<P> {
    /// Returns the settlement of a message, by its disposition, the route's policy and the broker's capabilities.
    pub(super) fn settlement(&self, message: &Message, disposition: Disposition) -> Settlement {
        let rare = match disposition {
            Disposition::Ack => return Settlement::Ack,
            Disposition::Release | Disposition::Forget => return Settlement::Release,
            Disposition::Nack if self.used_up(message) => {
                return self.dead_letter(
                    message,
                    "attempts",
                    "the handler returned false on its last attempt",
                );
            }
            Disposition::Nack => {
                return self.retry(message, "attempts", self.backoff(message.attempt()));
            }
            Disposition::Rare(rare) => *rare,
        };
        match rare {
            RareDisposition::Retry(_) if self.used_up(message) => self.dead_letter(
                message,
                "attempts",
                "the handler asked for a retry on its last attempt",
            ),
            RareDisposition::Retry(after) => {
                self.retry(message, "attempts", Some(self.within_limits(after)))
            }
            RareDisposition::Reject(reason) => self.dead_letter(message, "rejected", &reason),
            RareDisposition::Failed(FailureKind::Undecodable, reason)
                if self.route.policy.undecodable == Undecodable::Reject =>
            {
                self.dead_letter(message, FailureKind::Undecodable.as_str(), &reason)
            }
            RareDisposition::Failed(kind, reason) if self.used_up(message) => {
                self.dead_letter(message, dead_letter_kind(kind), &reason)
            }
            RareDisposition::Failed(kind, _) => {
                let after = self.backoff(message.attempt());
                self.retry(message, dead_letter_kind(kind), after)
            }
        }
    }

    /// Whether this was the message's last attempt.
    fn used_up(&self, message: &Message) -> bool {
        self.route
            .policy
            .max_attempts
            .is_some_and(|most| message.attempt() >= most)
    }

    /// Returns the delay of a retry after this attempt. `None` means the end of the lease.
    pub(super) fn backoff(&self, attempt: u32) -> Option<Duration> {
        let backoff = self.route.policy.backoff.as_ref()?;
        Some(self.within_limits(backoff.delay(attempt)))
    }

    /// Returns the delay, or the longest that the broker allows.
    fn within_limits(&self, delay: Duration) -> Duration {
        self.capabilities
            .max_delay
            .map_or(delay, |most| delay.min(most))
    }

    #[cold]
    fn dead_letter(&self, message: &Message, kind: &str, reason: &str) -> Settlement {
        let now = OffsetDateTime::now_utc()
            .format(&Rfc3339)
            .unwrap_or_default();
        let end = (0..=reason.len().min(REASON))
            .rev()
            .find(|&at| reason.is_char_boundary(at))
            .unwrap_or(0);
        Settlement::DeadLetter(Arc::new(DeadLetter {
            event_id: message
                .event_id()
                .map_or_else(|| message.id().to_string(), str::to_owned),
            message_id: message.id().to_string(),
            correlation_id: message.correlation_id().map(str::to_owned),
            route: self.route.policy.route.clone(),
            queue: self.route.policy.queue.clone(),
            topic: message.topic().map(str::to_owned),
            handler: self.route.handlers.whose(message).names.handler.to_owned(),
            attempts: message.attempt(),
            first_failed_at: (message.attempt() <= 1).then(|| now.clone()),
            failed_at: now,
            kind: kind.to_owned(),
            reason: Some(reason[..end].to_owned()),
            retried_from: message
                .headers()
                .get(DeadLetter::RETRIED_FROM)
                .map(str::to_owned),
        }))
    }
}

/// Returns the kind of a failure as dead letters have it: their kinds are the same for every service, so a refusal by an extractor is an
/// error.
fn dead_letter_kind(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::Extractor => FailureKind::Error.as_str(),
        kind => kind.as_str(),
    }
}
