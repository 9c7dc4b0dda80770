//! A deep queue, consumed to its end: throughput, CPU time, calls, memory.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::{
    bench::{Bench, Contestant},
    calls::{self, Call},
    program::Orders,
    queue::Depth,
};

/// The longest one run may take.
const LIMIT: Duration = Duration::from_mins(3);
/// The longest end of a program that has nothing left to do.
const END: Duration = Duration::from_secs(30);
/// From the last delete's request to its answer.
const SETTLED: Duration = Duration::from_millis(50);

/// The calls that are reported one by one.
pub const ACTIONS: [&str; 3] = [
    "ReceiveMessage",
    "DeleteMessageBatch",
    "ChangeMessageVisibilityBatch",
];

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// Handlers at once.
    pub concurrency: usize,
    /// How long a handler waits.
    pub handler: Duration,
    /// How many messages the queue holds.
    pub messages: usize,
}

/// What one run of one contestant took.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// API calls for 1,000 messages: all, then those of [`ACTIONS`], then the others.
    pub calls: [f64; 5],
    /// Messages a second, from the first call to the last delete.
    pub rate: f64,
    /// CPU seconds for 1,000 messages, from the first receive on.
    pub cpu: f64,
    /// The most memory resident, in MiB.
    pub peak: f64,
}

/// Has a fresh queue consumed by one contestant.
///
/// # Errors
///
/// The contestant did not consume it in time, or handled a message twice, or left one.
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
