//! A queue of 10,000 messages whose handlers do not return: how many messages are leased, and in how much memory.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::{
    bench::{Bench, Contestant},
    program::{Orders, Program},
    queue::{Depth, Queue},
};

/// How many messages the queue has.
pub const MESSAGES: usize = 10_000;
/// Longer than anybody looks.
const HANDLER: Duration = Duration::from_hours(1);
/// The time between two looks at the queue. The number counts when some looks in a row see the same.
const LOOK: Duration = Duration::from_millis(200);
/// How many looks must see the same.
const SAME: usize = 5;
/// The longest time until it has leased all it will.
const LIMIT: Duration = Duration::from_mins(1);

/// What one contestant leases of a deep queue.
#[derive(Clone, Copy, Debug)]
pub struct InFlight {
    /// Messages leased.
    pub messages: usize,
    /// The most resident memory, in MiB.
    pub peak: f64,
}

/// Lets one contestant lease what it will at this concurrency, and then kills it.
///
/// # Errors
///
/// If it ended, or never leased the same number for long.
pub async fn run(bench: &Bench, contestant: &Contestant, concurrency: usize) -> Result<InFlight> {
    let queue = bench.queue(MESSAGES).await?;
    let program = contestant.start(Orders {
        queue: &queue.name,
        messages: MESSAGES,
        concurrency,
        handler: HANDLER,
    })?;
    let leased = steady(&program, &queue).await;
    drop(program);
    queue.remove().await?;
    leased
}

async fn steady(program: &Program, queue: &Queue) -> Result<InFlight> {
    let begin = Instant::now();
    let (mut before, mut same) = (
        Depth {
            visible: 0,
            leased: 0,
        },
        0,
    );
    while same < SAME {
        ensure!(
            begin.elapsed() < LIMIT,
            "it holds {} messages and goes on",
            before.leased
        );
        tokio::time::sleep(LOOK).await;
        let now = queue.depth().await?;
        same = if now == before && now.leased > 0 {
            same + 1
        } else {
            0
        };
        before = now;
    }
    Ok(InFlight {
        messages: before.leased,
        peak: program.peak()?,
    })
}
