//! How large a run is, from the environment: `cargo xtask soak` sets it, a test run leaves it.

use std::{env, str::FromStr, time::Duration};

use fastrand::Rng;

/// How large a run is, and by which seed it is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) seed: u64,
    /// Messages whose publication is confirmed.
    pub(crate) messages: u64,
    /// How long they are published, and things go wrong.
    pub(crate) time: Duration,
    /// Consumers killed.
    pub(crate) kills: usize,
    /// Servers killed.
    pub(crate) server_kills: usize,
    /// Messages that end the process of whoever handles them. All that was beside them is handled alone then, which takes minutes.
    pub(crate) crashes: u64,
}

impl Settings {
    /// What is random of one thing, whatever happens to the others.
    pub(crate) fn rng(&self, thing: u64) -> Rng {
        Rng::with_seed(self.seed.wrapping_add(thing))
    }

    /// Whether the message of this number is one that ends processes: they are evenly among the others.
    pub(crate) fn crashes(&self, id: u64) -> bool {
        let of = |id: u64| id * self.crashes / self.messages.max(1);
        of(id + 1) > of(id) && of(id) < self.crashes
    }

    pub(crate) fn from_env() -> Self {
        let time = Duration::from_secs(number("SECONDS").unwrap_or(75));
        let minutes = time.as_secs_f64() / 60.0;
        let per_minute = |count: f64| (count * minutes).ceil();
        Self {
            seed: number("SEED").unwrap_or_else(|| fastrand::u64(..)),
            messages: number("MESSAGES").unwrap_or(per_minute(6_000.0) as u64),
            time,
            kills: number("KILLS").unwrap_or(per_minute(6.0) as usize),
            server_kills: number("SERVER_KILLS").unwrap_or(per_minute(1.5) as usize),
            crashes: number("CRASHES").unwrap_or(0),
        }
    }
}

fn number<T: FromStr>(name: &str) -> Option<T> {
    let variable = format!("LOAFER_FAULT_{name}");
    let value = env::var(&variable).ok()?;
    match value.parse() {
        Ok(number) => Some(number),
        Err(_) => panic!("{variable} is {value:?}: a whole number is wanted"),
    }
}
