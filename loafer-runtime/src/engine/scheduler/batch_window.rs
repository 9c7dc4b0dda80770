//! Batch windows: when a worker of a batch handler gets a batch.

use std::{
    collections::VecDeque,
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::time::Instant;

use super::{Call, Job, Phase, Scheduler, State, Step};
use crate::clock;
use crate::engine::leases::table::Key;

/// What a worker of a batch handler gets.
pub(in crate::engine) enum Gathered {
    Step(Poll<Step>),
    /// The batch is not full. It is taken at this moment, or when more messages have arrived.
    Until(Instant),
}

impl Scheduler {
    /// Brings finished messages, and takes a batch if one is due: it is full, its batch window is over, or the route closes.
    ///
    /// A worker whose batch window is open stays the one that was called: no other worker is called for the same messages.
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
            // It was polled for another reason than a call.
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
                state.window_began = None;
                let step = if state.is_over() {
                    Poll::Ready(Step::Stop)
                } else {
                    state.rest(worker, cx)
                };
                (Gathered::Step(step), Call::Nobody)
            }
            Some(moment) if at_hand < most && moment > Instant::now() => {
                let gathered = if state.called {
                    // Another worker waits for them.
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
                state.window_began = None;
                // If less than a batch is left, another worker is called once this worker's handler waits.
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

    /// Brings finished messages. The worker's handler waits, with the messages of these keys.
    pub(in crate::engine) fn report_waiting(
        &self,
        worker: u32,
        keys: Vec<Key>,
        outcomes: &mut VecDeque<Job>,
        cx: &Context<'_>,
    ) -> Call {
        let mut state = self.lock();
        state.running -= outcomes.len();
        state.take_back(outcomes);
        let cancelled = state.phase == Phase::Cancelled;
        state.slots[worker as usize].set_waiting(keys, cancelled, cx);
        let settler = state.settler_for(&self.limits, true);
        let call = state.call(self.limits.concurrency);
        drop(state);
        settler.into_iter().for_each(Waker::wake);
        call
    }
}

impl State {
    /// Whether no message will arrive any more.
    fn is_over(&self) -> bool {
        self.phase >= Phase::Draining
            || (self.phase > Phase::Open && self.receiving == 0 && self.groups_are_empty())
    }

    /// Returns when a batch that is not full is taken. `None` means now.
    fn goes_at(&mut self, linger: Duration) -> Option<Instant> {
        if linger.is_zero() || self.phase > Phase::Open {
            return None;
        }
        let from = *self.window_began.get_or_insert_with(Instant::now);
        Some(clock::later(from, linger))
    }

    /// Records that a worker has nothing to do.
    fn rest(&mut self, worker: u32, cx: &Context<'_>) -> Poll<Step> {
        self.slots[worker as usize].rest(cx);
        self.idle.push(worker);
        Poll::Pending
    }
}
