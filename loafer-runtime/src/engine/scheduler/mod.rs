//! Who may do what next: the one lock of a route.

mod batch_window;
mod groups;
mod receiving;
mod settling;
mod slots;

use std::{
    collections::VecDeque,
    future::poll_fn,
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::time::Instant;

use self::{groups::Groups, slots::WorkerSlot};
use super::{Fate, leases::table::Key};
use loafer_core::message::Message;

pub(super) use self::{
    batch_window::Gathered,
    groups::Grouping,
    slots::{Call, Step},
};

/// A message on its way through the route: to a worker, then to the settler.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) key: Key,
    pub(super) message: Message,
    /// What is to become of it; until it was handled, as if it had never been started.
    pub(super) fate: Fate,
}

impl Job {
    pub(super) fn new(key: Key, message: Message) -> Self {
        Self {
            key,
            message,
            fate: Fate::Release,
        }
    }

    pub(super) fn done(self, fate: Fate) -> Self {
        Self { fate, ..self }
    }
}

/// How far a route has come; only ever forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    Open,
    /// Receives no more; what is buffered is handled.
    Finishing,
    /// Receives no more; what is buffered is released, what runs may finish.
    Draining,
    /// What runs is cancelled.
    Cancelled,
}

/// The measures of a route, from its policy and what its broker can do.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    /// Handlers at once.
    pub(super) concurrency: usize,
    /// Messages held at once.
    pub(super) capacity: usize,
    /// Messages asked for at once, at most.
    pub(super) ask: usize,
    /// How many capacity must be free for a receive to be worth its cost.
    pub(super) worth: usize,
    /// Receives at once, at most.
    pub(super) receivers: usize,
    /// Settlement calls at once, at most.
    pub(super) settlers: usize,
    /// Settlements a call.
    pub(super) settle_batch: usize,
    /// How long a settlement may wait for others.
    pub(super) linger: Duration,
    /// Whether settlements linger also while nothing is left that could join them: more is pushed without being asked for.
    pub(super) patient: bool,
    /// Whether a batch that is not full waits for more.
    pub(super) lingers: bool,
    /// What keeps messages apart that must not run at once.
    pub(super) grouping: Option<Grouping>,
}

impl Limits {
    /// Whether the one settler and the one receiver share a task.
    pub(super) fn is_joined(&self) -> bool {
        self.receivers == 1 && self.settlers == 1
    }
}

/// Who may do what next: the one lock of a route. It knows no types of the provider or the handler.
pub(super) struct Scheduler {
    state: Mutex<State>,
    pub(super) limits: Limits,
}

struct State {
    phase: Phase,
    /// Leased, not started, free to start.
    ready: VecDeque<Job>,
    /// Not started before the route drained: released once no receive is in flight that would bring them back.
    unstarted: Vec<Job>,
    /// When some of them were released for the receives in flight to come back with.
    woken: Option<Instant>,
    /// Leased and behind another message of their group; none where messages have no groups.
    groups: Option<Groups>,
    /// AckDedup, not settled.
    done: VecDeque<Job>,
    /// When the oldest of `done` came, where a settler lingers for it.
    lingering: Option<Instant>,
    /// Taken by workers and not yet `done`.
    running: usize,
    /// Held by settlers whose first try is not over: they make room for a receive already.
    settling: usize,
    /// Leased and not yet free: `ready`, in groups, set aside, running, `done` and settling.
    held: usize,
    /// Capacity promised to receives in flight.
    reserved: usize,
    /// Receives in flight.
    receiving: usize,
    /// Receives that should be in flight while there is room: grows on full answers, falls on empty ones.
    target: usize,
    /// One a worker, by its number.
    slots: Vec<WorkerSlot>,
    /// Workers with nothing to do.
    idle: Vec<u32>,
    /// A worker was called and has not come yet: one outstanding call a route.
    called: bool,
    /// The worker that was called and has come, and lingers for more than there was.
    batch_window: Option<Waker>,
    /// When the oldest of `ready` came, on a route whose batches linger.
    gathered_from: Option<Instant>,
    /// Receivers that wait for capacity.
    receivers: Vec<Waker>,
    /// Receivers in flight: they watch for the end.
    in_flight: Vec<Waker>,
    /// Settlers that wait for a batch.
    settlers: Vec<Waker>,
    /// Waits for the end.
    supervisor: Option<Waker>,
}

impl Scheduler {
    pub(super) fn new(limits: Limits) -> Self {
        let state = State {
            phase: Phase::Open,
            ready: VecDeque::with_capacity(limits.capacity.min(1024)),
            unstarted: Vec::new(),
            woken: None,
            groups: limits.grouping.clone().map(Groups::new),
            done: VecDeque::with_capacity(limits.settle_batch),
            lingering: None,
            running: 0,
            settling: 0,
            held: 0,
            reserved: 0,
            receiving: 0,
            target: 1,
            slots: Vec::new(),
            idle: Vec::new(),
            called: false,
            batch_window: None,
            gathered_from: None,
            receivers: Vec::new(),
            in_flight: Vec::new(),
            settlers: Vec::new(),
            supervisor: None,
        };
        Self {
            state: Mutex::new(state),
            limits,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn phase(&self) -> Phase {
        self.lock().phase
    }

    /// Messages leased and not yet settled.
    pub(super) fn held(&self) -> usize {
        self.lock().held
    }

    /// Goes on to a later phase and wakes everybody to see it.
    pub(super) fn close(&self, phase: Phase) {
        let mut state = self.lock();
        if phase <= state.phase {
            return;
        }
        state.phase = phase;
        if phase >= Phase::Draining {
            let unstarted = mem::take(&mut state.ready);
            state.set_aside(unstarted);
            state.clear_groups();
        }
        if phase == Phase::Cancelled {
            state.slots.iter().for_each(WorkerSlot::cancel);
        }
        let wakers = state.everybody();
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Waits until the route is closed and everything is settled, or it is cancelled.
    pub(super) async fn settled(&self) {
        self.supervise(|state| match state.phase {
            Phase::Open => false,
            Phase::Cancelled => true,
            Phase::Finishing | Phase::Draining => state.held == 0 && state.receiving == 0,
        })
        .await;
    }

    /// Waits until everything that was cancelled is given back, and the rest settled.
    pub(super) async fn flushed(&self) {
        self.supervise(|state| state.held == 0).await;
    }

    async fn supervise(&self, over: impl Fn(&State) -> bool) {
        poll_fn(|cx| {
            let mut state = self.lock();
            if over(&state) {
                return Poll::Ready(());
            }
            state.supervisor = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Ends the receives in flight that did not come back in time: a long poll that is dropped may take what is released next, and keep it to the end of its
    /// lease. One message for each brings them back. Where it did not, others consume the queue too, and the rest is for them.
    pub(super) fn wake_poll(&self, patience: Duration) {
        let mut state = self.lock();
        let at = match state.woken {
            None => state.unstarted.len().saturating_sub(state.receiving),
            Some(since) if since.elapsed() >= patience => 0,
            Some(_) => return,
        };
        if state.unstarted.is_empty() {
            return;
        }
        state.woken = Some(Instant::now());
        state.release_from(at);
        let settler = state.settler_for(&self.limits, true);
        drop(state);
        settler.into_iter().for_each(Waker::wake);
    }

    /// Waits until the route receives no more.
    pub(super) fn poll_closed(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if state.phase > Phase::Open {
            return Poll::Ready(());
        }
        register(&mut state.in_flight, cx);
        Poll::Pending
    }

    /// A lease was lost: gives back its message where no worker had it, and cancels the handler that runs it.
    pub(super) fn lose(&self, key: Key) -> Option<Message> {
        let mut state = self.lock();
        if let Some(at) = state.ready.iter().position(|job| job.key == key) {
            let job = state.ready.remove(at)?;
            state.lost_head(&job.message);
            return Some(self.drop_lost(state, job));
        }
        if let Some(job) = state.lose_in_group(key) {
            return Some(self.drop_lost(state, job));
        }
        let waker = state
            .slots
            .iter_mut()
            .find(|slot| slot.runs(key))
            .and_then(|slot| slot.lose(key));
        drop(state);
        waker.into_iter().for_each(Waker::wake);
        None
    }

    /// The place of a message that nobody had in hand is free.
    fn drop_lost(&self, mut state: MutexGuard<'_, State>, job: Job) -> Message {
        let supervisor = state.free(1);
        let receiver = if state.may_receive(&self.limits) {
            state.receivers.pop()
        } else {
            None
        };
        let settler = state.settler_for(&self.limits, true);
        drop(state);
        let woken = supervisor.into_iter().chain(receiver).chain(settler);
        woken.for_each(Waker::wake);
        job.message
    }
}

impl State {
    /// What will not be started goes back, but not into the hands of a receive in flight, which would cost it another attempt.
    fn set_aside(&mut self, jobs: impl IntoIterator<Item = Job>) {
        self.unstarted.extend(jobs);
        if self.receiving == 0 || self.phase == Phase::Cancelled {
            self.release_from(0);
        }
    }

    /// Releases what was set aside, from there on.
    fn release_from(&mut self, at: usize) {
        self.done.extend(self.unstarted.drain(at..));
    }

    /// Whom to wake when the route closes, or has come further on its way to the end.
    fn everybody(&mut self) -> Vec<Waker> {
        self.idle.clear();
        let mut wakers: Vec<_> = self
            .slots
            .iter_mut()
            .filter_map(WorkerSlot::leave)
            .collect();
        wakers.append(&mut self.receivers);
        wakers.append(&mut self.in_flight);
        wakers.append(&mut self.settlers);
        wakers.extend(self.supervisor.take());
        wakers
    }

    fn take_back(&mut self, outcomes: &mut VecDeque<Job>) {
        self.pass_groups(outcomes);
        if self.done.is_empty() {
            mem::swap(&mut self.done, outcomes);
        } else {
            self.done.append(outcomes);
        }
    }
}

/// Notes down who waits, once.
fn register(waiting: &mut Vec<Waker>, cx: &Context<'_>) {
    if !waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
        waiting.push(cx.waker().clone());
    }
}

/// Takes back what was noted down: who has work does not wait.
fn unregister(waiting: &mut Vec<Waker>, cx: &Context<'_>) {
    waiting.retain(|waker| !waker.will_wake(cx.waker()));
}
