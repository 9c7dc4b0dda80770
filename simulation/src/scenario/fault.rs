//! What can go wrong in a run, each kind with a switch of its own.

use std::fmt;

/// A kind of fault, or a kind of user code that can be left out to make a failing run smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// Answers of calls arrive late.
    SlowAnswers,
    /// A call is carried out, and its answer is an error.
    LostAnswers,
    /// A call is not carried out, and its answer is an error.
    LostRequests,
    /// Some entries of a settlement call fail.
    PartialFailures,
    /// Retries and dead letters of some messages fail for minutes, while acks succeed.
    StuckEntries,
    /// The queue has no dead-letter target.
    NoDeadLetters,
    /// The broker takes leases back before their time.
    LostLeases,
    /// Messages are delivered twice: while they are leased, or after their ack.
    Duplicates,
    /// Messages are delivered in another order.
    Reordering,
    /// Receives fail, some of them in streaks.
    FailingReceives,
    /// Renewals fail, so that leases expire.
    FailingRenewals,
    /// Renewals take many seconds.
    HangingRenewals,
    /// Connections are lost with all their leases.
    LostConnections,
    /// Receives return nothing although messages wait, or return late.
    EmptyPolls,
    /// A provider gives fewer answers than there were entries.
    TooFewAnswers,
    /// The broker takes leases back on notice.
    Leavings,
    /// Routes are paused and resumed.
    Pauses,
    /// Copies of some messages are refused for good, for a while.
    RefusedCopies,
    /// The app's process is killed.
    Kills,
    /// The handlers of some messages kill their process.
    Poisons,
    /// Layers around handlers, some of which misbehave.
    Layers,
    /// `on_error` functions, some of which misbehave.
    OnError,
    /// Handlers of batches.
    Batches,
}

impl Fault {
    /// All kinds.
    pub const ALL: [Self; 23] = [
        Self::SlowAnswers,
        Self::LostAnswers,
        Self::LostRequests,
        Self::PartialFailures,
        Self::StuckEntries,
        Self::NoDeadLetters,
        Self::LostLeases,
        Self::Duplicates,
        Self::Reordering,
        Self::FailingReceives,
        Self::FailingRenewals,
        Self::HangingRenewals,
        Self::LostConnections,
        Self::EmptyPolls,
        Self::TooFewAnswers,
        Self::Leavings,
        Self::Pauses,
        Self::RefusedCopies,
        Self::Kills,
        Self::Poisons,
        Self::Layers,
        Self::OnError,
        Self::Batches,
    ];

    /// How many of them come from outside of the app: the first ones of [`ALL`](Self::ALL).
    pub const OF_THE_BROKER: usize = 20;

    /// Returns its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::SlowAnswers => "slow-answers",
            Self::LostAnswers => "lost-answers",
            Self::LostRequests => "lost-requests",
            Self::PartialFailures => "partial-failures",
            Self::StuckEntries => "stuck-entries",
            Self::NoDeadLetters => "no-dead-letters",
            Self::LostLeases => "lost-leases",
            Self::Duplicates => "duplicates",
            Self::Reordering => "reordering",
            Self::FailingReceives => "failing-receives",
            Self::FailingRenewals => "failing-renewals",
            Self::HangingRenewals => "hanging-renewals",
            Self::LostConnections => "lost-connections",
            Self::EmptyPolls => "empty-polls",
            Self::TooFewAnswers => "too-few-answers",
            Self::Leavings => "leavings",
            Self::Pauses => "pauses",
            Self::RefusedCopies => "refused-copies",
            Self::Kills => "kills",
            Self::Poisons => "poisons",
            Self::Layers => "layers",
            Self::OnError => "on-error",
            Self::Batches => "batches",
        }
    }

    /// Returns the kind of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|fault| fault.name() == name)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of kinds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults(u32);

impl Faults {
    /// The empty set.
    pub const NONE: Self = Self(0);

    /// Whether it has this kind.
    #[must_use]
    pub fn has(self, fault: Fault) -> bool {
        self.0 & (1 << fault as u32) != 0
    }

    /// Returns the set with this kind.
    #[must_use]
    pub fn with(self, fault: Fault) -> Self {
        Self(self.0 | (1 << fault as u32))
    }

    /// Returns the set without those of another one.
    #[must_use]
    pub fn without(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }

    /// Returns its kinds.
    pub fn iter(self) -> impl Iterator<Item = Fault> {
        Fault::ALL.into_iter().filter(move |fault| self.has(*fault))
    }
}

impl FromIterator<Fault> for Faults {
    fn from_iter<I: IntoIterator<Item = Fault>>(faults: I) -> Self {
        faults.into_iter().fold(Self::default(), Self::with)
    }
}
