//! The end under load: SIGTERM while the queue is deep and every handler runs.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::{
    bench::{Bench, Contestant},
    program::Orders,
};

/// How many messages the queue has.
const MESSAGES: usize = 3_000;
/// How many of them are deleted when SIGTERM is sent.
const BEFORE: usize = 500;
/// How many handlers run at once.
const CONCURRENCY: usize = 50;
/// How long a handler waits.
const HANDLER: Duration = Duration::from_millis(100);
/// The longest time until the signal.
const LIMIT: Duration = Duration::from_mins(1);
/// The longest time that the end may take.
const END: Duration = Duration::from_secs(40);

/// How one contestant ended.
#[derive(Clone, Copy, Debug)]
pub struct Drain {
    /// From the signal to its exit, in seconds.
    pub seconds: f64,
    /// Handled, and still in the queue: they are redelivered.
    pub repeated: usize,
    /// Leased by nobody any more: they are redelivered when their leases expire, and not before.
    pub stranded: usize,
}

/// Stops one contestant in the middle.
///
/// # Errors
///
/// If it did not come so far, or lost a message.
pub async fn run(bench: &Bench, contestant: &Contestant) -> Result<Drain> {
    let queue = bench.queue(MESSAGES).await?;
    let calls = contestant.proxy.calls();
    let mut program = contestant.start(Orders {
        queue: &queue.name,
        messages: MESSAGES,
        concurrency: CONCURRENCY,
        handler: HANDLER,
    })?;
    program
        .until(LIMIT, "the first deletes", || calls.deleted() >= BEFORE)
        .await?;
    let (took, ledger) = program.stop(END).await?;
    let left = queue.depth().await?;
    let in_queue = left.visible + left.leased;
    let untouched = MESSAGES - ledger.different;
    ensure!(
        in_queue >= untouched,
        "{untouched} messages were not handled, and {in_queue} are in the queue"
    );
    queue.remove().await?;
    Ok(Drain {
        seconds: took.as_secs_f64(),
        repeated: in_queue - untouched,
        stranded: left.leased,
    })
}
