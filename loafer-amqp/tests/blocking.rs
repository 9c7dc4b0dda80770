//! Async handlers that block their threads on RabbitMQ: heartbeats go on meanwhile, and so do other routes.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should fail")]

mod private;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use loafer_amqp::{Amqp, Options};
use loafer_core::{message::Message, translate::Json};
use loafer_runtime::program::{App, Ended, Manager, Route, RouteOptions};
use loafer_test_servers::{Setup, Version};
use tokio::time::{sleep, timeout};

private::on_both!(a_handler_that_blocks_costs_no_connection);

/// Longer than anything here takes, on a machine that is also building.
const DEADLINE: Duration = Duration::from_secs(60);

/// How long each handler blocks. Without a heartbeat for two of its intervals, here 2 s, RabbitMQ closes a connection.
const BLOCKS: Duration = Duration::from_secs(8);

async fn a_handler_that_blocks_costs_no_connection(version: Version) {
    private::note_log();
    let test = format!("blocks-{version:?}").to_lowercase();
    let Some(broker) = private::broker(version, &test, &Setup::default()).await else {
        return;
    };
    let runs = Arc::new(AtomicUsize::new(0));
    let counts = runs.clone();
    let block = move |_: u32| {
        counts.fetch_add(1, Ordering::SeqCst);
        async {
            thread::sleep(BLOCKS);
            true
        }
    };
    let options = |queue: &str| {
        let options = RouteOptions::new().broker_options::<Amqp>(Options::new().exchange(""));
        options.queue(format!("{queue}-{test}"))
    };
    let bad = Route::new(format!("{test}-bad"))
        .provider::<Amqp>()
        .options(options("bad").concurrency(6))
        .handler(Json, block);
    let good = Route::new(format!("{test}-good"))
        .provider::<Amqp>()
        .options(options("good"))
        .handler(Json, async |_: u32| true);
    let (bad_name, good_name) = (bad.name().to_owned(), good.name().to_owned());
    let url = format!("{}?heartbeat=2", broker.url());
    let app = App::new().name("blocks").broker(Amqp::new(url));
    let manager = Manager::builder().app(app).route(bad).route(good);
    let running = manager.build().unwrap().start().await.unwrap();
    for number in 0..6 {
        let message = Message::new(number.to_string());
        running.publish(&bad_name, message).await.unwrap();
    }

    let acked = |route: &str| running.stats(route).unwrap().acked;
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
    let message = Message::new("1");
    running.publish(&good_name, message).await.unwrap();
    until("handled beside them", &|| acked(&good_name) == 1).await;
    assert!(began.elapsed() < BLOCKS / 2, "{:?}", began.elapsed());
    until("acked", &|| acked(&bad_name) == 6).await;
    assert_eq!(runs.load(Ordering::SeqCst), 6);
    let stats = running.stats(&bad_name).unwrap();
    assert_eq!((stats.received, stats.lost), (6, 0));
    let about = |text: &str| {
        let lines = private::logged(&test).into_iter();
        lines.filter(|line| line.contains(text)).count()
    };
    assert_eq!(about("connection is lost"), 0);
    assert!(about("blocks its thread") > 0);
    running.shutdown();
    assert_eq!(running.ended().await, Ended::Clean);
}
