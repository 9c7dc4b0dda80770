//! The rules: what a broker's deliveries hang on, and what a service promises of it.

/// What the judge goes by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) hold: Hold,
    /// The attempt after which a service gives a message up; none: its broker does, and not within a run.
    pub(crate) max_attempts: Option<u64>,
}

/// What a delivery hangs on, and so what may give a message to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    /// A time, which the consumer renews (SQS): whoever is stopped, stalled or slow for longer loses it. Acks are answered, and the broker's
    /// own lease puts retries off.
    Lease,
    /// The connection it came on (RabbitMQ): nothing but its end gives it back, however long the consumer takes. No ack is answered: one that
    /// was sent just before the end may be lost. Retries and dead letters are copies, confirmed before the ack.
    Connection,
}

/// A dead letter.
#[derive(Clone, Debug)]
pub(crate) struct DeadMessage {
    /// The number of its message.
    pub(crate) id: u64,
    pub(crate) envelope: Envelope,
}

impl DeadMessage {
    /// Whether it was given up for the end of its process.
    pub(crate) fn is_crash(&self) -> bool {
        matches!(&self.envelope, Envelope::Read { kind, .. } if kind == "crash")
    }
}

/// What a dead letter says of itself.
#[derive(Clone, Debug)]
pub(crate) enum Envelope {
    /// Not looked at.
    Unread,
    /// There is none, or it is not of this message: why.
    Wrong(String),
    Read {
        kind: String,
        attempts: u64,
    },
}
