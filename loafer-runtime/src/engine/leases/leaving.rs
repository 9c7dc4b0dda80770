//! Leaving: the broker will take leases back. What leaves does not start, what runs may end in time, and what has an outcome is settled.

use std::{
    collections::HashSet,
    future::poll_fn,
    pin::pin,
    task::{Poll, ready},
    time::Duration,
};

use tokio::time::{Instant, timeout_at};

use super::margin;
use crate::{
    clock::{self, Moment},
    engine::Shared,
    scheduler::Key,
};
use loafer_core::broker::{Leaving, Provider};

/// How soon a worker is cancelled again: it may not have begun to wait the first time.
const AGAIN: Duration = Duration::from_millis(20);

impl<P: Provider> Shared<P> {
    /// Sees leases off. Returns once nothing is settled for them any more, or when their time is over.
    pub(super) async fn leave(&self, leaving: Leaving) {
        let (began, within) = (Instant::now(), leaving.within());
        // A little before the end handlers are cancelled, so that settlements have time; and settlements end before it, too.
        let margin = margin(within);
        let leaves_at = self.begin_leaving(within - margin / 2);
        let end = clock::later(began, within);
        let mut next = clock::later(began, within - margin);
        let mut left = pin!(self.left(leaves_at));
        while timeout_at(next, left.as_mut()).await.is_err() {
            if next >= end {
                let (route, queue) = (&self.route.policy.route, &self.route.policy.queue);
                tracing::warn!(%route, %queue, messages = self.leaving(|at| at == leaves_at).len(), ?within, "leases were taken back before all of their messages were settled: the broker redelivers these");
                self.end_leaving(leaves_at, None);
                break;
            }
            let own = self.leaving(|at| at == leaves_at);
            self.scheduler().cancel(&own);
            next = end.min(clock::after(AGAIN));
        }
        leaving.fenced();
    }

    /// Bounds the leases that leave, and releases those of them that have not started. Returns when their settlements end.
    fn begin_leaving(&self, within: Duration) -> Moment {
        let mut table = self.table();
        let leaves_at = table.now().plus(within);
        table.leavings.push(leaves_at);
        let mut keys = HashSet::new();
        for (key, lease) in table.iter_mut() {
            if self.provider.is_leaving(&lease.receipt) {
                lease.leave(leaves_at);
                keys.insert(key);
            }
        }
        drop(table);
        let (route, queue) = (&self.route.policy.route, &self.route.policy.queue);
        tracing::info!(%route, %queue, messages = keys.len(), ?within, "the broker takes leases back: what has not started is released, and what runs may end until then");
        let call = self.scheduler().leave(keys);
        self.route.answer(call);
        leaves_at
    }

    /// Ends a leaving, unless more deliveries that leave have come than these. Returns whether it has ended.
    fn end_leaving(&self, leaves_at: Moment, came: Option<u32>) -> bool {
        let mut table = self.table();
        if came.is_some_and(|came| came != table.came_leaving) {
            return false;
        }
        if let Some(at) = table.leavings.iter().position(|at| *at == leaves_at) {
            table.leavings.swap_remove(at);
        }
        let over = table.leavings.is_empty();
        drop(table);
        if over {
            self.scheduler().stay();
        }
        true
    }

    /// Returns the leases that leave at such a moment and are not with settlers yet.
    fn leaving(&self, at: impl Fn(Moment) -> bool) -> HashSet<Key> {
        let mut table = self.table();
        let leaving = table.iter_mut().filter(|(_, lease)| at(lease.leaves_at));
        leaving.map(|(key, _)| key).collect()
    }

    /// Waits until no lease that leaves is here, and none is being settled. Ends the leaving under the lock under which deliveries come, so that each
    /// of them is seen before the fence.
    async fn left(&self, leaves_at: Moment) {
        let (mut sweeps, mut came) = (false, 0);
        poll_fn(|cx| {
            loop {
                // Before the look: what goes after it wakes this task.
                self.scheduler().watch_settled(cx);
                if !sweeps {
                    came = self.table().came_leaving;
                    if !self.leaving(|at| at <= leaves_at).is_empty() {
                        return Poll::Pending;
                    }
                }
                ready!(self.scheduler().poll_swept(&mut sweeps));
                if self.end_leaving(leaves_at, Some(came)) {
                    return Poll::Ready(());
                }
                sweeps = false;
            }
        })
        .await;
    }
}
