//! One route at work: what its tasks share whatever the provider.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::sync::Notify;

use super::{
    Job, Phase, Scheduler, Stats,
    batch_worker::BatchWorker,
    leases::dedup::AckDedup,
    scheduler::{Call, Grouping, Limits},
    worker::Worker,
};
use crate::{
    bus::Bus,
    engine::FailureLog,
    handler::{Failure, Handlers, Make, Report},
};
use loafer_core::{broker::Capabilities, message::Message, policy::Policy};

/// In how many receives a batch of capacity is filled, where a receive costs nothing.
const RECEIVES_PER_BATCH: usize = 8;

/// How much of a body is logged where bodies are logged.
const LOGGED_BODY: usize = 2048;

/// One route at work.
pub(crate) struct Route {
    pub(crate) policy: Policy,
    pub(crate) stats: Stats,
    /// Whether its last receive went through.
    receives: AtomicBool,
    /// Whether its last settlement went through.
    settles: AtomicBool,
    /// One receive, then the end.
    pub(super) once: bool,
    /// Bodies may be logged: development.
    log_bodies: bool,
    pub(super) handlers: Handlers,
    pub(super) handled: AckDedup,
    pub(super) scheduler: Scheduler,
    reporters: Vec<Arc<dyn Report>>,
    failure_log: Option<FailureLog>,
    /// Told whenever nothing is held.
    quiet: Arc<Notify>,
    /// For word to requesters.
    pub(super) bus: Bus,
}

/// What a route at work is made of.
pub(crate) struct Parts {
    pub(crate) policy: Policy,
    pub(crate) handlers: Handlers,
    pub(crate) once: bool,
    pub(crate) log_bodies: bool,
    pub(crate) reporters: Vec<Arc<dyn Report>>,
    pub(crate) failure_log: Option<FailureLog>,
    pub(crate) quiet: Arc<Notify>,
    pub(crate) bus: Bus,
}

/// How a route is brought to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closing {
    /// Release what has not started; let the rest finish.
    Drain,
    /// Cancel what runs.
    Cancel,
}

impl Route {
    pub(crate) fn new(parts: Parts, capabilities: &Capabilities) -> Self {
        let Parts {
            mut policy,
            handlers,
            once,
            log_bodies,
            reporters,
            failure_log,
            quiet,
            bus,
        } = parts;
        policy.backoff = policy.backoff.or_else(|| capabilities.backoff.clone());
        policy.max_attempts = policy.max_attempts.or(capabilities.max_attempts);
        if capabilities.ordered && policy.group_by.is_some() {
            tracing::warn!(route = %policy.route, queue = %policy.queue, "`group_by` is left unread: the queue keeps its own groups in order");
        }
        let limits = limits(&policy, capabilities, handlers.take_batches());
        Self {
            policy,
            stats: Stats::default(),
            receives: AtomicBool::new(true),
            settles: AtomicBool::new(true),
            once,
            log_bodies,
            handlers,
            handled: AckDedup::default(),
            scheduler: Scheduler::new(limits),
            reporters,
            failure_log,
            quiet,
            bus,
        }
    }

    pub(crate) fn close(&self, how: Closing) {
        self.scheduler.close(match how {
            Closing::Drain => Phase::Draining,
            Closing::Cancel => Phase::Cancelled,
        });
    }

    /// Messages leased and not yet settled.
    pub(crate) fn held(&self) -> usize {
        self.scheduler.held()
    }

    pub(crate) fn is_healthy(&self) -> bool {
        self.receives.load(Ordering::Relaxed) && self.settles.load(Ordering::Relaxed)
    }

    /// Notes how a receive went; true where that changed.
    pub(super) fn received_well(&self, well: bool) -> bool {
        changed(&self.receives, well)
    }

    /// Notes how a settlement went; true where that changed.
    pub(super) fn settled_well(&self, well: bool) -> bool {
        changed(&self.settles, well)
    }

    /// Gives capacity back.
    pub(super) fn freed(&self, capacity: usize, stalled: bool) {
        if self.scheduler.freed(capacity, stalled) == 0 {
            self.quiet.notify_waiters();
        }
    }

    /// A message was given back without a settler.
    pub(super) fn lost(&self) {
        self.stats.add(&super::RouteStats {
            lost: 1,
            ..Default::default()
        });
        if self.held() == 0 {
            self.quiet.notify_waiters();
        }
    }

    /// A receive of so many is over: puts what it brought where workers find it.
    pub(super) fn received(
        self: &Arc<Self>,
        jobs: &mut VecDeque<Job>,
        settled: Vec<Job>,
        asked: usize,
    ) {
        let call = self.scheduler.received(jobs, settled, asked, self.once);
        self.answer(call);
    }

    /// Brings the worker that the scheduler called for.
    pub(super) fn answer(self: &Arc<Self>, call: Call) {
        match call {
            Call::Nobody => {}
            Call::Wake(waker) => waker.wake(),
            Call::Hire(number, cancelled) => match &self.handlers.make {
                Make::CallSlot(make) => {
                    tokio::spawn(Worker::new(self.clone(), make, number, cancelled));
                }
                Make::Batches(make) => {
                    let slot = make(&self.handlers.own(0).names);
                    tokio::spawn(BatchWorker::new(self.clone(), slot, number, cancelled));
                }
            },
        }
    }

    /// A message failed: logged, reported, counted.
    pub(super) fn failed(&self, failure: &Failure) {
        let message = failure.message();
        self.note(message, &failure.reason());
        tracing::error!(
            route = %self.policy.route,
            queue = %self.policy.queue,
            message_id = %message.id(),
            attempt = message.attempt(),
            kind = failure.kind().as_str(),
            reason = failure.reason(),
            body = self.body_of(message),
            "message not acked"
        );
        self.stats.add(&super::RouteStats {
            failed: 1,
            ..Default::default()
        });
        for reporter in &self.reporters {
            if catch_unwind(AssertUnwindSafe(|| reporter.failed(failure))).is_err() {
                tracing::error!(route = %self.policy.route, "a reporter panicked: this failure was not reported");
            }
        }
    }

    /// A message was not acked, and nothing failed.
    pub(super) fn declined(&self, message: &Message, reason: &str) {
        self.note(message, reason);
        tracing::warn!(
            route = %self.policy.route,
            queue = %self.policy.queue,
            message_id = %message.id(),
            attempt = message.attempt(),
            reason,
            body = self.body_of(message),
            "message not acked"
        );
    }

    /// For the test that may want to know.
    fn note(&self, message: &Message, reason: &str) {
        if let Some(failure_log) = &self.failure_log {
            let (route, id, attempt) = (&self.policy.route, message.id(), message.attempt());
            let line =
                format!("not acked: route `{route}`, message {id}, attempt {attempt}: {reason}");
            failure_log
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(line);
        }
    }

    /// The body, where bodies are logged.
    fn body_of(&self, message: &Message) -> Option<String> {
        let body = &message.payload()[..message.payload().len().min(LOGGED_BODY)];
        self.log_bodies
            .then(|| String::from_utf8_lossy(body).into_owned())
    }
}

/// Almost always there is nothing to write.
fn changed(flag: &AtomicBool, to: bool) -> bool {
    flag.load(Ordering::Relaxed) != to && flag.swap(to, Ordering::Relaxed) != to
}

fn limits(policy: &Policy, capabilities: &Capabilities, batches: bool) -> Limits {
    // Messages that can be in handlers at once.
    let handled = if batches {
        policy.concurrency.saturating_mul(policy.messages_a_call())
    } else {
        policy.concurrency
    };
    let batch = capabilities.receive_batch.max(1);
    // A call costs the same for one message as for a batch, so a batch is leased ahead at least; capacity for two batches, so that one is handled
    // while the next is on its way; and as much as keeps every handler busy meanwhile.
    let prefetch = policy.prefetch.unwrap_or_else(|| {
        let two_batches = (2 * batch).saturating_sub(handled);
        let least = batch
            .max(capabilities.prefetch)
            .max(two_batches)
            .max(handled.min(10 * batch));
        // A receive may bring one group only: capacity for as many groups as there are handlers, so that few wait for another.
        let groups = policy.concurrency.saturating_mul(batch - 1);
        if capabilities.ordered || policy.group_by.is_some() {
            least.max(groups)
        } else {
            least
        }
    });
    let capacity = handled.saturating_add(prefetch);
    // Never more than what is prefetched: a slow message that fills a handler must not keep the others from being fed.
    let ask = batch.min(prefetch.max(1)).min(capacity);
    Limits {
        concurrency: policy.concurrency,
        capacity,
        ask,
        // A receive that costs a call is to be a full one; what was pushed is taken in handfuls.
        worth: if capabilities.pushed {
            (ask / RECEIVES_PER_BATCH).max(1)
        } else {
            ask
        },
        receivers: capabilities.receivers.max(1),
        settlers: capabilities.settlers.max(1),
        // What was pushed and is not settled keeps more from being pushed: never all of it waits to be settled. Half of it, since the fewer
        // settlements there are, the fuller is what the broker pushes next.
        settle_batch: if capabilities.pushed {
            capabilities.settle_batch.min(capacity / 2).max(1)
        } else {
            capabilities.settle_batch.max(1)
        },
        patient: capabilities.pushed,
        linger: if capabilities.settle_batch > 1 {
            capabilities.linger
        } else {
            Duration::ZERO
        },
        lingers: batches && !policy.linger.is_zero(),
        grouping: Grouping::of(policy, capabilities),
    }
}
