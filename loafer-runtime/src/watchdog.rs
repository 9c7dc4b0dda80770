//! The watchdog: names handlers that block their threads, and calls that run long.
//!
//! It is a task of the I/O thread, which no handler blocks. Workers pay for it only by a [`Pulse`]: a counter that each of them moves when a poll
//! of its handler begins and ends. If a counter stands still inside a poll for long enough, the handler blocks.

use std::{
    collections::VecDeque,
    mem,
    sync::{
        Arc, Mutex, OnceLock, Weak,
        atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{task::block_in_place, time::sleep};

use crate::{dead_letter_outage::Told, handler::Handlers, scheduler::Job, sync::locked};
use loafer_core::{extract::RouteName, message::MessageId};

/// How often the watchdog looks.
const LOOK: Duration = Duration::from_millis(250);

/// After so many looks in a row at one poll, its handler is said to block. Looks are counted and not the time: a program that was stopped for a
/// minute has no handler that blocked for it.
const BLOCKED: u32 = 6;

/// After how long a call is first said to run long. It is said again each time that the call has taken twice as long.
const LONG: Duration = Duration::from_secs(30);

/// Watches the workers of all routes of a program.
#[derive(Default)]
pub(crate) struct Watchdog {
    workers: Mutex<Vec<Watched>>,
}

/// A worker, as the watchdog knows it.
struct Watched {
    /// Gone when the worker is.
    shown: Weak<Shown>,
    /// What the counter was at the last look.
    beat: u32,
    /// How many looks in a row have found the poll that is running.
    looks: u32,
    /// The first of these looks.
    since: Instant,
    /// The call that the worker waits for.
    waiting: Option<Waiting>,
}

/// A call that a worker waits for, as the watchdog knows it.
struct Waiting {
    number: u32,
    since: Instant,
    /// The age at which it is named next.
    next: Duration,
}

/// What the watchdog and the workers of one route share.
pub(crate) struct Watch {
    watchdog: Option<Arc<Watchdog>>,
    /// Whether a handler of the route was seen to block.
    blocks: AtomicBool,
    /// Each handler, by its index, and when the log last said that it blocks.
    handlers: Vec<(Arc<RouteName>, Told)>,
}

/// What one worker does, as it shows it to the watchdog.
pub(crate) struct Pulse {
    shown: Arc<Shown>,
    /// Whether the running call is shown.
    shows_call: bool,
}

struct Shown {
    watch: Arc<Watch>,
    /// Odd while a poll of the handler runs. Only the worker changes it.
    beat: AtomicU32,
    /// The index of the handler that runs. Not set means that the route has one handler.
    which: OnceLock<Arc<AtomicUsize>>,
    /// The call that the worker waits for.
    call: Mutex<Option<Call>>,
}

/// What is said of a call that runs long.
#[derive(Clone)]
struct Call {
    /// No other call of the worker has it.
    number: u32,
    /// The id of its first message.
    message_id: MessageId,
    attempt: u32,
    messages: usize,
}

impl Watchdog {
    /// Watches for ever.
    pub(crate) async fn run(self: Arc<Self>) {
        loop {
            sleep(LOOK).await;
            self.look(Instant::now());
        }
    }

    /// Looks at every worker, at this moment.
    pub(crate) fn look(&self, now: Instant) {
        locked(&self.workers).retain_mut(|worker| match worker.shown.upgrade() {
            Some(shown) => {
                worker.look_for_blocking(&shown, now);
                worker.look_for_long(&shown, now);
                true
            }
            None => false,
        });
    }
}

impl Watched {
    fn look_for_blocking(&mut self, shown: &Shown, now: Instant) {
        let before = mem::replace(&mut self.beat, shown.beat.load(Ordering::Relaxed));
        if self.beat != before || self.beat.is_multiple_of(2) {
            (self.looks, self.since) = (0, now);
            return;
        }
        self.looks += 1;
        if self.looks == BLOCKED {
            shown
                .watch
                .blocked(chosen(shown.which.get()), now - self.since);
        }
    }

    fn look_for_long(&mut self, shown: &Shown, now: Instant) {
        let call = locked(&shown.call);
        let Some(number) = call.as_ref().map(|call| call.number) else {
            self.waiting = None;
            return;
        };
        let known = self.waiting.take_if(|known| known.number == number);
        let waiting = self.waiting.insert(known.unwrap_or(Waiting {
            number,
            since: now,
            next: LONG,
        }));
        let age = now - waiting.since;
        if age >= waiting.next {
            waiting.next *= 2;
            // The worker does not wait for the log.
            let long = call.clone();
            drop(call);
            long.iter()
                .for_each(|call| shown.watch.runs_long(chosen(shown.which.get()), call, age));
        }
    }
}

impl Watch {
    pub(crate) fn new(handlers: &Handlers, watchdog: Option<Arc<Watchdog>>) -> Self {
        let names = handlers
            .names()
            .map(|names| (names.clone(), Told::default()));
        Self {
            watchdog,
            blocks: AtomicBool::new(false),
            handlers: names.collect(),
        }
    }

    /// Returns the pulse of a new worker.
    pub(crate) fn pulse(self: &Arc<Self>) -> Pulse {
        let shown = Arc::new(Shown {
            watch: self.clone(),
            beat: AtomicU32::new(0),
            which: OnceLock::new(),
            call: Mutex::default(),
        });
        if let Some(watchdog) = &self.watchdog {
            locked(&watchdog.workers).push(Watched {
                shown: Arc::downgrade(&shown),
                beat: 0,
                looks: 0,
                since: Instant::now(),
                waiting: None,
            });
        }
        Pulse {
            shown,
            shows_call: false,
        }
    }

    fn blocked(&self, which: usize, within: Duration) {
        self.blocks.store(true, Ordering::Relaxed);
        let (names, told) = &self.handlers[which];
        if told.is_due() {
            tracing::warn!(
                route = %names.route, queue = %names.queue, handler = %names.handler, blocked = ?within,
                "a handler blocks its thread, and what else runs there waits for it: an `async fn` must not sleep with `std::thread`, call what \
                 blocks or compute for long; make it a plain `fn`, which may; until then the calls of its route run where blocking is allowed, \
                 each on a thread of its own"
            );
        }
    }

    fn runs_long(&self, which: usize, call: &Call, age: Duration) {
        let (names, _) = &self.handlers[which];
        let Call {
            message_id,
            attempt,
            messages,
            ..
        } = call;
        tracing::info!(
            route = %names.route, queue = %names.queue, handler = %names.handler, %message_id, attempt, messages, ?age,
            "a handler call runs long: it is waited for, and its messages stay leased; the route's `timeout` would bound it"
        );
    }
}

impl Pulse {
    /// Polls the user's code: watched, and where blocking is allowed if it was seen to block.
    #[inline]
    pub(crate) fn watched<T>(&self, poll: impl FnOnce() -> T) -> T {
        if self.blocks() {
            return self.blocking(poll);
        }
        self.begin();
        let polled = poll();
        self.end();
        polled
    }

    /// Polls the user's code where blocking is allowed.
    ///
    /// Only a watchdog says that a route blocks, and there is one only where another thread can go on with the work of this one.
    #[cold]
    pub(crate) fn blocking<T>(&self, poll: impl FnOnce() -> T) -> T {
        self.begin();
        let polled = block_in_place(poll);
        self.end();
        polled
    }

    /// Called when a poll begins.
    #[inline]
    pub(crate) fn begin(&self) {
        self.move_on(1);
    }

    /// Called in the middle of a poll, when one message is done with and the next one follows.
    #[inline]
    pub(crate) fn next(&self) {
        self.move_on(2);
    }

    /// Called when a poll has ended.
    #[inline]
    pub(crate) fn end(&self) {
        self.move_on(1);
    }

    #[inline]
    fn move_on(&self, by: u32) {
        // Nobody else changes it, so this needs no locked instruction.
        let beat = self.shown.beat.load(Ordering::Relaxed);
        self.shown
            .beat
            .store(beat.wrapping_add(by), Ordering::Relaxed);
    }

    /// Whether a handler of the route was seen to block.
    #[inline]
    pub(crate) fn blocks(&self) -> bool {
        self.shown.watch.blocks.load(Ordering::Relaxed)
    }

    /// Says where the index of the handler that runs is found.
    pub(crate) fn finds_handler(&self, which: Option<&Arc<AtomicUsize>>) {
        _ = which.map(|which| self.shown.which.set(which.clone()));
    }

    /// Shows the running call, of the first of these messages or of all of them. It is shown until it is [`over`](Self::over).
    pub(crate) fn show(&mut self, jobs: &VecDeque<Job>, batch: bool) {
        let Some(Job { message, .. }) = jobs.front() else {
            return;
        };
        if !mem::replace(&mut self.shows_call, true) {
            *locked(&self.shown.call) = Some(Call {
                number: self.shown.beat.load(Ordering::Relaxed),
                message_id: message.id().clone(),
                attempt: message.attempt(),
                messages: if batch { jobs.len() } else { 1 },
            });
        }
    }

    /// Called when no call runs.
    #[inline]
    pub(crate) fn over(&mut self) {
        if mem::replace(&mut self.shows_call, false) {
            *locked(&self.shown.call) = None;
        }
    }
}

/// Returns the index of the handler that runs, from where it is kept.
pub(crate) fn chosen(which: Option<&Arc<AtomicUsize>>) -> usize {
    which.map_or(0, |which| which.load(Ordering::Relaxed))
}

#[cfg(test)]
mod tests;
