//! A worker: runs one handler call at a time, in a call slot that is made once.

use std::{
    collections::{HashSet, VecDeque},
    future::Future,
    mem,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll, ready},
};

use tokio::{task::coop, time::Instant};
use tracing::Span;

use super::{
    Route, chunk,
    resolve::{Answer, Failed, Resolved},
};
use crate::{
    clock::{self, Timer},
    coverage::{Transition, reached},
    handler::{Own, Slot, Verdicts},
    limits::next_chunk,
    scheduler::{Job, Step},
    sync::{AtomicBool, Usher},
    watchdog::{Pulse, chosen},
};
use loafer_core::{
    broker::Settlement,
    message::Message,
    outcome::{FailureKind, Said, Verdict},
};

/// Runs one call at a time: for a message, or for a batch of them. Handlers that never wait run through many messages, taken under one lock.
pub(super) struct Worker {
    route: Arc<Route>,
    number: u32,
    /// Set when the last lease of the running call is lost, or when the route is cancelled.
    cancelled: Arc<AtomicBool>,
    /// What the watchdog sees of it.
    pulse: Pulse,
    slot: Slot,
    stage: Stage,
    /// Messages that were taken and are not resolved yet, in order. While a call runs, they are the messages of this call.
    jobs: VecDeque<Job>,
    /// Resolved messages that the scheduler does not have yet.
    outcomes: VecDeque<Job>,
    /// How many messages it takes at once. Without batches, it is 1 after a handler waited or took its time.
    most: usize,
    /// The span of the running call.
    span: Span,
    /// Ends the batch window, and the `timeout` of the running call or of its `on_error`.
    timer: Timer,
    /// Made when it is first needed.
    usher: Option<Usher>,
    /// Ordered groups in which a message of the batch was not acked. Messages of these groups that stand behind it are released, and
    /// redelivered after it.
    fences: HashSet<String>,
    /// Messages of a batch that wait for `on_error`. No other message of the batch waits for them.
    asking: VecDeque<(Job, Box<Failed>)>,
}

enum Stage {
    /// The worker is at the scheduler, or waits there while its batch window is open.
    Idle,
    /// The handler has not returned yet.
    Running,
    /// A blocking handler has exceeded its `timeout` or lost its leases. Its call slot is kept until it returns, and its answer is ignored.
    /// `None` means that the call was cancelled.
    Abandoned(Option<Verdicts>),
    /// The call is over, and its messages are resolved one by one.
    Resolving(Verdicts),
    /// The route's `on_error` decides about the first of `jobs`. The others wait: in an ordered group its answer decides about them too.
    Failing(Box<Failed>, Verdicts),
}

impl Worker {
    pub(super) fn new(route: Arc<Route>, number: u32, cancelled: Arc<AtomicBool>) -> Self {
        Self {
            number,
            cancelled,
            pulse: route.watch.pulse(),
            slot: Slot::Unmade,
            stage: Stage::Idle,
            jobs: VecDeque::new(),
            outcomes: VecDeque::new(),
            most: match route.handlers.take_batches() {
                true => route.policy.messages_a_call(),
                false => 1,
            },
            span: Span::none(),
            timer: Timer::default(),
            usher: None,
            fences: HashSet::new(),
            asking: VecDeque::new(),
            route,
        }
    }

    /// Brings finished messages to the scheduler, and takes the next ones.
    fn exchange(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        loop {
            let (step, call) = self.route.scheduler.exchange(
                self.number,
                &mut self.outcomes,
                &mut self.jobs,
                self.most,
                cx,
            );
            self.route.answer(call);
            match ready!(step) {
                Step::Linger(until) => {
                    self.timer.arm(until);
                    ready!(self.timer.poll(cx));
                }
                step => return Poll::Ready(step),
            }
        }
    }

    /// Starts the next call or, if the handler takes single messages, runs through them until one of them is not acked at once.
    fn start(&mut self, cx: &mut Context<'_>) {
        if matches!(self.slot, Slot::Unmade) {
            self.slot = self.route.handlers.slot();
            self.pulse.finds_handler(self.slot.which());
        }
        let blocks = self.pulse.blocks();
        if blocks {
            self.pulse.show(&self.jobs, self.is_batch());
        }
        match &mut self.slot {
            Slot::Single(slot) => {
                let (began, taken) = (Instant::now(), self.jobs.len());
                let (route, pulse, span) = (&self.route, &self.pulse, &mut self.span);
                let jobs = self.jobs.make_contiguous();
                let stopped = chunk::run(route, pulse, blocks, slot, span, jobs, cx);
                let acked = stopped.as_ref().map_or(taken, |(at, _)| *at);
                if acked == taken && self.outcomes.is_empty() {
                    mem::swap(&mut self.outcomes, &mut self.jobs);
                } else {
                    self.outcomes.extend(self.jobs.drain(..acked));
                }
                match stopped {
                    Some((_, Poll::Ready(verdict))) => {
                        self.stage = Stage::Resolving(Verdicts::one(verdict))
                    }
                    Some((_, Poll::Pending)) => self.wait_with(Stage::Running, cx),
                    None => {
                        self.span = Span::none();
                        self.most = match blocks {
                            true => 1,
                            false => next_chunk(self.most, taken, began.elapsed()),
                        };
                    }
                }
            }
            Slot::Batch(slot) => {
                let (route, messages) = (&self.route.policy.route, self.jobs.len());
                self.span = tracing::info_span!("batch", %route, messages);
                let messages = self.jobs.iter().map(|job| job.message.clone()).collect();
                let ordered = self.route.scheduler.is_fenced();
                let start = || self.span.in_scope(|| slot.start(messages, ordered, cx));
                match self.pulse.watched(start) {
                    Poll::Ready(verdicts) => {
                        self.stage = Stage::Resolving(Verdicts::each(verdicts))
                    }
                    Poll::Pending => self.wait_with(Stage::Running, cx),
                }
            }
            Slot::Unmade => {
                let why = "a layer panicked when it was put around the handler";
                let verdict = Verdict::failed(FailureKind::Panic, why);
                self.stage = Stage::Resolving(Verdicts::each(verdict.repeated(self.jobs.len())));
            }
        }
    }

    /// Waits for the call that runs, or for the answer of `on_error` about the first of `jobs`. Single messages behind it are handed back.
    fn wait_with(&mut self, stage: Stage, cx: &Context<'_>) {
        let running = matches!(stage, Stage::Running);
        self.stage = stage;
        let mut rest = VecDeque::new();
        let batch = self.is_batch();
        if running {
            self.pulse.show(&self.jobs, batch);
        }
        if !batch {
            self.most = 1;
            rest = self.jobs.split_off(1);
        }
        let with = if batch && running { usize::MAX } else { 1 };
        let keys = self.jobs.iter().take(with).map(|job| job.key);
        let (number, outcomes) = (self.number, &mut self.outcomes);
        let scheduler = &self.route.scheduler;
        let call = scheduler.wait_with(number, keys, outcomes, &mut rest, cx);
        self.route.answer(call);
        if let Some(timeout) = self.own().timeout {
            self.timer.arm(clock::after(timeout));
        }
    }

    /// Returns the own settings of the handler that runs, or that ran last.
    fn own(&self) -> &Own {
        self.route.handlers.own(chosen(self.slot.which()))
    }

    /// Polls the call that was started.
    fn poll_slot(&mut self, cx: &mut Context<'_>) -> Poll<Verdicts> {
        let (span, slot) = (&self.span, &mut self.slot);
        self.pulse.watched(|| span.in_scope(|| slot.poll(cx)))
    }

    fn is_batch(&self) -> bool {
        self.route.handlers.take_batches()
    }

    /// Whether the `timeout` of the waiting call is over.
    fn is_too_late(&mut self, cx: &mut Context<'_>) -> bool {
        self.own().timeout.is_some() && self.timer.poll(cx).is_ready()
    }

    /// Waits for the handler until it returns, its `timeout` is over, or its leases are lost.
    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Poll::Ready(verdicts) = self.poll_slot(cx) {
            self.stage = Stage::Resolving(verdicts);
            return Poll::Ready(());
        }
        let answer = if self.cancelled.swap(false, Ordering::Acquire) {
            None
        } else if self.is_too_late(cx) {
            let late = Route::too_late(self.own().timeout);
            Some(self.slot.answer_for(late))
        } else {
            self.stage = Stage::Running;
            return Poll::Pending;
        };
        if self.slot.cancel() {
            self.conclude(answer);
            return Poll::Ready(());
        }
        tracing::warn!(
            route = %self.route.policy.route,
            queue = %self.route.policy.queue,
            "a plain function goes on after it was given up: its messages stay leased, and its answer is ignored"
        );
        self.outlast(answer, cx)
    }

    /// Waits for a blocking handler that can't be cancelled.
    fn outlast(&mut self, answer: Option<Verdicts>, cx: &mut Context<'_>) -> Poll<()> {
        if self.poll_slot(cx).is_pending() {
            self.stage = Stage::Abandoned(answer);
            return Poll::Pending;
        }
        self.conclude(answer);
        Poll::Ready(())
    }

    /// Ends a call that gave no answer of its own.
    fn conclude(&mut self, answer: Option<Verdicts>) {
        if let Some(verdicts) = answer {
            self.stage = Stage::Resolving(verdicts);
            return;
        }
        for job in self.jobs.drain(..) {
            self.route.reports.declined(
                &job.message,
                "cancelled: its lease was lost, or the time to drain is over",
            );
            self.outcomes.push_back(job.done(None));
        }
        self.span = Span::none();
    }

    /// Resolves each message of the call by itself, in order. In ordered groups `on_error` decides first about those that stand behind.
    fn resolve(&mut self, mut verdicts: Verdicts, cx: &mut Context<'_>) {
        let (batch, fenced) = (self.is_batch(), self.route.scheduler.is_fenced());
        while let Some(job) = self.jobs.front() {
            let verdict = match verdicts.next() {
                Some(verdict) => verdict,
                None if batch => Verdict::NACK,
                // The rest of a chunk has not started yet.
                None => break,
            };
            let resolved = match verdict {
                verdict if self.is_behind(&job.message) => {
                    drop(Verdicts::one(verdict));
                    Resolved::Settle(self.route.released(&job.message, self.own()))
                }
                Verdict(Said::Ack) => Resolved::Settle(Settlement::Ack),
                Verdict(said) => {
                    let (message, own) = (&job.message, self.own());
                    self.route.resolve(message, said, &self.span, own)
                }
            };
            match resolved {
                Resolved::Settle(settlement) => self.settle(Some(settlement)),
                Resolved::Ask(failed) if batch && !fenced => {
                    let job = self.jobs.pop_front();
                    self.asking.extend(job.map(|job| (job, failed)));
                }
                Resolved::Ask(failed) => {
                    return self.wait_with(Stage::Failing(failed, verdicts), cx);
                }
            }
        }
        self.fences.clear();
        if let Some((job, failed)) = self.asking.pop_front() {
            self.jobs.push_front(job);
            return self.wait_with(Stage::Failing(failed, verdicts), cx);
        }
        self.span = Span::none();
        if !self.jobs.is_empty() {
            self.start(cx);
        }
    }

    /// Whether a message stands in its batch behind one of its group that was not acked.
    fn is_behind(&self, message: &Message) -> bool {
        let group = message.group().filter(|_| !self.fences.is_empty());
        group.is_some_and(|group| self.fences.contains(group))
    }

    /// Ends the first of `jobs`.
    fn settle(&mut self, settlement: Option<Settlement>) {
        let Some(job) = self.jobs.pop_front() else {
            return;
        };
        let job = job.done(settlement);
        if !job.is_acked()
            && self.route.scheduler.is_fenced()
            && let Some(group) = job.message.group()
        {
            self.fences.insert(group.to_owned());
        }
        self.outcomes.push_back(job);
    }

    /// Waits for the answer of `on_error`.
    fn ask(&mut self, mut failed: Box<Failed>, rest: Verdicts, cx: &mut Context<'_>) -> Poll<()> {
        reached(Transition::Asked);
        let said = self
            .pulse
            .watched(|| self.span.in_scope(|| failed.poll(cx)));
        let answer = if let Poll::Ready(verdict) = said {
            Answer::Said(verdict)
        } else if self.cancelled.swap(false, Ordering::Acquire) {
            Answer::Cancelled
        } else if self.is_too_late(cx) {
            Answer::TooLate
        } else {
            self.stage = Stage::Failing(failed, rest);
            return Poll::Pending;
        };
        let resolve = |job: &Job| failed.resolve(answer, &job.message, self.own(), &self.route);
        let settlement = self.jobs.front().and_then(resolve);
        self.settle(settlement);
        self.stage = Stage::Resolving(rest);
        Poll::Ready(())
    }
}

impl Future for Worker {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        loop {
            match mem::replace(&mut this.stage, Stage::Idle) {
                Stage::Idle => {
                    this.pulse.over();
                    // A handler that never waits must not keep its thread from the route's other tasks.
                    let budget = ready!(coop::poll_proceed(cx));
                    let step = ready!(this.exchange(cx));
                    budget.made_progress();
                    match step {
                        Step::Work { make_way } => {
                            if make_way {
                                reached(Transition::MovedOn);
                                this.usher.get_or_insert_with(Usher::new).move_on();
                            }
                            this.start(cx);
                        }
                        Step::Stop => return Poll::Ready(()),
                        // `exchange` waits for the end of a batch window.
                        Step::Linger(_) => {}
                    }
                }
                Stage::Running => ready!(this.wait(cx)),
                Stage::Abandoned(answer) => ready!(this.outlast(answer, cx)),
                Stage::Resolving(verdicts) => {
                    this.pulse.over();
                    this.resolve(verdicts, cx);
                }
                Stage::Failing(failed, verdicts) => ready!(this.ask(failed, verdicts, cx)),
            }
        }
    }
}
