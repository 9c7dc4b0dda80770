//! What was sent to a queue in memory and not looked at yet.

use std::{
    collections::VecDeque,
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Waker},
};

use loafer_core::message::Message;

/// What was sent and not looked at yet, and who waits for it. Its lock is held for a moment only: whoever sends waits for nobody who receives or
/// settles.
#[derive(Default)]
pub(super) struct Inbox {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    messages: VecDeque<Message>,
    waiting: Vec<(u64, Waker)>,
    /// The number of whoever began to wait last.
    last: u64,
}

impl Inbox {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes messages in, and wakes whoever waits.
    pub(super) fn put(&self, messages: impl Iterator<Item = Message>) {
        let mut state = self.state();
        state.messages.extend(messages);
        wake(state);
    }

    /// Puts what came behind what is there.
    #[inline]
    pub(super) fn empty_into(&self, ready: &mut VecDeque<Message>) {
        let mut state = self.state();
        if ready.is_empty() {
            mem::swap(ready, &mut state.messages);
        } else {
            ready.append(&mut state.messages);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.state().messages.is_empty()
    }

    /// Wakes whoever waits.
    pub(super) fn wake(&self) {
        wake(self.state());
    }
}

#[inline]
fn wake(mut state: MutexGuard<'_, State>) {
    if state.waiting.is_empty() {
        return;
    }
    let waiting = mem::take(&mut state.waiting);
    drop(state);
    waiting.into_iter().for_each(|(_, waker)| waker.wake());
}

/// Somebody who waits: woken by whatever makes a message visible, and forgotten when this is dropped.
pub(super) struct Watching<'i> {
    inbox: &'i Inbox,
    /// Tells it from others of its task.
    number: Option<u64>,
}

impl<'i> Watching<'i> {
    pub(super) fn of(inbox: &'i Inbox) -> Self {
        Self {
            inbox,
            number: None,
        }
    }

    /// Wakes this task from here on, once.
    pub(super) fn renew(&mut self, cx: &Context<'_>) {
        let mut state = self.inbox.state();
        let number = *self.number.get_or_insert_with(|| {
            state.last += 1;
            state.last
        });
        let known = state.waiting.iter_mut().find(|(of, _)| *of == number);
        match known {
            Some((_, waker)) => waker.clone_from(cx.waker()),
            None => state.waiting.push((number, cx.waker().clone())),
        }
    }
}

impl Drop for Watching<'_> {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            let waiting = &mut self.inbox.state().waiting;
            waiting.retain(|(of, _)| *of != number);
        }
    }
}
