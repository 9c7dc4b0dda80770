//! What a loop is measured by: calls, time, CPU.

use std::time::{Duration, Instant};

use super::{
    calls::{Call, Calls},
    proxy::Proxy,
};

/// Measures from its start to its stop.
#[derive(Debug)]
pub struct Meter<'p> {
    proxy: &'p Proxy,
    calls: Calls,
    before: usize,
    started: Instant,
    cpu: Option<Duration>,
}

/// What a loop took for its messages.
#[derive(Debug)]
pub struct Run {
    /// The calls it made.
    pub calls: Vec<Call>,
    /// When it started.
    pub started: Instant,
    /// How long it ran.
    pub took: Duration,
    /// The CPU time of this process without its proxy; none where the system does not tell.
    pub cpu: Option<Duration>,
}

impl<'p> Meter<'p> {
    /// Measures from now on.
    pub fn start(proxy: &'p Proxy) -> Self {
        let calls = proxy.calls().clone();
        Self {
            before: calls.len(),
            calls,
            cpu: proxy.cpu_of_others(),
            proxy,
            started: Instant::now(),
        }
    }

    /// Measures no more.
    pub fn stop(self) -> Run {
        let took = self.started.elapsed();
        let cpu = self.proxy.cpu_of_others().zip(self.cpu);
        Run {
            calls: self.calls.since(self.before),
            started: self.started,
            took,
            cpu: cpu.map(|(after, before)| after.saturating_sub(before)),
        }
    }
}
