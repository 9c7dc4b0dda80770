//! A queue of 10,000 messages whose handlers do not return: how many are held, and in how much memory.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::{
    bench::{Bench, Contestant},
    program::{Orders, Program},
    queue::{Depth, Queue},
};

/// Messages of the queue.
pub const MESSAGES: usize = 10_000;
/// Longer than anybody looks.
const HANDLER: Duration = Duration::from_hours(1);
/// Between two looks at the queue; the number is taken when some looks in a row see the same.
const LOOK: Duration = Duration::from_millis(200);
/// That many.
const SAME: usize = 5;
/// The longest it may take to hold all it will.
const LIMIT: Duration = Duration::from_mins(1);

/// What one contestant takes of a deep queue.
#[derive(Clone, Copy, Debug)]
pub struct InFlight {
    /// Messages leased.
    pub messages: usize,
    /// The most memory resident, in MiB.
    pub peak: f64,
}

/// Lets one contestant hold what it will at this concurrency, then kills it.
///
/// # Errors
///
/// It ended, or never held the same number for long.
pub async fn run(bench: &Bench, contestant: &Contestant, concurrency: usize) -> Result<InFlight> {
    let queue = bench.queue(MESSAGES).await?;
    let program = contestant.start(Orders {
        queue: &queue.name,
        messages: MESSAGES,
        concurrency,
        handler: HANDLER,
    })?;
    let held = steady(&program, &queue).await;
    drop(program);
    queue.remove().await?;
    held
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
