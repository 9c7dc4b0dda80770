//! Workers: calls that return at once, wait, ask `on_error` or are cancelled.

use std::{
    collections::{HashSet, VecDeque},
    future::Future,
    mem,
    pin::Pin,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use loafer_core::broker::{DeadLetter, Settlement};
use tokio::time::Sleep;

use super::{
    Dice, TICK,
    model::{Model, Task},
};
use crate::scheduler::{Job, Phase, Step};

/// The most messages that a worker of single messages takes at once. The engine takes more.
const CHUNK: usize = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// It is on its way to the scheduler, or waits there.
    Idle,
    /// It has messages, and calls its handler for them.
    Calling,
    /// Its handler waits.
    Waiting,
    /// Its `on_error` decides about the first of `jobs`.
    Asking,
    /// Its handler was given up and can't be cancelled.
    Abandoned,
    Stopped,
}

pub(super) struct Worker {
    pub(super) task: Task,
    pub(super) stage: Stage,
    pub(super) cancelled: Arc<AtomicBool>,
    pub(super) jobs: VecDeque<Job>,
    pub(super) outcomes: VecDeque<Job>,
    /// Messages of a batch that wait for `on_error`, in their turn.
    pub(super) asking: VecDeque<Job>,
    pub(super) most: usize,
    /// Whether its batch window is open.
    pub(super) is_lingering: bool,
    /// Ends its batch window.
    window: Option<Pin<Box<Sleep>>>,
    /// Groups in which a message of its batch was not acked.
    fences: HashSet<String>,
}

/// What a handler says of a message.
enum Said {
    Settle(Option<Settlement>),
    /// It waits.
    Wait,
    /// It failed, and `on_error` decides.
    Ask,
}

impl Said {
    fn by(dice: &mut Dice, may_wait: bool) -> Self {
        match dice.roll(8) {
            4 => Self::Settle(Some(Settlement::Retry { after: None })),
            5 => Self::Settle(Some(Settlement::Retry { after: Some(TICK) })),
            6 => Self::Settle(Some(dead_letter())),
            7 => Self::Settle(Some(Settlement::Release)),
            3 => Self::Ask,
            2 if may_wait => Self::Wait,
            _ => Self::Settle(Some(Settlement::Ack)),
        }
    }
}

fn dead_letter() -> Settlement {
    static ENVELOPE: LazyLock<Arc<DeadLetter>> = LazyLock::new(|| {
        let envelope = r#"{"event_id":"","route":"","queue":"","handler":"","attempts":1,"failed_at":"","kind":"error"}"#;
        Arc::new(serde_json::from_str(envelope).expect("an envelope"))
    });
    Settlement::DeadLetter(ENVELOPE.clone())
}

impl Worker {
    pub(super) fn new(cancelled: Arc<AtomicBool>, most: usize) -> Self {
        Self {
            task: Task::new(),
            stage: Stage::Idle,
            cancelled,
            jobs: VecDeque::new(),
            outcomes: VecDeque::new(),
            asking: VecDeque::new(),
            most,
            is_lingering: false,
            window: None,
            fences: HashSet::new(),
        }
    }

    /// Whether it was woken, and its thread is not in its handler.
    pub(super) fn may_be_polled(&self) -> bool {
        let polled = !matches!(self.stage, Stage::Calling | Stage::Stopped);
        polled && self.task.is_woken()
    }

    pub(super) fn is_busy(&self) -> bool {
        !matches!(self.stage, Stage::Idle | Stage::Stopped)
    }

    fn settle(&mut self, settlement: Option<Settlement>, fenced: bool) {
        let Some(job) = self.jobs.pop_front() else {
            return;
        };
        let job = job.done(settlement);
        if fenced && !job.is_acked() {
            self.fences.extend(job.message.group().map(str::to_owned));
        }
        self.outcomes.push_back(job);
    }
}

impl Model<'_> {
    pub(super) fn poll_worker(&mut self, number: usize, cx: &mut Context<'_>, dice: &mut Dice) {
        loop {
            match self.workers[number].stage {
                Stage::Idle => match self.exchange(number, cx) {
                    Poll::Pending => return,
                    Poll::Ready(()) => {}
                },
                Stage::Waiting | Stage::Asking => {
                    if !self.is_cancelled(number) {
                        return;
                    }
                    self.give_up(number, dice);
                }
                Stage::Calling | Stage::Abandoned | Stage::Stopped => return,
            }
        }
    }

    /// Brings what is done, and takes the next messages.
    fn exchange(&mut self, number: usize, cx: &mut Context<'_>) -> Poll<()> {
        let is_open = self.scheduler.phase() == Phase::Open;
        let worker = &mut self.workers[number];
        for job in &worker.outcomes {
            self.ledger.bring(number, job, false, is_open);
        }
        let (step, call) = self.scheduler.exchange(
            number as u32,
            &mut worker.outcomes,
            &mut worker.jobs,
            worker.most,
            cx,
        );
        assert!(worker.outcomes.is_empty(), "all is brought");
        worker.is_lingering = false;
        match step {
            Poll::Pending => {
                self.answer(call);
                return Poll::Pending;
            }
            Poll::Ready(Step::Linger(until)) => {
                let window = worker
                    .window
                    .get_or_insert_with(|| Box::pin(tokio::time::sleep(TICK)));
                window.as_mut().reset(until);
                let over = window.as_mut().poll(cx);
                worker.is_lingering = over.is_pending();
                self.answer(call);
                return over;
            }
            Poll::Ready(Step::Stop) => {
                assert!(worker.jobs.is_empty(), "a worker that ends has messages");
                worker.stage = Stage::Stopped;
            }
            Poll::Ready(Step::Work { .. }) => {
                assert!(
                    (1..=worker.most).contains(&worker.jobs.len()),
                    "as many as it takes"
                );
                worker.stage = Stage::Calling;
                let runs = [Stage::Calling, Stage::Waiting, Stage::Abandoned];
                let workers = self.workers.iter().enumerate();
                let over = workers.filter(|(_, worker)| !runs.contains(&worker.stage));
                let over: Vec<_> = over.map(|(number, _)| number).collect();
                self.ledger.take(number, &self.workers[number].jobs, &over);
                assert!(
                    !self.is_over(),
                    "messages are started after the route drains"
                );
            }
        }
        self.answer(call);
        Poll::Ready(())
    }

    /// Whether the call of this worker was cancelled. If so, it must be meant.
    fn is_cancelled(&self, number: usize) -> bool {
        let worker = &self.workers[number];
        let is_cancelled = worker.cancelled.swap(false, Ordering::Relaxed);
        if is_cancelled && self.scheduler.phase() < Phase::Cancelled {
            assert!(
                self.is_lost(number),
                "worker {number} is cancelled with a live lease"
            );
        }
        is_cancelled
    }

    /// Whether a call that waits has lost all of its leases.
    pub(super) fn is_lost(&self, number: usize) -> bool {
        let worker = &self.workers[number];
        let with = match worker.stage {
            Stage::Waiting => worker.jobs.len(),
            Stage::Asking => 1,
            _ => return false,
        };
        let mut jobs = worker.jobs.iter().take(with);
        jobs.all(|job| self.ledger.is_lost(job.key))
    }

    /// Ends a call that was cancelled. A blocking handler goes on.
    fn give_up(&mut self, number: usize, dice: &mut Dice) {
        let fenced = self.scheduler.is_fenced();
        let worker = &mut self.workers[number];
        if worker.stage == Stage::Asking {
            worker.settle(None, fenced);
            self.resolve(number, dice);
        } else if dice.is_one_in(4) {
            worker.stage = Stage::Abandoned;
        } else {
            self.conclude(number);
        }
    }

    /// Ends a call without an answer.
    fn conclude(&mut self, number: usize) {
        let worker = &mut self.workers[number];
        let jobs = mem::take(&mut worker.jobs);
        worker
            .outcomes
            .extend(jobs.into_iter().map(|job| job.done(None)));
        worker.stage = Stage::Idle;
        worker.task.wake();
    }

    /// Lets a handler, or an `on_error`, go on.
    pub(super) fn handle(&mut self, number: usize, dice: &mut Dice) {
        match self.workers[number].stage {
            Stage::Calling if self.batches() => {
                let jobs = &self.workers[number].jobs;
                jobs.iter().for_each(|job| self.ledger.start(job));
                match dice.is_one_in(2) {
                    true => self.wait_with(number, Stage::Waiting),
                    false => self.resolve(number, dice),
                }
            }
            Stage::Calling => self.run_chunk(number, dice),
            Stage::Waiting => self.resolve(number, dice),
            Stage::Asking => {
                let settlement = match Said::by(dice, false) {
                    Said::Settle(settlement) => settlement,
                    Said::Ask | Said::Wait => Some(Settlement::Ack),
                };
                let fenced = self.scheduler.is_fenced();
                self.workers[number].settle(settlement, fenced);
                self.resolve(number, dice);
            }
            Stage::Abandoned => self.conclude(number),
            Stage::Idle | Stage::Stopped => {}
        }
    }

    pub(super) fn batches(&self) -> bool {
        self.scheduler.limits.batch_window.is_some()
    }

    /// Calls a handler of single messages for one after the other, until it waits.
    fn run_chunk(&mut self, number: usize, dice: &mut Dice) {
        let taken = self.workers[number].jobs.len();
        let fenced = self.scheduler.is_fenced();
        while let Some(job) = self.workers[number].jobs.front() {
            self.ledger.start(job);
            match Said::by(dice, true) {
                Said::Settle(settlement) => self.workers[number].settle(settlement, fenced),
                Said::Wait => return self.wait_with(number, Stage::Waiting),
                Said::Ask => return self.wait_with(number, Stage::Asking),
            }
        }
        let worker = &mut self.workers[number];
        worker.most = match dice.is_one_in(4) {
            // It took its time.
            true => 1,
            false => (taken * 2).clamp(worker.most, CHUNK.max(worker.most)),
        };
        self.is_done(number);
    }

    /// Resolves each message of a call. In ordered groups `on_error` decides first about those that stand behind.
    fn resolve(&mut self, number: usize, dice: &mut Dice) {
        let fenced = self.scheduler.is_fenced();
        while let Some(job) = self.workers[number].jobs.front() {
            let group = job.message.group();
            let worker = &self.workers[number];
            let settlement = if group.is_some_and(|group| worker.fences.contains(group)) {
                Some(Settlement::Release)
            } else {
                match Said::by(dice, false) {
                    Said::Settle(settlement) => settlement,
                    _ if self.batches() && !fenced => {
                        let worker = &mut self.workers[number];
                        worker.asking.extend(worker.jobs.pop_front());
                        continue;
                    }
                    Said::Ask | Said::Wait => return self.wait_with(number, Stage::Asking),
                }
            };
            self.workers[number].settle(settlement, fenced);
        }
        let worker = &mut self.workers[number];
        if let Some(job) = worker.asking.pop_front() {
            worker.jobs.push_front(job);
            return self.wait_with(number, Stage::Asking);
        }
        self.is_done(number);
    }

    fn is_done(&mut self, number: usize) {
        let worker = &mut self.workers[number];
        worker.fences.clear();
        worker.stage = Stage::Idle;
        worker.task.wake();
    }

    /// Waits for the call, or for `on_error`. Single messages behind it are handed back.
    fn wait_with(&mut self, number: usize, stage: Stage) {
        let batches = self.batches();
        let is_open = self.scheduler.phase() == Phase::Open;
        let worker = &mut self.workers[number];
        worker.stage = stage;
        let mut rest = VecDeque::new();
        if !batches {
            worker.most = 1;
            rest = worker.jobs.split_off(1);
        }
        for job in &worker.outcomes {
            self.ledger.bring(number, job, false, is_open);
        }
        for job in &rest {
            self.ledger.bring(number, job, true, is_open);
        }
        let with = if stage == Stage::Waiting {
            worker.jobs.len()
        } else {
            1
        };
        let keys = worker.jobs.iter().take(with).map(|job| job.key);
        let cx = Context::from_waker(&worker.task.waker);
        let call =
            self.scheduler
                .wait_with(number as u32, keys, &mut worker.outcomes, &mut rest, &cx);
        assert!(
            worker.outcomes.is_empty() && rest.is_empty(),
            "all is brought"
        );
        // It looks at once whether it was cancelled.
        worker.task.wake();
        self.answer(call);
    }
}
