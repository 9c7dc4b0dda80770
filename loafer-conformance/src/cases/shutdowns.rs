//! The end of a service: what runs is finished, what waits is released, what is cancelled stays in the queue.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

use crate::{
    BrokerUnderTest,
    case::{Checked, ensure},
    ledger::Ledger,
    queue::done,
    stage::{LONG, SHORT, Stage, numbered},
};
use loafer_core::{broker::Settlement, message::Message};
use loafer_runtime::program::{Ended, RouteOptions};

/// A handler that notes its message, and acks it once the gate is open.
pub(super) fn gated(
    ledger: &Ledger,
    gate: &watch::Sender<bool>,
) -> impl Fn(Message) -> std::pin::Pin<Box<dyn Future<Output = bool> + Send>>
+ Clone
+ Send
+ Sync
+ 'static {
    let (ledger, gate) = (ledger.clone(), gate.clone());
    move |message| {
        ledger.note(&message);
        let mut gate = gate.subscribe();
        Box::pin(async move { gate.wait_for(|open| *open).await.is_ok() })
    }
}

/// Handlers that run when the service is told to stop may finish. What they ack is acked once and never redelivered.
pub(super) async fn a_shutdown_finishes_and_acks_what_runs<S: BrokerUnderTest>(
    stage: Stage<S>,
) -> Checked {
    const MESSAGES: usize = 4;
    let queue = stage.queue_with(|wanted| wanted.lease = SHORT).await?;
    queue.publish(numbered(0..MESSAGES)).await?;
    let (ledger, gate) = (Ledger::new(), watch::Sender::new(false));
    let options = RouteOptions::new().concurrency(MESSAGES);
    let program = queue.start(options, gated(&ledger, &gate)).await?;
    ledger.reaches(MESSAGES, stage.patience()).await?;
    program.running().shutdown();
    // Time enough to be cut off in.
    sleep(Duration::from_millis(300)).await;
    let in_flight = program.running().in_flight();
    ensure!(
        in_flight == MESSAGES,
        "{in_flight} of {MESSAGES} handlers were left to finish"
    );
    gate.send_replace(true);
    let (ended, acked) = (program.ended().await?, program.stats().acked);
    ensure!(
        ended == Ended::Clean && acked == MESSAGES as u64,
        "{acked} of {MESSAGES} were acked, and it ended {ended:?}"
    );
    let provider = queue.provider().await?;
    let later = SHORT + Duration::from_secs(1);
    queue.nothing_for(&provider, later).await?;
    ledger.once_each()
}

/// What waits for a handler when the service is told to stop is delivered to the next service at once, not at the end of its lease.
pub(super) async fn a_shutdown_releases_what_has_not_started<S: BrokerUnderTest>(
    stage: Stage<S>,
) -> Checked {
    const MESSAGES: usize = 12;
    const RUNNING: usize = 2;
    let queue = stage.queue().await?;
    queue.publish(numbered(0..MESSAGES)).await?;
    let (ledger, gate) = (Ledger::new(), watch::Sender::new(false));
    // Room for more, since a service asks for a whole batch or not at all.
    let options = RouteOptions::new()
        .concurrency(RUNNING)
        .prefetch(4 * MESSAGES);
    let program = queue.start(options, gated(&ledger, &gate)).await?;
    let all = |received| received == MESSAGES as u64;
    program
        .until("all received", |stats| all(stats.received))
        .await?;
    ledger.reaches(RUNNING, stage.patience()).await?;
    program.running().shutdown();
    let rest = (MESSAGES - RUNNING) as u64;
    let released = program.until("the rest released", |stats| stats.released >= rest);
    released.await?;
    gate.send_replace(true);
    let ended = program.ended().await?;
    let (stats, stopped) = (program.stats(), Instant::now());
    ensure!(
        ended == Ended::Clean && stats.acked == RUNNING as u64,
        "{RUNNING} were running, and it ended {ended:?}: {stats:?}"
    );
    // A receive in flight must not bring back what was just released: each round costs an attempt where releases do. One may end the long poll.
    ensure!(
        (rest..=rest + 1).contains(&stats.released),
        "{rest} were to be released, and {} were",
        stats.released
    );
    let provider = queue.provider().await?;
    let rest = queue.receive(&provider, MESSAGES - RUNNING).await?;
    let waited = stopped.elapsed();
    ensure!(waited < LONG / 2, "the rest came {waited:?} after the end");
    done(&provider, &rest, &Settlement::Ack).await
}

/// A handler that is cancelled with its service is dropped, acks nothing, and its message is redelivered.
pub(super) async fn a_cancelled_handler_leaves_its_message<S: BrokerUnderTest>(
    stage: Stage<S>,
) -> Checked {
    struct Alive(Arc<AtomicUsize>);
    impl Drop for Alive {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::SeqCst);
        }
    }
    let queue = stage.queue_with(|wanted| wanted.lease = SHORT).await?;
    queue.publish(numbered([1])).await?;
    let (ledger, alive) = (Ledger::new(), Arc::new(AtomicUsize::new(0)));
    let handler = {
        let (ledger, alive) = (ledger.clone(), alive.clone());
        move |message: Message| {
            alive.fetch_add(1, Ordering::SeqCst);
            let guard = Alive(alive.clone());
            ledger.note(&message);
            async move {
                let _guard = guard;
                std::future::pending::<bool>().await
            }
        }
    };
    let program = queue.start(RouteOptions::new(), handler).await?;
    ledger.reaches(1, stage.patience()).await?;
    program.running().cancel();
    let ended = program.ended().await?;
    ensure!(ended == Ended::Unclean, "it ended {ended:?}");
    let left = alive.load(Ordering::SeqCst);
    ensure!(left == 0, "the handler outlived its service");
    let provider = queue.provider().await?;
    let again = queue.receive_one(&provider).await?;
    done(&provider, [&again], &Settlement::Ack).await
}
