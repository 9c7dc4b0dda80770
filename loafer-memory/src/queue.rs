//! One queue in memory.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use super::{
    MemoryReceipt,
    inbox::{Inbox, Watching},
    shelf::Shelf,
    state::State,
};
use crate::clock::after;
use loafer_core::{
    broker::Delivery,
    message::{Message, Outgoing},
};

/// How queues of a broker in memory behave.
#[derive(Clone, Debug)]
pub(super) struct QueueOptions {
    pub(super) lease: Duration,
    pub(super) max_receives: Option<u32>,
    pub(super) batch: usize,
}

impl Default for QueueOptions {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(30),
            max_receives: Some(3),
            batch: 100,
        }
    }
}

/// One queue in memory.
pub(super) struct Queue {
    pub(super) name: String,
    fifo: bool,
    max_receives: Option<u32>,
    inbox: Inbox,
    state: Mutex<State>,
    /// Told when nothing is left.
    emptied: Arc<Notify>,
    /// Whether a route consumes it: dead letters wait for nobody.
    consumed: AtomicBool,
}

/// What became of a receipt.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Done,
    Lost,
}

impl Queue {
    pub(super) fn new(name: &str, max_receives: Option<u32>, emptied: Arc<Notify>) -> Self {
        Self {
            name: name.to_owned(),
            fifo: is_fifo(name),
            max_receives,
            inbox: Inbox::default(),
            state: Mutex::new(State::new(is_fifo(name))),
            emptied,
            consumed: AtomicBool::new(false),
        }
    }

    /// All it holds.
    fn state(&self) -> MutexGuard<'_, State> {
        let mut state = self.looked_at();
        if let Shelf::Standard(ready) = &mut state.ready {
            self.inbox.empty_into(ready);
        }
        state
    }

    /// The same without what came since somebody looked.
    fn looked_at(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn consume(&self) {
        self.consumed.store(true, Ordering::Release);
    }

    pub(super) fn is_consumed(&self) -> bool {
        self.consumed.load(Ordering::Acquire)
    }

    /// Whether it keeps the messages of a group in order.
    pub(super) fn is_fifo(&self) -> bool {
        self.fifo
    }

    pub(super) fn max_receives(&self) -> Option<u32> {
        self.max_receives
    }

    pub(super) fn is_empty(&self) -> bool {
        self.state().is_empty()
    }

    pub(super) fn messages(&self) -> Vec<Message> {
        let state = self.state();
        let leased = state.leased.iter().flatten().map(|leased| &leased.message);
        state
            .ready
            .iter()
            .chain(state.delayed.values().map(|delayed| &delayed.message))
            .chain(leased)
            .cloned()
            .collect()
    }

    pub(super) fn send(
        &self,
        messages: impl IntoIterator<Item = Message>,
        delay: Option<Duration>,
    ) {
        // Not received yet: the first receive is attempt 1.
        let messages = messages.into_iter().map(|message| message.with_attempt(0));
        match delay.filter(|delay| !delay.is_zero()) {
            None if !self.fifo => return self.inbox.put(messages),
            None => {
                let mut state = self.state();
                messages.for_each(|message| state.ready.add(message));
            }
            Some(delay) => {
                let mut state = self.state();
                messages.for_each(|message| state.delay(message, after(delay), false));
            }
        }
        self.inbox.wake();
    }

    /// As [`send`](Self::send), of what was published: a duplicate is left out where the queue tells duplicates.
    pub(super) fn publish(&self, outgoing: &Outgoing, message: Message) {
        if let Some(id) = &outgoing.deduplication_id
            && self.looked_at().ready.is_duplicate(id)
        {
            return;
        }
        self.send([message], outgoing.delay);
    }

    /// Leases up to `max` visible messages; those that were received too often are given up, before anybody can see the queue empty.
    pub(super) fn receive(
        &self,
        max: usize,
        lease: Duration,
        into: &mut Vec<Delivery<MemoryReceipt>>,
        give_up: impl FnOnce(Vec<Message>),
    ) {
        let mut guard = self.state();
        let state = &mut *guard;
        let now = Instant::now();
        state.surface(now);
        let most = self.max_receives.unwrap_or(u32::MAX);
        let until = after(lease);
        let mut dead = Vec::new();
        state.ready.begin();
        let full = into.len().saturating_add(max);
        while into.len() < full
            && let Some(message) = state.ready.next()
        {
            if message.attempt() >= most {
                state.ready.gone(&message);
                dead.push(message);
            } else {
                let attempt = message.attempt() + 1;
                into.push(state.lease(message.with_attempt(attempt), until));
            }
        }
        if !into.is_empty() {
            state.earliest = Some(state.earliest.map_or(until, |earliest| earliest.min(until)));
        }
        if dead.is_empty() {
            return;
        }
        // Under the lock, which no dead-letter queue shares.
        give_up(dead);
        let empty = state.is_empty();
        drop(guard);
        if empty {
            self.emptied.notify_waiters();
        }
    }

    /// When something may become visible by itself.
    pub(super) fn next_visible(&self) -> Option<Instant> {
        let state = self.looked_at();
        let delayed = state.delayed.first_key_value().map(|((at, _), _)| *at);
        state.earliest.into_iter().chain(delayed).min()
    }

    /// For whoever waits for a message to become visible.
    pub(super) fn watching(&self) -> Watching<'_> {
        Watching::of(&self.inbox)
    }

    /// Settles many receipts under one lock.
    pub(super) fn settle<'r>(
        &self,
        receipts: impl Iterator<Item = (&'r MemoryReceipt, End)>,
        mut answer: impl FnMut(Answer),
    ) {
        let mut state = self.looked_at();
        let now = Instant::now();
        state.surface_expired(now);
        let mut visible = false;
        for (receipt, end) in receipts {
            let message = match end {
                End::Lapse => state
                    .leased_mut(receipt)
                    .map(|leased| leased.message.clone()),
                _ => state.take(receipt),
            };
            let Some(message) = message else {
                answer(Answer::Lost);
                continue;
            };
            match end {
                End::Lapse => {}
                End::Gone => {
                    state.ready.gone(&message);
                    // What it kept back may go out.
                    visible |= self.fifo;
                }
                // A release does not count: the broker in memory knows that nobody tried.
                End::Untried => {
                    state.ready.put_back(untried(message), true);
                    visible = true;
                }
                End::UntriedAfter(delay) => {
                    state.delay(untried(message), after(delay), true);
                    visible = true;
                }
                End::After(delay) => {
                    state.delay(message, after(delay), true);
                    visible = true;
                }
            }
            answer(Answer::Done);
        }
        let empty = state.is_empty() && self.inbox.is_empty();
        drop(state);
        if visible {
            self.inbox.wake();
        }
        if empty {
            self.emptied.notify_waiters();
        }
    }

    /// Ends every lease, as if its time were up; says how many there were.
    pub(super) fn expire(&self) -> usize {
        let expired = self.looked_at().expire();
        if expired > 0 {
            self.inbox.wake();
        }
        expired
    }

    pub(super) fn renew(
        &self,
        receipts: &[MemoryReceipt],
        by: Duration,
        mut answer: impl FnMut(Answer),
    ) {
        let mut state = self.looked_at();
        let now = Instant::now();
        state.surface_expired(now);
        for receipt in receipts {
            answer(match state.leased_mut(receipt) {
                Some(leased) => {
                    leased.until = after(by);
                    Answer::Done
                }
                None => Answer::Lost,
            });
        }
    }
}

/// How a lease ends.
pub(super) enum End {
    Gone,
    /// By itself, when its time is over.
    Lapse,
    Untried,
    UntriedAfter(Duration),
    After(Duration),
}

/// The same as before its last receive.
fn untried(message: Message) -> Message {
    let attempt = message.attempt().saturating_sub(1);
    message.with_attempt(attempt)
}

/// Queues whose names end so keep the messages of a group in order, as on SQS.
fn is_fifo(name: &str) -> bool {
    name.ends_with(".fifo")
}
