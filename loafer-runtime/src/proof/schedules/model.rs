//! The tasks of a route, and what may happen next.

use std::{
    collections::VecDeque,
    future::Future,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Wake, Waker},
};

use tokio::runtime::Runtime;

use super::{
    Case, Dice, Step, TICK,
    broker::{Fetcher, Keeper, Receiver, Settler},
    ledger::Ledger,
    worker::{Stage, Worker},
};
use crate::scheduler::{Call, Job, Phase, Scheduler, Sweep};

/// How much may happen until a route that is left alone is at rest, or has ended.
const ENOUGH: usize = 20_000;

/// A task of the route: it is polled once it was woken.
pub(super) struct Task {
    woken: Arc<Woken>,
    pub(super) waker: Waker,
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Task {
    /// Returns a task that was spawned: it is polled for the first time without being woken.
    pub(super) fn new() -> Self {
        let woken = Arc::new(Woken(AtomicBool::new(true)));
        let waker = woken.clone().into();
        Self { woken, waker }
    }

    pub(super) fn wake(&self) {
        self.waker.wake_by_ref();
    }

    pub(super) fn is_woken(&self) -> bool {
        self.woken.0.load(Ordering::Relaxed)
    }

    /// Called before it is polled.
    pub(super) fn begin(&self) {
        self.woken.0.store(false, Ordering::Relaxed);
    }
}

/// What may happen next. The first ones are polls of tasks that were woken; the others are what tasks wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    PollReceiver(usize),
    /// With it, the receiver that shares its task is polled.
    PollSettler(usize),
    PollWorker(usize),
    PollSupervisor,
    PollKeeper,
    PollFetcher,
    /// A worker's handler, or its `on_error`, returns; or it is called and waits.
    Handle(usize),
    /// A settler's first try of acks is over.
    Answer(usize),
    /// A batch beside its settler is settled, or a part of it.
    SettleBeside(usize),
    /// A receive ends.
    EndReceive(usize),
    /// The broker answers whether there is an isolated message.
    Fetch,
    /// A receiver that waits for the last receive releases a message for it.
    WakePoll,
    Pass,
    /// A task is woken for a reason of its own.
    Stir,
    Lose,
    LoseAgain,
    Pause,
    Resume,
    Close,
}

/// How far the one is who waits for the end of the route.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Awaited,
    /// The route was cancelled, and what it has is flushed.
    Flushing,
    Over,
}

/// A route.
pub(super) struct Model<'r> {
    pub(super) runtime: &'r Runtime,
    pub(super) scheduler: Scheduler,
    pub(super) batch: usize,
    /// Whether the only settler and the only receiver share the settler's task.
    pub(super) joined: bool,
    pub(super) receivers: Vec<Receiver>,
    pub(super) settlers: Vec<Settler>,
    /// Batches that are settled beside their settlers.
    pub(super) beside: Vec<(Sweep, VecDeque<Job>)>,
    pub(super) workers: Vec<Worker>,
    pub(super) supervisor: Task,
    pub(super) keeper: Keeper,
    pub(super) fetcher: Fetcher,
    pub(super) end: End,
    pub(super) ledger: Ledger,
    story: Vec<(Action, u64)>,
}

impl<'r> Model<'r> {
    pub(super) fn new(runtime: &'r Runtime, case: &Case) -> Self {
        let limits = case.limits.clone();
        Self {
            runtime,
            batch: case.batch,
            joined: case.joined,
            receivers: (0..limits.receivers).map(|_| Receiver::new()).collect(),
            settlers: (0..limits.settlers).map(|_| Settler::new()).collect(),
            beside: Vec::new(),
            workers: Vec::new(),
            supervisor: Task::new(),
            keeper: Keeper::new(),
            fetcher: Fetcher {
                task: Task::new(),
                is_asking: false,
            },
            end: End::Awaited,
            ledger: Ledger::new(limits.grouping.as_ref().map(|grouping| grouping.fenced)),
            story: Vec::new(),
            scheduler: Scheduler::new(limits),
        }
    }

    /// Returns all that happened.
    pub(super) fn story(&self) -> String {
        let lines = self
            .story
            .iter()
            .map(|(action, dice)| format!("{action:?} ({dice})\n"));
        lines.collect()
    }

    /// Takes these steps, then leaves the route alone: first until it is at rest, then until it has ended.
    pub(super) fn play(&mut self, steps: &[Step]) {
        for step in steps {
            let actions = match step.rare {
                0..=231 => self.polls().chain(self.events()).collect(),
                232..=239 => vec![Action::Stir],
                240..=247 => vec![Action::Lose],
                248..=253 => vec![Action::Pause, Action::Resume],
                _ => vec![Action::Close],
            };
            if let Some(action) = actions.get(usize::from(step.pick) % actions.len().max(1)) {
                self.act(*action, step.dice);
            }
        }
        self.come_to_rest();
        if self.scheduler.phase() <= Phase::Finishing {
            let left = self.ledger.leased();
            assert_eq!(left, 0, "messages stay in a route at rest");
        }
        self.act(Action::Close, steps.len() as u64);
        self.come_to_an_end();
    }

    /// Lets all that is in flight end, but for receives, which would go on for ever. Whoever lost all leases of its call is cancelled.
    fn come_to_rest(&mut self) {
        self.act(Action::Resume, 0);
        self.poll_all();
        // A batch may wait for `on_error` once for each of its messages.
        for _ in 0..self.batch {
            self.act(Action::LoseAgain, 0);
            self.poll_all();
        }
        self.check_that_lost_calls_are_over();
        let is_receive = |action: &Action| matches!(action, Action::EndReceive(_));
        for _ in 0..ENOUGH {
            let next = self.polls().chain(self.events());
            match next.into_iter().find(|action| !is_receive(action)) {
                Some(action) => self.act(action, 0),
                None => return,
            }
        }
        panic!("the route does not come to rest");
    }

    /// Lets everything end.
    fn come_to_an_end(&mut self) {
        for _ in 0..ENOUGH {
            let Some(action) = self.polls().chain(self.events()).next() else {
                break;
            };
            self.act(action, 0);
        }
        assert!(self.end == End::Over, "the route does not end");
        let stay = |worker: &Worker| worker.stage != Stage::Stopped;
        let stays = self.workers.iter().position(stay);
        assert_eq!(stays, None, "this worker does not end");
    }

    fn poll_all(&mut self) {
        while let Some(action) = self.polls().next() {
            self.act(action, 0);
        }
    }

    /// Returns the tasks that were woken.
    fn polls(&self) -> impl Iterator<Item = Action> + use<> {
        let woken = |task: &Task| task.is_woken();
        let mut polls = Vec::new();
        if self.end != End::Over {
            let settlers = self.settlers.iter().enumerate();
            let settlers = settlers.filter(|(_, settler)| woken(&settler.task));
            polls.extend(settlers.map(|(number, _)| Action::PollSettler(number)));
            let receivers = self.receivers.iter().enumerate();
            let receivers = receivers.filter(|(_, it)| !self.joined && woken(&it.task));
            polls.extend(receivers.map(|(number, _)| Action::PollReceiver(number)));
            polls.extend(woken(&self.supervisor).then_some(Action::PollSupervisor));
            polls.extend(woken(&self.keeper.task).then_some(Action::PollKeeper));
            polls.extend(woken(&self.fetcher.task).then_some(Action::PollFetcher));
        }
        let workers = self.workers.iter().enumerate();
        let workers = workers.filter(|(_, worker)| worker.may_be_polled());
        polls.extend(workers.map(|(number, _)| Action::PollWorker(number)));
        polls.into_iter()
    }

    /// Returns what tasks wait for.
    fn events(&self) -> impl Iterator<Item = Action> + use<> {
        let mut events = Vec::new();
        let workers = self.workers.iter().enumerate();
        let busy = workers.filter(|(_, worker)| worker.is_busy());
        events.extend(busy.map(|(number, _)| Action::Handle(number)));
        if self.end == End::Over {
            return events.into_iter();
        }
        let settlers = self.settlers.iter().enumerate();
        let trying = settlers.filter(|(_, settler)| settler.is_trying());
        events.extend(trying.map(|(number, _)| Action::Answer(number)));
        events.extend((0..self.beside.len()).map(Action::SettleBeside));
        events.extend(self.fetcher.is_asking.then_some(Action::Fetch));
        events.extend(self.timers().then_some(Action::Pass));
        let receivers = self.receivers.iter().enumerate();
        let receiving = receivers.filter(|(_, receiver)| receiver.asked().is_some());
        let receiving: Vec<_> = receiving
            .map(|(number, _)| Action::EndReceive(number))
            .collect();
        let closed = self.scheduler.phase() > Phase::Open;
        events.extend(
            (closed && !receiving.is_empty() && self.holds_back()).then_some(Action::WakePoll),
        );
        events.extend(receiving);
        events.into_iter()
    }

    /// Whether something waits for time to pass.
    fn timers(&self) -> bool {
        self.settlers.iter().any(Settler::is_lingering)
            || self.workers.iter().any(|worker| worker.is_lingering)
            || !self.scheduler.lock().held.is_empty()
    }

    fn holds_back(&self) -> bool {
        !self.scheduler.lock().unstarted.is_empty()
    }

    /// Lets one thing happen. What must always hold is checked after it.
    fn act(&mut self, action: Action, dice: u64) {
        self.story.push((action, dice));
        let mut dice = Dice(dice);
        match action {
            Action::PollReceiver(number) => {
                self.receivers[number].task.begin();
                let waker = self.receivers[number].task.waker.clone();
                self.poll_receiver(number, &mut Context::from_waker(&waker));
            }
            Action::PollSettler(number) => {
                self.settlers[number].task.begin();
                let waker = self.settlers[number].task.waker.clone();
                let cx = &mut Context::from_waker(&waker);
                self.poll_settler(number, cx, &mut dice);
                if self.joined {
                    self.poll_receiver(number, cx);
                }
            }
            Action::PollWorker(number) => {
                self.workers[number].task.begin();
                let waker = self.workers[number].task.waker.clone();
                self.poll_worker(number, &mut Context::from_waker(&waker), &mut dice);
            }
            Action::PollSupervisor => self.poll_supervisor(),
            Action::PollKeeper => self.poll_keeper(),
            Action::PollFetcher => self.poll_fetcher(),
            Action::Fetch => self.fetch(&mut dice),
            Action::Handle(number) => self.handle(number, &mut dice),
            Action::Answer(number) => self.answer_settler(number, &mut dice),
            Action::SettleBeside(number) => self.settle_beside(number, &mut dice),
            Action::EndReceive(number) => self.end_receive(number, &mut dice),
            Action::WakePoll => self.scheduler.wake_poll(TICK * dice.roll(2) as u32),
            Action::Pass => self.runtime.block_on(async {
                tokio::time::advance(TICK).await;
                tokio::task::yield_now().await;
            }),
            Action::Stir => self.stir(&mut dice),
            Action::Lose => self.lose(Some(&mut dice)),
            Action::LoseAgain => self.lose(None),
            Action::Pause => self.pause(true),
            Action::Resume => self.pause(false),
            Action::Close => {
                let phase = [Phase::Draining, Phase::Finishing, Phase::Cancelled][dice.roll(3)];
                if phase == Phase::Finishing {
                    // Only a receive finishes a route whose buffer is held up, and it calls a worker.
                    self.pause(false);
                }
                self.scheduler.close(phase);
            }
        }
        self.ledger.see_given_back(&self.scheduler.lock());
        self.check(self.polls().next().is_none());
    }

    fn stir(&self, dice: &mut Dice) {
        let receivers = self.receivers.iter().map(|receiver| &receiver.task);
        let settlers = self.settlers.iter().map(|settler| &settler.task);
        let workers = self.workers.iter().map(|worker| &worker.task);
        let tasks = [&self.supervisor, &self.keeper.task, &self.fetcher.task];
        let tasks = tasks
            .into_iter()
            .chain(receivers)
            .chain(settlers)
            .chain(workers);
        let tasks: Vec<_> = tasks.collect();
        tasks[dice.roll(tasks.len())].wake();
    }

    /// Waits for the end as `engine::run` does.
    fn poll_supervisor(&mut self) {
        self.supervisor.begin();
        let cx = &mut Context::from_waker(&self.supervisor.waker);
        if self.end == End::Awaited {
            if pin!(self.scheduler.settled()).poll(cx).is_pending() {
                return;
            }
            if self.scheduler.phase() < Phase::Cancelled {
                let left = self.ledger.leased();
                assert_eq!(left, 0, "messages are left behind");
            }
            self.end = End::Flushing;
        }
        if self.scheduler.phase() == Phase::Cancelled
            && pin!(self.scheduler.flushed()).poll(cx).is_pending()
        {
            return;
        }
        self.end = End::Over;
        self.scheduler.close(Phase::Draining);
    }

    /// Wakes or spawns the worker that the scheduler calls.
    pub(super) fn answer(&mut self, call: Call) {
        match call {
            Call::Nobody => {}
            Call::Wake(waker) => waker.wake(),
            Call::Hire(number, cancelled) => {
                assert_eq!(number as usize, self.workers.len(), "numbers of workers");
                let most = self.scheduler.limits.concurrency;
                assert!(self.workers.len() < most, "more workers than {most}");
                let takes = match self.scheduler.limits.batch_window {
                    Some(_) => self.batch,
                    None => 1,
                };
                self.workers.push(Worker::new(cancelled, takes));
            }
        }
    }

    /// Whether nothing may be started any more.
    pub(super) fn is_over(&self) -> bool {
        self.scheduler.phase() >= Phase::Draining
    }
}
