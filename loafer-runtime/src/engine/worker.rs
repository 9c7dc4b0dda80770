//! A worker: runs one handler call at a time, in a call slot that is made once.

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
    Disposition, Job, Route,
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
/// If its messages took longer than this, a worker takes fewer the next time: other workers can have them.
const SLICE: Duration = Duration::from_millis(10);

/// Runs one handler call at a time. Messages whose handlers never wait are taken in chunks, under one lock.
pub(super) struct Worker {
    route: Arc<Route>,
    number: u32,
    /// Set when the lease of the running message is lost, or when the route is cancelled.
    cancelled: Arc<AtomicBool>,
    slot: Box<dyn CallSlot>,
    stage: Stage,
    chunk: VecDeque<Job>,
    outcomes: VecDeque<Job>,
    /// How many messages it may take at once: 1 after a handler waited or took its time.
    most: usize,
    /// The span of the running call.
    span: Span,
    /// Made when a handler first waits on a route with a `timeout`, and reset for every further one.
    timeout: Deadline,
}

enum Stage {
    /// The worker is at the scheduler, or has a chunk to run through.
    Idle,
    /// The handler has not returned yet.
    Running(Job),
    /// A blocking handler has exceeded its `timeout` or lost its lease. Its call slot is kept until it returns, and its answer is ignored.
    Abandoned(Job, Judged),
    /// The route's `on_error` decides.
    Failing(Job, Box<Failed>),
}

impl Worker {
    pub(super) fn new(
        route: Arc<Route>,
        make: &MakeCallSlot,
        number: u32,
        cancelled: Arc<AtomicBool>,
    ) -> Self {
        // Layers are the user's code, and may panic.
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

    /// Runs through the chunk, until a call waits or `on_error` has to decide. The rest then returns to the scheduler.
    fn run_chunk(&mut self, cx: &mut Context<'_>) {
        let (began, taken) = (Instant::now(), self.chunk.len());
        let logged = LevelFilter::current() >= LevelFilter::ERROR;
        // Each job stays where it is, and its disposition is written there.
        let mut chunk = mem::take(&mut self.chunk);
        for (at, job) in chunk.iter_mut().enumerate() {
            let started = match logged {
                true => self.start_in_span(&job.message, cx),
                false => self.slot.caught_start(&job.message, cx),
            };
            let judged = match started {
                Poll::Ready(Verdict(Said::Ack)) => {
                    job.disposition = Disposition::Ack;
                    continue;
                }
                Poll::Ready(verdict) => Some(self.judge(&job.message, verdict)),
                Poll::Pending => None,
            };
            match judged {
                Some(Judged::Settle(disposition)) => job.disposition = disposition,
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
        self.most = match began.elapsed() {
            slow if slow > SLICE => (taken / 2).max(1),
            _ => (taken * 2).clamp(self.most, CHUNK),
        };
    }

    /// Returns the job at this index. Those before it are done; those behind it return to the scheduler.
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

    /// Starts a call in the span that whatever its handler logs carries.
    fn start_in_span(&mut self, message: &Message, cx: &mut Context<'_>) -> Poll<Verdict> {
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

    /// Returns the own settings of the handler that runs, or that ran last.
    fn own(&self) -> &Own {
        self.route.handlers.own(self.slot.which())
    }

    /// Judges a message by its verdict.
    #[inline]
    fn judge(&mut self, message: &Message, verdict: Verdict) -> Judged {
        match verdict.0 {
            Said::Ack => Judged::Settle(Disposition::Ack),
            said => self
                .route
                .judge_unacked(message, said, &self.span, self.own()),
        }
    }

    /// Ends a call: its message goes to the settler, or to `on_error`.
    fn conclude(&mut self, job: Job, judged: Judged) -> Poll<()> {
        if matches!(judged, Judged::Ask(_)) {
            self.timeout.arm_timeout(self.own().timeout);
        }
        match judged {
            Judged::Settle(disposition) => {
                self.span = Span::none();
                self.outcomes.push_back(job.done(disposition));
            }
            Judged::Ask(failed) => self.stage = Stage::Failing(job, failed),
        }
        Poll::Ready(())
    }

    /// Waits for the handler until it returns, its `timeout` is over, or its lease is lost.
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
            Judged::Settle(Disposition::Forget)
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

    /// Waits for a blocking handler that can't be cancelled. Its answer is ignored.
    fn outlast(&mut self, job: Job, judged: Judged, cx: &mut Context<'_>) -> Poll<()> {
        if self.poll_running(cx).is_pending() {
            self.stage = Stage::Abandoned(job, judged);
            return Poll::Pending;
        }
        self.conclude(job, judged)
    }

    /// Waits for the answer of `on_error`.
    fn ask(&mut self, job: Job, mut failed: Box<Failed>, cx: &mut Context<'_>) -> Poll<()> {
        let answer = {
            let _entered = self.span.enter();
            failed.poll(cx)
        };
        let disposition = if let Poll::Ready(verdict) = answer {
            failed.answered(verdict, &job.message, &self.route)
        } else if self.cancelled.swap(false, Ordering::Acquire) {
            Disposition::Forget
        } else if self.timeout.is_over(self.own().timeout, cx) {
            failed.unanswered(&job.message, &self.route)
        } else {
            self.stage = Stage::Failing(job, failed);
            return Poll::Pending;
        };
        self.conclude(job, Judged::Settle(disposition))
    }
}

/// The call slot of a handler whose layers panicked when they were put around it.
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
