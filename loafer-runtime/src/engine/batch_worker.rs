//! A worker of a batch handler: it makes one call for many messages, and then judges each message by itself.

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
    Disposition, Job, Route,
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

/// Runs one call at a time, for at most as many messages as the route's `batch` allows.
pub(super) struct BatchWorker {
    route: Arc<Route>,
    number: u32,
    /// Set when every lease of the running call is lost, or when the route is cancelled.
    cancelled: Arc<AtomicBool>,
    slot: Box<dyn BatchCallSlot>,
    stage: Stage,
    /// The most messages of one call.
    most: usize,
    /// How long a batch that is not full waits for more messages.
    linger: Duration,
    /// The messages of the running call. After the call, those that are not judged yet, in order.
    jobs: VecDeque<Job>,
    outcomes: VecDeque<Job>,
    /// The span of the running call.
    span: Span,
    timeout: Deadline,
    /// Ends the batch window when `linger` has elapsed.
    lingers: Deadline,
}

/// The verdict on each of the jobs, in their order.
type Verdicts = vec::IntoIter<Verdict>;

enum Stage {
    /// The worker is at the scheduler, or waits there while its batch window is open.
    Idle,
    /// The handler has not returned yet.
    Running,
    /// A blocking handler has exceeded its `timeout` or lost all its leases. Its call slot is kept until it returns, and its answer is
    /// ignored.
    Abandoned(Answer),
    /// The call is over, and its messages are judged one by one.
    Judging(Verdicts, Fences),
    /// The route's `on_error` decides about a message. The others wait: in an ordered group its answer decides about them too.
    Failing(Job, Box<Failed>, Verdicts, Fences),
}

/// How a call ended.
enum Answer {
    Said(Vec<Verdict>),
    /// It was cancelled: nothing is sent.
    Forget,
}

/// Ordered groups in which a message was not acked. Messages of these groups that stand behind it in the batch are released, and
/// redelivered after it.
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

    /// Brings finished messages to the scheduler, and takes a batch once there is one.
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
                let keys: Vec<_> = self.jobs.iter().map(|job| job.key).collect();
                self.report_waiting(keys, cx);
                self.timeout.arm_timeout(self.own().timeout);
                self.stage = Stage::Running;
            }
        }
    }

    /// Returns the handler's own settings. A route of batches has one handler.
    fn own(&self) -> &Own {
        self.route.handlers.own(0)
    }

    /// Reports to the scheduler which messages the worker waits with.
    fn report_waiting(&mut self, keys: Vec<Key>, cx: &Context<'_>) {
        let call = self
            .route
            .scheduler
            .report_waiting(self.number, keys, &mut self.outcomes, cx);
        self.route.answer(call);
    }

    /// Waits for the handler until it returns, its `timeout` is over, or all its leases are lost.
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

    /// Waits for a blocking handler that can't be cancelled. Its answer is ignored.
    fn outlast(&mut self, answer: Answer, cx: &mut Context<'_>) -> Poll<()> {
        if self.slot.poll(cx).is_pending() {
            self.stage = Stage::Abandoned(answer);
            return Poll::Pending;
        }
        self.conclude(answer);
        Poll::Ready(())
    }

    /// Takes in how the call ended.
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
                    self.outcomes.push_back(job.done(Disposition::Forget));
                }
                self.span = Span::none();
            }
        }
    }

    /// Judges each message by itself, in order, until `on_error` has to decide about one.
    fn judge(&mut self, mut said: Verdicts, mut fences: Fences, cx: &Context<'_>) {
        while let Some(job) = self.jobs.pop_front() {
            // The call slot returns one verdict for each message.
            let verdict = said.next().unwrap_or(Verdict::NACK);
            if is_behind(&job.message, &fences) {
                self.route.declined(
                    &job.message,
                    "an earlier message of its group in the same batch was not acked: released, and delivered again after that one",
                );
                self.outcomes.push_back(job.done(Disposition::Release));
                continue;
            }
            let judged = match verdict.0 {
                Said::Ack => Judged::Settle(Disposition::Ack),
                said => self
                    .route
                    .judge_unacked(&job.message, said, &self.span, self.own()),
            };
            match judged {
                Judged::Settle(disposition) => self.settle(job, disposition, &mut fences),
                Judged::Ask(failed) => {
                    self.report_waiting(vec![job.key], cx);
                    self.timeout.arm_timeout(self.own().timeout);
                    self.stage = Stage::Failing(job, failed, said, fences);
                    return;
                }
            }
        }
        self.span = Span::none();
    }

    fn settle(&mut self, job: Job, disposition: Disposition, fences: &mut Fences) {
        if !matches!(disposition, Disposition::Ack)
            && self.route.scheduler.is_fenced()
            && let Some(group) = job.message.group()
        {
            fences.insert(group.to_owned());
        }
        self.outcomes.push_back(job.done(disposition));
    }

    /// Waits for the answer of `on_error`.
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
        let disposition = if let Poll::Ready(verdict) = answer {
            failed.answered(verdict, &job.message, &self.route)
        } else if self.cancelled.swap(false, Ordering::Acquire) {
            Disposition::Forget
        } else if self.timeout.is_over(self.own().timeout, cx) {
            failed.unanswered(&job.message, &self.route)
        } else {
            self.stage = Stage::Failing(job, failed, said, fences);
            return Poll::Pending;
        };
        self.settle(job, disposition, &mut fences);
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
