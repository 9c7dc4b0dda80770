//! What the ledger knows of one delivery.

use crate::{
    Millis,
    ledger::{Answer, Asked, Given, Reply, Why},
};

/// One delivery, from the broker's hands to its settlement.
#[derive(Clone, Debug)]
pub struct DeliveryRecord {
    /// What it is.
    pub given: Given,
    /// Which app has it.
    pub app: u32,
    /// When the lease ends by the broker's clock.
    pub until: Option<Millis>,
    /// Until when the app may believe in the lease, as far as it was answered.
    pub believed: Option<Millis>,
    /// When the receive that brought it returned.
    pub handed: Option<Millis>,
    /// Which attempt is under way, or was last.
    pub attempt: u32,
    /// Whether it was tried in place before.
    pub again: bool,
    /// Whether it stood in its batch behind a failed one of its group, so that it runs again after it.
    pub behind: bool,
    /// Whether a dead letter of this attempt was asked for.
    pub gave_up: bool,
    /// Whether the broker has refused one of its copies for good.
    pub refused: bool,
    /// When the first call of this attempt began.
    pub started: Option<Millis>,
    /// The number of its call.
    pub call: u32,
    /// Whether a call has it.
    pub runs: bool,
    /// When a call had it and was dropped.
    pub dropped: Option<Millis>,
    /// What was answered last, by the handler or the outermost layer.
    pub answer: Option<(Millis, Answer)>,
    /// Whether user code said so itself: otherwise it is what follows from a payload that can't be decoded, or from a timeout.
    pub spoke: bool,
    /// Whether the app took its lease for lost when user code was done: it sends nothing then.
    pub late: bool,
    /// Whether `on_error` was asked and has not answered.
    pub consulting: bool,
    /// What `on_error` answered.
    pub decision: Option<(Millis, Answer)>,
    /// Whether `on_error` was asked.
    pub consulted: bool,
    /// The settlement in flight.
    pub settling: Option<Asked>,
    /// When its last settlement began. From then on the app takes in no answer to a renewal from before.
    pub taken: Option<Millis>,
    /// When its first settlement began.
    pub first_settled: Option<Millis>,
    /// Whether the broker carried a settlement out.
    pub executed: bool,
    /// What the last settlement asked for.
    pub asked: Option<Asked>,
    /// What the last settlement was answered.
    pub reply: Option<Reply>,
    /// When it was answered.
    pub replied_at: Option<Millis>,
    /// When the last settlement was answered that it is done.
    pub confirmed: Option<Millis>,
    /// The moment at which the renewal in flight began, and what it asks for.
    pub renewing: Option<(Millis, Millis)>,
    /// If the broker takes it back: when it said so, and from when on the app may cancel it.
    pub leaves: Option<(Millis, Millis)>,
    /// Why the lease ended before its time.
    pub ended: Option<Why>,
    /// Whether a renewal was answered with the loss of the lease.
    pub renewal_lost: bool,
    /// When a renewal was answered last that took so long that the app may have taken leases of its call for lost meanwhile.
    pub renewed_late: Option<Millis>,
    /// Since when it waits for a worker although one is free.
    pub ready_since: Option<Millis>,
}

impl DeliveryRecord {
    pub(super) fn new(given: Given, app: u32) -> Self {
        Self {
            given,
            app,
            until: given.until,
            attempt: given.attempt,
            again: false,
            behind: false,
            gave_up: false,
            refused: false,
            believed: None,
            handed: None,
            started: None,
            call: 0,
            runs: false,
            dropped: None,
            answer: None,
            spoke: false,
            late: false,
            consulting: false,
            decision: None,
            consulted: false,
            settling: None,
            taken: None,
            first_settled: None,
            executed: false,
            asked: None,
            reply: None,
            replied_at: None,
            confirmed: None,
            renewing: None,
            leaves: None,
            ended: None,
            renewal_lost: false,
            renewed_late: None,
            ready_since: None,
        }
    }

    /// Begins another attempt in place: what was said and asked before is over.
    pub(super) fn try_again(&mut self, attempt: u32) {
        (self.attempt, self.again) = (attempt, true);
        self.forget_call();
        (self.started, self.settling, self.gave_up) = (None, None, false);
        (self.first_settled, self.asked) = (None, None);
        (self.reply, self.replied_at) = (None, None);
        self.ready_since = None;
    }

    /// Forgets how the last call ended, because another one begins.
    pub(super) fn forget_call(&mut self) {
        (self.answer, self.decision) = (None, None);
        (self.dropped, self.consulted) = (None, false);
        (self.spoke, self.late) = (false, false);
    }

    /// Whether it was delivered so often without an outcome that it runs alone.
    #[must_use]
    pub fn is_suspect(&self) -> bool {
        let is_first = self.given.isolated && !self.again;
        is_first || self.given.deliveries >= self.attempt + 3
    }

    /// Whether it was handed over before its message was due.
    #[must_use]
    pub fn is_early(&self) -> bool {
        let due = self.given.due.zip(self.handed);
        due.is_some_and(|(due, handed)| handed < due)
    }

    /// Whether the lease is over by the broker's clock.
    #[must_use]
    pub fn is_expired(&self, now: Millis) -> bool {
        self.until.is_some_and(|until| until <= now)
    }

    /// Whether the lease is the app's by all that the broker knows.
    #[must_use]
    pub fn is_live(&self, now: Millis) -> bool {
        self.ended.is_none() && !self.is_expired(now)
    }

    /// Whether the app may take the lease for lost.
    #[must_use]
    pub fn may_be_lost(&self, now: Millis) -> bool {
        let believed = self.believed.is_some_and(|until| until <= now);
        let revoked = self.renewal_lost || self.reply == Some(Reply::Lost);
        let leaves = self.leaves.is_some_and(|(_, cut)| cut <= now);
        believed || revoked || leaves || self.is_known_to_be_lost() || self.is_expired(now)
    }

    /// Whether the provider knows that the lease is lost.
    #[must_use]
    pub fn is_known_to_be_lost(&self) -> bool {
        matches!(
            self.ended,
            Some(Why::Disconnected | Why::Left | Why::Killed)
        )
    }

    /// Whether no settlement will follow: it was answered for good, or the lease is over.
    #[must_use]
    pub fn is_over(&self, now: Millis) -> bool {
        matches!(self.reply, Some(Reply::Done | Reply::Lost)) || !self.is_live(now)
    }

    /// What user code said in the end: `on_error` decides about failures, and if it fails itself, the failure stands. `None` means that nobody
    /// has said anything yet, or that a call was dropped.
    #[must_use]
    pub fn said(&self) -> Option<Answer> {
        let answer = self.answer.map(|(_, answer)| answer);
        match self.decision {
            Some((_, decided)) if !matches!(decided, Answer::Nack) && !decided.is_failure() => {
                Some(decided)
            }
            Some(_) => answer.or(Some(Answer::Failed)),
            None => answer,
        }
    }

    /// Returns when user code was done with it, if `asks` says whether the route has an `on_error`.
    #[must_use]
    pub fn done_at(&self, asks: bool) -> Option<Millis> {
        let (at, answer) = self.answer?;
        if self.runs || self.consulting {
            return None;
        }
        match self.decision {
            Some((decided, _)) => Some(decided),
            None if asks && answer.is_failure() && !self.consulted => None,
            None => Some(at),
        }
    }
}
