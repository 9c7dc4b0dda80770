//! The start of a service and its end.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use loafer_core::{extract::State, translate::Json};
use loafer_memory::Memory;
use loafer_runtime::{
    program::{Ended, Route, RouteOptions},
    testing,
};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

#[tokio::test(start_paused = true)]
async fn state_is_shared_and_its_absence_stops_the_start() {
    let route = || {
        Route::new("r").handler(Json, async |_: Value, count: State<AtomicU32>| {
            count.fetch_add(1, Ordering::Relaxed);
            true
        })
    };
    let app = testing::app()
        .state(AtomicU32::new(41))
        .route(route())
        .start()
        .await;
    app.publish("r", &json!({})).await;
    app.settled().await;
    assert_eq!(app.route("r").acked(), 1);

    let manager = loafer_runtime::program::Manager::builder()
        .route(route().provider::<Memory>())
        .build()
        .unwrap();
    let error = manager.start().await.unwrap_err().to_string();
    assert!(
        error.contains("AtomicU32") && error.contains("app.state(value)"),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_idle_service_in_memory_stops_at_once() {
    let app = testing::app()
        .route(Route::new("r").handler(Json, async |_: Value| true))
        .start()
        .await;
    app.publish("r", &1).await;
    app.settled().await;
    let asked = Instant::now();
    assert_eq!(app.shutdown().await, Ended::Clean);
    assert_eq!(asked.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn shutdown_finishes_what_runs_and_releases_what_waits() {
    let route = Route::new("r")
        .options(RouteOptions::new().concurrency(5))
        .handler(Json, async |_: Value| {
            sleep(Duration::from_secs(2)).await;
            true
        });
    let app = testing::app().route(route).start().await;
    for number in 0..12 {
        app.publish("r", &number).await;
    }
    sleep(Duration::from_secs(1)).await;
    let asked = Instant::now();
    assert_eq!(app.shutdown().await, Ended::Clean);
    assert_eq!(asked.elapsed(), Duration::from_secs(1));
    let stats = app.running().stats("r").unwrap();
    assert_eq!((stats.acked, stats.released), (5, stats.received - 5));
    assert!(stats.received > 5);
}

#[tokio::test(start_paused = true)]
async fn the_drain_deadline_cancels_what_still_runs() {
    let route = Route::new("r").handler(Json, async |_: Value| {
        sleep(Duration::from_secs(3600)).await;
        true
    });
    let app = testing::app().route(route).start().await;
    app.publish("r", &1).await;
    sleep(Duration::from_secs(1)).await;
    let asked = Instant::now();
    assert_eq!(app.shutdown().await, Ended::Unclean);
    assert_eq!(asked.elapsed(), Duration::from_secs(25));
    assert_eq!(app.route("r").acked(), 0);
}
