//! Handlers that outlast their lease ten times: they run once, and what it costs to keep the leases.

use std::time::Duration;

use anyhow::Result;

use super::{
    bench::{Bench, Contestant},
    program::Orders,
};

/// How many messages there are, all running at once.
const MESSAGES: usize = 10;
/// How long a handler waits: ten times the lease of a new queue, 30 s.
const HANDLER: Duration = Duration::from_mins(5);
/// How many leases each message has meanwhile.
const LEASES: f64 = 10.0;
/// The longest time that it may take.
const LIMIT: Duration = Duration::from_mins(6);

/// Runs the handlers. Returns the calls that renewed leases, for each message and lease.
///
/// # Errors
///
/// If a message was handled twice, or not in time.
pub async fn run(bench: &Bench, contestant: &Contestant) -> Result<f64> {
    let queue = bench.queue(MESSAGES).await?;
    let calls = contestant.proxy.calls();
    let mut program = contestant.start(Orders {
        queue: &queue.name,
        messages: MESSAGES,
        concurrency: MESSAGES,
        handler: HANDLER,
    })?;
    program
        .until(LIMIT, "every message is deleted", || {
            calls.deleted() >= MESSAGES
        })
        .await?;
    let renewals =
        calls.count("ChangeMessageVisibilityBatch") + calls.count("ChangeMessageVisibility");
    let (_, ledger) = program.stop(LIMIT).await?;
    ledger.check(MESSAGES)?;
    queue.remove().await?;
    Ok(renewals as f64 / MESSAGES as f64 / LEASES)
}
