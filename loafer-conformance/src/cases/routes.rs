//! Routes that come and go while their program runs: what they leave is there when they are added again.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use tokio::sync::watch;

use super::shutdowns::gated;
use crate::{
    BrokerUnderTest,
    case::{Checked, ensure},
    ledger::Ledger,
    stage::{Stage, numbered},
};
use loafer_core::{broker::Provider, message::Message, translate::Bytes};
use loafer_runtime::program::{Ended, RouteOptions};

/// A route is removed and added again while messages arrive: none is lost, none handled twice.
pub(super) async fn a_route_that_comes_and_goes_loses_nothing<S: BrokerUnderTest>(
    stage: Stage<S>,
) -> Checked {
    const TURNS: usize = 5;
    let (queue, ledger, count) = (stage.queue().await?, Ledger::new(), stage.count(2_000));
    let name = queue.route_name();
    let route = || {
        let route = queue.route(RouteOptions::new());
        route.handler(Bytes::new(), ledger.acking())
    };
    let program = stage.run([route()]).await?;
    for turn in 1..=TURNS {
        let arriving = queue.publish(numbered((turn - 1) * count / TURNS..turn * count / TURNS));
        let changing = async {
            let some = (2 * turn - 1) * count / (2 * TURNS);
            ledger.reaches(some, stage.patience()).await?;
            let ended = program.running().remove(name).await?;
            ensure!(ended == Ended::Clean, "the route ended {ended:?}");
            program.running().add(route()).await?;
            Ok(())
        };
        let (arrived, changed) = tokio::join!(arriving, changing);
        arrived?;
        changed?;
    }
    ledger.reaches(count, stage.patience()).await?;
    program.stop().await?;
    ledger.once_each()
}

/// What a removed route has not started is handled when the route is added again, and on its first attempt where a release costs none.
pub(super) async fn what_a_removed_route_releases_costs_no_attempt<S: BrokerUnderTest>(
    stage: Stage<S>,
) -> Checked {
    const MESSAGES: usize = 12;
    const RUNNING: usize = 2;
    let queue = stage.queue().await?;
    queue.publish(numbered(0..MESSAGES)).await?;
    let (ledger, gate) = (Ledger::new(), watch::Sender::new(false));
    let options = RouteOptions::new()
        .concurrency(RUNNING)
        .prefetch(4 * MESSAGES);
    let program = queue.start(options, gated(&ledger, &gate)).await?;
    let all = |received| received == MESSAGES as u64;
    program
        .until("all received", |stats| all(stats.received))
        .await?;
    ledger.reaches(RUNNING, stage.patience()).await?;
    let removed = program.running().remove(queue.route_name());
    let released = async {
        let rest = (MESSAGES - RUNNING) as u64;
        let released = program.until("the rest released", |stats| stats.released >= rest);
        released.await?;
        gate.send_replace(true);
        Checked::Ok(())
    };
    let (removed, released) = tokio::join!(removed, released);
    released?;
    let ended = removed?;
    ensure!(ended == Ended::Clean, "the route ended {ended:?}");

    let most = Arc::new(AtomicU32::new(0));
    let handler = {
        let (ledger, most) = (ledger.clone(), most.clone());
        move |message: Message| {
            most.fetch_max(message.attempt(), Ordering::SeqCst);
            ledger.note(&message);
            std::future::ready(true)
        }
    };
    let again = queue.route(RouteOptions::new());
    let again = again.handler(Bytes::new(), handler);
    program.running().add(again).await?;
    ledger.reaches(MESSAGES, stage.patience()).await?;
    program.stop().await?;
    ledger.once_each()?;
    let capabilities = queue.provider().await?.capabilities();
    let attempt = most.load(Ordering::SeqCst);
    ensure!(
        attempt == 1 || capabilities.release_costs_attempt,
        "a message that never ran came as attempt {attempt}"
    );
    Ok(())
}
