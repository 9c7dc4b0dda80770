//! The faults that a test wants. The provider and the publisher of a test read them on every call.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::{Notify, futures::Notified};

use loafer_core::{Error, message::MessageId};

/// The faults that a test wants. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Plan(Arc<Shared>);

#[derive(Default)]
struct Shared {
    plan: Mutex<Planned>,
    /// Notified when the broker goes down or up, or when the process dies.
    changed: Notify,
}

#[derive(Default)]
struct Planned {
    /// Whether every call fails.
    down: bool,
    queues: HashMap<String, OfQueue>,
    /// How many messages to each topic are not confirmed.
    publishes: HashMap<String, usize>,
    /// Where the process dies.
    cut: Option<Cut>,
    /// Set when the process has died: the broker gets nothing more from it.
    dead: Option<Death>,
}

/// The faults of one queue.
#[derive(Default)]
pub(super) struct OfQueue {
    /// How many messages are delivered twice.
    pub(super) duplicates: usize,
    /// How many acks are confirmed and forgotten.
    pub(super) forgotten: usize,
    /// Messages whose ack is confirmed and forgotten.
    pub(super) again: Vec<MessageId>,
    /// By how much the next messages are delayed.
    pub(super) delays: VecDeque<Duration>,
    /// Whether messages that are received together are delivered in the opposite order.
    pub(super) reversed: bool,
    pub(super) failing_receives: usize,
    pub(super) failing_settlements: usize,
}

impl OfQueue {
    /// Whether the ack of this message is forgotten.
    pub(super) fn forgets(&mut self, id: &MessageId) -> bool {
        match self.again.iter().position(|known| known == id) {
            Some(at) => {
                self.again.swap_remove(at);
                true
            }
            None => take(&mut self.forgotten),
        }
    }
}

/// Where a process dies: at the step of this kind with this number, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// A handler has waited this many times.
    Wait(usize),
    /// A handler is done, and the broker does not know it yet.
    Settlement(usize),
}

/// What a process was doing when it died.
#[derive(Clone, Debug)]
pub(super) struct Death {
    pub(super) route: String,
    pub(super) id: MessageId,
}

impl Plan {
    fn lock(&self) -> MutexGuard<'_, Planned> {
        self.0.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads or changes the faults of a queue.
    pub(super) fn of<T>(&self, queue: &str, change: impl FnOnce(&mut OfQueue) -> T) -> T {
        change(self.lock().queues.entry(queue.to_owned()).or_default())
    }

    pub(super) fn set_down(&self, down: bool) {
        self.lock().down = down;
        self.0.changed.notify_waiters();
    }

    pub(super) fn is_down(&self) -> bool {
        self.lock().down
    }

    pub(super) fn fail_publishes(&self, topic: &str, times: usize) {
        *self.lock().publishes.entry(topic.to_owned()).or_default() += times;
    }

    /// Completes when the broker goes down or up, or when the process dies.
    pub(super) fn changed(&self) -> Notified<'_> {
        self.0.changed.notified()
    }

    pub(super) fn receive(&self, queue: &str) -> Result<(), Error> {
        let fails = self.of(queue, |of| take(&mut of.failing_receives));
        self.answer(fails, "receive", queue)
    }

    pub(super) fn settle(&self, queue: &str) -> Result<(), Error> {
        let fails = self.of(queue, |of| take(&mut of.failing_settlements));
        self.answer(fails, "settling", queue)
    }

    pub(super) fn renew(&self, queue: &str) -> Result<(), Error> {
        self.answer(false, "renewing", queue)
    }

    pub(super) fn publish(&self, topic: &str) -> Result<(), Error> {
        let fails = self.lock().publishes.get_mut(topic).is_some_and(take);
        self.answer(fails || self.is_dead(), "publish", topic)
    }

    fn answer(&self, fails: bool, what: &'static str, queue: &str) -> Result<(), Error> {
        if !fails && !self.is_down() {
            return Ok(());
        }
        Err(Error::Unreachable {
            what,
            queue: queue.to_owned(),
            cause: "the test wants it so".to_owned(),
            source: None,
        })
    }

    pub(super) fn cut(&self, at: Cut) {
        self.lock().cut = Some(at);
    }

    pub(super) fn is_dead(&self) -> bool {
        self.lock().dead.is_some()
    }

    pub(super) fn death(&self) -> Option<Death> {
        self.lock().dead.clone()
    }

    /// Counts one step of this kind. Returns whether the process is dead now: it may die at this step.
    pub(super) fn dies_of(&self, one: Cut, route: &str, id: &MessageId) -> bool {
        let mut planned = self.lock();
        let last = match (&mut planned.cut, one) {
            (Some(Cut::Wait(left)), Cut::Wait(_))
            | (Some(Cut::Settlement(left)), Cut::Settlement(_)) => {
                *left = left.saturating_sub(1);
                *left == 0
            }
            _ => false,
        };
        if last && planned.dead.is_none() {
            planned.dead = Some(Death {
                route: route.to_owned(),
                id: id.clone(),
            });
            drop(planned);
            self.0.changed.notify_waiters();
            return true;
        }
        planned.dead.is_some()
    }

    /// Waits until the process is dead.
    pub(super) async fn died(&self) {
        loop {
            let changed = self.changed();
            if self.is_dead() {
                return;
            }
            changed.await;
        }
    }
}

/// Takes one of what is left. Returns whether there was one.
fn take(left: &mut usize) -> bool {
    let some = *left > 0;
    *left -= usize::from(some);
    some
}
