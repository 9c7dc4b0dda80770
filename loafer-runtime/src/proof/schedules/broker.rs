//! Receivers, settlers and lost leases: what happens at the broker.

use std::{
    collections::VecDeque,
    mem,
    pin::Pin,
    task::{Context, Poll},
};

use loafer_core::{broker::Settlement, message::Message};
use tokio::time::{Sleep, sleep};

use super::{
    Dice, TICK,
    ledger::Place,
    model::{Model, Task},
};
use crate::scheduler::{Came, Job, Key, Permit, Sweep};

/// How many deliveries the suspects have.
const SUSPECT: u32 = 5;

/// The task that waits for messages that are held.
pub(super) struct Keeper {
    pub(super) task: Task,
    pub(super) timer: Pin<Box<Sleep>>,
}

impl Keeper {
    pub(super) fn new() -> Self {
        Self {
            task: Task::new(),
            timer: Box::pin(sleep(TICK)),
        }
    }
}

/// The task that fetches isolated messages.
pub(super) struct Fetcher {
    pub(super) task: Task,
    pub(super) is_asking: bool,
}

/// The groups of messages, and messages without one.
const GROUPS: [Option<&str>; 4] = [Some("a"), Some("b"), Some("c"), None];

pub(super) struct Receiver {
    /// Not used if it shares the task of its settler.
    pub(super) task: Task,
    pub(super) stage: Receiving,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Receiving {
    /// It waits for capacity.
    Permit,
    /// A receive is in flight.
    InFlight {
        asked: usize,
        /// Whether it knows that the route receives no more.
        knows: bool,
    },
    Ended,
}

impl Receiver {
    pub(super) fn new() -> Self {
        Self {
            task: Task::new(),
            stage: Receiving::Permit,
        }
    }

    /// Returns how many messages its receive asks for, if one is in flight.
    pub(super) fn asked(&self) -> Option<usize> {
        match self.stage {
            Receiving::InFlight { asked, .. } => Some(asked),
            _ => None,
        }
    }
}

pub(super) struct Settler {
    pub(super) task: Task,
    /// Acks whose first try is not over.
    pub(super) trying: VecDeque<Job>,
    /// The sweep that they were taken in.
    sweep: Sweep,
    /// Failed messages of fenced groups, and whether they have left the queue. It tells when its try is over.
    judged: Vec<(Key, Message, bool)>,
    pub(super) linger: Pin<Box<Sleep>>,
    /// Whether `linger` was ever armed.
    is_armed: bool,
}

impl Settler {
    pub(super) fn new() -> Self {
        Self {
            task: Task::new(),
            trying: VecDeque::new(),
            sweep: Sweep::default(),
            judged: Vec::new(),
            linger: Box::pin(sleep(TICK)),
            is_armed: false,
        }
    }

    pub(super) fn is_trying(&self) -> bool {
        !self.trying.is_empty()
    }

    pub(super) fn is_lingering(&self) -> bool {
        self.is_armed && !self.linger.is_elapsed()
    }
}

impl Model<'_> {
    pub(super) fn poll_receiver(&mut self, number: usize, cx: &mut Context<'_>) {
        let receiver = &mut self.receivers[number];
        if receiver.stage == Receiving::Permit {
            receiver.stage = match self.scheduler.poll_permit(cx) {
                Poll::Pending => return,
                Poll::Ready(Permit::End) => Receiving::Ended,
                Poll::Ready(Permit::Pause) => {
                    // The provider answers at once, and nobody waits for the end of the pause.
                    self.scheduler.delivery_paused();
                    match self.joined {
                        true => self.settlers[number].task.wake(),
                        false => receiver.task.wake(),
                    }
                    return;
                }
                Poll::Ready(Permit::Receive(asked)) => {
                    let limits = &self.scheduler.limits;
                    assert!((1..=limits.ask).contains(&asked), "asked for {asked}");
                    let state = self.scheduler.lock();
                    // What is being acked makes room already.
                    let taken = state.leased + state.reserved - state.settling - state.spared;
                    assert!(taken <= limits.capacity, "{taken} messages are in flight");
                    Receiving::InFlight {
                        asked,
                        knows: false,
                    }
                }
            };
        }
        if let Receiving::InFlight { knows, .. } = &mut receiver.stage {
            *knows = self.scheduler.poll_closed(false, cx).is_ready();
        }
    }

    /// Ends a receive. It brings as much as it asked for, less, or nothing; some of it may have been handled before.
    pub(super) fn end_receive(&mut self, number: usize, dice: &mut Dice) {
        let Some(asked) = self.receivers[number].asked() else {
            return;
        };
        let (mut jobs, mut settled) = (VecDeque::new(), Vec::new());
        let isolates = self.scheduler.limits.isolates;
        for _ in 0..dice.roll(asked + 1) {
            let mut job = self.ledger.receive(GROUPS[dice.roll(GROUPS.len())]);
            if isolates && dice.is_one_in(6) {
                job.message = job.message.with_deliveries(SUSPECT);
            }
            match dice.is_one_in(8) {
                true => settled.push(job.done(Some(Settlement::Ack))),
                false => jobs.push_back(job),
            }
        }
        let last = dice.is_one_in(32);
        let came = Came {
            again: isolates,
            last,
        };
        let call = self.scheduler.received(&mut jobs, settled, asked, came);
        assert!(jobs.is_empty(), "all is received");
        self.receivers[number].stage = Receiving::Permit;
        match self.joined {
            true => self.settlers[number].task.wake(),
            false => self.receivers[number].task.wake(),
        }
        self.answer(call);
    }

    pub(super) fn poll_settler(&mut self, number: usize, cx: &mut Context<'_>, dice: &mut Dice) {
        let mut taken = Vec::new();
        while !self.settlers[number].is_trying() {
            let linger = self.settlers[number].linger.as_mut();
            let Poll::Ready(sweep) = self.scheduler.poll_batch(&mut taken, linger, cx) else {
                self.settlers[number].is_armed |= !self.scheduler.lock().done.is_empty();
                return;
            };
            self.settlers[number].sweep = sweep;
            let most = self.scheduler.limits.settle_batch;
            assert!((1..=most).contains(&taken.len()), "a batch");
            self.prepare(number, &mut taken);
            // A broker in this process answers at once.
            if !self.settlers[number].is_trying() || dice.is_one_in(2) {
                self.answer_settler(number, dice);
            }
        }
    }

    /// Sorts what a settler has taken: acks are tried at once, the rest beside it, and nothing is sent for lost leases.
    fn prepare(&mut self, number: usize, taken: &mut Vec<Job>) {
        let settler = &mut self.settlers[number];
        let (mut slow, mut gone) = (VecDeque::new(), 0);
        for job in taken.drain(..) {
            let live = self.ledger.settle(job.key);
            match job.settlement {
                Some(Settlement::Ack) if live => {
                    settler.trying.push_back(job);
                    continue;
                }
                Some(Settlement::Release | Settlement::DeadLetter(_)) if live => {
                    slow.push_back(job);
                    continue;
                }
                Some(Settlement::Retry { after }) if live => {
                    if after.is_some() {
                        slow.push_back(job);
                        continue;
                    }
                }
                Some(Settlement::Ack) => {}
                _ => settler.judged.push((job.key, job.message.clone(), false)),
            }
            self.ledger.go(job.key, Place::Settler, Place::Gone);
            gone += 1;
        }
        if gone > 0 {
            self.end(number, gone);
        }
        if !slow.is_empty() {
            self.put_aside(slow, number);
        }
    }

    /// Tells groups how their failed messages ended, and frees the capacity of what a settler has settled.
    fn end(&mut self, number: usize, gone: usize) {
        let judged = mem::take(&mut self.settlers[number].judged);
        self.judge(judged);
        if gone > 0 {
            self.scheduler
                .freed(gone, false, self.settlers[number].sweep);
        }
    }

    fn judge(&mut self, judged: Vec<(Key, Message, bool)>) {
        if self.scheduler.is_fenced() {
            for (key, message, left) in judged {
                self.ledger.judge(key, &message);
                let call = self.scheduler.judged(key, &message, left);
                self.answer(call);
            }
        }
    }

    fn put_aside(&mut self, jobs: VecDeque<Job>, settler: usize) {
        self.scheduler.stalled(jobs.len());
        for job in &jobs {
            self.ledger.go(job.key, Place::Settler, Place::Beside);
        }
        self.beside.push((self.settlers[settler].sweep, jobs));
    }

    /// Ends a settler's first try. Acks that failed are tried again beside it.
    pub(super) fn answer_settler(&mut self, number: usize, dice: &mut Dice) {
        let mut jobs = mem::take(&mut self.settlers[number].trying);
        let failed = match dice.is_one_in(3) {
            true => dice.roll(jobs.len() + 1),
            false => 0,
        };
        let done = jobs.len() - failed;
        for job in jobs.drain(..done) {
            self.ledger.go(job.key, Place::Settler, Place::Gone);
        }
        self.end(number, done);
        if failed > 0 {
            self.put_aside(jobs, number);
        }
        self.settlers[number].task.wake();
    }

    /// Settles some messages beside their settler. No task is woken by it but through the scheduler.
    pub(super) fn settle_beside(&mut self, number: usize, dice: &mut Dice) {
        let (mut judged, mut settled) = (Vec::new(), 0);
        let (sweep, jobs) = &mut self.beside[number];
        let (sweep, most) = (*sweep, jobs.len());
        for _ in 0..=dice.roll(most) {
            let Some(mut job) = self.beside[number].1.pop_front() else {
                break;
            };
            let is_dead_letter = matches!(job.settlement, Some(Settlement::DeadLetter(_)));
            if is_dead_letter && dice.is_one_in(4) {
                // There is no dead-letter queue: it is retried instead, in place or later.
                if self.scheduler.is_fenced() && self.hold(&job, sweep) {
                    continue;
                }
                let (_, jobs) = &mut self.beside[number];
                judged.push((job.key, job.message.clone(), false));
                job.settlement = Some(Settlement::Retry { after: Some(TICK) });
                jobs.push_back(job);
                continue;
            }
            let is_retry = matches!(job.settlement, Some(Settlement::Retry { .. }));
            if is_retry && dice.is_one_in(4) && self.hold(&job, sweep) {
                continue;
            }
            let lost = dice.is_one_in(4);
            if is_dead_letter || (lost && !job.is_acked()) {
                judged.push((job.key, job.message.clone(), !lost));
            }
            self.ledger.go(job.key, Place::Beside, Place::Gone);
            settled += 1;
        }
        if self.beside[number].1.is_empty() {
            self.beside.swap_remove(number);
        }
        self.judge(judged);
        if settled > 0 {
            self.scheduler.freed(settled, true, sweep);
        }
    }

    /// Holds a message in place that a settler could not send away. Returns whether it is held.
    fn hold(&mut self, job: &Job, sweep: Sweep) -> bool {
        let retry = Settlement::Retry { after: Some(TICK) };
        let again = Job::new(job.key, job.message.clone()).done(Some(retry));
        let held = self.scheduler.hold(again, job.key, TICK, sweep);
        if held {
            self.ledger.hold(job.key);
        }
        held
    }

    /// Makes messages ready whose retry in place is due.
    pub(super) fn poll_keeper(&mut self) {
        self.keeper.task.begin();
        let waker = self.keeper.task.waker.clone();
        let timer = self.keeper.timer.as_mut();
        let polled = self
            .scheduler
            .poll_held(timer, &mut Context::from_waker(&waker), || {});
        if let Poll::Ready((again, call)) = polled {
            assert!(again > 0, "the keeper is ready for nothing");
            self.keeper.task.wake();
            self.answer(call);
        }
    }

    /// Asks the broker for an isolated message, if it is time.
    pub(super) fn poll_fetcher(&mut self) {
        self.fetcher.task.begin();
        let cx = &Context::from_waker(&self.fetcher.task.waker);
        if !self.fetcher.is_asking && self.scheduler.poll_fetch(cx).is_ready() {
            self.fetcher.is_asking = true;
        }
    }

    /// The broker answers: there is an isolated message, one that is done at once, or none.
    pub(super) fn fetch(&mut self, dice: &mut Dice) {
        self.fetcher.is_asking = false;
        let job = dice.is_one_in(2).then(|| self.ledger.receive(None));
        let is_done = dice.is_one_in(3);
        let job = job.map(|job| match is_done {
            true => job.done(Some(Settlement::Ack)),
            false => job,
        });
        let call = self.scheduler.fetched(job, is_done);
        self.fetcher.task.wake();
        self.answer(call);
    }

    /// Pauses the route, or resumes it. At rest it is resumed.
    pub(super) fn pause(&mut self, pauses: bool) {
        if pauses {
            self.scheduler.pause();
        } else if let Some(call) = self.scheduler.resume() {
            self.answer(call);
        }
    }

    /// Loses some leases, or tells again which were lost.
    pub(super) fn lose(&mut self, dice: Option<&mut Dice>) {
        if let Some(dice) = dice {
            self.ledger.lose(|| dice.roll(2) == 0);
        }
        let (lost, call) = self.scheduler.lose(&self.ledger.lost());
        self.answer(call);
        for job in lost.unstarted {
            self.ledger.judge(job.key, &job.message);
            self.ledger.drop_unstarted(job.key);
        }
    }
}
