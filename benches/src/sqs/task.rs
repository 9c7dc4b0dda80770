//! The task of a contestant, given by its environment: to consume one queue. At its end it prints what was handled.
//!
//! This file is the same in every contestant, whatever workspace it is built in.

use std::{
    env,
    str::FromStr,
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use serde::{Deserialize, Serialize};

/// The queue's name.
pub const QUEUE: &str = "SQS_BENCH_QUEUE";
/// How many handlers run at once.
pub const CONCURRENCY: &str = "SQS_BENCH_CONCURRENCY";
/// How long a handler waits, in milliseconds.
pub const HANDLER: &str = "SQS_BENCH_HANDLER_MS";
/// How many messages the queue has.
pub const MESSAGES: &str = "SQS_BENCH_MESSAGES";

/// What the body of a message decodes to, in every contestant.
#[derive(Debug, Deserialize, Serialize)]
pub struct Event {
    /// Distinguishes the messages of a queue.
    pub number: usize,
    /// Fills the body up.
    pub text: String,
}

/// The task of this process.
#[derive(Debug)]
pub struct Task {
    /// The queue's name.
    pub queue: String,
    /// How many handlers run at once.
    pub concurrency: usize,
    wait: Duration,
    once: Vec<AtomicBool>,
    handled: AtomicU64,
}

impl Task {
    /// Returns the task in the environment of this process.
    ///
    /// # Panics
    ///
    /// If a variable is missing or is not a number: somebody has started the program by hand.
    pub fn get() -> &'static Self {
        static TASK: OnceLock<Task> = OnceLock::new();
        TASK.get_or_init(|| Self {
            queue: read(QUEUE),
            concurrency: read(CONCURRENCY),
            wait: Duration::from_millis(read(HANDLER)),
            once: (0..read(MESSAGES))
                .map(|_| AtomicBool::new(false))
                .collect(),
            handled: AtomicU64::new(0),
        })
    }

    /// The handler of every contestant: waits, and records the message.
    pub async fn handle(&self, event: &Event) -> bool {
        if !self.wait.is_zero() {
            tokio::time::sleep(self.wait).await;
        }
        self.handled.fetch_add(1, Ordering::Relaxed);
        match self.once.get(event.number) {
            Some(seen) => {
                seen.store(true, Ordering::Relaxed);
                !event.text.is_empty()
            }
            None => false,
        }
    }

    /// Prints, as the last line, how often the handler ran and for how many messages.
    pub fn tell(&self) {
        let different = self.once.iter().filter(|seen| seen.load(Ordering::Relaxed));
        let handled = self.handled.load(Ordering::Relaxed);
        println!("LEDGER {handled} {}", different.count());
    }
}

fn read<T: FromStr>(variable: &str) -> T {
    let value = env::var(variable).ok().and_then(|value| value.parse().ok());
    value.unwrap_or_else(|| panic!("{variable} is not set to a value that fits: `cargo xtask bench sqs` starts this program"))
}
