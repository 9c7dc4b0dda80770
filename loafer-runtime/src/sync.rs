//! What the tasks of a route wait with and wake each other by. Locks and flags are those of the standard library or, when `loom` searches the
//! scheduler, loom's.

use std::{
    collections::HashSet,
    hash::Hash,
    mem,
    sync::{Arc, PoisonError},
    task::{Context, Waker},
};

use tokio::{sync::Notify, task::JoinHandle};

#[cfg(loafer_loom)]
pub(crate) use loom::sync::{Mutex, MutexGuard, atomic::AtomicBool};
#[cfg(not(loafer_loom))]
pub(crate) use std::sync::{Mutex, MutexGuard, atomic::AtomicBool};

/// Locks a mutex, also after a panic: what it protects is changed only while nothing can panic.
pub(crate) fn locked<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Tasks that wait for one thing. Each is woken once, and registers again if it has to wait on.
#[derive(Default)]
pub(crate) struct Waiters(Vec<Waker>);

impl Waiters {
    /// Registers a task, unless it is registered already.
    pub(crate) fn register(&mut self, cx: &Context<'_>) {
        if !self.0.iter().any(|waker| waker.will_wake(cx.waker())) {
            self.0.push(cx.waker().clone());
        }
    }

    /// Removes a task: it has work, and must not be woken instead of one that waits.
    pub(crate) fn unregister(&mut self, cx: &Context<'_>) {
        self.0.retain(|waker| !waker.will_wake(cx.waker()));
    }

    /// Returns one of them, to be woken.
    pub(crate) fn pop(&mut self) -> Option<Waker> {
        self.0.pop()
    }

    /// Returns all of them, to be woken.
    pub(crate) fn take(&mut self) -> Vec<Waker> {
        mem::take(&mut self.0)
    }
}

/// What is in flight, by its keys. Others can wait until it is over.
#[derive(Debug)]
pub(crate) struct InFlight<K> {
    keys: std::sync::Mutex<HashSet<K>>,
    over: Notify,
}

impl<K> Default for InFlight<K> {
    fn default() -> Self {
        Self {
            keys: std::sync::Mutex::default(),
            over: Notify::new(),
        }
    }
}

impl<K: Copy + Eq + Hash> InFlight<K> {
    /// Adds keys.
    pub(crate) fn begin(&self, keys: &[K]) {
        locked(&self.keys).extend(keys);
    }

    /// Removes keys.
    pub(crate) fn end(&self, keys: &[K]) {
        let mut in_flight = locked(&self.keys);
        for key in keys {
            in_flight.remove(key);
        }
        drop(in_flight);
        self.over.notify_waiters();
    }

    /// Waits until none of these is in flight.
    pub(crate) async fn over(&self, keys: impl Iterator<Item = K> + Clone) {
        loop {
            let over = self.over.notified();
            if !keys.clone().any(|key| locked(&self.keys).contains(&key)) {
                return;
            }
            over.await;
        }
    }
}

/// Moves on the task that was woken last from this thread.
///
/// Tokio keeps that task for this thread, which runs it next: no other thread can take it. If the handler that runs now blocks or computes
/// for long, a worker that was called for other messages, or a settler with acks, would have to wait for it. Waking one more task, which
/// does nothing, moves it on to where other threads find it.
pub(crate) struct Usher {
    next: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Usher {
    pub(crate) fn new() -> Self {
        let next = Arc::new(Notify::new());
        let woken = next.clone();
        let task = tokio::spawn(async move {
            loop {
                woken.notified().await;
            }
        });
        Self { next, task }
    }

    /// Moves on the task that was woken last.
    pub(crate) fn move_on(&self) {
        self.next.notify_one();
    }
}

impl Drop for Usher {
    fn drop(&mut self) {
        self.task.abort();
    }
}
