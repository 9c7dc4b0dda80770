//! A worker: runs one handler call at a time, in a slot made once.

use std::{
    collections::VecDeque,
    future::Future,
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use tokio::task::coop;
use tracing::{Span, level_filters::LevelFilter};

use super::{
    Fate, Job, Route,
    deadline::Deadline,
    judging::{Failed, Judged},
    leases::table::Key,
    scheduler::Step,
};
use crate::handler::{CallSlot, MakeCallSlot, Own};
use loafer_core::{
    message::Message,
    outcome::Said,
    outcome::{FailureKind, Verdict},
};

/// The most messages a worker takes at once.
const CHUNK: usize = 128;
/// Longer than this for what it took, and a worker takes less: the others can have it.
const SLICE: Duration = Duration::from_millis(10);

/// Runs one handler call at a time. Messages whose handlers never wait are taken by the chunk, under one lock.
pub(super) struct Worker {
    route: Arc<Route>,
    number: u32,
    /// Set when the lease of what it runs is lost, or the route is cancelled.
    cancelled: Arc<AtomicBool>,
    slot: Box<dyn CallSlot>,
    stage: Stage,
    chunk: VecDeque<Job>,
    outcomes: VecDeque<Job>,
    /// How many messages it may take: 1 once a handler waited or took its time.
    most: usize,
    /// Of the running call.
    span: Span,
    /// Made when a handler first waits on a route with a `timeout`; reset for every further one.
    timeout: Deadline,
}

enum Stage {
    /// At the scheduler, or with a chunk to run through.
    Idle,
    /// The handler waits.
    Running(Job),
    /// A blocking handler is past its time or its lease: its slot is kept until it returns, what it says is ignored.
    Abandoned(Job, Judged),
    /// The route's `on_error` is asked.
    Failing(Job, Box<Failed>),
}

impl Worker {
    pub(super) fn new(
        route: Arc<Route>,
        make: &MakeCallSlot,
        number: u32,
        cancelled: Arc<AtomicBool>,
    ) -> Self {
        // Layers are the user's code.
        let slot = catch_unwind(AssertUnwindSafe(|| make(&route.handlers.own(0).names)));
        let slot = slot.unwrap_or_else(|_| Box::new(Unmade));
        Self {
            route,
            number,
            cancelled,
            slot,
            stage: Stage::Idle,
            chunk: VecDeque::new(),
            outcomes: VecDeque::new(),
            most: 1,
            span: Span::none(),
            timeout: Deadline::default(),
        }
    }

    /// Runs through the chunk, until a call waits or `on_error` is to be asked: the rest goes back to the scheduler then.
    fn run_chunk(&mut self, cx: &mut Context<'_>) {
        let (started, taken) = (Instant::now(), self.chunk.len());
        // Each stays where it is, and is told there what becomes of it.
        let mut chunk = mem::take(&mut self.chunk);
        for (at, job) in chunk.iter_mut().enumerate() {
            let judged = match self.start(&job.message, cx) {
                Poll::Ready(Verdict(Said::Ack)) => {
                    job.fate = Fate::Ack;
                    continue;
                }
                Poll::Ready(verdict) => Some(self.judge(&job.message, verdict)),
                Poll::Pending => None,
            };
            match judged {
                Some(Judged::Settle(fate)) => job.fate = fate,
                Some(Judged::Ask(failed)) => {
                    let job = self.stop_at(at, chunk, cx);
                    self.stage = job.map_or(Stage::Idle, |job| Stage::Failing(job, failed));
                    return;
                }
                None => {
                    let job = self.stop_at(at, chunk, cx);
                    self.stage = job.map_or(Stage::Idle, Stage::Running);
                    return;
                }
            }
        }
        if self.outcomes.is_empty() {
            self.chunk = mem::replace(&mut self.outcomes, chunk);
        } else {
            self.outcomes.append(&mut chunk);
            self.chunk = chunk;
        }
        self.span = Span::none();
        self.most = match started.elapsed() {
            slow if slow > SLICE => (taken / 2).max(1),
            _ => (taken * 2).clamp(self.most, CHUNK),
        };
    }

    /// What is before it in the chunk is done, what is behind it goes back to the scheduler.
    fn stop_at(&mut self, at: usize, mut chunk: VecDeque<Job>, cx: &Context<'_>) -> Option<Job> {
        self.outcomes.extend(chunk.drain(..at));
        let job = chunk.pop_front();
        self.chunk = chunk;
        self.hand_back(job.as_ref()?.key, cx);
        self.timeout.arm_timeout(self.own().timeout);
        job
    }

    fn hand_back(&mut self, key: Key, cx: &Context<'_>) {
        self.most = 1;
        let call = self.route.scheduler.hand_back(
            self.number,
            key,
            &mut self.outcomes,
            &mut self.chunk,
            cx,
        );
        self.route.answer(call);
    }

    fn start(&mut self, message: &Message, cx: &mut Context<'_>) -> Poll<Verdict> {
        if LevelFilter::current() < LevelFilter::ERROR {
            return self.slot.caught_start(message, cx);
        }
        self.span = tracing::info_span!(
            "message",
            route = %self.route.policy.route,
            message_id = %message.id(),
            attempt = message.attempt()
        );
        let _entered = self.span.enter();
        self.slot.caught_start(message, cx)
    }

    fn poll_running(&mut self, cx: &mut Context<'_>) -> Poll<Verdict> {
        let _entered = self.span.enter();
        self.slot.caught_poll(cx)
    }

    /// What is the own of the handler that runs, or ran last.
    fn own(&self) -> &Own {
        self.route.handlers.own(self.slot.which())
    }

    /// What is to become of a message of which this was said.
    #[inline]
    fn judge(&mut self, message: &Message, verdict: Verdict) -> Judged {
        match verdict.0 {
            Said::Ack => Judged::Settle(Fate::Ack),
            said => self
                .route
                .judge_unacked(message, said, &self.span, self.own()),
        }
    }

    /// A call is over: to the settler, or to `on_error`.
    fn conclude(&mut self, job: Job, judged: Judged) -> Poll<()> {
        if matches!(judged, Judged::Ask(_)) {
            self.timeout.arm_timeout(self.own().timeout);
        }
        match judged {
            Judged::Settle(fate) => {
                self.span = Span::none();
                self.outcomes.push_back(job.done(fate));
            }
            Judged::Ask(failed) => self.stage = Stage::Failing(job, failed),
        }
        Poll::Ready(())
    }

    /// A waiting handler: until it returns, its time is up, or its lease is lost.
    fn wait(&mut self, job: Job, cx: &mut Context<'_>) -> Poll<()> {
        if let Poll::Ready(verdict) = self.poll_running(cx) {
            let judged = self.judge(&job.message, verdict);
            return self.conclude(job, judged);
        }
        let judged = if self.cancelled.swap(false, Ordering::Acquire) {
            self.route.declined(
                &job.message,
                "cancelled: its lease was lost, or the time to drain is over",
            );
            Judged::Settle(Fate::Forget)
        } else if self.timeout.is_over(self.own().timeout, cx) {
            let error = Route::too_late(self.own().timeout);
            self.route.fail(
                &job.message,
                FailureKind::Timeout,
                error,
                &self.span,
                self.own(),
            )
        } else {
            self.stage = Stage::Running(job);
            return Poll::Pending;
        };
        if self.slot.caught_cancel() {
            self.conclude(job, judged)
        } else {
            self.outlast(job, judged, cx)
        }
    }

    /// Waits for a blocking handler that can't be cancelled; what it says is ignored.
    fn outlast(&mut self, job: Job, judged: Judged, cx: &mut Context<'_>) -> Poll<()> {
        if self.poll_running(cx).is_pending() {
            self.stage = Stage::Abandoned(job, judged);
            return Poll::Pending;
        }
        self.conclude(job, judged)
    }

    /// Waits for `on_error`.
    fn ask(&mut self, job: Job, mut failed: Box<Failed>, cx: &mut Context<'_>) -> Poll<()> {
        let answer = {
            let _entered = self.span.enter();
            failed.poll(cx)
        };
        let fate = if let Poll::Ready(verdict) = answer {
            failed.answered(verdict, &job.message, &self.route)
        } else if self.cancelled.swap(false, Ordering::Acquire) {
            Fate::Forget
        } else if self.timeout.is_over(self.own().timeout, cx) {
            failed.unanswered(&job.message, &self.route)
        } else {
            self.stage = Stage::Failing(job, failed);
            return Poll::Pending;
        };
        self.conclude(job, Judged::Settle(fate))
    }
}

/// The slot of a handler whose layers panicked when they were put around it.
struct Unmade;

impl CallSlot for Unmade {
    fn start(&mut self, _: &Message, _: &mut Context<'_>) -> Poll<Verdict> {
        Poll::Ready(Verdict::failed(
            FailureKind::Panic,
            "a layer panicked when it was put around the handler",
        ))
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<Verdict> {
        Poll::Ready(Verdict::NACK)
    }

    fn cancel(&mut self) -> bool {
        true
    }
}

impl Future for Worker {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        loop {
            match mem::replace(&mut this.stage, Stage::Idle) {
                Stage::Idle => {
                    // A handler that never waits must not keep its thread from the route's other tasks.
                    let budget = ready!(coop::poll_proceed(cx));
                    let scheduler = &this.route.scheduler;
                    let (step, call) = scheduler.exchange(
                        this.number,
                        &mut this.outcomes,
                        &mut this.chunk,
                        this.most,
                        cx,
                    );
                    this.route.answer(call);
                    match ready!(step) {
                        Step::Work => this.run_chunk(cx),
                        Step::Stop => return Poll::Ready(()),
                    }
                    budget.made_progress();
                }
                Stage::Running(job) => ready!(this.wait(job, cx)),
                Stage::Abandoned(job, judged) => ready!(this.outlast(job, judged, cx)),
                Stage::Failing(job, failed) => ready!(this.ask(job, failed, cx)),
            }
        }
    }
}
