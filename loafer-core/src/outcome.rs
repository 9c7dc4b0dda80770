//! What a handler says of its message.

use std::{borrow::Cow, error::Error as StdError, fmt, sync::Arc, time::Duration};

/// Any error, as handlers give it.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// What should become of a message, where `true` and `false` do not say enough.
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
    /// Done: the message leaves its queue.
    Ack,
    /// Not now: deliver it again.
    Retry {
        /// How long from now; rounded up to what the broker can do (SQS: whole seconds).
        after: Duration,
    },
    /// Never: to the dead letters now, with this reason. Where the broker has no dead-letter target: a retry.
    Reject {
        /// Why, for whoever reads the dead letters; trimmed to 512 bytes.
        reason: Cow<'static, str>,
    },
}

/// What a handler may return: `bool`, [`Outcome`], or a `Result` of either.
///
/// `()` is refused on purpose: a handler that falls off its end must not remove a message.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no outcome: a handler must say whether its message is done",
    label = "no outcome",
    note = "return `bool` (`true` acks), `Result<bool, E>`, `Outcome` or `Result<Outcome, E>`"
)]
pub trait IntoOutcome {
    /// What the framework carries on.
    fn into_outcome(self) -> Verdict;
}

/// What was said of a message: an outcome, a plain "not done", or a failure.
///
/// The framework's and the layers' form of what a handler returns. 16 bytes: the rare cases are boxed.
pub struct Verdict(#[doc(hidden)] pub Said);

/// What a [`Verdict`] holds: the runtime's to read.
#[doc(hidden)]
#[allow(missing_debug_implementations, reason = "`Verdict` shows it")]
pub enum Said {
    /// Done.
    Ack,
    /// `false`: the route's backoff, or lease expiry.
    Nack,
    /// All that is rare.
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
    /// No handler of the route takes it; its event type, where it has one.
    Unmatched(Option<Box<str>>),
}

impl Verdict {
    /// `true`: done.
    pub const ACK: Self = Self(Said::Ack);
    /// `false`: not done; the route's backoff or the end of the lease brings it again.
    pub const NACK: Self = Self(Said::Nack);

    /// A failure of this kind.
    pub fn failed(kind: FailureKind, error: impl Into<BoxError>) -> Self {
        Self(Said::Rare(Box::new(Rare::Failed(kind, error.into()))))
    }

    /// The same for so many messages.
    #[doc(hidden)]
    pub fn repeated(self, times: usize) -> Vec<Self> {
        let repeat = |verdict: &dyn Fn() -> Said| (0..times).map(|_| Self(verdict())).collect();
        match self.0 {
            Said::Ack => repeat(&|| Said::Ack),
            Said::Nack => repeat(&|| Said::Nack),
            Said::Rare(rare) => match *rare {
                Rare::Retry(after) => repeat(&|| Said::Rare(Box::new(Rare::Retry(after)))),
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

    /// No handler of the route takes a message of this event type.
    #[cold]
    #[doc(hidden)]
    pub fn unmatched(event_type: Option<&str>) -> Self {
        Self(Said::Rare(Box::new(Rare::Unmatched(
            event_type.map(Into::into),
        ))))
    }

    /// Whether the message is done.
    pub fn is_ack(&self) -> bool {
        matches!(self.0, Said::Ack)
    }

    /// The error, where this is a failure.
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

/// The error of a call, as each of its messages has it. The error itself is its source, where it can be found by its type.
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

/// Why a message was not handled to its end.
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
    /// The word used in logs, reports and dead letters.
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

/// An error that a handler may return: whatever converts to a [`BoxError`], as every `std::error::Error`, `anyhow::Error` and `String` does.
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
