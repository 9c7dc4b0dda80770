//! What a provider is told of a lease, and what it answers.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{Error, message::Message};

/// One lease to settle.
#[derive(Clone, Debug)]
pub struct Settle<R> {
    /// Whose lease it is.
    pub receipt: R,
    /// The message as it was delivered: a dead letter or a delayed copy needs its body.
    pub message: Message,
    /// What should become of it.
    pub settlement: Settlement,
}

/// What should become of a leased message.
#[derive(Clone, Debug)]
pub enum Settlement {
    /// It leaves the queue.
    Ack,
    /// It is delivered again.
    Retry {
        /// How long from now; none: at the end of its lease. Brokers without leases take their shortest delay.
        after: Option<Duration>,
    },
    /// A copy goes to the dead letters; once that is confirmed, it leaves the queue. Where there is no dead-letter target: as `Retry` without a delay.
    DeadLetter(Arc<DeadLetter>),
    /// It is visible again at once: nobody tried to handle it.
    Release,
}

/// What became of one entry of [`Provider::settle`](crate::broker::Provider::settle).
#[derive(Debug)]
pub enum Settled {
    /// The broker confirmed it.
    Done,
    /// The lease was not ours any more: the message comes again, or somebody else has it.
    Lost,
    /// There is nowhere to put a dead letter: the message was left to the end of its lease.
    NoDeadLetterTarget,
    /// It can be tried again. Shared by the entries of a call that failed as a whole.
    Failed(Arc<Error>),
}

/// What became of one lease of [`Provider::renew`](crate::broker::Provider::renew).
#[derive(Debug)]
pub enum Renewed {
    /// It is ours for as long as was asked.
    Done,
    /// It is not ours any more, or can't be renewed further.
    Lost,
    /// It can be tried again. Shared by the entries of a call that failed as a whole.
    Failed(Arc<Error>),
}

/// The envelope of a dead letter: why and whence, in one header.
///
/// The message keeps its body and its headers; this travels as JSON in the header [`DeadLetter::HEADER`], the same on every broker.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DeadLetter {
    /// The id of the event, as its publisher gave it in the header `event-id`; else the id that the broker gave the message.
    pub event_id: String,
    /// The id that the broker gave the message.
    #[serde(default)]
    pub message_id: String,
    /// What tied it to others.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub correlation_id: Option<String>,
    /// The route it was on.
    pub route: String,
    /// The queue it came from.
    pub queue: String,
    /// The topic it was published to.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub topic: Option<String>,
    /// Who was to handle it.
    pub handler: String,
    /// How often it was delivered.
    pub attempts: u32,
    /// When it failed first, where that is known (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub first_failed_at: Option<String>,
    /// When it failed last (RFC 3339).
    pub failed_at: String,
    /// `rejected`, `undecodable`, `error`, `panic`, `timeout` or `attempts`.
    pub kind: String,
    /// Why, in at most 512 bytes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
    /// The id of the dead letter it was made from by "try again".
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub retried_from: Option<String>,
}

impl DeadLetter {
    /// The header that carries the envelope.
    pub const HEADER: &'static str = "loafer-dead-letter";
    /// The header by which a message says which dead letter it was made from.
    pub const RETRIED_FROM: &'static str = "loafer-retried-from";

    /// The value of the header.
    pub fn to_header(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The envelope of a dead letter, if it has one.
    pub fn of(message: &Message) -> Option<Self> {
        serde_json::from_str(message.headers().get(Self::HEADER)?).ok()
    }
}
