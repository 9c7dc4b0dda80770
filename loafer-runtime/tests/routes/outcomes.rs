//! What becomes of a message by what its handler says, or fails to say.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use loafer_core::{
    extract::Metadata, message::Message, outcome::Outcome, policy::Backoff, translate::Json,
};
use loafer_runtime::{
    program::{Ended, Route, RouteOptions},
    testing,
};
use serde_json::Value;
use tokio::time::{Instant, sleep};

#[tokio::test(start_paused = true)]
async fn a_true_outcome_acks() {
    let route = Route::new("r").handler(Json, async |_: Value| true);
    let app = testing::app().route(route).start().await;
    for number in 0..25 {
        app.publish("r", &number).await;
    }
    app.settled().await;
    assert_eq!(app.route("r").acked(), 25);
    assert_eq!(app.route("r").received(), 25);
}

#[tokio::test(start_paused = true)]
async fn falsy_bodies_are_messages_like_any_other() {
    let route = Route::new("r").handler(Json, async |_: Value| true);
    let app = testing::app().route(route).start().await;
    for body in ["{}", "[]", "0", "false", "\"\"", "null"] {
        app.publish_message("r", Message::new(body)).await;
    }
    app.publish("r", &"x".repeat(1 << 20)).await;
    app.settled().await;
    assert_eq!(app.route("r").acked(), 7);
}

#[tokio::test(start_paused = true)]
async fn a_false_outcome_comes_back_after_its_lease_and_ends_among_the_dead_letters() {
    let seen = Arc::new(AtomicU32::new(0));
    let attempts = seen.clone();
    let route = Route::new("r").handler(Json, move |_: Value, metadata: Metadata| {
        let attempts = attempts.clone();
        async move {
            attempts.fetch_add(metadata.attempt(), Ordering::Relaxed);
            false
        }
    });
    let started = Instant::now();
    let app = testing::app().route(route).start().await;
    app.publish("r", &1).await;
    app.settled().await;
    assert_eq!(seen.load(Ordering::Relaxed), 1 + 2 + 3);
    assert_eq!(app.route("r").acked(), 0);
    assert_eq!(app.route("r").retried(), 3);
    assert_eq!(app.route("r").dead_lettered(), 1);
    assert!(
        started.elapsed() >= Duration::from_secs(90),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn errors_and_panics_are_not_acked_and_cost_their_neighbours_nothing() {
    let route = Route::new("r").handler(Json, async |number: u32| -> Result<bool, String> {
        match number {
            3 => Err("no".to_owned()),
            7 => panic!("oh"),
            _ => Ok(true),
        }
    });
    let app = testing::app().route(route).start().await;
    for number in 0..10 {
        app.publish("r", &number).await;
    }
    app.settled().await;
    let route = app.route("r");
    assert_eq!(
        (route.acked(), route.failed(), route.dead_lettered()),
        (8, 6, 2)
    );
    assert_eq!(route.received(), 8 + 6);
}

#[tokio::test(start_paused = true)]
async fn a_panic_after_an_await_is_one_message_not_acked() {
    let route = Route::new("r").handler(Json, async |number: u32| {
        sleep(Duration::from_millis(1)).await;
        assert_ne!(number, 1);
        true
    });
    let app = testing::app().route(route).start().await;
    for number in 0..3 {
        app.publish("r", &number).await;
    }
    app.settled().await;
    assert_eq!(
        (app.route("r").acked(), app.route("r").dead_lettered()),
        (2, 1)
    );
}

#[tokio::test(start_paused = true)]
async fn an_error_that_cannot_be_shown_is_a_failure_like_any_other() {
    #[derive(Debug)]
    struct Unshowable;
    impl std::fmt::Display for Unshowable {
        fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            Err(std::fmt::Error)
        }
    }
    impl std::error::Error for Unshowable {}

    let route = Route::new("r").handler(Json, async |_: Value| Err::<bool, _>(Unshowable));
    let app = testing::app().route(route).start().await;
    app.publish("r", &1).await;
    app.settled().await;
    assert_eq!(app.route("r").dead_lettered(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_timeout_cancels_the_call() {
    let options = RouteOptions::new().timeout(Duration::from_secs(2));
    let route =
        Route::new("r")
            .options(options)
            .handler(Json, async |_: Value, metadata: Metadata| {
                if metadata.attempt() == 1 {
                    sleep(Duration::from_secs(3600)).await;
                }
                true
            });
    let started = Instant::now();
    let app = testing::app().route(route).start().await;
    app.publish("r", &1).await;
    app.settled().await;
    assert_eq!((app.route("r").acked(), app.route("r").failed()), (1, 1));
    assert!(
        started.elapsed() < Duration::from_secs(40),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn a_retry_comes_back_after_its_delay() {
    let route = Route::new("r").handler(Json, async |_: Value, metadata: Metadata| match metadata
        .attempt()
    {
        1 => Outcome::Retry {
            after: Duration::from_secs(5),
        },
        _ => Outcome::Ack,
    });
    let started = Instant::now();
    let app = testing::app().route(route).start().await;
    app.publish("r", &1).await;
    app.settled().await;
    assert_eq!(app.route("r").acked(), 1);
    assert_eq!(started.elapsed().as_secs(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_backoff_delays_what_was_not_done() {
    let backoff = Backoff::new(Duration::from_secs(1)).with_jitter(false);
    let route = Route::new("r")
        .options(RouteOptions::new().backoff(backoff))
        .handler(Json, async |_: Value, metadata: Metadata| {
            metadata.attempt() == 3
        });
    let started = Instant::now();
    let app = testing::app().route(route).start().await;
    app.publish("r", &1).await;
    app.settled().await;
    assert_eq!(
        (app.route("r").acked(), started.elapsed().as_secs()),
        (1, 1 + 2)
    );
}

#[tokio::test(start_paused = true)]
async fn the_longest_durations_end_nothing() {
    let options = RouteOptions::new()
        .timeout(Duration::MAX)
        .concurrency(usize::MAX)
        .backoff(Backoff::new(Duration::MAX).with_max(Duration::MAX));
    let route = Route::new("r")
        .options(options)
        .handler(Json, async |number: u32| {
            sleep(Duration::from_millis(1)).await;
            match number {
                0 => Ok(Outcome::Retry {
                    after: Duration::MAX,
                }),
                1 => Err("backs off"),
                _ => Ok(Outcome::Ack),
            }
        });
    let app = testing::app().route(route).start().await;
    for number in 0..4 {
        app.publish("r", &number).await;
    }
    app.settled().await;
    assert_eq!(
        (app.route("r").acked(), app.route("r").dead_lettered()),
        (2, 2)
    );
    assert_eq!(app.shutdown().await, Ended::Clean);
}
