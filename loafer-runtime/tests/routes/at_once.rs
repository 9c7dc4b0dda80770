//! How many messages are handled at once, and that none waits for another.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use loafer_core::{outcome::Verdict, translate::Json};
use loafer_runtime::__private::PreparedHandler;
use loafer_runtime::{
    program::{Route, RouteOptions},
    testing,
    testing::TestApp,
};
use serde_json::Value;
use tokio::time::{Instant, sleep};

#[tokio::test(start_paused = true)]
async fn concurrency_is_what_was_asked_for() {
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (now, peak) = (running.clone(), most.clone());
    let route = Route::new("r")
        .options(RouteOptions::new().concurrency(7))
        .handler(Json, move |_: Value| {
            let (now, peak) = (now.clone(), peak.clone());
            async move {
                peak.fetch_max(now.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
                sleep(Duration::from_secs(1)).await;
                now.fetch_sub(1, Ordering::Relaxed);
                true
            }
        });
    let started = Instant::now();
    let app = testing::app().route(route).start().await;
    for number in 0..70 {
        app.publish("r", &number).await;
    }
    app.settled().await;
    assert_eq!(
        (app.route("r").acked(), most.load(Ordering::Relaxed)),
        (70, 7)
    );
    assert_eq!(started.elapsed().as_secs(), 10);
}

/// A route with these options that has handled a hundred quick messages while a slow one was in its hands, in less than two seconds.
async fn past_a_slow_message(options: RouteOptions) -> TestApp {
    let route = Route::new("r")
        .options(options)
        .handler(Json, async |number: u32| {
            sleep(if number == 0 {
                Duration::from_secs(600)
            } else {
                Duration::from_millis(10)
            })
            .await;
            true
        });
    let started = Instant::now();
    let app = testing::app().route(route).start().await;
    for number in 0..=100 {
        app.publish("r", &number).await;
    }
    while app.route("r").acked() < 100 {
        sleep(Duration::from_millis(10)).await;
    }
    let took = started.elapsed();
    assert!(took < Duration::from_secs(2), "{took:?}");
    app
}

#[tokio::test(start_paused = true)]
async fn one_slow_message_delays_no_other() {
    let app = past_a_slow_message(RouteOptions::new().concurrency(2)).await;
    app.settled().await;
    assert_eq!(
        (app.route("r").acked(), app.route("r").received()),
        (101, 101)
    );
}

#[tokio::test(start_paused = true)]
async fn without_prefetch_one_slow_message_stops_no_other() {
    past_a_slow_message(RouteOptions::new().concurrency(10).prefetch(0)).await;
}

#[tokio::test(start_paused = true)]
async fn a_handler_longer_than_its_lease_runs_once() {
    let route = Route::new("r").handler(Json, async |_: Value| {
        sleep(Duration::from_secs(300)).await;
        true
    });
    let app = testing::app().route(route).start().await;
    for number in 0..30 {
        app.publish("r", &number).await;
    }
    app.settled().await;
    assert_eq!(
        (app.route("r").acked(), app.route("r").received()),
        (30, 30)
    );
}

#[tokio::test]
async fn a_layer_that_gives_up_on_a_plain_handler_keeps_its_place_until_it_returns() {
    static RUNNING: AtomicUsize = AtomicUsize::new(0);
    static MOST: AtomicUsize = AtomicUsize::new(0);
    let route = Route::new("r")
        .options(RouteOptions::new().concurrency(1).max_attempts(1))
        .declared(("plain", (file!(), line!())), "Json", |resources| {
            Ok(PreparedHandler::blocking(resources, Json, (), |_, _| {
                MOST.fetch_max(RUNNING.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(50));
                RUNNING.fetch_sub(1, Ordering::SeqCst);
                Verdict::ACK
            }))
        });
    let layer = tower::timeout::TimeoutLayer::new(Duration::from_millis(1));
    let app = testing::app().layer(layer).route(route).start().await;
    for number in 0..4 {
        app.publish("r", &number).await;
    }
    app.settled().await;
    assert_eq!(
        (app.route("r").acked(), app.route("r").dead_lettered()),
        (0, 4)
    );
    assert_eq!(MOST.load(Ordering::SeqCst), 1);
}
