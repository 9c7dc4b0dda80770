//! A broker that goes away and comes back.

use std::time::Duration;

use futures_util::future::try_join;
use tokio::time::{Instant, sleep};

use crate::{
    BrokerUnderTest, Outage,
    case::{Checked, Fault, ensure},
    ledger::Ledger,
    queue::publish,
    stage::{SHORT, Stage, numbered},
};
use loafer_core::{broker::Broker, translate::Bytes};
use loafer_runtime::program::RouteOptions;

/// How long the broker is away.
const AWAY: Duration = Duration::from_millis(1_500);

/// Twice the broker goes away while a service publishes and consumes. Neither is started again; what was not confirmed is
/// published again; in the end every message has been handled.
pub(super) async fn an_outage_loses_nothing<S: BrokerUnderTest>(stage: Stage<S>) -> Checked {
    let queue = stage.queue_with(|wanted| wanted.lease = SHORT).await?;
    let (ledger, count) = (Ledger::new(), stage.count(10_000));
    let outage = stage.subject.outage().await;
    let Outage { broker, switch } = outage.map_err(Fault::new)?;
    let publisher = broker.publisher();
    let route = queue.route(RouteOptions::new());
    let route = route.handler(Bytes::new(), ledger.acking());
    let program = stage.run_on(broker, [route]).await?;

    let publishing = async {
        let numbers: Vec<_> = (0..count).collect();
        for numbers in numbers.chunks(20) {
            let end = Instant::now() + stage.patience();
            let mut left = numbers.to_vec();
            while !left.is_empty() {
                let messages = numbered(left.iter().copied());
                let answers = publish(&publisher, &queue.made, messages).await?;
                let mut answers = answers.into_iter();
                left.retain(|_| answers.next().is_some_and(|answer| answer.is_err()));
                ensure!(
                    Instant::now() < end,
                    "{} messages could not be published after the outage",
                    left.len()
                );
                sleep(Duration::from_millis(5)).await;
            }
        }
        Ok(())
    };
    let cutting = async {
        for part in [count / 3, count / 2] {
            ledger.reaches(part, stage.patience()).await?;
            switch(false).await;
            sleep(AWAY).await;
            switch(true).await;
        }
        ledger.reaches(count, 2 * stage.patience()).await
    };
    try_join(publishing, cutting).await?;
    program.stop().await
}
