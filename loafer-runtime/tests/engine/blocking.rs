//! Async handlers that block their thread run side by side, as long as the runtime has threads.

use std::{
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use loafer_core::{message::Message, translate::Json};
use loafer_memory::Memory;
use loafer_runtime::program::{App, Manager, Route, RouteOptions, Running};

use crate::scripted::Scripted;

/// How long each handler blocks.
const BLOCKS: Duration = Duration::from_millis(300);

type Times = Arc<Mutex<Vec<(Instant, Instant)>>>;

/// A route whose handler blocks its thread.
fn route(times: &Times) -> Route {
    let noted = times.clone();
    let options = RouteOptions::new().concurrency(4);
    let route = Route::new("r").options(options);
    route.handler(Json, move |_: u64| {
        let noted = noted.clone();
        async move {
            let began = Instant::now();
            thread::sleep(BLOCKS);
            noted.lock().unwrap().push((began, Instant::now()));
            true
        }
    })
}

/// Waits for the handlers of four messages. They take no longer than two of them one after the other.
async fn side_by_side(running: &Running, times: &Times) {
    while running.stats("r").unwrap().acked < 4 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    running.cancel();
    running.ended().await;
    let times = times.lock().unwrap();
    let first = times.iter().map(|(began, _)| *began).min().unwrap();
    let last = times.iter().map(|(_, ended)| *ended).max().unwrap();
    assert!(last - first < 2 * BLOCKS, "{:?}", last - first);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn handlers_that_block_run_side_by_side_for_messages_that_come_together() {
    for turn in 0..6 {
        let mut broker = Scripted::default().holding(1..=4);
        if turn % 2 == 0 {
            broker = broker.able(|capabilities| {
                (capabilities.receivers, capabilities.settlers) = (1, 1);
            });
        }
        let times = Times::default();
        let route = route(&times).provider::<Scripted>();
        let running = broker.start_route(route).await;
        side_by_side(&running, &times).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn handlers_that_block_run_side_by_side_for_messages_that_come_one_by_one() {
    for turn in 0..6 {
        let times = Times::default();
        let app = App::new().broker(Memory::new());
        let manager = Manager::builder().app(app);
        let route = route(&times).provider::<Memory>();
        let running = manager.route(route).build().unwrap().start().await.unwrap();
        for number in 1..=4 {
            let message = Message::new(number.to_string());
            running.publish("r", message).await.unwrap();
            if turn % 2 == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        side_by_side(&running, &times).await;
    }
}
