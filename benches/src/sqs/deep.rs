//! A deep queue, consumed to its end: throughput, CPU time, calls, memory.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::{
    bench::{Bench, Contestant},
    calls::{self, Call},
    program::Orders,
    queue::Depth,
};

/// The longest time that one run may take.
const LIMIT: Duration = Duration::from_mins(3);
/// The longest time that a program with nothing left to do may take to end.
const END: Duration = Duration::from_secs(30);
/// The time from the last delete's request to its answer.
const SETTLED: Duration = Duration::from_millis(50);

/// The calls that have columns of their own.
pub const ACTIONS: [&str; 3] = [
    "ReceiveMessage",
    "DeleteMessageBatch",
    "ChangeMessageVisibilityBatch",
];

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// How many handlers run at once.
    pub concurrency: usize,
    /// How long a handler waits.
    pub handler: Duration,
    /// How many messages the queue has.
    pub messages: usize,
}

/// What one run of one contestant took.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// API calls per 1,000 messages: all, then those of [`ACTIONS`], then the others.
    pub calls: [f64; 5],
    /// Messages per second, from the first call to the last delete.
    pub rate: f64,
    /// CPU seconds per 1,000 messages, from the first receive on.
    pub cpu: f64,
    /// The most resident memory, in MiB.
    pub peak: f64,
}

/// Lets one contestant consume a fresh queue.
///
/// # Errors
///
/// If the contestant did not consume it in time, handled a message twice, or left one.
pub async fn run(bench: &Bench, contestant: &Contestant, case: Case) -> Result<(Run, Vec<Call>)> {
    let queue = bench.queue(case.messages).await?;
    let calls = contestant.proxy.calls();
    let mut program = contestant.start(Orders {
        queue: &queue.name,
        messages: case.messages,
        concurrency: case.concurrency,
        handler: case.handler,
    })?;
    program
        .until(END, "its first receive", || calls.count(ACTIONS[0]) > 0)
        .await?;
    let cpu = program.cpu()?;
    program
        .until(LIMIT, "every message is deleted", || {
            calls.deleted() >= case.messages
        })
        .await?;
    tokio::time::sleep(SETTLED).await;
    let cpu = program.cpu()?.saturating_sub(cpu);
    let peak = program.peak()?;
    // Taken before the long polls that follow.
    let mut calls = calls.take();
    let last = calls
        .iter()
        .rposition(|call| call.action.starts_with("Delete"));
    calls.truncate(last.map_or(0, |last| last + 1));

    let (_, ledger) = program.stop(END).await?;
    ledger.check(case.messages)?;
    let left = queue.depth().await?;
    ensure!(
        left == Depth {
            visible: 0,
            leased: 0
        },
        "it left messages: {left:?}"
    );
    queue.remove().await?;
    let run = Run::of(&calls, case.messages, cpu, peak).context("it made no calls")?;
    Ok((run, calls))
}

impl Run {
    fn of(calls: &[Call], messages: usize, cpu: Duration, peak: f64) -> Option<Self> {
        let took = calls.last()?.at.duration_since(calls.first()?.at);
        let thousands = messages as f64 / 1000.0;
        let counts = ACTIONS.map(|action| calls::count(calls, action));
        let others = calls.len() - counts.iter().sum::<usize>();
        let [receives, deletes, changes] = counts;
        let counts = [calls.len(), receives, deletes, changes, others];
        Some(Self {
            calls: counts.map(|count| count as f64 / thousands),
            rate: messages as f64 / took.as_secs_f64(),
            cpu: cpu.as_secs_f64() / thousands,
            peak,
        })
    }
}
