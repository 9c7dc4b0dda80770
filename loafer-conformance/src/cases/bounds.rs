//! How many, and for how long: handlers at once, messages in flight, messages of a receive, the wait of a receive.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::future::join;
use tokio::{
    sync::{Barrier, watch},
    time::{Instant, sleep, timeout},
};

use crate::{
    BrokerUnderTest,
    case::{Checked, Fault, ensure},
    ledger::Ledger,
    queue::done,
    stage::{Stage, numbered},
};
use loafer_core::{
    broker::{Provider, Settlement},
    message::Message,
};
use loafer_runtime::program::RouteOptions;

/// Handlers that wait for one another: as many as may run do, and none more.
pub(super) async fn as_many_handlers_run_at_once_as_allowed<S: BrokerUnderTest>(
    stage: Stage<S>,
) -> Checked {
    const AT_ONCE: usize = 7;
    let (queue, ledger) = (stage.queue().await?, Ledger::new());
    queue.publish(numbered(0..6 * AT_ONCE)).await?;
    let meeting = Arc::new(Barrier::new(AT_ONCE));
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let handler = {
        let (ledger, running, most) = (ledger.clone(), running.clone(), most.clone());
        move |message: Message| {
            let now = 1 + running.fetch_add(1, Ordering::SeqCst);
            most.fetch_max(now, Ordering::SeqCst);
            let (ledger, running, meeting) = (ledger.clone(), running.clone(), meeting.clone());
            async move {
                meeting.wait().await;
                running.fetch_sub(1, Ordering::SeqCst);
                ledger.note(&message);
                true
            }
        }
    };
    let options = RouteOptions::new().concurrency(AT_ONCE);
    let program = queue.start(options, handler).await?;
    ledger.reaches(6 * AT_ONCE, stage.patience()).await?;
    program.stop().await?;
    let most = most.load(Ordering::SeqCst);
    ensure!(most == AT_ONCE, "{most} ran at once, where {AT_ONCE} may");
    Ok(())
}

/// A deep queue and handlers that stand still: no more is received than the route may have in flight.
pub(super) async fn what_is_in_flight_is_bounded<S: BrokerUnderTest>(stage: Stage<S>) -> Checked {
    const RUNNING: usize = 2;
    const AHEAD: usize = 3;
    let (queue, ledger, count) = (stage.queue().await?, Ledger::new(), stage.count(1_000));
    queue.publish(numbered(0..count)).await?;
    let gate = watch::Sender::new(false);
    let handler = {
        let (ledger, gate) = (ledger.clone(), gate.clone());
        move |message: Message| {
            let (ledger, mut gate) = (ledger.clone(), gate.subscribe());
            async move {
                ledger.note(&message);
                gate.wait_for(|open| *open).await.is_ok()
            }
        }
    };
    let options = RouteOptions::new().concurrency(RUNNING).prefetch(AHEAD);
    let program = queue.start(options, handler).await?;
    ledger.reaches(RUNNING, stage.patience()).await?;
    // As long as it takes a deep queue to send far more.
    sleep(Duration::from_secs(2)).await;
    let (in_flight, received) = (program.running().in_flight(), program.stats().received);
    ensure!(
        in_flight <= RUNNING + AHEAD && received == in_flight as u64,
        "{in_flight} messages are in flight and {received} were received, where {RUNNING} may run and {AHEAD} may wait"
    );
    gate.send_replace(true);
    ledger.reaches(count, stage.patience()).await?;
    program.stop().await
}

/// A receive with room for three brings three at most, however deep the queue is.
pub(super) async fn a_receive_brings_no_more_than_was_asked_for<S: BrokerUnderTest>(
    stage: Stage<S>,
) -> Checked {
    const MESSAGES: usize = 20;
    const ROOM: usize = 3;
    let queue = stage.queue().await?;
    queue.publish(numbered(0..MESSAGES)).await?;
    let (provider, mut came) = (queue.provider().await?, 0);
    let end = Instant::now() + stage.patience();
    while came < MESSAGES {
        ensure!(Instant::now() < end, "{came} of {MESSAGES} messages came");
        let mut some = Vec::new();
        let wait = Duration::from_secs(2);
        provider.receive(ROOM, wait, &mut some).await?;
        ensure!(
            some.len() <= ROOM,
            "{} messages came where there was room for {ROOM}",
            some.len()
        );
        done(&provider, &some, &Settlement::Ack).await?;
        came += some.len();
    }
    Ok(())
}

/// On an empty queue a receive waits as long as it may and no longer; it ends when a message comes.
pub(super) async fn a_receive_waits_for_the_first_message<S: BrokerUnderTest>(
    stage: Stage<S>,
) -> Checked {
    let queue = stage.queue().await?;
    let provider = queue.provider().await?;
    let mut none = Vec::new();
    let wait = Duration::from_secs(1);
    let receive = provider.receive(1, wait, &mut none);
    let in_time = timeout(wait + stage.patience() / 4, receive).await;
    in_time.map_err(|_| Fault::new(format_args!("a wait of {wait:?} was not over in time")))??;
    ensure!(none.is_empty(), "a message came that nobody sent");

    let longest = provider.capabilities().wait;
    // A receive that is shorter than two seconds leaves no room between the message and half of the wait.
    let bound = if longest < Duration::from_secs(2) {
        longest
    } else {
        longest / 2
    };
    let (mut one, began) = (Vec::new(), Instant::now());
    let publish = async {
        sleep(Duration::from_millis(500)).await;
        queue.publish(numbered([1])).await
    };
    let (received, published) = join(provider.receive(1, longest, &mut one), publish).await;
    received?;
    published?;
    let waited = began.elapsed();
    ensure!(
        one.len() == 1 && waited <= bound,
        "a receive of {longest:?} ended with {} messages after {waited:?}; one was sent after half a second, and is due within {bound:?}",
        one.len()
    );
    done(&provider, &one, &Settlement::Ack).await
}
