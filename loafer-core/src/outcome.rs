//! What a handler says of its message.

use std::{borrow::Cow, error::Error as StdError, fmt, sync::Arc, time::Duration};

/// Any error that can be sent between threads: what the error of a handler converts to.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// What should become of a message. A handler returns it if `true` and `false` do not say enough.
///
/// ```
/// # use std::time::Duration;
/// use loafer::Outcome;
///
/// async fn charge(cents: u64) -> Outcome {
///     match cents {
///         0 => Outcome::Reject { reason: "nothing to charge".into() },
///         1..=99 => Outcome::Retry { after: Duration::from_secs(60) },
///         _ => Outcome::Ack,
///     }
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The message is done: it leaves its queue. `true` means the same.
    Ack,
    /// The message is retried later.
    Retry {
        /// How long from now. It is rounded up to what the broker can do: SQS counts whole seconds, and RabbitMQ has steps.
        ///
        /// If it is longer than one delay of the broker, the message is put off as often as needed, and the attempt is counted once. Where the broker
        /// can't do that, the delay is [`Capabilities::max_delay`](crate::broker::Capabilities::max_delay), and the log says so once. On SQS that is
        /// 12 hours.
        after: Duration,
    },
    /// The message goes to the dead letters now. If the queue has no dead-letter target, the message is retried.
    Reject {
        /// Why, for people who read the dead letters. It is cut at 512 bytes.
        reason: Cow<'static, str>,
    },
}

/// What a handler may return: `bool`, [`Outcome`], or a `Result` of either.
///
/// `()` is not an outcome, on purpose: a handler that runs off its end must not remove a message.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no outcome: a handler must say whether its message is done",
    label = "no outcome",
    note = "return `bool` (`true` acks), `Result<bool, E>`, `Outcome` or `Result<Outcome, E>`"
)]
pub trait IntoOutcome {
    /// Converts it to the verdict that the engine goes by.
    fn into_outcome(self) -> Verdict;
}

/// What a handler said of a message: an outcome, a plain "not done", or a failure.
///
/// It is what the engine and the layers see of the value that a handler returns. It has 16 bytes: the rare cases are boxed.
pub struct Verdict(#[doc(hidden)] pub Said);

/// What a [`Verdict`] holds. Only the runtime reads it.
#[doc(hidden)]
#[allow(missing_debug_implementations, reason = "`Verdict` shows it")]
pub enum Said {
    /// The message is done.
    Ack,
    /// `false`: the message is retried after the route's backoff, or when its lease expires.
    Nack,
    /// One of the rare verdicts.
    Rare(Box<Rare>),
}

/// The rare verdicts, boxed.
#[doc(hidden)]
#[allow(missing_debug_implementations, reason = "`Verdict` shows it")]
pub enum Rare {
    /// [`Outcome::Retry`].
    Retry(Duration),
    /// [`Outcome::Reject`].
    Reject(Cow<'static, str>),
    /// A failure.
    Failed(FailureKind, BoxError),
    /// No handler of the route takes the message. Holds its event type, if it has one.
    Unmatched(Option<Box<str>>),
    /// The message was left out of its batch, since an earlier one of its group is not handled.
    LeftOut,
}

impl Verdict {
    /// `true`: the message is done.
    pub const ACK: Self = Self(Said::Ack);
    /// `false`: the message is not done. It is retried after the route's backoff, or when its lease expires if the route has no backoff.
    pub const NACK: Self = Self(Said::Nack);

    /// Returns a failure of this kind.
    pub fn failed(kind: FailureKind, error: impl Into<BoxError>) -> Self {
        Self(Said::Rare(Box::new(Rare::Failed(kind, error.into()))))
    }

    /// Returns this verdict once for each of this many messages.
    #[doc(hidden)]
    pub fn repeated(self, times: usize) -> Vec<Self> {
        let repeat = |verdict: &dyn Fn() -> Said| (0..times).map(|_| Self(verdict())).collect();
        match self.0 {
            Said::Ack => repeat(&|| Said::Ack),
            Said::Nack => repeat(&|| Said::Nack),
            Said::Rare(rare) => match *rare {
                Rare::Retry(after) => repeat(&|| Said::Rare(Box::new(Rare::Retry(after)))),
                Rare::LeftOut => repeat(&|| Said::Rare(Box::new(Rare::LeftOut))),
                Rare::Unmatched(event_type) => {
                    repeat(&|| Said::Rare(Box::new(Rare::Unmatched(event_type.clone()))))
                }
                Rare::Reject(reason) => {
                    repeat(&|| Said::Rare(Box::new(Rare::Reject(reason.clone()))))
                }
                Rare::Failed(kind, error) => {
                    let error = SharedError(error.into());
                    repeat(&|| Said::Rare(Box::new(Rare::Failed(kind, Box::new(error.clone())))))
                }
            },
        }
    }

    /// Returns the verdict on a message that no handler of the route takes, with its event type.
    #[cold]
    #[doc(hidden)]
    pub fn unmatched(event_type: Option<&str>) -> Self {
        Self(Said::Rare(Box::new(Rare::Unmatched(
            event_type.map(Into::into),
        ))))
    }

    /// Returns the verdict on a message that was left out of its batch, since an earlier one of its group is not handled.
    #[cold]
    #[doc(hidden)]
    pub fn left_out() -> Self {
        Self(Said::Rare(Box::new(Rare::LeftOut)))
    }

    /// Returns whether the message is done.
    pub fn is_ack(&self) -> bool {
        matches!(self.0, Said::Ack)
    }

    /// Returns the error of a failure. `None` means that this is not a failure.
    pub fn error(&self) -> Option<&(dyn StdError + Send + Sync + 'static)> {
        match &self.0 {
            Said::Rare(rare) => match &**rare {
                Rare::Failed(_, error) => Some(&**error),
                _ => None,
            },
            _ => None,
        }
    }
}

impl fmt::Debug for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Said::Ack => f.write_str("Ack"),
            Said::Nack => f.write_str("Nack"),
            Said::Rare(rare) => match &**rare {
                Rare::Retry(after) => f.debug_struct("Retry").field("after", after).finish(),
                Rare::Reject(reason) => f.debug_struct("Reject").field("reason", reason).finish(),
                Rare::LeftOut => f.write_str("LeftOut"),
                Rare::Unmatched(event_type) => {
                    f.debug_tuple("Unmatched").field(event_type).finish()
                }
                Rare::Failed(kind, error) => {
                    f.debug_tuple("Failed").field(kind).field(error).finish()
                }
            },
        }
    }
}

/// The error of a batch call, for one of its messages. The error itself is the source, so that it can be found by its type.
#[derive(Clone, Debug)]
struct SharedError(Arc<dyn StdError + Send + Sync>);

impl fmt::Display for SharedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl StdError for SharedError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.0)
    }
}

/// Why the handling of a message failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FailureKind {
    /// The handler returned an error, or a layer did.
    Error,
    /// The handler panicked.
    Panic,
    /// The handler took longer than the route's `timeout`.
    Timeout,
    /// The translator could not open or decode the message.
    Undecodable,
    /// An extractor refused the message.
    Extractor,
}

impl FailureKind {
    /// Returns the word for it in logs and reports. Dead letters have the same words, except that they have `error` for
    /// [`Extractor`](Self::Extractor).
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Panic => "panic",
            Self::Timeout => "timeout",
            Self::Undecodable => "undecodable",
            Self::Extractor => "extractor",
        }
    }
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl IntoOutcome for bool {
    fn into_outcome(self) -> Verdict {
        if self { Verdict::ACK } else { Verdict::NACK }
    }
}

impl IntoOutcome for Outcome {
    fn into_outcome(self) -> Verdict {
        match self {
            Self::Ack => Verdict::ACK,
            Self::Retry { after } => Verdict(Said::Rare(Box::new(Rare::Retry(after)))),
            Self::Reject { reason } => Verdict(Said::Rare(Box::new(Rare::Reject(reason)))),
        }
    }
}

impl IntoOutcome for Verdict {
    fn into_outcome(self) -> Verdict {
        self
    }
}

/// An error that a handler may return: any type that converts to a [`BoxError`]. Every `std::error::Error` does, and so do `anyhow::Error` and
/// `String`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no error that a handler can return",
    label = "its error does not convert to `Box<dyn Error + Send + Sync>`",
    note = "implement `std::error::Error` for it, as `#[derive(thiserror::Error)]` does; or return `anyhow::Error`, a `String`, or `Box<dyn Error + Send + Sync>` with all three traits"
)]
pub trait HandlerError: Into<BoxError> {}

#[diagnostic::do_not_recommend]
impl<E: Into<BoxError>> HandlerError for E {}

impl<E: HandlerError> IntoOutcome for Result<bool, E> {
    fn into_outcome(self) -> Verdict {
        self.map_or_else(
            |error| Verdict::failed(FailureKind::Error, error),
            bool::into_outcome,
        )
    }
}

impl<E: HandlerError> IntoOutcome for Result<Outcome, E> {
    fn into_outcome(self) -> Verdict {
        self.map_or_else(
            |error| Verdict::failed(FailureKind::Error, error),
            Outcome::into_outcome,
        )
    }
}
