//! The scheduler: who may do what next, under the one lock of a route.

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
use super::{Disposition, leases::table::Key};
use loafer_core::message::Message;

pub(super) use self::{
    batch_window::Gathered,
    groups::Grouping,
    slots::{Call, Step},
};

/// A leased message on its way through the route: to a worker, then to a settler.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) key: Key,
    pub(super) message: Message,
    /// What the settler does with it. Until it was handled, it is released, as if it had never been started.
    pub(super) disposition: Disposition,
}

impl Job {
    pub(super) fn new(key: Key, message: Message) -> Self {
        Self {
            key,
            message,
            disposition: Disposition::Release,
        }
    }

    pub(super) fn done(self, disposition: Disposition) -> Self {
        Self {
            disposition,
            ..self
        }
    }
}

/// How far a route has come. It never returns to an earlier phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    Open,
    /// Receives no more; what is buffered is handled.
    Finishing,
    /// Receives no more; what is buffered is released, and running handlers may finish.
    Draining,
    /// Running handlers are cancelled.
    Cancelled,
}

/// The limits of a route, from its policy and its broker's capabilities.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    /// The most handler calls at once.
    pub(super) concurrency: usize,
    /// The in-flight limit: the most messages that are leased at once.
    pub(super) capacity: usize,
    /// The most messages of one receive.
    pub(super) ask: usize,
    /// How much capacity must be free for a receive to be worth its cost.
    pub(super) worth: usize,
    /// The most receives at once.
    pub(super) receivers: usize,
    /// The most settlement calls at once.
    pub(super) settlers: usize,
    /// The most settlements of one call.
    pub(super) settle_batch: usize,
    /// How long a settlement may wait for others.
    pub(super) linger: Duration,
    /// Whether settlements also wait for others while nothing is here that could join them: the broker pushes more without being asked.
    pub(super) patient: bool,
    /// Whether a batch that is not full waits for more messages.
    pub(super) lingers: bool,
    /// Keeps apart messages that must not run at once. `None` if messages have no groups.
    pub(super) grouping: Option<Grouping>,
}

impl Limits {
    /// Whether the one settler and the one receiver share a task.
    pub(super) fn is_joined(&self) -> bool {
        self.receivers == 1 && self.settlers == 1
    }
}

/// Decides who may do what next, under the one lock of a route. It knows no types of the provider or the handler.
pub(super) struct Scheduler {
    state: Mutex<State>,
    pub(super) limits: Limits,
}

/// What the scheduler knows of a route. These invariants hold whenever the lock is free:
///
/// - `leased` counts a message from the end of its receive until its capacity is freed. So it is the number of messages in `ready`, in
///   `groups`, in `unstarted` and in `done`, of those that are `running`, and of those that settlers have taken.
/// - `settling` counts those that settlers have taken and whose first try is not over. It is never more than `leased`.
/// - `receiving` receives are in flight. Together they were promised a capacity of `reserved`.
/// - `called` is true while one worker is on its way here, or is here and keeps its batch window open. There is never a second one.
struct State {
    phase: Phase,
    /// Leased, not started, and free to start.
    ready: VecDeque<Job>,
    /// Not started before the route drained. Released once no receive is in flight that would bring them back.
    unstarted: Vec<Job>,
    /// When some of `unstarted` were released to end the receives in flight.
    woken: Option<Instant>,
    /// Messages that wait behind another message of their group. `None` if messages have no groups.
    groups: Option<Groups>,
    /// Done with, and not yet taken by a settler.
    done: VecDeque<Job>,
    /// When the oldest of `done` came, if a settler waits for others to join it.
    lingering: Option<Instant>,
    /// Taken by workers and not yet `done`.
    running: usize,
    /// Taken by settlers whose first try is not over. They make room for a receive already.
    settling: usize,
    /// Leased, with their capacity not yet freed.
    leased: usize,
    /// Capacity promised to receives in flight.
    reserved: usize,
    /// Receives in flight.
    receiving: usize,
    /// How many receives should be in flight while there is room. It grows on full answers and falls on empty ones.
    target: usize,
    /// One for each worker, by its number.
    slots: Vec<WorkerSlot>,
    /// Workers that have nothing to do.
    idle: Vec<u32>,
    /// Whether a worker was called and has not come yet. There is one outstanding call for each route.
    called: bool,
    /// Wakes the worker that was called and has come, and keeps its batch window open.
    batch_window: Option<Waker>,
    /// When the oldest of `ready` came, on a route with batch windows.
    window_began: Option<Instant>,
    /// Receivers that wait for capacity.
    receivers: Vec<Waker>,
    /// Receivers with a receive in flight: they watch for the end.
    in_flight: Vec<Waker>,
    /// Settlers that wait for a batch.
    settlers: Vec<Waker>,
    /// The task that waits for the end of the route.
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
            leased: 0,
            reserved: 0,
            receiving: 0,
            target: 1,
            slots: Vec::new(),
            idle: Vec::new(),
            called: false,
            batch_window: None,
            window_began: None,
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

    /// Returns how many messages are leased and not yet settled.
    pub(super) fn in_flight(&self) -> usize {
        self.lock().leased
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
            Phase::Finishing | Phase::Draining => state.leased == 0 && state.receiving == 0,
        })
        .await;
    }

    /// Waits until no message is in flight: what was cancelled is dropped, and the rest is settled.
    pub(super) async fn flushed(&self) {
        self.supervise(|state| state.leased == 0).await;
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

    /// Ends the receives in flight that did not return in time. A long poll that is dropped could still take what is released next, and
    /// keep it until its lease expires. So one message is released for each of them, and brings it back. If it did not, others consume the
    /// queue too, and the rest is released for them.
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

    /// Takes back the message of a lost lease, if no worker has it. Otherwise cancels the handler that runs it.
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

    /// Frees the capacity of a lost message that no worker had.
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
    /// Sets aside what will not be started. It is not released while a receive in flight could take it, which would cost it another
    /// attempt.
    fn set_aside(&mut self, jobs: impl IntoIterator<Item = Job>) {
        self.unstarted.extend(jobs);
        if self.receiving == 0 || self.phase == Phase::Cancelled {
            self.release_from(0);
        }
    }

    /// Releases what was set aside, from this index on.
    fn release_from(&mut self, at: usize) {
        self.done.extend(self.unstarted.drain(at..));
    }

    /// Returns everybody who must see that the route closes, or comes further on its way to the end.
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

    /// Takes in what a worker brings.
    fn take_back(&mut self, outcomes: &mut VecDeque<Job>) {
        self.pass_groups(outcomes);
        if self.done.is_empty() {
            mem::swap(&mut self.done, outcomes);
        } else {
            self.done.append(outcomes);
        }
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

/// Registers who waits, once.
fn register(waiting: &mut Vec<Waker>, cx: &Context<'_>) {
    if !waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
        waiting.push(cx.waker().clone());
    }
}

/// Removes who was registered: whoever has work does not wait.
fn unregister(waiting: &mut Vec<Waker>, cx: &Context<'_>) {
    waiting.retain(|waker| !waker.will_wake(cx.waker()));
}
