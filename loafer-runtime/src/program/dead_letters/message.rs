//! One dead letter.

use std::time::SystemTime;

use serde::Serialize;
use time::format_description::well_known::Rfc3339;

use crate::handler::moment;
use loafer_core::{
    broker::{DeadLetter, Origin},
    message::Message,
};

/// One dead letter.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DeadLetterMessage {
    /// The message, with all its headers. If the broker counts looks as deliveries, its attempt includes this look.
    pub message: Message,
    /// The envelope, which says why it is here. `None` means that it was not Loafer that put it here.
    pub envelope: Option<DeadLetter>,
    /// Where it came from.
    pub origin: Origin,
}

/// A summary of a dead letter without its body: a line of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DeadLetterSummary {
    /// The id that it has in the dead-letter queue.
    pub id: String,
    /// When it failed last (RFC 3339). `None` means that it is unknown.
    pub failed_at: Option<String>,
    /// When it was sent (RFC 3339), by its first sender or by Loafer. `None` means that the broker does not say.
    pub sent_at: Option<String>,
    /// The kind: that of the envelope ([`DeadLetter::kind`]), `redrive` if the broker gave it up, or `unknown` if somebody else put it here.
    pub kind: String,
    /// Why it was given up. `None` means that it is unknown.
    pub reason: Option<String>,
    /// How often it was tried before it was given up. `None` means that it is unknown.
    pub attempts: Option<u32>,
    /// The size of its body in bytes.
    pub bytes: usize,
    /// The queue it came from. `None` means that it is unknown.
    pub queue: Option<String>,
    /// Its group. `None` means that it has none.
    pub group: Option<String>,
    /// The id of the dead letter that it was made from by "try again". `None` means that it was never tried again.
    pub retried_from: Option<String>,
}

impl DeadLetterMessage {
    pub(super) fn new(message: Message, origin: Origin) -> Self {
        let envelope = DeadLetter::of(&message);
        Self {
            message,
            envelope,
            origin,
        }
    }

    /// Returns a summary, without the body.
    pub fn summary(&self) -> DeadLetterSummary {
        let (message, envelope) = (&self.message, self.envelope.as_ref());
        let kind = match envelope {
            Some(envelope) => &envelope.kind,
            None if self.origin.by_broker => "redrive",
            None => "unknown",
        };
        let redriven = || {
            let from = self.origin.queue.as_deref().unwrap_or("its queue");
            format!("delivered too often by `{from}`")
        };
        DeadLetterSummary {
            id: message.id().to_string(),
            failed_at: envelope.map(|envelope| envelope.failed_at.clone()),
            sent_at: message.sent_at().and_then(written),
            kind: kind.to_owned(),
            reason: match envelope {
                Some(envelope) => envelope.reason.clone(),
                None => self.origin.by_broker.then(redriven),
            },
            attempts: match envelope {
                Some(envelope) => Some(envelope.attempts),
                // This look is not an attempt. A broker that counts from zero after the move knows none.
                None if self.origin.by_broker => {
                    message.attempt().checked_sub(1).filter(|count| *count > 0)
                }
                None => None,
            },
            bytes: message.payload().len(),
            queue: self.origin.queue.clone(),
            group: message.group().map(str::to_owned),
            retried_from: message
                .headers()
                .get(DeadLetter::RETRIED_FROM)
                .map(str::to_owned),
        }
    }
}

/// Writes a time in RFC 3339. `None` means that it is before 1970 or after the year 9999, as that of a peer may be.
fn written(time: SystemTime) -> Option<String> {
    moment(time)?.format(&Rfc3339).ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_time_of_a_peer_is_written_or_left_out() {
        let at = |seconds| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
        let texts = [0, 1_793_000_000, 1_793_000_000_000, 1 << 62]
            .map(|seconds| at(seconds).and_then(written));
        assert_eq!(
            texts,
            [
                Some("1970-01-01T00:00:00Z".to_owned()),
                Some("2026-10-26T07:33:20Z".to_owned()),
                None,
                None
            ]
        );
        let before = SystemTime::UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!(written(before), None);
    }
}
