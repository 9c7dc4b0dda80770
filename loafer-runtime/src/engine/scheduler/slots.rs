//! Worker slots: what workers bring to the scheduler, and what they take.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
};

use super::{Job, Phase, Scheduler, State, move_first};
use crate::engine::leases::table::Key;

/// What the scheduler knows of one worker.
#[derive(Default)]
pub(super) struct WorkerSlot {
    waker: Option<Waker>,
    /// Whether it waits for work.
    idle: bool,
    /// Whether it was called and has not come yet.
    called: bool,
    /// The message that its handler waits with, if it waits.
    key: Option<Key>,
    /// The other messages of the batch that a batch handler waits with.
    others: Vec<Key>,
    /// Read by the worker whenever its waiting handler is polled.
    cancelled: Arc<AtomicBool>,
}

impl WorkerSlot {
    pub(super) fn cancel(&self) {
        self.cancelled.store(true, Ordering::Release);
    }

    pub(super) fn runs(&self, key: Key) -> bool {
        self.key == Some(key) || self.others.contains(&key)
    }

    /// Takes a lost message out of what the worker runs. A call goes on for the rest of its batch. If nothing is left, it is cancelled:
    /// returns whom to wake.
    pub(super) fn lose(&mut self, key: Key) -> Option<Waker> {
        if let Some(at) = self.others.iter().position(|other| *other == key) {
            self.others.swap_remove(at);
            return None;
        }
        if let Some(other) = self.others.pop() {
            self.key = Some(other);
            return None;
        }
        self.cancel();
        self.waker.clone()
    }

    /// Returns whom to wake because the route closes.
    pub(super) fn leave(&mut self) -> Option<Waker> {
        self.idle = false;
        self.waker.clone()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.idle
    }

    /// Records that the worker has come. Returns whether it was called.
    pub(super) fn arrive(&mut self) -> bool {
        self.key = None;
        self.others.clear();
        std::mem::take(&mut self.called)
    }

    /// Records that the worker keeps its batch window open. It stays called.
    pub(super) fn stay(&mut self, cx: &Context<'_>) {
        self.called = true;
        self.register(cx);
    }

    /// Records that the worker has nothing to do.
    pub(super) fn rest(&mut self, cx: &Context<'_>) {
        self.idle = true;
        self.register(cx);
    }

    /// Records that the worker's handler waits, with these messages.
    pub(super) fn set_waiting(&mut self, mut keys: Vec<Key>, cancelled: bool, cx: &Context<'_>) {
        self.key = keys.pop();
        self.others = keys;
        self.register(cx);
        // A cancellation of an earlier call that comes too late is not for this one.
        self.cancelled.store(cancelled, Ordering::Release);
    }

    fn register(&mut self, cx: &Context<'_>) {
        if !self
            .waker
            .as_ref()
            .is_some_and(|waker| waker.will_wake(cx.waker()))
        {
            self.waker = Some(cx.waker().clone());
        }
    }
}

/// What a worker does next.
pub(in crate::engine) enum Step {
    /// It was given messages.
    Work,
    /// It ends: no more messages will come.
    Stop,
}

/// The next worker to come to the scheduler. It is woken or spawned once the lock is released.
#[must_use]
pub(in crate::engine) enum Call {
    Nobody,
    Wake(Waker),
    /// Spawns a new worker, with this number and this flag to watch.
    Hire(u32, Arc<AtomicBool>),
}

impl Scheduler {
    /// Brings finished messages and takes the next ones, under one lock.
    pub(in crate::engine) fn exchange(
        &self,
        worker: u32,
        outcomes: &mut VecDeque<Job>,
        chunk: &mut VecDeque<Job>,
        most: usize,
        cx: &Context<'_>,
    ) -> (Poll<Step>, Call) {
        let mut state = self.lock();
        let slot = &mut state.slots[worker as usize];
        if slot.idle {
            // It was polled for another reason than a call.
            return (Poll::Pending, Call::Nobody);
        }
        slot.key = None;
        if std::mem::take(&mut slot.called) {
            state.called = false;
        }
        state.running -= outcomes.len();
        state.take_back(outcomes);

        let take = most.min(state.ready.len());
        if take > 0 {
            move_first(take, &mut state.ready, chunk);
            state.running += take;
        }
        let settler = state.settler_for(&self.limits, most == 1 || take == 0);
        let (step, call) = if take > 0 {
            // Handlers that take no time are not worth a second worker for a few messages.
            let worth_it = most == 1 || state.ready.len() >= most;
            (
                Poll::Ready(Step::Work),
                if worth_it {
                    state.call(self.limits.concurrency)
                } else {
                    Call::Nobody
                },
            )
        } else if state.phase > Phase::Open
            && (state.phase >= Phase::Draining
                || (state.receiving == 0 && state.groups_are_empty()))
        {
            (Poll::Ready(Step::Stop), Call::Nobody)
        } else {
            let slot = &mut state.slots[worker as usize];
            slot.idle = true;
            slot.register(cx);
            state.idle.push(worker);
            (Poll::Pending, Call::Nobody)
        };
        drop(state);
        settler.into_iter().for_each(Waker::wake);
        (step, call)
    }

    /// Brings finished messages, and returns those that were taken too many: the worker's handler waits, with the message of `key`.
    pub(in crate::engine) fn hand_back(
        &self,
        worker: u32,
        key: Key,
        outcomes: &mut VecDeque<Job>,
        chunk: &mut VecDeque<Job>,
        cx: &Context<'_>,
    ) -> Call {
        let mut state = self.lock();
        state.running -= outcomes.len() + chunk.len();
        state.take_back(outcomes);
        if state.phase >= Phase::Draining {
            state.set_aside(chunk.drain(..));
        }
        while let Some(job) = chunk.pop_back() {
            state.ready.push_front(job);
        }
        let phase = state.phase;
        let slot = &mut state.slots[worker as usize];
        slot.key = Some(key);
        slot.register(cx);
        // A cancellation of an earlier call that comes too late is not for this one.
        slot.cancelled
            .store(phase == Phase::Cancelled, Ordering::Release);
        let settler = state.settler_for(&self.limits, true);
        let call = state.call(self.limits.concurrency);
        drop(state);
        settler.into_iter().for_each(Waker::wake);
        call
    }
}

impl State {
    /// Calls one more worker, unless one is on its way.
    pub(super) fn call(&mut self, concurrency: usize) -> Call {
        if self.called {
            // A worker with an open batch window looks whether this fills its batch.
            return self.batch_window.take().map_or(Call::Nobody, Call::Wake);
        }
        if self.ready.is_empty() {
            return Call::Nobody;
        }
        if let Some(worker) = self.idle.pop() {
            let slot = &mut self.slots[worker as usize];
            slot.idle = false;
            if let Some(waker) = slot.waker.take() {
                (slot.called, self.called) = (true, true);
                return Call::Wake(waker);
            }
        }
        if self.slots.len() >= concurrency {
            return Call::Nobody;
        }
        let slot = WorkerSlot {
            called: true,
            ..WorkerSlot::default()
        };
        let cancelled = slot.cancelled.clone();
        self.slots.push(slot);
        self.called = true;
        Call::Hire((self.slots.len() - 1) as u32, cancelled)
    }
}
