//! One queue in memory.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use loafer_core::{
    broker::{Delivery, Depth, DueTime, Isolated},
    message::{Message, Outgoing},
};
use tokio::{sync::Notify, time::Instant};

use crate::{
    clock::{after, later},
    counts,
    ingress::{Ingress, Waiter},
    names::is_fifo,
    receipt::MemoryReceipt,
    state::State,
    visible::VisibleStore,
};

/// How the queues of a broker in memory behave.
#[derive(Clone, Debug)]
pub(crate) struct QueueOptions {
    /// The lease of a delivery.
    pub(crate) lease: Duration,
    /// After how many receives a message goes to the dead letters. `None` means never.
    pub(crate) max_receives: Option<u32>,
    /// How many messages one receive brings and one call settles, at most.
    pub(crate) batch: usize,
    /// How long one stay of a delayed message is, at most. `None` means without limit.
    pub(crate) longest_delay: Option<Duration>,
}

impl Default for QueueOptions {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(30),
            max_receives: Some(3),
            batch: 100,
            longest_delay: None,
        }
    }
}

/// One queue in memory.
pub(crate) struct Queue {
    pub(crate) name: String,
    fifo: bool,
    max_receives: Option<u32>,
    /// How long one stay of a delayed message is, at most. `None` means without limit, as on a FIFO queue, which puts nothing off.
    longest_delay: Option<Duration>,
    /// What was sent since the last receive. A FIFO queue keeps it empty. Its lock may be taken while that of `state` is held, never the other
    /// way round.
    ingress: Ingress,
    state: Mutex<State>,
    /// Notified when the queue becomes empty. All queues of a broker share it.
    emptied: Arc<Notify>,
    /// How many routes consume it. Nobody waits until a queue without a route is empty, for example one of dead letters.
    consumers: AtomicUsize,
}

/// What became of a receipt.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Done,
    /// Its lease had ended before.
    Lost,
}

impl Queue {
    pub(crate) fn new(name: &str, options: &QueueOptions, emptied: Arc<Notify>) -> Self {
        Self {
            name: name.to_owned(),
            fifo: is_fifo(name),
            max_receives: options.max_receives,
            longest_delay: options.longest_delay.filter(|_| !is_fifo(name)),
            ingress: Ingress::default(),
            state: Mutex::new(State::new(is_fifo(name))),
            emptied,
            consumers: AtomicUsize::new(0),
        }
    }

    /// Locks all that the queue holds.
    fn state(&self) -> MutexGuard<'_, State> {
        let mut state = self.without_ingress();
        if let VisibleStore::Standard(ready) = &mut state.ready {
            self.ingress.empty_into(ready);
        }
        state
    }

    /// Locks what the queue holds, without what was sent since the last receive.
    fn without_ingress(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that one more route consumes the queue.
    pub(crate) fn consume(&self) {
        self.consumers.fetch_add(1, Ordering::Release);
    }

    /// Notes that a route consumes the queue no more.
    pub(crate) fn leave(&self) {
        self.consumers.fetch_sub(1, Ordering::Release);
        // Whoever waited for this queue waits for it no more.
        self.emptied.notify_waiters();
    }

    pub(crate) fn is_consumed(&self) -> bool {
        self.consumers.load(Ordering::Acquire) > 0
    }

    /// Returns whether it keeps the messages of a group in order.
    pub(crate) fn is_fifo(&self) -> bool {
        self.fifo
    }

    /// Returns after how many receives a message goes to the dead letters. `None` means never.
    pub(crate) fn max_receives(&self) -> Option<u32> {
        self.max_receives
    }

    /// Returns whether it puts messages off: it has a longest delay.
    pub(crate) fn defers(&self) -> bool {
        self.longest_delay.is_some()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.state().is_empty()
    }

    /// Returns all messages: visible, delayed and in flight.
    pub(crate) fn messages(&self) -> Vec<Message> {
        self.state().messages().cloned().collect()
    }

    /// Returns how much it holds.
    pub(crate) fn depth(&self) -> Depth {
        self.state().depth(Instant::now())
    }

    /// Adds messages, which become visible after the delay.
    pub(crate) fn send(
        &self,
        messages: impl IntoIterator<Item = Message>,
        delay: Option<Duration>,
    ) {
        let messages = messages.into_iter().map(counts::sent);
        match delay.filter(|delay| !delay.is_zero()) {
            None if !self.fifo => return self.ingress.put(messages),
            None => {
                let mut state = self.state();
                messages.for_each(|message| state.ready.add(message));
            }
            Some(delay) => {
                let mut state = self.state();
                messages.for_each(|message| state.delay(message, after(delay), false));
            }
        }
        self.ingress.wake();
    }

    /// Adds a published message. A FIFO queue drops a duplicate: a message whose deduplication id it has seen.
    pub(crate) fn publish(&self, outgoing: &Outgoing, message: Message) {
        if let Some(id) = &outgoing.deduplication_id
            && self.without_ingress().ready.is_duplicate(id)
        {
            return;
        }
        match outgoing.delay {
            None => self.send([message], None),
            Some(delay) => {
                let (message, delay) = stay(message, delay, self.longest_delay);
                self.send([message], Some(delay));
            }
        }
    }

    /// Leases up to `max` visible messages and appends them to `into`. Hands those that were received too often to `give_up`, before anybody can
    /// see the queue empty.
    pub(crate) fn receive(
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
        let until = later(now, lease);
        let mut dead = Vec::new();
        state.ready.begin();
        let full = into.len().saturating_add(max);
        while into.len() < full
            && let Some(message) = state.ready.next()
        {
            if counts::is_worn(&message, most) {
                _ = state.ready.gone(&message);
                dead.push(message);
            } else {
                into.push(state.lease(message, until));
            }
        }
        if !into.is_empty() {
            state.earliest = Some(state.earliest.map_or(until, |earliest| earliest.min(until)));
        }
        if dead.is_empty() {
            return;
        }
        // Still under the lock of this queue. A dead-letter queue has a lock of its own.
        give_up(dead);
        let empty = state.is_empty();
        drop(guard);
        if empty {
            self.emptied.notify_waiters();
        }
    }

    /// Leases an isolated message. `None` means that there is none that is not on lease.
    pub(crate) fn receive_isolated(&self, lease: Duration) -> Option<Isolated<MemoryReceipt>> {
        let now = Instant::now();
        self.without_ingress()
            .lease_isolated(now, later(now, lease))
    }

    /// Returns when a message may become visible without a send or a settlement. `None` means never.
    pub(crate) fn next_visible(&self) -> Option<Instant> {
        let state = self.without_ingress();
        let delayed = state.delayed.first_key_value().map(|((at, _), _)| *at);
        state.earliest.into_iter().chain(delayed).min()
    }

    /// Returns what waits for a message to become visible.
    pub(crate) fn waiter(&self) -> Waiter<'_> {
        Waiter::of(&self.ingress)
    }

    /// Ends many leases under one lock, each in its way. Adds what `answer` makes of it to `answers`, once per receipt, in order.
    pub(crate) fn settle<'r, A>(
        &self,
        receipts: impl Iterator<Item = (&'r MemoryReceipt, End)>,
        answers: &mut impl Extend<A>,
        mut answer: impl FnMut(Answer) -> A,
    ) {
        // An expired lease is as good as another until a receive has seen it: nobody else has the message. So this reads no clock.
        let mut guard = self.without_ingress();
        let state = &mut *guard;
        let mut visible = false;
        answers.extend(receipts.map(|(receipt, end)| {
            let ended = match end {
                End::Gone => state.take(receipt).map(|message| {
                    if state.ready.gone(&message) {
                        visible = true;
                    }
                }),
                other => give_back(state, receipt, &other, self.longest_delay)
                    .map(|changed| visible |= changed),
            };
            answer(ended.map_or(Answer::Lost, |()| Answer::Done))
        }));
        let empty = state.is_empty() && self.ingress.is_empty();
        drop(guard);
        if visible {
            self.ingress.wake();
        }
        if empty {
            self.emptied.notify_waiters();
        }
    }

    /// Ends every lease, as if it had expired. Returns how many there were.
    pub(crate) fn expire(&self) -> usize {
        let expired = self.without_ingress().expire();
        if expired > 0 {
            self.ingress.wake();
        }
        expired
    }

    /// Makes leases end after `by` from now. Calls `answer` once per receipt, in order.
    pub(crate) fn renew(
        &self,
        receipts: &[MemoryReceipt],
        by: Duration,
        mut answer: impl FnMut(Answer),
    ) {
        let mut state = self.without_ingress();
        let now = Instant::now();
        state.surface_expired(now);
        for receipt in receipts {
            answer(match state.until_mut(receipt) {
                Some(until) => {
                    *until = later(now, by);
                    Answer::Done
                }
                None => Answer::Lost,
            });
        }
    }
}

/// How a lease ends.
pub(crate) enum End {
    /// The message leaves the queue.
    Gone,
    /// The lease expires by itself: the message stays invisible until then. It has failed.
    Lapse,
    /// The message is visible at once, ahead of others, or isolated if it was so before. Nobody tried it.
    Untried,
    /// The message is visible after this long. Nobody tried it.
    UntriedAfter(Duration),
    /// The message is visible after this long. It has failed.
    After(Duration),
    /// The message is handed over alone. Nobody tried it.
    Isolated,
}

/// Ends a lease whose message stays in the queue. Returns whether the queue has changed, so that a message may be visible, now or later.
/// `None` means that the lease has ended before.
#[inline(never)]
fn give_back(
    state: &mut State,
    receipt: &MemoryReceipt,
    end: &End,
    longest: Option<Duration>,
) -> Option<bool> {
    let (message, delay) = match end {
        End::Lapse => return state.lapse(receipt).map(|()| false),
        End::Isolated => return state.isolate(receipt).map(|()| false),
        End::Untried => return state.release(receipt).map(|()| true),
        End::UntriedAfter(delay) => {
            let message = state.take(receipt)?;
            stay(counts::untried(message), *delay, longest)
        }
        End::After(delay) => {
            let message = state.take(receipt)?;
            stay(counts::failed(message), *delay, longest)
        }
        End::Gone => {
            return state
                .take(receipt)
                .map(|message| state.ready.gone(&message));
        }
    };
    state.delay(message, after(delay), true);
    Some(true)
}

/// Returns the message of a delay, and how long its stay is. A message with a longer delay than `longest` says when it is due.
fn stay(message: Message, delay: Duration, longest: Option<Duration>) -> (Message, Duration) {
    match longest.filter(|longest| delay > *longest) {
        Some(longest) => {
            let due = DueTime::after(delay, Instant::now().into_std());
            (
                message.with_header(DueTime::HEADER, due.to_header()),
                longest,
            )
        }
        None => (message, delay),
    }
}
