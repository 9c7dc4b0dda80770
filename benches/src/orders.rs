//! The task of a contestant in memory, given by the command line: orders are put on a queue and handled, and the time that takes is
//! measured.
//!
//! This file is the same in every contestant, whatever workspace it is built in. Body, fields and shapes are those of RustStream's own
//! bench `wall_clock`: many small bursts, and on one thread only what follows the publishing is timed.

use std::{
    env,
    hint::black_box,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use serde::Deserialize;
use tokio::{
    runtime::{Builder, Runtime},
    sync::Notify,
};

/// The name of the queue, topic or subject, as the contestant calls it.
pub const NAME: &str = "orders";
/// The body of every message. Decoding it allocates nothing.
pub const BODY: &[u8] = br#"{"id":1000000,"quantity":37}"#;
/// How many messages are put on the queue at once.
const BURST: usize = 1_000;
/// How many bursts are timed, and how many run before, untimed.
const BURSTS: usize = 500;
const WARMING: usize = 50;

/// What the body decodes to.
#[derive(Debug, Deserialize)]
pub struct Order {
    /// The order's number.
    pub id: u64,
    /// How many are wanted.
    pub quantity: u32,
}

static LEFT: AtomicUsize = AtomicUsize::new(0);
static DRAINED: Notify = Notify::const_new();

/// The handler of every contestant.
pub fn handle(order: &Order) -> bool {
    let wanted = black_box(order.id) > 0 && black_box(order.quantity) > 0;
    if LEFT.fetch_sub(1, Ordering::Relaxed) == 1 {
        DRAINED.notify_one();
    }
    wanted
}

/// The task of this process.
#[derive(Clone, Copy, Debug)]
pub struct Task {
    /// Whether the burst is on the queue before the clock starts, on one thread. Otherwise it is published while it is consumed, on two.
    preloaded: bool,
    /// How many handlers run at once.
    pub concurrency: usize,
}

impl Task {
    /// Returns the task from `preloaded 8` or `published 8`, the last two arguments of the command line.
    ///
    /// # Panics
    ///
    /// If the arguments are others: somebody has started the program by hand.
    pub fn get() -> Self {
        let arguments: Vec<String> = env::args().collect();
        let task = match arguments.as_slice() {
            [.., shape, concurrency] if shape == "preloaded" || shape == "published" => {
                let concurrency = concurrency.parse().ok();
                concurrency.map(|concurrency| Self {
                    preloaded: shape == "preloaded",
                    concurrency,
                })
            }
            _ => None,
        };
        task.unwrap_or_else(|| panic!("`cargo xtask bench memory` starts this program"))
    }

    /// Returns the runtime that the contestant runs on.
    ///
    /// # Panics
    ///
    /// If the system gives no thread.
    pub fn runtime(self) -> Runtime {
        let mut builder = if self.preloaded {
            Builder::new_current_thread()
        } else {
            let mut builder = Builder::new_multi_thread();
            builder.worker_threads(2);
            builder
        };
        let runtime = builder.enable_time().build();
        runtime.unwrap_or_else(|error| panic!("no runtime: {error}"))
    }

    /// Publishes and waits, burst after burst. Prints how many messages per second were handled.
    ///
    /// # Panics
    ///
    /// If a burst that should wait on its queue did not.
    pub async fn run(self, mut publish: impl AsyncFnMut()) {
        let mut took = Duration::ZERO;
        for burst in 0..WARMING + BURSTS {
            LEFT.store(BURST, Ordering::Relaxed);
            let mut begun = Instant::now();
            for _ in 0..BURST {
                publish().await;
            }
            if self.preloaded {
                assert_eq!(LEFT.load(Ordering::Relaxed), BURST, "handled too early");
                begun = Instant::now();
            }
            DRAINED.notified().await;
            if burst >= WARMING {
                took += begun.elapsed();
            }
        }
        println!("{:.0}", (BURST * BURSTS) as f64 / took.as_secs_f64());
    }
}
