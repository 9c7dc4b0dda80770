//! How much a queue holds: what waits, and what consumers have.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::{
    BrokerUnderTest,
    case::{Checked, ensure},
    queue::done,
    stage::{Stage, numbered},
};
use loafer_core::broker::{Provider, Settlement};

/// The pause between two looks. Brokers count approximately.
const PAUSE: Duration = Duration::from_millis(50);

/// Of five messages two are in flight: three are ready. Then the two are acked. What a broker does not tell is not asked for.
pub(super) async fn a_depth_tells_what_waits_and_what_is_in_flight<S: BrokerUnderTest>(
    stage: Stage<S>,
) -> Checked {
    let queue = stage.queue().await?;
    let provider = queue.provider().await?;
    counts(&provider, (0, 0), stage.patience()).await?;
    queue.publish(numbered(0..5)).await?;
    provider.set_capacity(2);
    let two = [
        queue.receive_one(&provider).await?,
        queue.receive_one(&provider).await?,
    ];
    counts(&provider, (3, 2), stage.patience()).await?;
    done(&provider, &two, &Settlement::Ack).await?;
    // A broker that pushes has pushed two more by now.
    let pushed = 2 * u64::from(provider.capabilities().pushed);
    counts(&provider, (3 - pushed, pushed), stage.patience()).await
}

/// Looks until so many are ready and in flight.
async fn counts(provider: &impl Provider, expected: (u64, u64), patience: Duration) -> Checked {
    let (ready, in_flight) = expected;
    let end = Instant::now() + patience;
    loop {
        let depth = provider.depth().await?;
        let told = depth.in_flight.is_none_or(|told| told == in_flight)
            && depth.delayed.is_none_or(|told| told == 0)
            && depth.oldest.is_none_or(|age| age <= patience);
        if depth.ready == Some(ready) && told {
            return Ok(());
        }
        ensure!(
            Instant::now() < end,
            "{depth:?} where {ready} are ready and {in_flight} in flight"
        );
        sleep(PAUSE).await;
    }
}
