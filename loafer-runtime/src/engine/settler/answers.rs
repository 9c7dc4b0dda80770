//! What becomes of settlements: the provider's answers, and what is done where there is none.

use std::{fmt, iter, mem, time::Duration};

use super::{
    Settler,
    batch::{Hold, is_ack},
};
use crate::scheduler::Job;
use loafer_core::{
    Error,
    broker::{Provider, Settle, Settled, Settlement},
};
use tokio::time::Instant;

/// The delay of a retry that takes the place of a dead letter or can't be sent, if the route has no backoff.
const INSTEAD: Duration = Duration::from_secs(30);
/// Why there is no dead letter.
const NO_TARGET: &str = "there is no queue for dead letters; SQS: set a redrive policy on the queue; RabbitMQ: bind a queue to the route's dead-letter target";
/// Why a message was not settled, although it was tried.
pub(super) const UNSETTLED: &str = "it could not be settled: the broker redelivers it";
/// Why a message was not settled, and nothing was sent.
pub(super) const TOO_LATE: &str =
    "its lease expired before it was settled: nothing was sent, the broker redelivers it";
/// What becomes of a message that was handled, in this process.
const ACKED_THEN: &str = ", and it is acked then: it was handled, and does not run again here";

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
        for ((hold, entry), answer) in self.batch.take().zip(answers) {
            match answer {
                Some(Settled::Done) => self.settled(hold, &entry),
                Some(Settled::Lost) => self.lost(hold, &entry, UNSETTLED),
                Some(Settled::NoDeadLetterTarget) => {
                    self.not_dead_lettered(hold, entry, &NO_TARGET);
                }
                Some(Settled::Failed(error)) if self.is_hopeless(&entry, &error) => {
                    match entry.settlement {
                        Settlement::DeadLetter(_) => self.not_dead_lettered(hold, entry, &*error),
                        _ => self.not_sent(hold, entry, &error),
                    }
                }
                failed => {
                    well = false;
                    match failed {
                        Some(Settled::Failed(error)) => {
                            self.failed(&entry, &error);
                            if matches!(entry.settlement, Settlement::DeadLetter(_)) {
                                self.cause = Some(error);
                            }
                        }
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
        match entry.settlement {
            Settlement::Isolate => self.shared.scheduler().isolated(),
            Settlement::Release => self.shared.released(&entry.message),
            _ => {}
        }
        if matches!(entry.settlement, Settlement::DeadLetter(_)) {
            let route = &self.shared.route;
            if route.dead_letter_outage.end() {
                tracing::info!(route = %route.policy.route, queue = %route.policy.queue, "dead letters can be made again");
            }
            self.judge(hold, entry, true);
            route.confirmed(entry);
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
        let (message_id, settlement) = (entry.message.id(), in_a_word(&entry.settlement));
        if route.settlers_failing.record(&mut self.failing, false) {
            tracing::error!(route = %name, %queue, %message_id, settlement, %error, "settling failed: trying again");
        } else {
            tracing::debug!(route = %name, %queue, %message_id, settlement, %error, "settling failed again");
        }
    }

    pub(super) fn succeeded(&mut self) {
        let route = &self.shared.route;
        if route.settlers_failing.record(&mut self.failing, true) {
            self.tell_success();
        }
    }

    #[cold]
    pub(super) fn tell_success(&self) {
        let policy = &self.shared.route.policy;
        tracing::info!(route = %policy.route, queue = %policy.queue, "settling again");
    }

    /// Whether another try is not worth it: a copy that can't be made for good, or a dead letter while none of the route's can be made.
    fn is_hopeless(&self, entry: &Settle<P::Receipt>, error: &Error) -> bool {
        match entry.settlement {
            Settlement::Ack | Settlement::Release => false,
            Settlement::DeadLetter(_) => {
                !error.is_transient() || self.shared.route.dead_letter_outage.is_on()
            }
            _ => !error.is_transient(),
        }
    }

    /// The dead letters of the batch could not be made after several tries.
    #[cold]
    pub(super) fn give_up_dead_letters(&mut self) {
        let cause: &dyn fmt::Display = match self.cause.take() {
            Some(error) => &error.to_string(),
            None => &"it was not confirmed in time",
        };
        for (hold, entry) in self.batch.take() {
            match entry.settlement {
                Settlement::DeadLetter(_) => self.not_dead_lettered(hold, entry, cause),
                _ => self.batch.push(hold, entry),
            }
        }
    }

    /// Retries a message instead of its dead letter, which can't be made: it holds no capacity meanwhile. In an ordered group it is held in place,
    /// and blocks its group.
    #[cold]
    fn not_dead_lettered(
        &mut self,
        hold: Hold,
        mut entry: Settle<P::Receipt>,
        cause: &dyn fmt::Display,
    ) {
        let route = &self.shared.route;
        let (name, queue, message_id) =
            (&route.policy.route, &route.policy.queue, entry.message.id());
        if route.dead_letter_outage.begin() {
            tracing::error!(route = %name, %queue, %message_id, %cause, "dead letters can't be made: their messages are retried instead, and kept");
        }
        route.reports.put_off(
            &entry.message,
            "its dead letter could not be made: retried instead",
        );
        let backoff = route.backoff(entry.message.attempt());
        if self.fenced {
            return self.hold_in_place(hold, entry, backoff.unwrap_or(INSTEAD));
        }
        let expires = route.capabilities.lease.is_some();
        let after = backoff.or_else(|| (!expires).then_some(INSTEAD));
        entry.settlement = Settlement::Retry { after };
        if self.is_by_expiry(&entry) {
            self.counts.retried += 1;
        } else {
            // A dead letter does not wait for the renewal of its lease, a retry does.
            self.batch.renewing = Some(Duration::MAX);
            self.instead = true;
            self.batch.push(hold, entry);
        }
    }

    /// Tries a message again in place, because the broker will not take what would delay it.
    #[cold]
    fn not_sent(&mut self, hold: Hold, entry: Settle<P::Receipt>, error: &Error) {
        let route = &self.shared.route;
        let after = match entry.settlement {
            Settlement::Retry { after } => after.unwrap_or(INSTEAD),
            Settlement::Defer { until } => until.left(Instant::now().into_std()),
            _ => Duration::ZERO,
        };
        let (name, queue, message_id) =
            (&route.policy.route, &route.policy.queue, entry.message.id());
        if route.undelayed.is_due() {
            tracing::error!(route = %name, %queue, %message_id, ?after, %error, "the broker does not take the copy that would delay it: it stays leased here, and is tried again here");
        } else {
            tracing::debug!(route = %name, %queue, %message_id, ?after, %error, "no copy that would delay it: tried again here");
        }
        self.hold_in_place(hold, entry, after);
    }

    /// Keeps a message leased until it is tried again here. If the route receives no more, or its lease leaves, it is given back.
    #[cold]
    fn hold_in_place(&mut self, hold: Hold, mut entry: Settle<P::Receipt>, after: Duration) {
        let mut table = self.shared.table();
        let leaves = table.leaves_at().is_some() && self.shared.provider.is_leaving(&entry.receipt);
        let received_at = self.batch.received_at(hold.key).unwrap_or(table.now());
        let key = table.insert(entry.receipt.clone(), received_at, hold.until);
        drop(table);
        let failed = !matches!(
            entry.settlement,
            Settlement::Defer { .. } | Settlement::Isolate
        );
        let held = failed.then_some(Settlement::Retry { after: Some(after) });
        let job = Job::new(key, entry.message.clone()).done(held);
        let scheduler = self.shared.scheduler();
        if !leaves && scheduler.hold(job, hold.key, after, self.sweep) {
            self.held += 1;
            let capacity = scheduler.limits.capacity;
            let spared = scheduler.spared().min(capacity);
            self.shared.provider.set_capacity(capacity + spared);
            return;
        }
        self.shared.table().remove(key);
        self.judge(hold, &entry, false);
        entry.settlement = match self.fenced {
            true => Settlement::Retry { after: Some(after) },
            false => Settlement::Release,
        };
        self.batch.push(hold, entry);
    }

    /// Called when a message was not settled before its lease was over. If it was handled, it is remembered, and acked when it is
    /// redelivered.
    #[cold]
    pub(super) fn lost(&mut self, hold: Hold, entry: &Settle<P::Receipt>, why: &str) {
        let route = &self.shared.route;
        let acked = matches!(entry.settlement, Settlement::Ack);
        match acked && route.capabilities.own_ids {
            true => route
                .reports
                .declined(&entry.message, &format!("{why}{ACKED_THEN}")),
            false => route.reports.declined(&entry.message, why),
        }
        self.counts.lost += 1;
        self.shared.lost_alone(&entry.message);
        if matches!(entry.settlement, Settlement::Isolate) {
            // What was lost may be the answer alone.
            self.shared.scheduler().isolated();
        }
        match acked {
            true => route.ack_dedup.remember(&entry.message),
            false => self.judge(hold, entry, false),
        }
    }

    /// Records how a failed message of a fenced group ended: this decides about its group.
    pub(super) fn judge(&mut self, hold: Hold, entry: &Settle<P::Receipt>, left: bool) {
        if self.fenced {
            self.judged.push((hold.key, entry.message.clone(), left));
        }
    }
}

/// Names a settlement. What else it holds is about the message, and is in no log.
fn in_a_word(settlement: &Settlement) -> &'static str {
    match settlement {
        Settlement::Ack => "ack",
        Settlement::Retry { .. } => "retry",
        Settlement::Defer { .. } => "defer",
        Settlement::DeadLetter(_) => "dead letter",
        Settlement::Isolate => "isolate",
        Settlement::Release => "release",
    }
}
