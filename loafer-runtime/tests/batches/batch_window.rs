//! When a batch goes.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use loafer_core::{
    extract::{Batch, State},
    translate::Json,
};
use loafer_runtime::{
    program::{Ended, Route, RouteOptions},
    testing,
};
use tokio::time::{Instant, sleep};

use super::{LINGER, Seen, lingering, publish, start};

#[tokio::test(start_paused = true)]
async fn a_full_batch_goes_at_once() {
    let (app, seen) = start(lingering().linger(Duration::from_secs(3600)), |_| true).await;
    let started = Instant::now();
    publish(&app, 0..10).await;
    app.settled().await;
    assert_eq!(seen.batches(), [(0..10).collect::<Vec<_>>()]);
    assert_eq!(app.route("r").acked(), 10);
    assert!(started.elapsed() < Duration::from_secs(60));
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_is_not_full_goes_when_its_first_message_has_lingered() {
    let (app, seen) = start(lingering(), |_| true).await;
    let started = Instant::now();
    publish(&app, [0]).await;
    sleep(LINGER / 2).await;
    publish(&app, [1, 2]).await;
    sleep(LINGER / 4).await;
    assert_eq!(seen.batches(), Vec::<Vec<u32>>::new());
    sleep(LINGER / 3).await;
    assert_eq!(seen.batches(), [[0, 1, 2]]);
    assert!(started.elapsed() < LINGER * 2);
    app.settled().await;
    assert_eq!(app.route("r").acked(), 3);
}

#[tokio::test(start_paused = true)]
async fn what_fills_a_batch_ends_its_linger() {
    let hour = Duration::from_secs(3600);
    let (app, seen) = start(lingering().linger(hour).batch(4), |_| true).await;
    let started = Instant::now();
    publish(&app, 0..3).await;
    sleep(Duration::from_secs(5)).await;
    publish(&app, [3, 4]).await;
    sleep(Duration::from_secs(5)).await;
    assert_eq!(seen.batches(), [[0, 1, 2, 3]]);
    app.settled().await;
    assert_eq!(seen.batches()[1], [4]);
    assert!(started.elapsed() > hour && started.elapsed() < hour + Duration::from_secs(60));
}

#[tokio::test(start_paused = true)]
async fn without_linger_a_call_takes_what_is_there() {
    let (app, seen) = start(RouteOptions::new(), |_| true).await;
    publish(&app, [0]).await;
    app.settled().await;
    publish(&app, [1]).await;
    app.settled().await;
    assert_eq!(seen.sizes(), [1, 1]);
}

#[tokio::test(start_paused = true)]
async fn what_waited_for_a_free_call_lingers_no_more() {
    let seen = Seen::default();
    let handler = async |batch: Batch<u32>, seen: State<Seen>| {
        seen.note(&batch);
        sleep(Duration::from_secs(10)).await;
        true
    };
    let options = RouteOptions::new()
        .concurrency(1)
        .linger(Duration::from_secs(8));
    let route = Route::new("r")
        .options(options)
        .batch_handler(Json, handler);
    let app = testing::app().state(seen.clone()).route(route);
    let app = app.start().await;
    let started = Instant::now();
    publish(&app, [0]).await;
    sleep(Duration::from_millis(8100)).await;
    // The first call runs, from 8 s to 18 s.
    publish(&app, [1]).await;
    sleep(Duration::from_secs(10)).await;
    assert_eq!(seen.batches(), [[0], [1]]);
    app.settled().await;
    assert!(started.elapsed() < Duration::from_secs(30));
}

#[tokio::test(start_paused = true)]
async fn calls_are_bounded_by_concurrency_and_messages_by_batch() {
    let running = Arc::new(Mutex::new((0, 0)));
    let (inside, seen) = (running.clone(), Seen::default());
    let handler = move |batch: Batch<u32>, seen: State<Seen>| {
        let inside = inside.clone();
        async move {
            seen.note(&batch);
            {
                let mut inside = inside.lock().unwrap();
                inside.0 += 1;
                inside.1 = inside.1.max(inside.0);
            }
            sleep(Duration::from_secs(1)).await;
            inside.lock().unwrap().0 -= 1;
            true
        }
    };
    let options = RouteOptions::new().concurrency(3).batch(25);
    let route = Route::new("r")
        .options(options)
        .batch_handler(Json, handler);
    let app = testing::app().state(seen.clone()).route(route);
    let app = app.start().await;
    publish(&app, 0..500).await;
    app.settled().await;
    assert_eq!(app.route("r").acked(), 500);
    assert_eq!(running.lock().unwrap().1, 3);
    assert!(seen.sizes().iter().all(|size| *size <= 25));
    assert!(seen.sizes().contains(&25));
}

#[tokio::test(start_paused = true)]
async fn what_lingers_is_released_at_shutdown_and_what_runs_is_finished() {
    let seen = Seen::default();
    let handler = async |batch: Batch<u32>, seen: State<Seen>| {
        seen.note(&batch);
        sleep(Duration::from_secs(5)).await;
        true
    };
    let options = RouteOptions::new().batch(2).linger(Duration::from_secs(60));
    let route = Route::new("r")
        .options(options)
        .batch_handler(Json, handler);
    let app = testing::app().state(seen.clone()).route(route);
    let app = app.start().await;
    publish(&app, 0..5).await;
    sleep(Duration::from_secs(1)).await;
    let started = Instant::now();
    assert_eq!(app.shutdown().await, Ended::Clean);
    assert_eq!(seen.batches(), [[0, 1], [2, 3]]);
    assert_eq!(app.route("r").acked(), 4);
    // In memory it is there again at once, for the receive that was in flight, and then released again.
    assert!(app.running().stats("r").unwrap().released >= 1);
    assert!(started.elapsed() < Duration::from_secs(10));
}
