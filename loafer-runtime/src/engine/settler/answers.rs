//! What becomes of settlements: the provider's answers, and what is done where there is none.

use std::{fmt, iter, mem, time::Duration};

use super::{
    Settler,
    batch::{Hold, is_ack},
};
use loafer_core::broker::{Provider, Settle, Settled, Settlement};

/// The delay of a retry that takes the place of a dead letter, if the route has no backoff.
const INSTEAD: Duration = Duration::from_secs(30);
/// Why a message is retried instead of dead-lettered, for good.
const NO_TARGET: &str = "no dead-letter queue to put it in: retried instead; SQS: set a redrive policy on the queue; RabbitMQ: bind a queue to the route's dead-letter target";
/// Why a message is retried instead of dead-lettered, for now.
const NO_DEAD_LETTER: &str = "its dead letter could not be made: retried instead";
/// Why a message was not settled, although it was tried.
pub(super) const UNSETTLED: &str = "it could not be settled: the broker redelivers it";
/// Why a message was not settled, and nothing was sent.
pub(super) const TOO_LATE: &str =
    "its lease expired before it was settled: nothing was sent, the broker redelivers it";

impl<P: Provider> Settler<'_, P> {
    /// Reads the answers. Failed entries stay in the batch.
    pub(super) fn conclude(&mut self) {
        let entries = &self.batch.entries;
        let done = |answer: &Settled| matches!(answer, Settled::Done);
        let all_done = self.answers.len() == entries.len() && self.answers.iter().all(done);
        if !all_done {
            return self.conclude_partly();
        }
        if self.batch.acks_only {
            self.shared.route.stats.acked(entries.len());
            self.batch.entries.clear();
            self.batch.holds.clear();
        } else {
            for (hold, entry) in self.batch.take() {
                self.settled(hold, &entry);
            }
        }
        self.succeeded();
    }

    #[cold]
    pub(super) fn conclude_partly(&mut self) {
        let mut well = true;
        let answers = mem::take(&mut self.answers).into_iter().map(Some);
        let answers = answers.chain(iter::repeat_with(|| None));
        for ((hold, mut entry), answer) in self.batch.take().zip(answers) {
            match answer {
                Some(Settled::Done) => self.settled(hold, &entry),
                Some(Settled::Lost) => self.lost(hold, &entry, UNSETTLED),
                Some(Settled::NoDeadLetterTarget) => {
                    self.judge(hold, &entry, false);
                    self.retry_instead(&mut entry, None, NO_TARGET);
                    if self.is_by_expiry(&entry) {
                        self.counts.retried += 1;
                    } else {
                        // A dead letter does not wait for the renewal of its lease, a retry does.
                        self.batch.renewing = Some(Duration::MAX);
                        self.batch.push(hold, entry);
                    }
                }
                failed => {
                    well = false;
                    match failed {
                        Some(Settled::Failed(error)) => self.failed(&entry, &error),
                        _ => self.failed(&entry, &"the provider gave no answer"),
                    }
                    self.batch.push(hold, entry);
                }
            }
        }
        if well {
            self.succeeded();
        }
    }

    /// Called when the first lease of a batch ended before there was an answer: entries that are still leased are tried again.
    #[cold]
    pub(super) fn cut_short(&mut self) {
        for (hold, entry) in self.batch.take() {
            self.failed(&entry, &"no answer before its lease expired");
            self.batch.push(hold, entry);
        }
    }

    /// Called when the broker has confirmed a settlement.
    pub(super) fn settled(&mut self, hold: Hold, entry: &Settle<P::Receipt>) {
        self.counts.settled(&entry.settlement);
        if matches!(entry.settlement, Settlement::DeadLetter(_)) {
            self.judge(hold, entry, true);
            self.shared.route.confirmed(entry);
        }
    }

    /// Called when a settlement failed: it is tried again while its lease lasts.
    #[cold]
    pub(super) fn failed(&mut self, entry: &Settle<P::Receipt>, error: &dyn fmt::Display) {
        let route = &self.shared.route;
        if is_ack(entry) {
            // It may be redelivered meanwhile.
            route.ack_dedup.remember(&entry.message);
        }
        let (name, queue) = (&route.policy.route, &route.policy.queue);
        let (message_id, settlement) = (entry.message.id(), &entry.settlement);
        if route.settlers_failing.record(&mut self.failing, false) {
            tracing::error!(route = %name, %queue, %message_id, ?settlement, %error, "settling failed: trying again");
        } else {
            tracing::debug!(route = %name, %queue, %message_id, ?settlement, %error, "settling failed again");
        }
    }

    pub(super) fn succeeded(&mut self) {
        let route = &self.shared.route;
        if route.settlers_failing.record(&mut self.failing, true) {
            tracing::info!(route = %route.policy.route, queue = %route.policy.queue, "settling again");
        }
    }

    /// The dead letters of a broker without leases can't be made for now: their messages are retried, so that they hold no capacity.
    #[cold]
    pub(super) fn give_up_dead_letters(&mut self) {
        for (hold, mut entry) in self.batch.take() {
            if matches!(entry.settlement, Settlement::DeadLetter(_)) {
                self.retry_instead(&mut entry, Some(INSTEAD), NO_DEAD_LETTER);
            }
            self.batch.push(hold, entry);
        }
    }

    /// Retries a message instead of its dead letter, which could not be made. `least` is the delay of a route without backoff.
    #[cold]
    pub(super) fn retry_instead(
        &self,
        entry: &mut Settle<P::Receipt>,
        least: Option<Duration>,
        why: &'static str,
    ) {
        let route = &self.shared.route;
        route.reports.declined(&entry.message, why);
        let after = route.backoff(entry.message.attempt()).or(least);
        entry.settlement = Settlement::Retry { after };
    }

    /// Called when a message was not settled before its lease was over. If it was handled, it is remembered, and acked when it is
    /// redelivered.
    #[cold]
    pub(super) fn lost(&mut self, hold: Hold, entry: &Settle<P::Receipt>, why: &str) {
        let route = &self.shared.route;
        route.reports.declined(&entry.message, why);
        self.counts.lost += 1;
        match entry.settlement {
            Settlement::Ack => route.ack_dedup.remember(&entry.message),
            _ => self.judge(hold, entry, false),
        }
    }

    /// Records how a failed message of a fenced group ended: this decides about its group.
    pub(super) fn judge(&mut self, hold: Hold, entry: &Settle<P::Receipt>, left: bool) {
        if self.fenced {
            self.judged.push((hold.key, entry.message.clone(), left));
        }
    }
}
