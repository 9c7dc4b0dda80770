//! Settlements of leases, and the answers to them.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use super::DueTime;
use crate::{Error, message::Message};

/// One lease to settle: an entry of [`Provider::settle`](crate::broker::Provider::settle).
#[derive(Clone, Debug)]
pub struct Settle<R> {
    /// The receipt of the delivery.
    pub receipt: R,
    /// The message as it was delivered. A dead letter or a delayed copy needs its payload and headers.
    pub message: Message,
    /// What should become of it.
    pub settlement: Settlement,
}

/// What should become of a leased message.
#[derive(Clone, Debug)]
pub enum Settlement {
    /// The message is done: it leaves the queue.
    Ack,
    /// The message is delivered again later, as the next attempt.
    Retry {
        /// How long from now, at most [`Capabilities::max_delay`](crate::broker::Capabilities::max_delay). Round it up to what the broker can do.
        /// `None` means when its lease ends: leave the lease as it is. A broker without leases takes its shortest delay.
        ///
        /// A broker whose own delays are shorter may give its copy the header [`DueTime::HEADER`], and redeliver it early: the engine then asks for
        /// [`Defer`](Self::Defer), and the attempt is counted once.
        after: Option<Duration>,
    },
    /// The message is not due yet and was not started: it is delivered again at that time, or earlier if the broker can't delay it so long. It costs
    /// no attempt. The engine asks for it only if [`Capabilities::defers`](crate::broker::Capabilities::defers) is set.
    ///
    /// A broker that can't delay the message where it is sends a copy with the same headers, [`DueTime::HEADER`] and the event's id among them. Once
    /// the copy is confirmed, the message leaves the queue. If the copy fails, the message stays.
    Defer {
        /// When it is due. [`DueTime::left`] says how long that is from now.
        until: DueTime,
    },
    /// The message goes to the dead letters: a copy with this envelope is sent there and, once that is confirmed, the message leaves the queue.
    /// If there is no queue for dead letters, do nothing and answer [`Settled::NoDeadLetterTarget`].
    DeadLetter(Arc<DeadLetter>),
    /// The message is handed over next by [`Provider::receive_isolated`](super::Provider::receive_isolated) alone, and costs no attempt. The engine asks
    /// for it only if [`Capabilities::isolates`](super::Capabilities::isolates) is set, for a message that may have ended its process before.
    ///
    /// A broker that can't mark the message where it is sends a copy. Once the copy is confirmed, the message leaves the queue.
    Isolate,
    /// The message is visible at once. Nobody tried to handle it, so that it costs no attempt, if the broker can tell.
    Release,
}

/// The answer to one entry of [`Provider::settle`](crate::broker::Provider::settle).
#[derive(Debug)]
pub enum Settled {
    /// The broker confirmed the settlement.
    Done,
    /// The lease was not ours any more, and nothing was done. The message is redelivered, or another consumer has it already.
    Lost,
    /// There is no queue for a dead letter, and nothing was done. The engine retries the message instead.
    NoDeadLetterTarget,
    /// The settlement can be tried again. All entries of a call that failed as a whole share the error.
    Failed(Arc<Error>),
}

/// The answer to one lease of [`Provider::renew`](crate::broker::Provider::renew).
#[derive(Debug)]
pub enum Renewed {
    /// The message is ours for as long as was asked.
    Done,
    /// The message is not ours any more, or its lease can't be renewed further. Its handler is cancelled.
    Lost,
    /// The renewal can be tried again. All leases of a call that failed as a whole share the error.
    Failed(Arc<Error>),
}

/// The envelope of a dead letter: why the message was given up, and where it came from.
///
/// The message keeps its payload and its headers. The envelope is JSON in one more header, [`DeadLetter::HEADER`], and is the same on every broker.
/// A message that the broker itself moved to the dead letters has no envelope.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DeadLetter {
    /// The id of the event, which its publisher gave it in the header `event-id`. Without that header, the id that the broker gave the message.
    pub event_id: String,
    /// The id that the broker gave the message. Empty in envelopes of versions that did not have this field.
    #[serde(default)]
    pub message_id: String,
    /// The header `correlation-id` of the message. `None` means that it had none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub correlation_id: Option<String>,
    /// The route that it was on.
    pub route: String,
    /// The queue that it came from.
    pub queue: String,
    /// The topic that it was published to. `None` means that it is not known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub topic: Option<String>,
    /// The path of the handler, for example `orders::order_placed`.
    pub handler: String,
    /// How many attempts it had: its [`attempt`](Message::attempt) when it was given up.
    pub attempts: u32,
    /// How many [deliveries](Message::deliveries) of it its broker counted. 0 in envelopes of versions that did not have this field.
    #[serde(default)]
    pub deliveries: u32,
    /// When it failed first, in [RFC 3339](https://www.rfc-editor.org/rfc/rfc3339). `None` means that it is not known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub first_failed_at: Option<String>,
    /// When it failed last, in RFC 3339.
    pub failed_at: String,
    /// Why it was given up: `rejected`, `undecodable`, `error`, `panic`, `timeout`, `attempts` (its handler declined it too often) or `crash` (its
    /// process ended, or lost its lease, again and again while it was handled).
    pub kind: String,
    /// The reason in words, in at most 512 bytes. `None` means that there is none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
    /// The id of the dead letter that this message was made from, when that one was tried again. `None` means that it was not.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub retried_from: Option<String>,
}

impl DeadLetter {
    /// The name of the header with the envelope.
    pub const HEADER: &'static str = "loafer-dead-letter";
    /// The name of the header with the id of the dead letter that a message was made from.
    pub const RETRIED_FROM: &'static str = "loafer-retried-from";

    /// Returns the value of the header: JSON.
    pub fn to_header(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads the envelope of a dead letter. `None` means that it has none that can be read.
    pub fn of(message: &Message) -> Option<Self> {
        serde_json::from_str(message.headers().get(Self::HEADER)?).ok()
    }
}
