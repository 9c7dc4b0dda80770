//! The scheduler: who may do what next, under the one lock of a route.

mod alone;
mod broker_side;
mod due;
mod groups;
mod key;
mod leaving;
mod pause;
mod retries;
mod worker_side;

use std::{
    collections::{BTreeMap, HashSet, VecDeque},
    future::poll_fn,
    mem,
    sync::PoisonError,
    task::{Poll, Waker},
};

use tokio::time::Instant;

use self::{alone::Alone, groups::Groups, worker_side::WorkerSlot};
use crate::{
    coverage::{Transition, reached},
    limits::Limits,
    sync::{Mutex, MutexGuard, Waiters},
};
use loafer_core::{broker::Settlement, message::Message};

pub(crate) use self::{
    alone::is_suspect,
    broker_side::{Came, Permit},
    key::Key,
    leaving::Sweep,
    pause::Delivering,
    worker_side::{Call, Step},
};

/// A leased message on its way through the route: to a worker, then to a settler.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) key: Key,
    pub(crate) message: Message,
    /// What its settler sends. A message that has not started is released. `None` means that nothing is sent, and the broker redelivers the
    /// message when its lease ends.
    pub(crate) settlement: Option<Settlement>,
}

/// A job fits into 40 bytes: it is moved from queue to queue, and copying it would show.
const _: () = assert!(size_of::<Job>() == 40);

impl Job {
    pub(crate) fn new(key: Key, message: Message) -> Self {
        Self {
            key,
            message,
            settlement: Some(Settlement::Release),
        }
    }

    pub(crate) fn done(self, settlement: Option<Settlement>) -> Self {
        Self { settlement, ..self }
    }

    pub(crate) fn is_acked(&self) -> bool {
        matches!(self.settlement, Some(Settlement::Ack))
    }
}

/// How far a route has come. It never returns to an earlier phase.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    #[default]
    Open,
    /// Receives no more; what is buffered is handled.
    Finishing,
    /// Receives no more; what is buffered is released, and running handlers may finish.
    Draining,
    /// Running handlers are cancelled.
    Cancelled,
}

/// Decides who may do what next, under the one lock of a route. It knows no types of the provider or the handler.
pub(crate) struct Scheduler {
    state: Mutex<State>,
    pub(crate) limits: Limits,
}

/// What the scheduler knows of a route. These invariants hold whenever the lock is free, and debug builds check them:
///
/// - `leased` counts a message from the end of its receive until its capacity is freed. So it is the number of messages in `ready`, in
///   `suspects`, in `groups`, in `held`, in `unstarted` and in `done`, of those that are `running`, and of those that settlers have (`settling` and `stalled`).
/// - `receiving` receives are in flight. Together they were promised a capacity of `reserved`, which is 0 if there are none.
/// - No receive is in flight unless `delivering` is on.
/// - `called` is true while one worker is on its way here, or is here and keeps its batch window open. There is never a second one.
/// - `idle` holds the number of each worker that has nothing to do, once. None of them is the one that was called.
/// - `unstarted` is empty before the route drains, and `ready` and `suspects` are empty from then on. `held` is empty unless the route is open.
/// - While suspects run, nothing else is `running`, and no more of them than `alone` says. While an isolated message is fetched, nothing is.
/// - A message in `held` is the head of its group there, and nothing of its group is out but the rest of its batch, or it is one of those
///   `spared`.
/// - A message in `ready` or `suspects` is the only one of its group there. It stands in `groups` among those that are out.
/// - No message of `leaving` is in `ready`, in `groups` among those that wait, or in `unstarted`.
/// - `unswept` counts those of `settling` and `stalled` that settlers took before the last sweep began.
///
/// Whoever could act on the state after a change is woken by that change: see [`State::due`]. Workers are called by [`State::call`].
#[derive(Default)]
pub(crate) struct State {
    pub(crate) phase: Phase,
    /// Leased, not started, and free to start.
    pub(crate) ready: VecDeque<Job>,
    /// Leased, not started, and free to start beside nothing but suspects.
    pub(crate) suspects: VecDeque<Job>,
    /// Whether something runs apart from the others.
    alone: Alone,
    /// The isolated message that was fetched last: nothing at all runs beside it.
    fetched: Option<Key>,
    /// Whether isolated messages may be at the broker.
    isolated: bool,
    /// Whether suspects may be among what is ready or waits in groups.
    wary: bool,
    /// The task that fetches isolated messages.
    fetcher: Waiters,
    /// Not started before the route drained. Released once no receive is in flight that would bring them back.
    pub(crate) unstarted: Vec<Job>,
    /// When some of `unstarted` were released to end the receives in flight.
    woken: Option<Instant>,
    /// Messages that wait behind another message of their group. `None` if messages have no groups.
    pub(crate) groups: Option<Groups>,
    /// Failed messages that are tried again here, by when they are due.
    pub(crate) held: BTreeMap<retries::Due, Job>,
    /// How many of them are in no group: they take no capacity. Their broker pushes as many more, up to a bound of its own.
    pub(crate) spared: usize,
    /// Whether so many messages wait for held ones of their groups that only one message is asked for at a time.
    crowded: bool,
    /// The task that waits for held messages.
    keeper: Waiters,
    /// Whether a message was held that it may not know.
    held_anew: bool,
    /// Done with, and not yet taken by a settler.
    pub(crate) done: Vec<Job>,
    /// When the oldest of `done` came, if a settler waits for others to join it.
    pub(crate) lingering: Option<Instant>,
    /// Taken by workers and not yet `done`.
    pub(crate) running: usize,
    /// Taken by settlers for a first try of acks that is not over. They make room for a receive already.
    pub(crate) settling: usize,
    /// Taken by settlers for anything else: they make no room before they are settled.
    pub(crate) stalled: usize,
    /// Leased, with their capacity not yet freed.
    pub(crate) leased: usize,
    /// Capacity promised to receives in flight.
    pub(crate) reserved: usize,
    /// Receives in flight.
    pub(crate) receiving: usize,
    /// Whether the route is paused: it asks for nothing and starts nothing, as long as it is open.
    pub(crate) paused: bool,
    /// The number of the last pause.
    pauses: u32,
    /// What the provider knows of that.
    pub(crate) delivering: Delivering,
    /// How many receives should be in flight while there is room. It grows on full answers and falls on empty ones.
    target: usize,
    /// One for each worker, by its number.
    slots: Vec<WorkerSlot>,
    /// Workers that have nothing to do.
    pub(crate) idle: Vec<u32>,
    /// Whether a worker was called and has not come yet. There is one outstanding call for each route.
    pub(crate) called: bool,
    /// Wakes the worker that was called and has come, and keeps its batch window open.
    batch_window: Option<Waker>,
    /// When the oldest of `ready` came, on a route with batch windows.
    window_began: Option<Instant>,
    /// The leases that leave, while any do.
    leaving: HashSet<Key>,
    /// Which sweep settlers take messages in now.
    sweep: Sweep,
    /// Taken by settlers before the last sweep began, and not settled. The next one waits for it to be 0.
    unswept: usize,
    /// Tasks that wait for what settlers have.
    sweepers: Waiters,
    /// Receivers that wait for capacity.
    receivers: Waiters,
    /// Receivers with a receive in flight, and the one that paused the delivery: they watch for the end, and for the next change of `paused`.
    watching: Waiters,
    /// Settlers that wait for a batch.
    settlers: Waiters,
    /// The task that waits for the end of the route.
    supervisor: Waiters,
}

impl Scheduler {
    pub(crate) fn new(limits: Limits) -> Self {
        let state = State {
            ready: VecDeque::with_capacity(limits.capacity.min(1024)),
            groups: limits.grouping.clone().map(Groups::new),
            done: Vec::with_capacity(limits.settle_batch),
            target: 1,
            isolated: limits.isolates,
            ..State::default()
        };
        Self {
            state: Mutex::new(state),
            limits,
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        #[cfg(debug_assertions)]
        state.check();
        state
    }

    pub(crate) fn phase(&self) -> Phase {
        self.lock().phase
    }

    /// Returns how many messages are leased and not yet settled.
    pub(crate) fn in_flight(&self) -> usize {
        self.lock().leased
    }

    /// Goes on to a later phase and wakes everybody to see it.
    pub(crate) fn close(&self, phase: Phase) {
        let mut state = self.lock();
        if phase <= state.phase {
            return;
        }
        state.go_on_to(phase);
        let wakers = state.everybody();
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Waits until the route is closed and everything is settled, or it is cancelled.
    pub(crate) async fn settled(&self) {
        self.supervise(|state| match state.phase {
            Phase::Open => false,
            Phase::Cancelled => true,
            Phase::Finishing | Phase::Draining => state.leased == 0 && state.receiving == 0,
        })
        .await;
    }

    /// Waits until no message is in flight: what was cancelled is dropped, and the rest is settled.
    pub(crate) async fn flushed(&self) {
        self.supervise(|state| state.leased == 0).await;
    }

    async fn supervise(&self, over: impl Fn(&State) -> bool) {
        poll_fn(|cx| {
            let mut state = self.lock();
            if over(&state) {
                return Poll::Ready(());
            }
            state.supervisor.register(cx);
            Poll::Pending
        })
        .await;
    }
}

impl State {
    fn go_on_to(&mut self, phase: Phase) {
        self.phase = phase;
        reached(match phase {
            Phase::Open | Phase::Finishing => Transition::Finishing,
            Phase::Draining => Transition::Draining,
            Phase::Cancelled => Transition::Cancelled,
        });
        if phase == Phase::Finishing {
            self.give_back_held();
        }
        if phase >= Phase::Draining {
            self.isolated = false;
            self.set_aside_held();
            let unstarted = mem::take(&mut self.ready);
            self.set_aside(unstarted);
            let suspects = mem::take(&mut self.suspects);
            self.set_aside(suspects);
            self.clear_groups();
        }
        if phase == Phase::Cancelled {
            self.slots.iter().for_each(WorkerSlot::cancel);
        }
    }

    /// Sets aside what will not be started. It is not released while a receive in flight could take it, which would cost it another
    /// attempt.
    fn set_aside(&mut self, jobs: impl IntoIterator<Item = Job>) {
        self.unstarted.extend(jobs);
        if self.receiving == 0 || self.phase == Phase::Cancelled {
            self.release_from(0);
        } else if !self.unstarted.is_empty() {
            reached(Transition::SetAside);
        }
    }

    /// Releases what was set aside, from this index on.
    fn release_from(&mut self, at: usize) {
        self.done.extend(self.unstarted.drain(at..));
    }

    /// Returns everybody who must see that the route closes, or comes further on its way to the end.
    fn everybody(&mut self) -> Vec<Waker> {
        self.idle.clear();
        let leaving = self.slots.iter_mut().filter_map(WorkerSlot::leave);
        leaving
            .chain(self.receivers.take())
            .chain(self.watching.take())
            .chain(self.settlers.take())
            .chain(self.supervisor.take())
            .collect()
    }

    /// Takes in what a worker brings.
    fn take_back(&mut self, outcomes: &mut VecDeque<Job>, limits: &Limits) {
        self.running -= outcomes.len();
        if self.running == 0 {
            self.nothing_runs();
        }
        self.pass_groups(outcomes, limits);
        if self.wary {
            self.pick_suspects();
        }
        // A vector of a queue's buffer, and back: nothing is copied.
        let mut brought = Vec::from(mem::take(outcomes));
        if self.done.is_empty() {
            mem::swap(&mut self.done, &mut brought);
        } else {
            self.done.append(&mut brought);
        }
        *outcomes = VecDeque::from(brought);
    }

    /// Panics if an invariant does not hold.
    #[cfg(debug_assertions)]
    fn check(&self) {
        let waiting = self.groups.as_ref().map_or(0, Groups::waiting);
        let waiting = waiting + self.held.len() + self.suspects.len();
        let buffered = self.ready.len() + waiting + self.unstarted.len() + self.done.len();
        let taken = self.running + self.settling + self.stalled;
        assert_eq!(self.leased, buffered + taken, "leased messages are counted");
        assert!(self.receiving > 0 || self.reserved == 0);
        assert!(self.receiving == 0 || self.delivering == Delivering::On);
        assert!(self.phase >= Phase::Draining || self.unstarted.is_empty());
        assert!(self.phase < Phase::Draining || (self.ready.is_empty() && waiting == 0));
        assert!(self.phase == Phase::Open || self.held.is_empty());
        assert!(match self.alone {
            Alone::Nothing => true,
            Alone::Fetching => self.running == 0,
            Alone::Suspects(most) => (1..=most).contains(&self.running),
        });
        assert!(self.spared <= self.held.len());
        assert!(self.unswept <= self.settling + self.stalled, "unswept");
        let leaves = |job: &Job| self.leaving.contains(&job.key);
        let waiting = self.ready.iter().chain(&self.suspects);
        let waiting = waiting.chain(&self.unstarted);
        assert!(!waiting.chain(self.held.values()).any(leaves));
        let called = self.slots.iter().filter(|slot| slot.is_called()).count();
        assert_eq!(called, usize::from(self.called), "one outstanding call");
        let idle = self.slots.iter().filter(|slot| slot.is_idle()).count();
        assert_eq!(idle, self.idle.len(), "idle workers are listed once");
    }
}
