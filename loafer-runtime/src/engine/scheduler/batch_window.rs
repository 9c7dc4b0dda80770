//! Workers of batch handlers at the scheduler: when a batch goes.

use std::{
    collections::VecDeque,
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::time::Instant;

use super::{Call, Job, Phase, Scheduler, State, Step};
use crate::clock;
use crate::engine::leases::table::Key;

/// What a worker of a batch handler is told.
pub(in crate::engine) enum Gathered {
    Step(Poll<Step>),
    /// The batch is not full: it goes at this moment, or when more has come.
    Until(Instant),
}

impl Scheduler {
    /// Brings what is done, and takes a batch: one that is full, or whose time to linger is over, or what is left when the route closes.
    ///
    /// A worker that lingers stays the one that was called: no other is called for the same messages.
    pub(in crate::engine) fn gather(
        &self,
        worker: u32,
        outcomes: &mut VecDeque<Job>,
        batch: &mut VecDeque<Job>,
        (most, linger): (usize, Duration),
        cx: &Context<'_>,
    ) -> (Gathered, Call) {
        let mut guard = self.lock();
        let state = &mut *guard;
        let slot = &mut state.slots[worker as usize];
        if slot.is_idle() {
            // Polled for another reason than a call.
            return (Gathered::Step(Poll::Pending), Call::Nobody);
        }
        if slot.arrive() {
            (state.called, state.batch_window) = (false, None);
        }
        state.running -= outcomes.len();
        state.take_back(outcomes);

        let (at_hand, goes) = (state.at_hand(most), state.goes_at(linger));
        let (gathered, call) = match goes {
            _ if at_hand == 0 => {
                state.gathered_from = None;
                let step = if state.is_over() {
                    Poll::Ready(Step::Stop)
                } else {
                    state.rest(worker, cx)
                };
                (Gathered::Step(step), Call::Nobody)
            }
            Some(moment) if at_hand < most && moment > Instant::now() => {
                let gathered = if state.called {
                    // Another worker sees to it.
                    Gathered::Step(state.rest(worker, cx))
                } else {
                    state.slots[worker as usize].stay(cx);
                    (state.called, state.batch_window) = (true, Some(cx.waker().clone()));
                    Gathered::Until(moment)
                };
                (gathered, Call::Nobody)
            }
            _ => {
                state.take_batch(most, batch);
                state.running += batch.len();
                state.gathered_from = None;
                // For less than a batch, another worker is called once this one's handler waits.
                let call = if state.at_hand(most) < most {
                    Call::Nobody
                } else {
                    state.call(self.limits.concurrency)
                };
                (Gathered::Step(Poll::Ready(Step::Work)), call)
            }
        };
        let settler = state.settler_for(&self.limits, true);
        drop(guard);
        settler.into_iter().for_each(Waker::wake);
        (gathered, call)
    }

    /// Brings what is done; the worker's handler waits, with these messages in its hands.
    pub(in crate::engine) fn hold(
        &self,
        worker: u32,
        table: Vec<Key>,
        outcomes: &mut VecDeque<Job>,
        cx: &Context<'_>,
    ) -> Call {
        let mut state = self.lock();
        state.running -= outcomes.len();
        state.take_back(outcomes);
        let cancelled = state.phase == Phase::Cancelled;
        state.slots[worker as usize].hold(table, cancelled, cx);
        let settler = state.settler_for(&self.limits, true);
        let call = state.call(self.limits.concurrency);
        drop(state);
        settler.into_iter().for_each(Waker::wake);
        call
    }
}

impl State {
    /// Whether no message will come any more.
    fn is_over(&self) -> bool {
        self.phase >= Phase::Draining
            || (self.phase > Phase::Open && self.receiving == 0 && self.groups_are_empty())
    }

    /// When what is ready goes though it fills no batch; none: now.
    fn goes_at(&mut self, linger: Duration) -> Option<Instant> {
        if linger.is_zero() || self.phase > Phase::Open {
            return None;
        }
        let from = *self.gathered_from.get_or_insert_with(Instant::now);
        Some(clock::later(from, linger))
    }

    /// A worker has nothing to do.
    fn rest(&mut self, worker: u32, cx: &Context<'_>) -> Poll<Step> {
        self.slots[worker as usize].rest(cx);
        self.idle.push(worker);
        Poll::Pending
    }
}
