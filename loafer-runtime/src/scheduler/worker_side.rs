//! Workers at the scheduler: what they bring, what they take, and who is called next.

use std::{
    collections::{HashSet, VecDeque},
    mem,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll, Waker},
};

use tokio::time::Instant;

use super::{Job, Key, Limits, Phase, Scheduler, State, Transition, reached};
use crate::{clock, sync::AtomicBool};

/// What the scheduler knows of one worker.
#[derive(Default)]
pub(super) struct WorkerSlot {
    waker: Option<Waker>,
    /// Whether it waits for work.
    idle: bool,
    /// Whether it was called and has not come yet, or keeps its batch window open.
    called: bool,
    /// The messages that its handler waits with, if it waits. Lost ones are taken out, but for the last.
    keys: Vec<Key>,
    /// Read by the worker whenever its waiting handler is polled.
    cancelled: Arc<AtomicBool>,
}

impl WorkerSlot {
    pub(super) fn cancel(&self) {
        self.cancelled.store(true, Ordering::Release);
    }

    /// Takes lost messages out of what the worker runs. A call goes on for the rest of its batch. If nothing is left, it is cancelled:
    /// returns whom to wake.
    pub(super) fn lose(&mut self, lost: &HashSet<Key>) -> Option<Waker> {
        let last = *self.keys.iter().find(|key| lost.contains(key))?;
        self.keys.retain(|key| !lost.contains(key));
        if !self.keys.is_empty() {
            reached(Transition::LostInBatch);
            return None;
        }
        reached(Transition::LostRunning);
        // It stays, because the worker may not have seen the flag: the loss is told again until it has.
        self.keys.push(last);
        self.cancel();
        self.waker.clone()
    }

    /// Returns whom to wake because the route closes.
    pub(super) fn leave(&mut self) -> Option<Waker> {
        self.idle = false;
        self.waker.clone()
    }

    #[cfg(debug_assertions)]
    pub(super) fn is_idle(&self) -> bool {
        self.idle
    }

    #[cfg(debug_assertions)]
    pub(super) fn is_called(&self) -> bool {
        self.called
    }

    fn register(&mut self, cx: &Context<'_>) {
        match &mut self.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
    }
}

/// What a worker does next.
#[derive(Debug)]
pub(crate) enum Step {
    /// It was given messages. `make_way` says that other tasks were woken, which must not wait for its handler.
    Work { make_way: bool },
    /// Its batch is not full. It comes again at this moment, or when it is woken because more messages have arrived.
    Linger(Instant),
    /// It ends: no more messages will come.
    Stop,
}

/// The next worker to come to the scheduler. It is woken or spawned once the lock is released.
#[must_use]
#[derive(Debug)]
pub(crate) enum Call {
    Nobody,
    Wake(Waker),
    /// Spawns a new worker, with this number and this flag to watch.
    Hire(u32, Arc<AtomicBool>),
}

impl Scheduler {
    /// Brings finished messages and takes at most `most` of the next ones, under one lock.
    ///
    /// A batch handler gets a batch that is full, or whose batch window is over, or the rest if the route closes. A worker whose batch
    /// window is open stays the one that was called: no other worker is called for the same messages.
    pub(crate) fn exchange(
        &self,
        worker: u32,
        outcomes: &mut VecDeque<Job>,
        jobs: &mut VecDeque<Job>,
        most: usize,
        cx: &Context<'_>,
    ) -> (Poll<Step>, Call) {
        let mut guard = self.lock();
        let state = &mut *guard;
        let slot = &mut state.slots[worker as usize];
        if slot.idle {
            // It was polled for another reason than a call.
            return (Poll::Pending, Call::Nobody);
        }
        slot.keys.clear();
        if mem::take(&mut slot.called) {
            state.called = false;
            state.batch_window = None;
        }
        state.take_back(outcomes, &self.limits);

        let batch = self.limits.batch_window.is_some();
        let at_hand = match state.is_paused() || state.is_apart() {
            true => 0,
            false => state.at_hand(most, batch),
        };
        let mut call = Call::Nobody;
        let mut step = if at_hand == 0
            && let Some(suspect) = state.take_suspect(&self.limits)
        {
            jobs.push_back(suspect);
            call = state.call(&self.limits);
            Poll::Ready(Step::Work { make_way: false })
        } else if at_hand == 0 {
            state.window_began = None;
            match state.is_over() {
                true => Poll::Ready(Step::Stop),
                false => state.rest(worker, cx),
            }
        } else if at_hand < most
            && let Some(until) = state.window_end(&self.limits)
        {
            state.linger(worker, until, cx)
        } else {
            let heads = at_hand.min(state.ready.len());
            move_first(heads, &mut state.ready, jobs);
            if batch {
                state.fill_up(most, jobs);
                state.window_began = None;
            }
            state.running += jobs.len();
            // Handlers that take no time are not worth a second worker for a few messages.
            if state.at_hand(most, batch) >= most {
                call = state.call(&self.limits);
            }
            Poll::Ready(Step::Work { make_way: false })
        };
        let slow = batch || most == 1;
        let due = state.due(&self.limits, slow || at_hand == 0);
        drop(guard);
        if let Poll::Ready(Step::Work { make_way }) = &mut step {
            *make_way = slow && (due.settler.is_some() || !matches!(call, Call::Nobody));
        }
        due.wake();
        (step, call)
    }

    /// Brings finished messages, and returns those that were taken too many (`rest`): the worker waits, with the messages of these keys.
    pub(crate) fn wait_with(
        &self,
        worker: u32,
        keys: impl Iterator<Item = Key>,
        outcomes: &mut VecDeque<Job>,
        rest: &mut VecDeque<Job>,
        cx: &Context<'_>,
    ) -> Call {
        let mut guard = self.lock();
        let state = &mut *guard;
        state.take_back(outcomes, &self.limits);
        state.running -= rest.len();
        if state.phase >= Phase::Draining {
            state.set_aside(rest.drain(..));
        }
        while let Some(job) = rest.pop_back() {
            reached(Transition::HandedBack);
            state.ready.push_front(job);
        }
        state.release_leaving();
        reached(Transition::Waits);
        let cancelled = state.phase == Phase::Cancelled;
        let slot = &mut state.slots[worker as usize];
        slot.keys.clear();
        slot.keys.extend(keys);
        slot.register(cx);
        // A cancellation of an earlier call that comes too late is not for this one.
        slot.cancelled.store(cancelled, Ordering::Release);
        let due = state.due(&self.limits, true);
        let call = state.call(&self.limits);
        drop(guard);
        due.wake();
        call
    }
}

impl State {
    /// Calls one more worker, unless one is on its way.
    pub(super) fn call(&mut self, limits: &Limits) -> Call {
        if self.called {
            // A worker with an open batch window looks whether this fills its batch.
            return self.batch_window.take().map_or(Call::Nobody, Call::Wake);
        }
        if !self.may_start(limits) {
            return Call::Nobody;
        }
        if let Some(worker) = self.idle.pop() {
            let slot = &mut self.slots[worker as usize];
            slot.idle = false;
            if let Some(waker) = slot.waker.take() {
                reached(Transition::WorkerWoken);
                (slot.called, self.called) = (true, true);
                return Call::Wake(waker);
            }
        }
        if self.slots.len() >= limits.concurrency {
            return Call::Nobody;
        }
        reached(Transition::WorkerHired);
        let slot = WorkerSlot {
            called: true,
            ..WorkerSlot::default()
        };
        let cancelled = slot.cancelled.clone();
        self.slots.push(slot);
        self.called = true;
        Call::Hire((self.slots.len() - 1) as u32, cancelled)
    }

    /// Whether a message may start.
    pub(crate) fn may_start(&self, limits: &Limits) -> bool {
        !self.is_paused()
            && match self.is_apart() {
                true => self.admits_suspect(limits).is_some(),
                false => !self.ready.is_empty(),
            }
    }

    /// Whether no message will arrive any more.
    fn is_over(&self) -> bool {
        self.phase >= Phase::Draining
            || (self.phase > Phase::Open
                && self.receiving == 0
                && !self.is_apart()
                && self.groups_are_empty())
    }

    /// Returns when a batch that is not full is taken. `None` means now.
    fn window_end(&mut self, limits: &Limits) -> Option<Instant> {
        let linger = limits.batch_window.filter(|linger| !linger.is_zero())?;
        if self.phase > Phase::Open {
            return None;
        }
        let from = *self.window_began.get_or_insert_with(Instant::now);
        let end = clock::later(from, linger);
        (end > Instant::now()).then_some(end)
    }

    /// Keeps a worker's batch window open, unless another worker waits for the same messages.
    fn linger(&mut self, worker: u32, until: Instant, cx: &Context<'_>) -> Poll<Step> {
        if self.called {
            return self.rest(worker, cx);
        }
        reached(Transition::WindowOpen);
        let slot = &mut self.slots[worker as usize];
        slot.called = true;
        slot.register(cx);
        (self.called, self.batch_window) = (true, Some(cx.waker().clone()));
        Poll::Ready(Step::Linger(until))
    }

    /// Records that a worker has nothing to do.
    fn rest(&mut self, worker: u32, cx: &Context<'_>) -> Poll<Step> {
        let slot = &mut self.slots[worker as usize];
        slot.idle = true;
        slot.register(cx);
        self.idle.push(worker);
        Poll::Pending
    }
}

/// Moves the first jobs of one queue behind those of the other. Where it may, it swaps the queues and moves the rest back, if that is less.
#[inline]
fn move_first(count: usize, from: &mut VecDeque<Job>, to: &mut VecDeque<Job>) {
    if to.is_empty() && count > from.len() / 2 {
        mem::swap(from, to);
        while to.len() > count
            && let Some(job) = to.pop_back()
        {
            from.push_front(job);
        }
    } else {
        // This takes fewer instructions than `drain`.
        for job in (0..count).map_while(|_| from.pop_front()) {
            to.push_back(job);
        }
    }
}
