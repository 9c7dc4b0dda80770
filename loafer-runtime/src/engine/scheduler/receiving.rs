//! Receivers at the scheduler: when to ask for more messages.

use std::{
    collections::VecDeque,
    future::poll_fn,
    task::{Poll, Waker},
};

use tokio::time::Instant;

use super::{Call, Job, Limits, Phase, Scheduler, State, register, unregister};

impl Scheduler {
    /// Waits until a receive is due. Returns how many messages to ask for, or `None` once the route receives no more.
    pub(in crate::engine) async fn permit(&self) -> Option<usize> {
        poll_fn(|cx| {
            let mut state = self.lock();
            if state.phase > Phase::Open {
                return Poll::Ready(None);
            }
            if !state.may_receive(&self.limits) {
                register(&mut state.receivers, cx);
                return Poll::Pending;
            }
            unregister(&mut state.receivers, cx);
            let asked = state.room(&self.limits).min(self.limits.ask).max(1);
            state.reserved += asked;
            state.receiving += 1;
            let next = if state.may_receive(&self.limits) {
                state.receivers.pop()
            } else {
                None
            };
            drop(state);
            next.into_iter().for_each(|waker| waker.wake());
            Poll::Ready(Some(asked))
        })
        .await
    }

    /// Ends a receive that asked for `asked` messages. What it brought is leased from now on: messages for workers (`jobs`), and messages
    /// to settle at once (`settled`). If it was the `last` one, the route receives no more.
    pub(in crate::engine) fn received(
        &self,
        jobs: &mut VecDeque<Job>,
        settled: Vec<Job>,
        asked: usize,
        last: bool,
    ) -> Call {
        let count = jobs.len() + settled.len();
        let mut guard = self.lock();
        let state = &mut *guard;
        state.receiving -= 1;
        state.reserved -= asked;
        state.leased += count;
        state.target = match count {
            0 => 1,
            full if full >= asked => (state.target + 1).min(self.limits.receivers),
            _ => state.target.saturating_sub(1).max(1),
        };
        state.done.extend(settled);
        if state.phase >= Phase::Draining {
            state.set_aside(jobs.drain(..));
        } else {
            state.admit(jobs);
            if self.limits.lingers && !state.ready.is_empty() {
                state.window_began.get_or_insert_with(Instant::now);
            }
        }
        if last {
            state.phase = state.phase.max(Phase::Finishing);
        }
        if state.phase > Phase::Open {
            let wakers = state.everybody();
            drop(guard);
            wakers.into_iter().for_each(Waker::wake);
            return self.lock().call(self.limits.concurrency);
        }
        let settler = state.settler_for(&self.limits, true);
        let receiver = if state.may_receive(&self.limits) {
            state.receivers.pop()
        } else {
            None
        };
        let call = state.call(self.limits.concurrency);
        drop(guard);
        settler.into_iter().chain(receiver).for_each(Waker::wake);
        call
    }
}

impl State {
    /// Whether a receive is due: enough capacity is free to be worth one, or nothing is leased.
    pub(super) fn may_receive(&self, limits: &Limits) -> bool {
        self.phase == Phase::Open
            && self.receiving < self.target
            && (self.taken() == 0 || self.room(limits) >= limits.worth)
    }

    /// Returns how much capacity is free.
    fn room(&self, limits: &Limits) -> usize {
        limits.capacity.saturating_sub(self.taken())
    }

    /// Returns how much capacity is taken. What is being settled is handled: it makes room already, for the time of a call.
    fn taken(&self) -> usize {
        self.leased - self.settling + self.reserved
    }
}
