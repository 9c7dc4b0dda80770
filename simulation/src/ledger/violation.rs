//! Violations of the law: what a run is accused of.

use std::fmt;

use crate::{
    Millis,
    ledger::{DeliveryId, MessageKey},
};

macro_rules! violations {
    ($($(#[doc = $doc:literal])+ $kind:ident = $name:literal,)+) => {
        /// A kind of violation. Its name is what the command line prints.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Wrong {
            $($(#[doc = $doc])+ $kind,)+
        }

        impl Wrong {
            /// All kinds.
            pub const ALL: &[Self] = &[$(Self::$kind),+];

            /// Returns the name.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)+
                }
            }
        }
    };
}

violations! {
    /// An ack of a message for which nobody answered ack.
    AckUnanswered = "ack without an answer",
    /// A dead letter of a message that was neither rejected nor on its last attempt.
    DeadLetterUnanswered = "dead letter without a reason",
    /// A retry of a message that did not fail.
    RetryUnanswered = "retry without a reason",
    /// A release of a message that was tried.
    ReleaseOfTried = "release of what was tried",
    /// A retry that asks for a shorter delay than the handler or the backoff.
    RetryTooShort = "retry sooner than asked",
    /// A message was tried as another attempt than the one that its tries make it.
    WrongAttempt = "wrong attempt",
    /// A message was tried again in place before its backoff was over.
    TriedTooSoon = "tried too soon",
    /// A message was tried again in place after its last attempt, and no dead letter of it was asked for.
    TriedTooOften = "tried too often",
    /// A message was tried again in place although it did not fail.
    TriedUnasked = "tried again without a reason",
    /// An ordered group was released while its failed head waits for its next attempt.
    GroupGivenBack = "group released without a reason",
    /// A suspect and another message of its route ran at once.
    SuspectBeside = "suspect beside others",
    /// A message was isolated that was not delivered too often without an outcome.
    IsolatedUnasked = "isolated without a reason",
    /// A dead letter says that a message ended its process, and it was not handed over alone before, or that came to an end.
    CrashUnproven = "crash without proof",
    /// A message that was delivered before its delay was over.
    DeliveredEarly = "delivered before its delay was over",
    /// A handler started before its message was due.
    StartedEarly = "started before it was due",
    /// A message that was not due was settled otherwise than by putting it off, or one that was due was put off.
    DeferredWrongly = "not put off until it was due",
    /// Something was sent for a message whose lease was lost and whose handler was cancelled.
    SettledAfterCancel = "settled after its handler was cancelled",
    /// A message was neither acked nor dead-lettered in good time after the last fault.
    NeverFinished = "never finished",
    /// A message ran again although nothing gave it a reason to.
    HandledTwice = "handled twice",
    /// A message whose handler answered ack ran again while its ack was not confirmed.
    HandledDuringAck = "law 6 while the ack is under way",
    /// One delivery ran twice.
    StartedTwice = "one delivery started twice",
    /// A handler started although the lease was over by the broker's clock.
    StartedTooLate = "started after its lease",
    /// A handler ran on long after its lease was over.
    RanTooLong = "ran on after its lease",
    /// A handler was dropped although nothing gave a reason to.
    CancelledUnasked = "cancelled without a reason",
    /// The future of a call was polled again after it had answered.
    PolledAfterEnd = "polled after its end",
    /// A receipt was settled again after the answer that it was done.
    SettledTwice = "settled twice",
    /// Two settlements of one receipt were in flight at once.
    SettledAtOnce = "settled twice at once",
    /// A settlement began after the lease was over by the broker's clock.
    SettledTooLate = "settled after its lease",
    /// A renewal began after the lease was over by the broker's clock.
    RenewedTooLate = "renewed after its lease",
    /// A settlement began of a lease whose connection was known to be lost.
    SettledDisconnected = "settled after its connection",
    /// A settlement began of a lease that was taken back, after the app had said that nothing is settled any more.
    SettledAfterFence = "settled after its fence",
    /// A handler started although the broker had said that it takes the lease back.
    StartedLeaving = "started while it leaves",
    /// Leases were taken back, and the fence did not come in time.
    FenceMissed = "fence missed",
    /// A handler started while its route was paused.
    StartedPaused = "started while paused",
    /// A receive began while its route was paused.
    ReceivedPaused = "received while paused",
    /// A message of a group ran before an earlier one of the group was over.
    OutOfOrder = "out of order",
    /// A message ran in one batch with an earlier one of its group that can't be decoded.
    RanBesideUndecodable = "ran behind what can't be decoded",
    /// Two messages of a group ran at once.
    GroupAtOnce = "two of a group at once",
    /// More calls ran at once than the route's concurrency.
    TooManyCalls = "too many calls",
    /// More messages were on lease than the route may hold.
    OverCapacity = "over capacity",
    /// An app did not end in time.
    DrainTooLong = "drain too long",
    /// Something ran after its app had ended.
    RanAfterEnd = "ran after the end",
    /// A message that never ran stayed on lease when its app ended.
    LeftLeased = "left on lease",
    /// A handler started after its app was asked to stop.
    StartedDuringDrain = "started during the drain",
    /// Messages wait at the broker, there is room for them, and nobody receives.
    StalledReceive = "stalled receive",
    /// Messages wait at the broker, and none of the route goes on, because others can't be given up.
    HeldUp = "held up by others",
    /// A message waits in the app although a worker is free.
    StalledWorker = "stalled worker",
    /// An ack waits although nothing justifies it.
    AckHeldUp = "ack held up",
    /// A message of a batch waits to be settled because `on_error` decides about another one.
    HeldByNeighbour = "held up by its batch",
    /// A message that failed is neither settled nor left to expire.
    SettlementHeldUp = "settlement held up",
    /// An app could not be started, or a part of it panicked.
    AppFailed = "app failed",
}

impl Wrong {
    /// Returns the kind of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One violation.
#[derive(Clone, Debug)]
pub struct Violation {
    /// Its kind.
    pub kind: Wrong,
    /// When it was seen.
    pub at: Millis,
    /// The message that it is about. `None` means that it is about a whole route or app.
    pub message: Option<MessageKey>,
    /// The delivery that it is about, if it is about one.
    pub delivery: Option<DeliveryId>,
    /// What is wrong, in words.
    pub text: String,
}
