//! Workers at the scheduler: what they bring, what they take.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
};

use super::{Job, Phase, Scheduler, State};
use crate::engine::leases::table::Key;

/// What the scheduler knows of one worker.
#[derive(Default)]
pub(super) struct WorkerSlot {
    waker: Option<Waker>,
    /// It waits for work.
    idle: bool,
    /// It was called and has not come yet.
    called: bool,
    /// What its handler waits on, if it waits.
    key: Option<Key>,
    /// What else is in its batch, of a batch handler that waits.
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

    /// Of what it runs this is lost. A call goes on for the rest of its batch; where that was all, whom to wake because it is cancelled.
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

    /// Whom to wake because the route closes.
    pub(super) fn leave(&mut self) -> Option<Waker> {
        self.idle = false;
        self.waker.clone()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.idle
    }

    /// A worker comes to the scheduler; whether it was called.
    pub(super) fn arrive(&mut self) -> bool {
        self.key = None;
        self.others.clear();
        std::mem::take(&mut self.called)
    }

    /// It lingers, as one that was called.
    pub(super) fn stay(&mut self, cx: &Context<'_>) {
        self.called = true;
        self.register(cx);
    }

    /// It has nothing to do.
    pub(super) fn rest(&mut self, cx: &Context<'_>) {
        self.idle = true;
        self.register(cx);
    }

    /// Its handler waits, with these in its hands.
    pub(super) fn hold(&mut self, mut table: Vec<Key>, cancelled: bool, cx: &Context<'_>) {
        self.key = table.pop();
        self.others = table;
        self.register(cx);
        // An earlier call's cancellation, come too late, is not this one's.
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

/// What a worker is told.
pub(in crate::engine) enum Step {
    /// It was given messages.
    Work,
    /// There will be none.
    Stop,
}

/// How another worker comes to the scheduler, once the lock is released.
#[must_use]
pub(in crate::engine) enum Call {
    Nobody,
    Wake(Waker),
    /// A new worker, with this number and this flag to watch.
    Hire(u32, Arc<AtomicBool>),
}

impl Scheduler {
    /// Brings what is done and takes what is next, under one lock.
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
            // Polled for another reason than a call.
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
            if take == state.ready.len() && chunk.is_empty() {
                std::mem::swap(&mut state.ready, chunk);
            } else {
                chunk.extend(state.ready.drain(..take));
            }
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

    /// Brings what is done, and what was taken too much: the worker's handler waits.
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
        // An earlier call's cancellation, come too late, is not this one's.
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
    /// Calls one worker more, unless one is on its way.
    pub(super) fn call(&mut self, concurrency: usize) -> Call {
        if self.called {
            // A worker that gathers a batch looks whether this fills it.
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
