//! The task of a contestant: to fill one queue or to empty it, as its environment says. It prints how long that took, and at its end what
//! was handled.

use std::{
    env, fs,
    str::FromStr,
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

/// `amqp://…`
pub const URL: &str = "AMQP_BENCH_URL";
/// The queue's name.
pub const QUEUE: &str = "AMQP_BENCH_QUEUE";
/// `publish` or `consume`.
pub const WORK: &str = "AMQP_BENCH_WORK";
/// Which loop, if the program has several.
pub const STYLE: &str = "AMQP_BENCH_STYLE";
/// The most messages that are delivered and not yet acked.
pub const PREFETCH: &str = "AMQP_BENCH_PREFETCH";
/// How many messages the queue gets, or has.
pub const MESSAGES: &str = "AMQP_BENCH_MESSAGES";

/// The size of every body, in bytes.
pub const SIZE: usize = 16;
/// The most messages that are unconfirmed at once, however they are published.
pub const WINDOW: usize = 500;
/// How many messages go together, if they do.
pub const BATCH: usize = 50;

/// The task of this process.
#[derive(Debug)]
pub struct Task {
    /// `amqp://…`
    pub url: String,
    /// The queue's name.
    pub queue: String,
    /// Whether the queue has to be filled.
    pub publishes: bool,
    /// Which loop.
    pub style: String,
    /// The most messages that are delivered and not yet acked.
    pub prefetch: u16,
    /// How many messages there are.
    pub messages: usize,
    began: OnceLock<Moment>,
    once: Vec<AtomicBool>,
    handled: AtomicUsize,
}

/// A moment, and the CPU time until then.
#[derive(Clone, Copy, Debug)]
struct Moment {
    at: Instant,
    cpu: Duration,
}

impl Moment {
    fn now() -> Self {
        Self {
            at: Instant::now(),
            cpu: cpu().unwrap_or_default(),
        }
    }
}

impl Task {
    /// Returns the task in the environment of this process.
    ///
    /// # Panics
    ///
    /// If a variable is missing or wrong: somebody has started the program by hand.
    pub fn get() -> &'static Self {
        static TASK: OnceLock<Task> = OnceLock::new();
        TASK.get_or_init(|| {
            let messages = read(MESSAGES);
            Self {
                url: read(URL),
                queue: read(QUEUE),
                publishes: read::<String>(WORK) == "publish",
                style: read(STYLE),
                prefetch: read(PREFETCH),
                messages,
                began: OnceLock::new(),
                once: (0..messages).map(|_| AtomicBool::new(false)).collect(),
                handled: AtomicUsize::new(0),
            }
        })
    }

    /// Returns all bodies, in their order.
    pub fn bodies(&self) -> impl Iterator<Item = String> + use<> {
        (0..self.messages).map(|number| format!("{number:0SIZE$}"))
    }

    /// The handler of every contestant: records the message. The first message begins what is measured, and the last one ends it.
    pub fn handle(&self, body: &[u8]) -> bool {
        self.begin();
        let number = std::str::from_utf8(body)
            .ok()
            .and_then(|text| text.parse().ok());
        let seen = number.and_then(|number: usize| self.once.get(number));
        if let Some(seen) = seen {
            seen.store(true, Ordering::Relaxed);
        }
        if self.handled.fetch_add(1, Ordering::Relaxed) + 1 == self.messages {
            self.end();
        }
        seen.is_some()
    }

    /// Begins what is measured, if it has not begun yet.
    pub fn begin(&self) {
        self.began.get_or_init(Moment::now);
    }

    /// Ends what is measured. Prints how long it took and how much CPU time, in seconds.
    pub fn end(&self) {
        let (began, ended) = (*self.began.get_or_init(Moment::now), Moment::now());
        let took = (ended.at - began.at).as_secs_f64();
        let cpu = ended.cpu.saturating_sub(began.cpu).as_secs_f64();
        println!("TOOK {took:.6} {cpu:.6}");
    }

    /// Prints, as the last line, how often the handler ran and for how many messages.
    pub fn tell(&self) {
        let different = self.once.iter().filter(|seen| seen.load(Ordering::Relaxed));
        let handled = self.handled.load(Ordering::Relaxed);
        println!("LEDGER {handled} {}", different.count());
    }
}

/// Returns the CPU time of this process's threads so far, user and system. `None` if the system does not give it.
fn cpu() -> Option<Duration> {
    let mut all = Duration::ZERO;
    for thread in fs::read_dir("/proc/self/task").ok()?.flatten() {
        // A thread that has just ended has no file any more.
        if let Ok(stat) = fs::read_to_string(thread.path().join("schedstat")) {
            all += Duration::from_nanos(stat.split_whitespace().next()?.parse().ok()?);
        }
    }
    Some(all)
}

fn read<T: FromStr>(variable: &str) -> T {
    let value = env::var(variable).ok().and_then(|value| value.parse().ok());
    value.unwrap_or_else(|| {
        panic!("{variable} is not set to a value that fits: `cargo xtask bench amqp` starts this program")
    })
}
