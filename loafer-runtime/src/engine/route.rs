//! One running route: what its tasks share, whatever the provider.

use std::{
    any::Any,
    collections::VecDeque,
    panic::AssertUnwindSafe,
    sync::{
        Arc, Mutex, Once,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::FutureExt;
use tokio::{runtime::Handle, sync::Notify};

use super::worker::Worker;
use crate::{
    ack_dedup::AckDedup,
    bus::Bus,
    dead_letter_outage::{DeadLetterOutage, Told},
    handler::{Handlers, Reports},
    limits::Limits,
    scheduler::{Call, Came, Job, Phase, Scheduler, Sweep},
    stats::{Failing, RouteStats, Stats},
    sync::locked,
    watchdog::{Watch, Watchdog},
};
use loafer_core::{
    Error,
    broker::{Capabilities, Settlement},
    message::Message,
    policy::Policy,
};

/// What a task panicked with.
pub(super) type Panic = Box<dyn Any + Send>;

/// One running route.
pub(crate) struct Route {
    pub(crate) policy: Policy,
    pub(crate) stats: Stats,
    pub(super) capabilities: Capabilities,
    /// Its receivers whose last receive failed.
    pub(super) receivers_failing: Failing,
    /// Whether its provider has said that the connection is lost.
    is_down: AtomicBool,
    /// Whether it was logged that nothing can be received, and not yet that it can.
    outage_logged: AtomicBool,
    /// Its settlers, and tasks beside them, whose last settlement failed.
    pub(super) settlers_failing: Failing,
    /// Whether its dead letters can be made.
    pub(super) dead_letter_outage: DeadLetterOutage,
    /// When the log last said that a copy which would delay a message can't be made.
    pub(super) undelayed: Told,
    /// Done once the log says that a delay was too long for the broker.
    pub(super) too_long_told: Once,
    /// Whether it receives once only, and then ends.
    pub(super) once: bool,
    pub(super) handlers: Handlers,
    /// Whether `group_by` applies to what is in envelopes. A receiver opens them before the scheduler looks for groups.
    pub(super) groups_look_inside: bool,
    pub(super) ack_dedup: AckDedup,
    pub(crate) scheduler: Scheduler,
    pub(super) reports: Reports,
    /// Notified whenever no message is in flight.
    quiet: Arc<Notify>,
    /// What a worker panicked with, though no panic of the user's code reaches it.
    panic: Mutex<Option<Panic>>,
    panicked: Notify,
    /// Sends notices to requesters.
    pub(super) bus: Bus,
    /// What the watchdog knows of its handlers.
    pub(super) watch: Arc<Watch>,
    /// Where its workers run.
    home: Handle,
    /// Where leases are renewed: no handler blocks a thread there.
    pub(super) io: Handle,
}

/// What a running route is made of.
pub(crate) struct Parts {
    pub(crate) policy: Policy,
    pub(crate) handlers: Handlers,
    pub(crate) once: bool,
    /// How long a receive waits for messages, at most.
    pub(crate) longest_poll: Duration,
    pub(crate) reports: Reports,
    pub(crate) quiet: Arc<Notify>,
    pub(crate) bus: Bus,
    /// Where leases are renewed.
    pub(crate) io: Handle,
    /// `None` means that nobody watches its handlers.
    pub(crate) watchdog: Option<Arc<Watchdog>>,
}

impl Route {
    /// Called on the runtime where its workers run.
    pub(crate) fn new(parts: Parts, mut capabilities: Capabilities) -> Self {
        let Parts {
            mut policy,
            handlers,
            once,
            longest_poll,
            reports,
            quiet,
            bus,
            io,
            watchdog,
        } = parts;
        capabilities.wait = capabilities.wait.min(longest_poll);
        policy.backoff = policy.backoff.or_else(|| capabilities.backoff.clone());
        policy.max_attempts = policy.max_attempts.or(capabilities.max_attempts);
        if capabilities.ordered && policy.group_by.is_some() {
            tracing::warn!(route = %policy.route, queue = %policy.queue, "`group_by` is ignored: the queue keeps its own groups in order");
        }
        let limits = Limits::new(&policy, &capabilities, handlers.take_batches());
        let by_group = policy.group_by.is_some() && !capabilities.ordered;
        Self {
            groups_look_inside: by_group && handlers.open_envelopes(),
            policy,
            stats: reports.stats.clone(),
            receivers_failing: Failing::default(),
            is_down: AtomicBool::new(false),
            outage_logged: AtomicBool::new(false),
            settlers_failing: Failing::default(),
            dead_letter_outage: DeadLetterOutage::default(),
            undelayed: Told::default(),
            too_long_told: Once::new(),
            once,
            watch: Arc::new(Watch::new(&handlers, watchdog)),
            handlers,
            ack_dedup: AckDedup::new(capabilities.own_ids),
            capabilities,
            scheduler: Scheduler::new(limits),
            reports,
            quiet,
            panic: Mutex::new(None),
            panicked: Notify::new(),
            bus,
            home: Handle::current(),
            io,
        }
    }

    /// Waits for a worker that panics. Returns what it panicked with.
    pub(super) async fn panic(&self) -> Panic {
        loop {
            self.panicked.notified().await;
            if let Some(panic) = locked(&self.panic).take() {
                return panic;
            }
        }
    }

    /// Returns how many messages are leased and not yet settled.
    pub(crate) fn in_flight(&self) -> usize {
        self.scheduler.in_flight()
    }

    /// Pauses the route before it runs, because it is not enabled. If it receives only once, it ends.
    pub(crate) fn start_paused(&self) {
        if self.once {
            let (route, queue) = (&self.policy.route, &self.policy.queue);
            tracing::info!(%route, %queue, "ends at once: `enabled` is `false`");
            self.scheduler.close(Phase::Finishing);
        } else {
            self.pause();
        }
    }

    /// Pauses the route: it asks for no more messages and starts none, until it is resumed. Handlers that run go on, and are settled.
    pub(crate) fn pause(&self) {
        if self.scheduler.pause() {
            let (route, queue) = (&self.policy.route, &self.policy.queue);
            tracing::info!(%route, %queue, "paused: nothing is received or started until it is resumed");
        }
    }

    /// Resumes the route.
    pub(crate) fn resume(self: &Arc<Self>) {
        if let Some(call) = self.scheduler.resume() {
            let (route, queue) = (&self.policy.route, &self.policy.queue);
            tracing::info!(%route, %queue, "resumed");
            self.answer(call);
        }
    }

    /// Whether the route is paused.
    pub(crate) fn is_paused(&self) -> bool {
        self.scheduler.lock().paused
    }

    /// Whether the route is ready: the last call of each settler succeeded. So did that of each receiver, and the connection is not known to be
    /// lost, unless the route is paused and needs neither.
    pub(crate) fn is_healthy(&self) -> bool {
        let down = self.is_down.load(Ordering::Relaxed) || self.receivers_failing.is_any();
        !self.settlers_failing.is_any() && (!down || self.is_paused())
    }

    /// Called when the provider says that the connection is lost.
    pub(super) fn lose_connection(&self, error: &Error) {
        self.is_down.store(true, Ordering::Relaxed);
        let (route, queue) = (&self.policy.route, &self.policy.queue);
        if self.begins_outage() {
            tracing::error!(%route, %queue, %error, "the connection is lost: trying again until it is back");
        } else {
            tracing::debug!(%route, %queue, %error, "the connection is lost");
        }
    }

    /// Called when the provider says that the connection is back.
    pub(super) fn regain_connection(&self) {
        self.is_down.store(false, Ordering::Relaxed);
        self.end_outage();
    }

    /// Returns whether it is to be logged that nothing can be received. A lost connection and the receives that fail by it are one outage.
    pub(super) fn begins_outage(&self) -> bool {
        !self.outage_logged.swap(true, Ordering::Relaxed)
    }

    /// Logs the end of an outage, once the connection is back and no receiver is failing.
    pub(super) fn end_outage(&self) {
        let lasts = self.is_down.load(Ordering::Relaxed) || self.receivers_failing.is_any();
        if !lasts && self.outage_logged.swap(false, Ordering::Relaxed) {
            let (route, queue) = (&self.policy.route, &self.policy.queue);
            tracing::info!(%route, %queue, "receiving again");
        }
    }

    /// Logs that a message is set apart.
    pub(super) fn isolates(&self, message: &Message) {
        let (route, queue) = (&self.policy.route, &self.policy.queue);
        let (message_id, deliveries) = (message.id(), message.deliveries());
        tracing::warn!(%route, %queue, %message_id, deliveries, attempt = message.attempt(), "it was delivered again and again, and rarely handled to an end: it is set apart and handled alone, and dead-lettered if that ends its process");
    }

    /// Frees the capacity of so many messages.
    pub(super) fn freed(&self, capacity: usize, stalled: bool, taken_in: Sweep) {
        if self.scheduler.freed(capacity, stalled, taken_in) == 0 {
            self.quiet.notify_waiters();
        }
    }

    /// Called when leases were lost and their messages left the route without a settler.
    pub(super) fn lost(&self, messages: usize) {
        self.stats.add(&RouteStats {
            lost: messages as u64,
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
        again: bool,
    ) {
        let last = self.once;
        let came = Came { again, last };
        let call = self.scheduler.received(jobs, settled, asked, came);
        self.answer(call);
    }

    /// Wakes or spawns the worker that the scheduler calls.
    pub(super) fn answer(self: &Arc<Self>, call: Call) {
        match call {
            Call::Nobody => {}
            Call::Wake(waker) => waker.wake(),
            Call::Hire(number, cancelled) => {
                let worker = Worker::new(self.clone(), number, cancelled);
                let route = self.clone();
                // No panic of the user's code gets here. One of ours must not leave messages behind unseen.
                // Who calls may be on the I/O thread.
                self.home.spawn(async move {
                    if let Err(panic) = AssertUnwindSafe(worker).catch_unwind().await {
                        *locked(&route.panic) = Some(panic);
                        route.panicked.notify_one();
                    }
                });
            }
        }
    }

    /// Returns what becomes of a message that was not acked, in words.
    pub(super) fn next(&self, message: &Message, settlement: &Settlement) -> String {
        let after = match settlement {
            Settlement::Ack => return "acked".to_owned(),
            Settlement::DeadLetter(_) if self.dead_letter_outage.is_on() => {
                return "dead-lettered, or retried while no dead letters can be made".to_owned();
            }
            Settlement::DeadLetter(_) => return "dead-lettered".to_owned(),
            Settlement::Release => return "released".to_owned(),
            Settlement::Defer { .. } | Settlement::Isolate => return "put off".to_owned(),
            Settlement::Retry { .. } if self.capabilities.gives_up_after(message.attempt()) => {
                return "given up by its queue, which allows no further receive".to_owned();
            }
            Settlement::Retry { after } => after,
        };
        let when = match after {
            Some(Duration::ZERO) => "at once".to_owned(),
            Some(after) => {
                // Nobody reads the nanoseconds of jitter.
                let after = Duration::from_millis(after.as_millis() as u64);
                format!("after {}", humantime::format_duration(after))
            }
            None if self.capabilities.lease.is_some() => "when its lease ends".to_owned(),
            None => "when the broker redelivers it".to_owned(),
        };
        let attempt = message.attempt().saturating_add(1);
        match self.policy.max_attempts {
            Some(most) => format!("retried {when} (attempt {attempt} of {most})"),
            None => format!("retried {when} (attempt {attempt})"),
        }
    }
}
