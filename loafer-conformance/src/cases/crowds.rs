//! Many at once: publishers, consumers, queues; and consumers that come and go.

use crate::{
    BrokerUnderTest,
    case::{Checked, ensure},
    ledger::Ledger,
    program::Program,
    stage::{SHORT, Stage, all, numbered},
};
use loafer_core::translate::Bytes;
use loafer_runtime::program::{Ended, RouteOptions};

const MANY: usize = 5_000;
const PUBLISHERS: usize = 50;
const CONSUMERS: usize = 5;

/// Fifty publishers, five services of ten handlers each: every message is handled, and once.
pub(super) async fn many_publishers_and_consumers_lose_nothing<S: BrokerUnderTest>(
    stage: Stage<S>,
) -> Checked {
    let (queue, ledger, count) = (stage.queue().await?, Ledger::new(), stage.count(MANY));
    let start = || queue.start(RouteOptions::new().concurrency(10), ledger.acking());
    let programs = all((0..CONSUMERS).map(|_| start())).await?;
    let share = |publisher: usize| queue.publish(numbered((publisher..count).step_by(PUBLISHERS)));
    all((0..PUBLISHERS).map(share)).await?;
    ledger.reaches(count, stage.patience()).await?;
    let stops: Vec<_> = programs.iter().map(Program::stop).collect();
    all(stops).await?;
    let acked: u64 = programs.iter().map(|program| program.stats().acked).sum();
    ensure!(
        acked == count as u64,
        "{acked} of {count} messages were acked"
    );
    ledger.once_each()
}

/// One service of twenty routes, each on a queue of its own.
pub(super) async fn many_queues_at_once_lose_nothing<S: BrokerUnderTest>(
    stage: Stage<S>,
) -> Checked {
    const QUEUES: usize = 20;
    let each = stage.count(250);
    let queues = all((0..QUEUES).map(|_| stage.queue())).await?;
    let ledgers: Vec<_> = queues.iter().map(|_| Ledger::new()).collect();
    let routes = queues.iter().zip(&ledgers).map(|(queue, ledger)| {
        let route = queue.route(RouteOptions::new());
        route.handler(Bytes::new(), ledger.acking())
    });
    let program = stage.run(routes).await?;
    let publishing = queues.iter().map(|queue| queue.publish(numbered(0..each)));
    all(publishing.collect::<Vec<_>>()).await?;
    for ledger in &ledgers {
        ledger.reaches(each, stage.patience()).await?;
    }
    program.stop().await?;
    ledgers.iter().try_for_each(Ledger::once_each)
}

/// Two services on one queue: each message goes to one of them, and both get some.
pub(super) async fn consumers_of_a_queue_share_it<S: BrokerUnderTest>(stage: Stage<S>) -> Checked {
    let (queue, both, count) = (stage.queue().await?, Ledger::new(), stage.count(500));
    queue.publish(numbered(0..count)).await?;
    // Neither may take all before the other has come.
    let options = || RouteOptions::new().concurrency(1).prefetch(1);
    let slow = |ledger: &Ledger| {
        let (both, own) = (both.clone(), ledger.clone());
        move |message| {
            both.note(&message);
            own.note(&message);
            async {
                tokio::time::sleep(std::time::Duration::from_millis(2)).await;
                true
            }
        }
    };
    let shares = [Ledger::new(), Ledger::new()];
    let first = queue.start(options(), slow(&shares[0])).await?;
    let second = queue.start(options(), slow(&shares[1])).await?;
    both.reaches(count, stage.patience()).await?;
    first.stop().await?;
    second.stop().await?;
    both.once_each()?;
    for share in shares {
        ensure!(share.total() > 0, "one of two consumers got nothing");
    }
    Ok(())
}

/// A service is stopped and started again while messages wait: none is lost, none handled twice.
pub(super) async fn consumers_that_come_and_go_lose_nothing<S: BrokerUnderTest>(
    stage: Stage<S>,
) -> Checked {
    const TURNS: usize = 5;
    let (queue, ledger, count) = (stage.queue().await?, Ledger::new(), stage.count(MANY));
    queue.publish(numbered(0..count)).await?;
    let mut acked = 0;
    for turn in 1..=TURNS {
        let program = queue.start(RouteOptions::new(), ledger.acking()).await?;
        ledger
            .reaches(turn * count / TURNS, stage.patience())
            .await?;
        program.stop().await?;
        acked += program.stats().acked;
    }
    ensure!(
        acked == count as u64,
        "{acked} of {count} messages were acked"
    );
    ledger.once_each()
}

/// Services that are told to stop at the same moment, and twice, all end well; what they left is there for the next.
pub(super) async fn consumers_may_close_all_at_once<S: BrokerUnderTest>(
    stage: Stage<S>,
) -> Checked {
    let (queue, ledger, count) = (stage.queue().await?, Ledger::new(), stage.count(2_000));
    queue.publish(numbered(0..count)).await?;
    let start = || queue.start(RouteOptions::new(), ledger.acking());
    let programs = all((0..CONSUMERS).map(|_| start())).await?;
    ledger.reaches(count / 2, stage.patience()).await?;
    for program in [&programs, &programs].into_iter().flatten() {
        program.running().shutdown();
    }
    let ends: Vec<_> = programs.iter().map(Program::ended).collect();
    for ended in all(ends).await? {
        ensure!(ended == Ended::Clean, "a consumer ended {ended:?}");
    }
    let last = start().await?;
    ledger.reaches(count, stage.patience()).await?;
    last.stop().await?;
    ledger.once_each()
}

/// One of two services stops: the other goes on, and gets the rest.
pub(super) async fn a_consumer_that_stops_leaves_the_others_at_work<S: BrokerUnderTest>(
    stage: Stage<S>,
) -> Checked {
    // What a receive brings that the first one dropped waits for its lease.
    let queue = stage.queue_with(|wanted| wanted.lease = 2 * SHORT).await?;
    let (ledger, half) = (Ledger::new(), stage.count(500) / 2);
    let first = queue.start(RouteOptions::new(), ledger.acking()).await?;
    let second = queue.start(RouteOptions::new(), ledger.acking()).await?;
    queue.publish(numbered(0..half)).await?;
    ledger.reaches(half, stage.patience()).await?;
    first.stop().await?;
    queue.publish(numbered(half..2 * half)).await?;
    ledger.reaches(2 * half, stage.patience()).await?;
    second.stop().await?;
    ledger.once_each()
}
