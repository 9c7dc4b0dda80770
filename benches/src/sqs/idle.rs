//! An empty queue: the calls of an hour, and the end of an idle program.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::{
    bench::{Bench, Contestant},
    program::Orders,
};

/// How long calls are counted, from the first receive on: three long polls.
const WINDOW: Duration = Duration::from_secs(59);
/// How many such windows an hour has, if long polls last 20 s.
const AN_HOUR: usize = 60;
/// The longest time that the start or the end may take.
const LIMIT: Duration = Duration::from_secs(30);

/// What one contestant does with an empty queue.
#[derive(Clone, Copy, Debug)]
pub struct Idle {
    /// Calls per hour.
    pub calls: usize,
    /// CPU seconds per hour.
    pub cpu: f64,
    /// From the signal to its exit, in seconds.
    pub stop: f64,
}

/// Leaves one contestant alone with an empty queue.
///
/// # Errors
///
/// If it did not start or end in time.
pub async fn run(bench: &Bench, contestant: &Contestant) -> Result<Idle> {
    let queue = bench.queue(0).await?;
    let calls = contestant.proxy.calls();
    let mut program = contestant.start(Orders {
        queue: &queue.name,
        messages: 0,
        concurrency: 50,
        handler: Duration::ZERO,
    })?;
    program
        .until(LIMIT, "its first receive", || {
            calls.count("ReceiveMessage") > 0
        })
        .await?;
    let (started, cpu) = (Instant::now(), program.cpu()?);
    let enough = || started.elapsed() >= WINDOW;
    program
        .until(2 * WINDOW, "the end of the window", enough)
        .await?;
    let count = calls.count("ReceiveMessage");
    let cpu = program.cpu()?.saturating_sub(cpu);
    let (stop, _) = program.stop(LIMIT).await?;
    queue.remove().await?;
    Ok(Idle {
        calls: count * AN_HOUR,
        cpu: cpu.as_secs_f64() * AN_HOUR as f64,
        stop: stop.as_secs_f64(),
    })
}
