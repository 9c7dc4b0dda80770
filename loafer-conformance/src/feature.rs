//! What a broker may lack.

use std::fmt;

/// What a broker may lack. Cases that need it do not apply to a broker that [declares](super::BrokerProfile::without) it missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Feature {
    /// A delivered message is ours for a time, which can be renewed and runs out.
    Leases,
    /// A receipt whose lease has expired is refused.
    StaleReceipts,
    /// A message says how often it was delivered.
    Attempts,
    /// The broker tells what was tried and failed from what was delivered only: an attempt is what failed, and it knows when the first one did.
    Tries,
    /// A message can be handed over alone: see [`Settlement::Isolate`](loafer_core::broker::Settlement::Isolate).
    Isolation,
    /// A retry waits as long as was asked.
    RetryDelay,
    /// A published message waits as long as was asked.
    PublishDelay,
    /// The broker tells how many messages are ready.
    Depth,
    /// There is a place for dead letters.
    DeadLetters,
    /// Dead letters can be listed, tried again and moved one by one.
    TryAgain,
    /// The broker itself gives up what was delivered too often.
    Redrive,
    /// There are sources that keep the messages of a group in order.
    Order,
    /// Such a source drops a message whose deduplication id an earlier one had.
    Deduplication,
    /// A source without order still carries the group of a message.
    Groups,
    /// Several queues can receive one topic.
    Topics,
    /// A process has a private address, at which the replies to its requests come in.
    Replies,
    /// A header can be a number or bytes.
    TypedHeaders,
    /// Something can't be sent: too large, too many headers. See [`BrokerProfile::largest`](super::BrokerProfile::largest).
    Limits,
    /// A body of 256 KiB.
    QuarterMebibyte,
    /// A body of 1 MiB.
    Mebibyte,
    /// Bodies of any bytes.
    Binary,
    /// Empty bodies.
    Empty,
    /// Characters beyond U+FFFF, as emoji are.
    Emoji,
    /// The test can make it unreachable for a while, and what it holds outlasts that. See [`BrokerUnderTest::outage`](super::BrokerUnderTest::outage).
    Outages,
}

impl Feature {
    /// Returns its name in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Leases => "leases",
            Self::StaleReceipts => "stale receipts",
            Self::Attempts => "attempts",
            Self::Tries => "tries",
            Self::Isolation => "isolation",
            Self::RetryDelay => "retry delay",
            Self::PublishDelay => "publish delay",
            Self::Depth => "depth",
            Self::DeadLetters => "dead letters",
            Self::TryAgain => "try again",
            Self::Redrive => "redrive",
            Self::Order => "order",
            Self::Deduplication => "deduplication",
            Self::Groups => "groups",
            Self::Topics => "topics",
            Self::Replies => "replies",
            Self::TypedHeaders => "typed headers",
            Self::Limits => "limits",
            Self::QuarterMebibyte => "256 KiB",
            Self::Mebibyte => "1 MiB",
            Self::Binary => "binary bodies",
            Self::Empty => "empty bodies",
            Self::Emoji => "emoji",
            Self::Outages => "outages",
        }
    }
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
