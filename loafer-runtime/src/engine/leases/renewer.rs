//! The lease renewer: renews every live lease of a route, in batches.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;

use crate::engine::{
    Shared,
    leases::table::{Key, Lease, Moment},
    receiver::margin,
};
use loafer_core::broker::{Provider, Renewed};

/// How many batches are renewed at once.
const CALLS: usize = 16;

pub(in crate::engine) async fn run<P: Provider>(shared: Arc<Shared<P>>, lease: Duration) {
    let mut renewer = Renewer {
        shared: &shared,
        lease,
        due: Vec::new(),
        early: Vec::new(),
        receipts: Vec::new(),
        answers: Vec::new(),
        failing: false,
    };
    loop {
        sleep(lease / 12).await;
        renewer.look();
        renewer.renew().await;
    }
}

/// Buffers that are reused for every round.
struct Renewer<'s, P: Provider> {
    shared: &'s Shared<P>,
    lease: Duration,
    /// The leases to renew, and for how long.
    due: Vec<(Key, Duration)>,
    /// Leases that are due next, and what is left of each: they fill up a call that is made anyway.
    early: Vec<(Duration, Key)>,
    receipts: Vec<P::Receipt>,
    answers: Vec<Renewed>,
    /// Whether the last renewal failed: a streak of failures is logged once.
    failing: bool,
}

impl<P: Provider> Renewer<'_, P> {
    /// Finds the leases that are due, and those that have expired.
    fn look(&mut self) {
        let mut ran_out = Vec::new();
        let mut table = self.shared.table();
        let now = table.now();
        for (number, lease) in table.iter_mut() {
            if lease.lost {
                // Repeated until the worker that runs it has noticed.
                ran_out.push(number);
                continue;
            }
            if now >= lease.leased_until {
                lease.lost = true;
                ran_out.push(number);
            } else if let Some(by) = self.renewal(lease, now) {
                let left = lease.leased_until.since(now);
                if left <= self.lease / 3 {
                    self.due.push((number, by));
                } else if left <= self.lease * 2 / 3 && by == self.lease {
                    self.early.push((left, number));
                }
            }
        }
        drop(table);
        for lease in ran_out {
            self.shared.lose(lease);
        }
    }

    /// Returns how long a lease can be from now on. `None` if that would not outlast it, because the ceiling is near.
    fn renewal(&self, lease: &Lease<P::Receipt>, now: Moment) -> Option<Duration> {
        let ceiling = self.shared.capabilities.lease_ceiling;
        let left = ceiling.map(|most| most.saturating_sub(now.since(lease.received_at)));
        let by = left.map_or(self.lease, |left| left.min(self.lease));
        (by > lease.leased_until.since(now)).then_some(by)
    }

    /// Adds leases that are due next, so that leases that began at different times end up in the same calls.
    fn fill_up(&mut self) {
        let batch = self.shared.capabilities.settle_batch.max(1);
        let room = self.due.len().next_multiple_of(batch) - self.due.len();
        self.early.sort_unstable_by_key(|(left, _)| *left);
        let early = self.early.drain(..).take(room);
        self.due
            .extend(early.map(|(_, number)| (number, self.lease)));
    }

    async fn renew(&mut self) {
        self.fill_up();
        // The provider makes as many calls of it as it must, at once if it can.
        let batch = CALLS * self.shared.capabilities.settle_batch.max(1);
        // Leases of the same length share a call.
        self.due.sort_unstable_by_key(|(_, by)| *by);
        let due = std::mem::take(&mut self.due);
        for same in due.chunk_by(|(_, a), (_, b)| a == b) {
            for chunk in same.chunks(batch) {
                self.renew_batch(chunk, chunk[0].1).await;
            }
        }
        self.due = due;
        self.due.clear();
    }

    async fn renew_batch(&mut self, chunk: &[(Key, Duration)], by: Duration) {
        let shared = self.shared;
        let guard = shared.renewing.lock().await;
        let mut renewed = Vec::with_capacity(chunk.len());
        {
            let mut table = shared.table();
            for &(number, _) in chunk {
                if let Some(lease) = table.get_mut(number).filter(|lease| !lease.lost) {
                    self.receipts.push(lease.receipt.clone());
                    renewed.push(number);
                }
            }
        }
        if self.receipts.is_empty() {
            return;
        }
        let sent = shared.table().now();
        shared
            .provider
            .renew(&self.receipts, by, &mut self.answers)
            .await;
        drop(guard);
        self.receipts.clear();

        let mut failure = None;
        for (number, answer) in renewed.into_iter().zip(self.answers.drain(..)) {
            match answer {
                Renewed::Done => {
                    if let Some(lease) = shared.table().get_mut(number) {
                        lease.leased_until = sent.plus(by - margin(by));
                    }
                }
                Renewed::Lost => {
                    if let Some(lease) = shared.table().get_mut(number) {
                        lease.lost = true;
                    }
                    shared.lose(number);
                }
                Renewed::Failed(error) => failure = Some(error),
            }
        }
        if let Some(error) = &failure
            && !self.failing
        {
            let (route, queue) = (&shared.route.policy.route, &shared.route.policy.queue);
            tracing::error!(%route, %queue, %error, "renewing leases failed: trying again until they expire");
        }
        self.failing = failure.is_some();
    }
}

impl<P: Provider> Shared<P> {
    /// Called when a lease is lost: a waiting message is dropped, a running one is cancelled, and for a handled one nothing is sent.
    pub(in crate::engine) fn lose(&self, lease: Key) {
        if let Some(message) = self.scheduler().lose(lease) {
            self.table().remove(lease);
            self.route.lost();
            self.route.declined(
                &message,
                "its lease was lost before a handler was free: the broker redelivers it",
            );
        }
    }
}
