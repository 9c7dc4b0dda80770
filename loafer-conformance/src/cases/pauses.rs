//! Routes that are paused: they handle nothing, and go on as if nothing had been.

use std::time::Duration;

use tokio::time::sleep;

use crate::{
    BrokerUnderTest,
    case::{Checked, ensure},
    ledger::Ledger,
    stage::{Stage, numbered},
};
use loafer_core::message::Message;
use loafer_runtime::program::RouteOptions;

/// Long enough for a message to be handled that should not be.
const WHILE: Duration = Duration::from_secs(2);

/// A paused route handles nothing; after it is resumed, all messages are handled, each at its first attempt.
pub(super) async fn a_paused_route_handles_nothing_until_it_is_resumed<S: BrokerUnderTest>(
    stage: Stage<S>,
) -> Checked {
    const COUNT: usize = 30;
    let (queue, ledger) = (stage.queue().await?, Ledger::new());
    queue.publish(numbered(0..1)).await?;
    let handler = {
        let ledger = ledger.clone();
        move |message: Message| {
            let ledger = ledger.clone();
            async move {
                ledger.note(&message);
                message.attempt() == 1
            }
        }
    };
    let program = queue.start(RouteOptions::new(), handler).await?;
    ledger.reaches(1, stage.patience()).await?;
    let route = program.running().routes().concat();
    program.running().pause(&route)?;
    queue.publish(numbered(1..COUNT)).await?;
    sleep(WHILE).await;
    ensure!(ledger.total() == 1, "a paused route handled messages");
    ensure!(program.running().is_ready(), "a paused route is not ready");
    program.running().resume(&route)?;
    ledger.reaches(COUNT, stage.patience()).await?;
    // Some of these may have come before the provider was paused. The next come after it.
    queue.publish(numbered(COUNT..2 * COUNT)).await?;
    ledger.reaches(2 * COUNT, stage.patience()).await?;
    program
        .until("acked", |stats| stats.acked == 2 * COUNT as u64)
        .await?;
    program.stop().await
}

/// A route that is not enabled receives nothing until it is resumed.
pub(super) async fn a_route_that_is_not_enabled_starts_paused<S: BrokerUnderTest>(
    stage: Stage<S>,
) -> Checked {
    let (queue, ledger) = (stage.queue().await?, Ledger::new());
    queue.publish(numbered(0..5)).await?;
    let handler = {
        let ledger = ledger.clone();
        move |message: Message| {
            ledger.note(&message);
            async { true }
        }
    };
    let options = RouteOptions::new().enabled(false);
    let program = queue.start(options, handler).await?;
    sleep(WHILE).await;
    let received = program.stats().received;
    ensure!(received == 0, "{received} messages were received");
    let route = program.running().routes().concat();
    program.running().resume(&route)?;
    ledger.reaches(5, stage.patience()).await?;
    program.stop().await
}
