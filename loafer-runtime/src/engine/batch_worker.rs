//! A worker of a batch handler: one call for many messages, then each by itself.

use std::{
    collections::{HashSet, VecDeque},
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
    vec,
};

use tokio::task::coop;
use tracing::Span;

use super::{
    Fate, Job, Route,
    deadline::Deadline,
    judging::{Failed, Judged},
    leases::table::Key,
    scheduler::{Gathered, Step},
};
use crate::handler::{BatchCallSlot, Own};
use loafer_core::{
    message::Message,
    outcome::Said,
    outcome::{FailureKind, Verdict},
};

/// Runs one call at a time, for as many messages as the route's `batch` allows.
pub(super) struct BatchWorker {
    route: Arc<Route>,
    number: u32,
    /// Set when every lease of what it runs is lost, or the route is cancelled.
    cancelled: Arc<AtomicBool>,
    slot: Box<dyn BatchCallSlot>,
    stage: Stage,
    /// Messages a call, at most.
    most: usize,
    /// How long a batch that is not full waits for more.
    linger: Duration,
    /// What the call handles; then what is not judged yet, in order.
    jobs: VecDeque<Job>,
    outcomes: VecDeque<Job>,
    /// Of the running call.
    span: Span,
    timeout: Deadline,
    /// The end of `linger`.
    lingers: Deadline,
}

/// What was said of each of the jobs, in order.
type Verdicts = vec::IntoIter<Verdict>;

enum Stage {
    /// At the scheduler, or lingering there for more.
    Idle,
    /// The handler waits.
    Running,
    /// A blocking handler is past its time or all its leases: its slot is kept until it returns, what it says is ignored.
    Abandoned(Answer),
    /// The call is over.
    Judging(Verdicts, Fences),
    /// The route's `on_error` is asked about a message. The others wait for it: in an ordered group its answer decides over them.
    Failing(Job, Box<Failed>, Verdicts, Fences),
}

/// What became of a call.
enum Answer {
    Said(Vec<Verdict>),
    /// Cancelled: nothing is sent.
    Forget,
}

/// Groups in whose order something was not acked: what comes behind it in the batch comes again after it.
type Fences = HashSet<String>;

impl BatchWorker {
    pub(super) fn new(
        route: Arc<Route>,
        slot: Box<dyn BatchCallSlot>,
        number: u32,
        cancelled: Arc<AtomicBool>,
    ) -> Self {
        Self {
            number,
            cancelled,
            slot,
            stage: Stage::Idle,
            most: route.policy.messages_a_call(),
            linger: route.policy.linger,
            jobs: VecDeque::new(),
            outcomes: VecDeque::new(),
            span: Span::none(),
            timeout: Deadline::default(),
            lingers: Deadline::default(),
            route,
        }
    }

    /// Brings what is done, and takes a batch once there is one.
    fn gather(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        loop {
            let (gathered, call) = self.route.scheduler.gather(
                self.number,
                &mut self.outcomes,
                &mut self.jobs,
                (self.most, self.linger),
                cx,
            );
            self.route.answer(call);
            match gathered {
                Gathered::Step(step) => return step,
                Gathered::Until(moment) => {
                    self.lingers.arm(moment);
                    ready!(self.lingers.poll(cx));
                }
            }
        }
    }

    fn start(&mut self, cx: &mut Context<'_>) {
        self.span = tracing::info_span!(
            "batch",
            route = %self.route.policy.route,
            messages = self.jobs.len()
        );
        let messages: Vec<Message> = self.jobs.iter().map(|job| job.message.clone()).collect();
        let said = {
            let _entered = self.span.enter();
            self.slot.start(messages, cx)
        };
        match said {
            Poll::Ready(verdicts) => self.conclude(Answer::Said(verdicts)),
            Poll::Pending => {
                let table: Vec<_> = self.jobs.iter().map(|job| job.key).collect();
                self.hold(table, cx);
                self.timeout.arm_timeout(self.own().timeout);
                self.stage = Stage::Running;
            }
        }
    }

    /// What is the own of the handler: a route of batches has one.
    fn own(&self) -> &Own {
        self.route.handlers.own(0)
    }

    /// Tells the scheduler what it is at while it waits.
    fn hold(&mut self, table: Vec<Key>, cx: &Context<'_>) {
        let call = self
            .route
            .scheduler
            .hold(self.number, table, &mut self.outcomes, cx);
        self.route.answer(call);
    }

    /// A waiting handler: until it returns, its time is up, or all its leases are lost.
    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let said = {
            let _entered = self.span.enter();
            self.slot.poll(cx)
        };
        let answer = if let Poll::Ready(verdicts) = said {
            self.conclude(Answer::Said(verdicts));
            return Poll::Ready(());
        } else if self.cancelled.swap(false, Ordering::Acquire) {
            Answer::Forget
        } else if self.timeout.is_over(self.own().timeout, cx) {
            let late = Verdict::failed(FailureKind::Timeout, Route::too_late(self.own().timeout));
            Answer::Said(self.slot.answer_for(late))
        } else {
            self.stage = Stage::Running;
            return Poll::Pending;
        };
        if self.slot.cancel() {
            self.conclude(answer);
            return Poll::Ready(());
        }
        self.outlast(answer, cx)
    }

    /// Waits for a blocking handler that can't be cancelled; what it says is ignored.
    fn outlast(&mut self, answer: Answer, cx: &mut Context<'_>) -> Poll<()> {
        if self.slot.poll(cx).is_pending() {
            self.stage = Stage::Abandoned(answer);
            return Poll::Pending;
        }
        self.conclude(answer);
        Poll::Ready(())
    }

    /// The call is over.
    fn conclude(&mut self, answer: Answer) {
        match answer {
            Answer::Said(verdicts) => {
                self.stage = Stage::Judging(verdicts.into_iter(), Fences::new());
            }
            Answer::Forget => {
                for job in self.jobs.drain(..) {
                    self.route.declined(
                        &job.message,
                        "cancelled: the leases of its batch were lost, or the time to drain is over",
                    );
                    self.outcomes.push_back(job.done(Fate::Forget));
                }
                self.span = Span::none();
            }
        }
    }

    /// Each message by itself, in order, until `on_error` is to be asked.
    fn judge(&mut self, mut said: Verdicts, mut fences: Fences, cx: &Context<'_>) {
        while let Some(job) = self.jobs.pop_front() {
            // One verdict a message: the slot sees to it.
            let verdict = said.next().unwrap_or(Verdict::NACK);
            if is_behind(&job.message, &fences) {
                self.route.declined(
                    &job.message,
                    "an earlier message of its group in the same batch was not acked: it comes again after that one",
                );
                self.outcomes.push_back(job.done(Fate::Release));
                continue;
            }
            let judged = match verdict.0 {
                Said::Ack => Judged::Settle(Fate::Ack),
                said => self
                    .route
                    .judge_unacked(&job.message, said, &self.span, self.own()),
            };
            match judged {
                Judged::Settle(fate) => self.settle(job, fate, &mut fences),
                Judged::Ask(failed) => {
                    self.hold(vec![job.key], cx);
                    self.timeout.arm_timeout(self.own().timeout);
                    self.stage = Stage::Failing(job, failed, said, fences);
                    return;
                }
            }
        }
        self.span = Span::none();
    }

    fn settle(&mut self, job: Job, fate: Fate, fences: &mut Fences) {
        if !matches!(fate, Fate::Ack)
            && self.route.scheduler.is_fenced()
            && let Some(group) = job.message.group()
        {
            fences.insert(group.to_owned());
        }
        self.outcomes.push_back(job.done(fate));
    }

    /// Waits for `on_error`.
    fn ask(
        &mut self,
        job: Job,
        mut failed: Box<Failed>,
        said: Verdicts,
        mut fences: Fences,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
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
            self.stage = Stage::Failing(job, failed, said, fences);
            return Poll::Pending;
        };
        self.settle(job, fate, &mut fences);
        self.stage = Stage::Judging(said, fences);
        Poll::Ready(())
    }
}

fn is_behind(message: &Message, fences: &Fences) -> bool {
    !fences.is_empty() && message.group().is_some_and(|group| fences.contains(group))
}

impl Future for BatchWorker {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        loop {
            match std::mem::replace(&mut this.stage, Stage::Idle) {
                Stage::Idle => {
                    // A handler that never waits must not keep its thread from the route's other tasks.
                    let budget = ready!(coop::poll_proceed(cx));
                    match ready!(this.gather(cx)) {
                        Step::Work => this.start(cx),
                        Step::Stop => return Poll::Ready(()),
                    }
                    budget.made_progress();
                }
                Stage::Running => ready!(this.wait(cx)),
                Stage::Abandoned(answer) => ready!(this.outlast(answer, cx)),
                Stage::Judging(said, fences) => this.judge(said, fences, cx),
                Stage::Failing(job, failed, said, fences) => {
                    ready!(this.ask(job, failed, said, fences, cx));
                }
            }
        }
    }
}
