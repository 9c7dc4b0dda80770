//! What was sent to a queue in memory and not looked at yet.

use std::{
    collections::VecDeque,
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Waker},
};

use crate::Message;

/// What was sent and not looked at yet, and who waits for it. Its lock is held for a moment only: whoever sends waits for nobody who receives or
/// settles.
#[derive(Default)]
pub(super) struct Inbox {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    messages: VecDeque<Message>,
    waiting: Vec<Waker>,
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

    /// Notes down who waits: it is woken by whatever makes a message visible from here on.
    pub(super) fn watch(&self, cx: &Context<'_>) {
        let waiting = &mut self.state().waiting;
        if !waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
            waiting.push(cx.waker().clone());
        }
    }

    /// It waits no more.
    pub(super) fn unwatch(&self, cx: &Context<'_>) {
        let waiting = &mut self.state().waiting;
        waiting.retain(|waker| !waker.will_wake(cx.waker()));
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
    waiting.into_iter().for_each(Waker::wake);
}
