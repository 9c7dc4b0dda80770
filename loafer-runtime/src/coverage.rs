//! Counts of the scheduler's transitions, so that a simulation can say which it has never reached.
//!
//! Only builds with debug assertions count. In others, [`reached`] is nothing.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! transitions {
    ($($name:ident: $what:literal,)*) => {
        /// A transition of the scheduler.
        #[derive(Clone, Copy)]
        pub(crate) enum Transition {
            $(#[doc = $what] $name,)*
        }

        const NAMES: &[&str] = &[$($what,)*];
        static COUNTS: [AtomicU64; NAMES.len()] = [const { AtomicU64::new(0) }; NAMES.len()];
    };
}

transitions! {
    NoRoom: "a receiver waits for capacity",
    Receive: "a receive is due",
    ReceivedNothing: "a receive brought nothing",
    ReceivedPart: "a receive brought less than it asked for",
    ReceivedFull: "a receive brought all that it asked for",
    WorkerHired: "a worker is spawned",
    WorkerWoken: "an idle worker is woken",
    MovedOn: "whoever a worker has woken need not wait for its handler",
    HandedBack: "a worker hands back a message that it has not started",
    WindowOpen: "a batch window opens",
    Waits: "a handler waits",
    Asked: "an error handler decides",
    Settle: "a batch of settlements is due",
    SettleAfterLinger: "a batch of settlements is due because it lingered",
    Stalled: "settlements take their time",
    Freed: "capacity is freed by a first try",
    FreedLate: "capacity is freed by settlements that took their time",
    GroupWaits: "a message waits behind another of its group",
    GroupAdvances: "the next message of a group becomes ready",
    GroupFollows: "a message joins the batch of its group",
    GroupStepsBack: "a message behind a failed one of its batch waits for it",
    GroupReleased: "what waits behind a message that is redelivered is released",
    Fetches: "the broker is asked for an isolated message",
    RunsAlone: "a suspect runs and nothing else does",
    RunsBesideSuspects: "a suspect runs beside others",
    HeldInGroup: "the failed head of a group is held",
    HeldUnsent: "a message that could not be retried or dead-lettered is held",
    RetriedInPlace: "a held message is tried again",
    HeldGivenBack: "a held message is given back",
    GroupEnds: "a group has no more messages",
    LostReady: "a lease is lost before its message started",
    LostInGroup: "a lease is lost while its message waits in a group",
    LostInBatch: "a lease of a running batch is lost",
    LostRunning: "the last lease of a call is lost",
    LeftReady: "a message that is ready leaves",
    LeftInGroup: "a message that waits in a group leaves",
    LeftSetAside: "a message that was set aside leaves",
    Unswept: "a fence waits for settlements in flight",
    Swept: "what settlers had before a fence is settled",
    Paused: "the route is paused",
    Resumed: "the route is resumed",
    PausesDelivery: "the delivery of messages is paused",
    BufferReleased: "a paused route releases its buffer",
    SetAside: "messages that will not start wait for the last receive",
    PollWoken: "a message is released to end the last receive",
    Finishing: "the route receives no more",
    Draining: "the route drains",
    Cancelled: "the route is cancelled",
}

/// Counts a transition.
#[inline(always)]
pub(crate) fn reached(transition: Transition) {
    if cfg!(debug_assertions) {
        COUNTS[transition as usize].fetch_add(1, Ordering::Relaxed);
    }
}

/// Returns every transition, and how often it was reached since the process began.
pub fn transitions() -> Vec<(&'static str, u64)> {
    let counts = COUNTS.iter().map(|count| count.load(Ordering::Relaxed));
    NAMES.iter().copied().zip(counts).collect()
}
