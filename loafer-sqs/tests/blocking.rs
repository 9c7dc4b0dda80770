//! Async handlers that block their threads on SQS: leases are renewed meanwhile, and other routes go on.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should fail")]

mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use loafer_core::{message::Message, translate::Json};
use loafer_runtime::program::{Ended, Route, RouteOptions};
use loafer_sqs::Sqs;
use tokio::time::{sleep, timeout};

/// Longer than anything here takes, on a machine that is also building.
const DEADLINE: Duration = Duration::from_secs(60);

/// How long each handler blocks. The lease is a third of it.
const BLOCKS: Duration = Duration::from_secs(6);
const LEASE: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_of_a_handler_that_blocks_run_once() {
    let server = server!(
        "LOAFER_TEST_FAUXQS",
        "messages_of_a_handler_that_blocks_run_once"
    );
    let blocked = server.queue("blocked", Some(LEASE)).await;
    let good = server.queue("good", Some(LEASE)).await;
    let runs = Arc::new(AtomicUsize::new(0));
    let counts = runs.clone();
    let block = move |_: u32| {
        counts.fetch_add(1, Ordering::SeqCst);
        async {
            thread::sleep(BLOCKS);
            true
        }
    };
    let options = RouteOptions::new().lease(LEASE);
    let options = |queue: &support::Queue| options.clone().queue(&queue.name);
    let bad = Route::new("blocks")
        .provider::<Sqs>()
        .options(options(&blocked).concurrency(6))
        .handler(Json, block);
    let beside = Route::new("good")
        .provider::<Sqs>()
        .options(options(&good))
        .handler(Json, async |_: u32| true);
    let manager = server.manager().route(bad).route(beside);
    let running = manager.build().unwrap().start().await.unwrap();
    let messages = (0..6).map(|number| Message::new(number.to_string()).into());
    blocked.send(messages.collect()).await;

    let acked = |route| running.stats(route).unwrap().acked;
    let until = async |what: &str, holds: &(dyn Fn() -> bool + Sync)| {
        let waited = timeout(DEADLINE, async {
            while !holds() {
                sleep(Duration::from_millis(20)).await;
            }
        });
        waited.await.unwrap_or_else(|_| panic!("not {what}"));
    };
    // The first calls have ended, and all others block now.
    until("started", &|| runs.load(Ordering::SeqCst) == 6).await;
    let began = Instant::now();
    good.send(vec![Message::new("1").into()]).await;
    until("handled beside them", &|| acked("good") == 1).await;
    assert!(began.elapsed() < BLOCKS / 2, "{:?}", began.elapsed());
    until("acked", &|| acked("blocks") == 6).await;
    assert_eq!(runs.load(Ordering::SeqCst), 6);
    let stats = running.stats("blocks").unwrap();
    assert_eq!((stats.received, stats.lost), (6, 0));
    running.shutdown();
    assert_eq!(running.ended().await, Ended::Clean);
    assert_eq!(blocked.depth().await, 0);
}
