//! Settlers at the scheduler: when a batch of settlements is due.

use std::{
    collections::VecDeque,
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
};

use tokio::time::{Instant, Sleep};

use super::{Job, Limits, Phase, Scheduler, State, move_first, register, unregister};

impl Scheduler {
    /// Waits until a batch is due, and takes it.
    pub(in crate::engine) fn poll_batch(
        &self,
        batch: &mut VecDeque<Job>,
        mut linger: Pin<&mut Sleep>,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        loop {
            let mut state = self.lock();
            let overdue = state
                .lingering
                .is_some_and(|since| since + self.limits.linger <= Instant::now());
            if state.due(&self.limits) || overdue {
                let take = state.done.len().min(self.limits.settle_batch);
                move_first(take, &mut state.done, batch);
                state.settling += take;
                state.lingering = None;
                unregister(&mut state.settlers, cx);
                let next = state.settler_for(&self.limits, true);
                let receiver = state.receiver_for(&self.limits);
                drop(state);
                next.into_iter().chain(receiver).for_each(Waker::wake);
                return Poll::Ready(());
            }
            register(&mut state.settlers, cx);
            if state.done.is_empty() {
                return Poll::Pending;
            }
            let since = *state.lingering.get_or_insert_with(Instant::now);
            drop(state);
            linger.as_mut().reset(since + self.limits.linger);
            ready!(linger.as_mut().poll(cx));
        }
    }

    /// Called when the first try of a batch failed: what is left of it makes no room until it is settled.
    pub(in crate::engine) fn stalled(&self, capacity: usize) {
        self.lock().settling -= capacity;
    }

    /// Frees the capacity of settled messages. Returns how many are still leased. `stalled` says that their first try had failed.
    pub(in crate::engine) fn freed(&self, capacity: usize, stalled: bool) -> usize {
        let mut state = self.lock();
        if !stalled {
            state.settling -= capacity;
        }
        let supervisor = state.free(capacity);
        let receiver = state.receiver_for(&self.limits);
        let leased = state.leased;
        drop(state);
        supervisor.into_iter().chain(receiver).for_each(Waker::wake);
        leased
    }
}

impl State {
    /// Returns the receiver to wake because a settler made room. If both share a task, the receiver is polled right after the settler
    /// anyway.
    fn receiver_for(&mut self, limits: &Limits) -> Option<Waker> {
        if !limits.is_joined() && self.may_receive(limits) {
            self.receivers.pop()
        } else {
            None
        }
    }

    /// Frees capacity. Returns whom to wake for it, except the receiver.
    pub(super) fn free(&mut self, capacity: usize) -> Option<Waker> {
        self.leased -= capacity;
        if self.phase > Phase::Open {
            self.supervisor.take()
        } else {
            None
        }
    }

    /// Whether a batch is due: it is full, nothing that is here can join it, or the route closes.
    fn due(&self, limits: &Limits) -> bool {
        !self.done.is_empty()
            && (self.done.len() >= limits.settle_batch
                || (!limits.patient && self.ready.is_empty() && self.running == 0)
                || self.phase > Phase::Open)
    }

    /// Returns the settler to wake for what is done. With `linger`, also to wait for others to join it.
    pub(super) fn settler_for(&mut self, limits: &Limits, linger: bool) -> Option<Waker> {
        let wanted =
            self.due(limits) || (linger && self.lingering.is_none() && !self.done.is_empty());
        if wanted { self.settlers.pop() } else { None }
    }
}
