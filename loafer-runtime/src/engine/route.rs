//! One running route: what its tasks share, whatever the provider.

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

/// How many receives may fill a batch, if a receive costs nothing.
const RECEIVES_PER_BATCH: usize = 8;

/// How many bytes of a body are logged, if bodies are logged.
const LOGGED_BODY: usize = 2048;

/// One running route.
pub(crate) struct Route {
    pub(crate) policy: Policy,
    pub(crate) stats: Stats,
    /// Whether its last receive succeeded.
    receives: AtomicBool,
    /// Whether its last settlement succeeded.
    settles: AtomicBool,
    /// Whether it receives once only, and then ends.
    pub(super) once: bool,
    /// Whether bodies may be logged: in development.
    log_bodies: bool,
    pub(super) handlers: Handlers,
    pub(super) ack_dedup: AckDedup,
    pub(super) scheduler: Scheduler,
    reporters: Vec<Arc<dyn Report>>,
    failure_log: Option<FailureLog>,
    /// Notified whenever no message is in flight.
    quiet: Arc<Notify>,
    /// Sends notices to requesters.
    pub(super) bus: Bus,
}

/// What a running route is made of.
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
    /// Release what has not started, and let running handlers finish.
    Drain,
    /// Cancel running handlers.
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
            tracing::warn!(route = %policy.route, queue = %policy.queue, "`group_by` is ignored: the queue keeps its own groups in order");
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
            ack_dedup: AckDedup::default(),
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

    /// Returns how many messages are leased and not yet settled.
    pub(crate) fn in_flight(&self) -> usize {
        self.scheduler.in_flight()
    }

    pub(crate) fn is_healthy(&self) -> bool {
        self.receives.load(Ordering::Relaxed) && self.settles.load(Ordering::Relaxed)
    }

    /// Records whether a receive succeeded. Returns whether that changed.
    pub(super) fn received_well(&self, well: bool) -> bool {
        changed(&self.receives, well)
    }

    /// Records whether a settlement succeeded. Returns whether that changed.
    pub(super) fn settled_well(&self, well: bool) -> bool {
        changed(&self.settles, well)
    }

    /// Frees the capacity of so many messages.
    pub(super) fn freed(&self, capacity: usize, stalled: bool) {
        if self.scheduler.freed(capacity, stalled) == 0 {
            self.quiet.notify_waiters();
        }
    }

    /// Called when a lease was lost and its message left the route without a settler.
    pub(super) fn lost(&self) {
        self.stats.add(&super::RouteStats {
            lost: 1,
            ..Default::default()
        });
        if self.in_flight() == 0 {
            self.quiet.notify_waiters();
        }
    }

    /// Takes in a receive that asked for `asked` messages, and hands what it brought to the workers.
    pub(super) fn received(
        self: &Arc<Self>,
        jobs: &mut VecDeque<Job>,
        settled: Vec<Job>,
        asked: usize,
    ) {
        let call = self.scheduler.received(jobs, settled, asked, self.once);
        self.answer(call);
    }

    /// Wakes or spawns the worker that the scheduler calls.
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

    /// Logs, reports and counts a message that failed.
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

    /// Logs a message that was not acked although nothing failed.
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

    /// Records the reason for a test that may print it.
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

    /// Returns the body, if bodies are logged.
    fn body_of(&self, message: &Message) -> Option<String> {
        let body = &message.payload()[..message.payload().len().min(LOGGED_BODY)];
        self.log_bodies
            .then(|| String::from_utf8_lossy(body).into_owned())
    }
}

/// Sets a flag, and returns whether that changed it. It rarely does, so the flag is read first.
fn changed(flag: &AtomicBool, to: bool) -> bool {
    flag.load(Ordering::Relaxed) != to && flag.swap(to, Ordering::Relaxed) != to
}

fn limits(policy: &Policy, capabilities: &Capabilities, batches: bool) -> Limits {
    // How many messages can be in handlers at once.
    let handled = if batches {
        policy.concurrency.saturating_mul(policy.messages_a_call())
    } else {
        policy.concurrency
    };
    let batch = capabilities.receive_batch.max(1);
    // A call costs the same for one message as for a batch, so at least one batch is leased ahead. There is capacity for two batches, so
    // that one is handled while the next is on its way, and for as many messages as keep every handler busy meanwhile.
    let prefetch = policy.prefetch.unwrap_or_else(|| {
        let two_batches = (2 * batch).saturating_sub(handled);
        let least = batch
            .max(capabilities.prefetch)
            .max(two_batches)
            .max(handled.min(10 * batch));
        // A receive may bring one group only: there is capacity for as many groups as there are handlers, so that few wait for another.
        let groups = policy.concurrency.saturating_mul(batch - 1);
        if capabilities.ordered || policy.group_by.is_some() {
            least.max(groups)
        } else {
            least
        }
    });
    let capacity = handled.saturating_add(prefetch);
    // Never asks for more than is prefetched: a slow message that occupies a handler must not keep messages from the other handlers.
    let ask = batch.min(prefetch.max(1)).min(capacity);
    Limits {
        concurrency: policy.concurrency,
        capacity,
        ask,
        // A receive that costs a call should be a full one. Pushed messages are taken a few at a time.
        worth: if capabilities.pushed {
            (ask / RECEIVES_PER_BATCH).max(1)
        } else {
            ask
        },
        receivers: capabilities.receivers.max(1),
        settlers: capabilities.settlers.max(1),
        // Messages that were pushed and are not settled keep the broker from pushing more, so they must not all wait to be settled. Half of
        // the capacity, because the fewer settlements there are, the more the broker pushes at once.
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
