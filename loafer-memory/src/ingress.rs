//! What was sent to a queue since the last receive, and who waits for it.

use std::{
    collections::VecDeque,
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Waker},
};

use loafer_core::message::Message;

/// What was sent to a queue since the last receive, and who waits for it.
///
/// Its lock is held for a moment only, so that a sender never waits for a receive or a settlement. FIFO queues use only its waiters: their
/// messages go straight to the visible store.
#[derive(Default)]
pub(crate) struct Ingress {
    arrivals: Mutex<Arrivals>,
}

#[derive(Default)]
struct Arrivals {
    messages: VecDeque<Message>,
    /// The tasks that wait, by the numbers of their [`Waiter`]s. Empty after each wake.
    waiting: Vec<(u64, Waker)>,
    /// The number of the last waiter.
    last: u64,
}

impl Ingress {
    fn arrivals(&self) -> MutexGuard<'_, Arrivals> {
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes messages, and wakes everybody who waits.
    pub(crate) fn put(&self, messages: impl Iterator<Item = Message>) {
        let mut arrivals = self.arrivals();
        arrivals.messages.extend(messages);
        wake(arrivals);
    }

    /// Moves what was sent behind what is visible.
    #[inline]
    pub(crate) fn empty_into(&self, visible: &mut VecDeque<Message>) {
        let mut arrivals = self.arrivals();
        if visible.is_empty() {
            mem::swap(visible, &mut arrivals.messages);
        } else if !arrivals.messages.is_empty() {
            visible.append(&mut arrivals.messages);
        }
    }

    /// Returns whether nothing was sent since the last receive.
    pub(crate) fn is_empty(&self) -> bool {
        self.arrivals().messages.is_empty()
    }

    /// Wakes everybody who waits.
    pub(crate) fn wake(&self) {
        wake(self.arrivals());
    }
}

#[inline]
fn wake(mut arrivals: MutexGuard<'_, Arrivals>) {
    if arrivals.waiting.is_empty() {
        return;
    }
    let waiting = mem::take(&mut arrivals.waiting);
    drop(arrivals);
    waiting.into_iter().for_each(|(_, waker)| waker.wake());
}

/// A task that waits for a message to become visible. It is forgotten when this value is dropped.
pub(crate) struct Waiter<'i> {
    ingress: &'i Ingress,
    /// Tells this waiter from others of the same task. `None` until it first waits.
    number: Option<u64>,
}

impl<'i> Waiter<'i> {
    pub(crate) fn of(ingress: &'i Ingress) -> Self {
        Self {
            ingress,
            number: None,
        }
    }

    /// Asks for one wake of this task: at the next message that becomes visible.
    pub(crate) fn renew(&mut self, cx: &Context<'_>) {
        let mut arrivals = self.ingress.arrivals();
        let number = *self.number.get_or_insert_with(|| {
            arrivals.last += 1;
            arrivals.last
        });
        let known = arrivals.waiting.iter_mut().find(|(of, _)| *of == number);
        match known {
            Some((_, waker)) => waker.clone_from(cx.waker()),
            None => arrivals.waiting.push((number, cx.waker().clone())),
        }
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            let waiting = &mut self.ingress.arrivals().waiting;
            waiting.retain(|(of, _)| *of != number);
        }
    }
}
