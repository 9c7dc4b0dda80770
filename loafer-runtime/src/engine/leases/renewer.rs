//! The lease renewer: renews every live lease of a route, in batches, and finds those that have expired.

use std::{collections::HashSet, mem, pin::pin, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::time::{sleep, timeout};

use super::{Lease, margin};
use crate::{clock::Moment, engine::Shared, scheduler::Key};
use loafer_core::{
    Error,
    broker::{Provider, Renewed},
};

/// How many batches are renewed by one call of the provider, which makes as many calls of it as it must.
const BATCHES: usize = 16;

/// The shortest time between two looks at the leases.
const SHORTEST: Duration = Duration::from_millis(10);
/// The longest time between two looks while a lease is lost whose worker may not have noticed.
const AGAIN: Duration = Duration::from_millis(100);

pub(in crate::engine) async fn run<P: Provider>(shared: Arc<Shared<P>>, lease: Duration) {
    let mut renewer = Renewer {
        shared: &shared,
        lease,
        due: Vec::new(),
        early: Vec::new(),
    };
    let mut failing = false;
    let mut renewals = FuturesUnordered::new();
    loop {
        let next = renewer.look();
        for (keys, by) in renewer.batches() {
            renewals.push(shared.renew(keys, by));
        }
        // Renewals go on while the leases are looked at: one that hangs keeps no other lease from being renewed, or from being seen to
        // expire.
        let mut look = pin!(sleep(next));
        loop {
            tokio::select! {
                biased;
                Some(failed) = renewals.next() => shared.renewed(failed, &mut failing),
                () = &mut look => break,
            }
        }
    }
}

/// Buffers that are reused for every look.
struct Renewer<'s, P: Provider> {
    shared: &'s Shared<P>,
    lease: Duration,
    /// The leases to renew, and for how long.
    due: Vec<(Key, Duration)>,
    /// Leases that are due next, and what is left of each: they fill up a call that is made anyway.
    early: Vec<(Duration, Key)>,
}

impl<P: Provider> Renewer<'_, P> {
    /// Finds the leases that are due, and those that have expired. Returns when to look again.
    fn look(&mut self) -> Duration {
        let (mut expired, mut ending) = (HashSet::new(), HashSet::new());
        let mut next = self.lease / 12;
        let mut table = self.shared.table();
        let now = table.now();
        for (key, lease) in table.iter_mut() {
            let left = lease.leased_until.since(now);
            if lease.lost || left.is_zero() {
                // Repeated until the worker that runs it has noticed.
                lease.lost = true;
                expired.insert(key);
                continue;
            }
            next = next.min(left);
            if lease.renewing {
                continue;
            }
            if let Some(by) = self.renewal(lease, now) {
                if left <= self.lease / 3 {
                    lease.renewing = true;
                    self.due.push((key, by));
                } else if left <= self.lease / 3 * 2 && by == self.lease {
                    self.early.push((left, key));
                }
            } else if left <= self.lease / 3 && lease.leaves_at == Moment::NEVER {
                ending.insert(key);
            }
        }
        drop(table);
        if !ending.is_empty() {
            self.shared.scheduler().hand_back(&ending);
        }
        if expired.is_empty() {
            return next.max(SHORTEST);
        }
        self.shared.lose(&expired);
        next.clamp(SHORTEST, AGAIN)
    }

    /// Returns how long a lease can be from now on. `None` if that would not outlast it, because the ceiling is near.
    fn renewal(&self, lease: &Lease<P::Receipt>, now: Moment) -> Option<Duration> {
        let ceiling = self.shared.route.capabilities.lease_ceiling;
        let left = ceiling.map(|most| most.saturating_sub(now.since(lease.received_at)));
        let by = left.map_or(self.lease, |left| left.min(self.lease));
        let by = by.min(lease.leaves_at.since(now));
        (by - margin(by) > lease.leased_until.since(now)).then_some(by)
    }

    /// Returns what is renewed together, and for how long: leases of the same length share a call. Leases that are due next fill up the
    /// calls, so that leases that began at different times end up in the same ones.
    fn batches(&mut self) -> Vec<(Vec<Key>, Duration)> {
        let batch = self.shared.route.capabilities.settle_batch.max(1);
        let room = self.due.len().next_multiple_of(batch) - self.due.len();
        self.early.sort_unstable_by_key(|(left, _)| *left);
        let mut table = self.shared.table();
        for (_, key) in self.early.drain(..).take(room) {
            if let Some(lease) = table.get_mut(key) {
                lease.renewing = true;
                self.due.push((key, self.lease));
            }
        }
        drop(table);
        self.due.sort_by_key(|(_, by)| *by);
        let same = self.due.chunk_by(|(_, a), (_, b)| a == b);
        let batches = same.flat_map(|same| same.chunks(BATCHES * batch));
        let batches = batches
            .map(|batch| (batch.iter().map(|(key, _)| *key).collect(), batch[0].1))
            .collect();
        self.due.clear();
        batches
    }
}

impl<P: Provider> Shared<P> {
    /// Renews leases by this much. Returns an error that the broker gave for any of them, if it did.
    async fn renew(&self, keys: Vec<Key>, by: Duration) -> Option<Arc<Error>> {
        let (mut live, mut receipts) = (Vec::new(), Vec::new());
        {
            let mut table = self.table();
            for key in keys {
                if let Some(lease) = table.get_mut(key).filter(|lease| !lease.lost) {
                    receipts.push(lease.receipt.clone());
                    live.push(key);
                }
            }
        }
        if receipts.is_empty() {
            return None;
        }
        self.renewing.begin(&live);
        let sent = self.table().now();
        let mut answers = Vec::with_capacity(receipts.len());
        // After this time the leases are over, whatever the answer.
        let answered = timeout(by, self.provider.renew(&receipts, by, &mut answers)).await;
        if answered.is_err() {
            answers.clear();
        }

        self.renewing.end(&live);
        let (mut failure, mut lost) = (None, HashSet::new());
        let mut table = self.table();
        let mut answers = answers.into_iter();
        for key in live {
            let answer = answers.next();
            let Some(lease) = table.get_mut(key) else {
                continue;
            };
            lease.renewing = false;
            match answer {
                Some(Renewed::Done) => {
                    lease.leased_until = sent.plus(by - margin(by)).min(lease.leaves_at);
                }
                Some(Renewed::Lost) => {
                    lease.lost = true;
                    lost.insert(key);
                }
                Some(Renewed::Failed(error)) => failure = Some(error),
                None => {}
            }
        }
        drop(table);
        if !lost.is_empty() {
            self.lose(&lost);
        }
        failure
    }

    /// Logs a renewal that failed: one error for each streak of failures.
    fn renewed(&self, failed: Option<Arc<Error>>, failing: &mut bool) {
        let failed_before = mem::replace(failing, failed.is_some());
        if let Some(error) = failed
            && !failed_before
        {
            let (route, queue) = (&self.route.policy.route, &self.route.policy.queue);
            tracing::error!(%route, %queue, %error, "renewing leases failed: trying again until they expire");
        }
    }

    /// Called when leases are lost. A message that has not started is dropped, one that runs is cancelled, and one that was handled is
    /// remembered: it may be redelivered before its settler has noticed.
    pub(in crate::engine) fn lose(&self, keys: &HashSet<Key>) {
        let (lost, call) = self.scheduler().lose(keys);
        self.route.answer(call);
        for message in lost.acked {
            self.route.ack_dedup.remember(&message);
        }
        if lost.unstarted.is_empty() {
            return;
        }
        let mut table = self.table();
        for job in &lost.unstarted {
            table.remove(job.key);
        }
        drop(table);
        self.route.lost(lost.unstarted.len());
        for job in lost.unstarted {
            self.lost_alone(&job.message);
            self.route.reports.declined(
                &job.message,
                "its lease was lost before a handler was free: the broker redelivers it",
            );
        }
    }
}
