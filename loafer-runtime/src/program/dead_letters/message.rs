//! One dead letter.

use std::time::SystemTime;

use serde::Serialize;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use loafer_core::{
    broker::{DeadLetter, Origin},
    message::Message,
};

/// One dead letter.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DeadLetterMessage {
    /// The message, with all its headers. Its attempt counts this look, where the broker counts looks.
    pub message: Message,
    /// Why it is here; none where it was not Loafer that put it here.
    pub envelope: Option<DeadLetter>,
    /// Where it came from.
    pub origin: Origin,
}

/// A letter in short, without its body: a line of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DeadLetterSummary {
    /// Its id, among the dead letters.
    pub id: String,
    /// When it failed last (RFC 3339), where that is known.
    pub failed_at: Option<String>,
    /// When it was sent (RFC 3339): by its first sender, or here by Loafer.
    pub sent_at: Option<String>,
    /// As [`DeadLetter::kind`]; `redrive` where the broker gave it up; `unknown` where somebody else put it here.
    pub kind: String,
    /// Why it was given up.
    pub reason: Option<String>,
    /// How often it was delivered, as far as that is known.
    pub attempts: Option<u32>,
    /// The size of its body.
    pub bytes: usize,
    /// The queue it came from, where that is known.
    pub queue: Option<String>,
    /// Its group.
    pub group: Option<String>,
    /// The id of the dead letter it was made from by "try again".
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

    /// The letter in short.
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
                // Less this look; a broker that begins anew with the move knows none.
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

    /// The message as it goes back to its source.
    pub(super) fn again(&self) -> Message {
        let mut headers = self.message.headers().clone();
        headers.remove(DeadLetter::HEADER);
        headers.insert(DeadLetter::RETRIED_FROM, self.message.id().to_string());
        self.message.clone().with_headers(headers)
    }
}

fn written(time: SystemTime) -> Option<String> {
    OffsetDateTime::from(time).format(&Rfc3339).ok()
}
