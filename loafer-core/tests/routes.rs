//! Routes on the memory provider, under virtual time: what is acked, retried, given up, released.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicUsize, Ordering},
    },
    time::Duration,
};

use loafer_core::{
    __private::Ready, Backoff, DeadLetter, Ended, Failure, Json, Message, Metadata, Outcome, Route,
    RouteOptions, State, Undecodable, Verdict, testing,
};
use serde_json::{Value, json};
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
async fn a_rejected_message_is_a_dead_letter_with_its_envelope() {
    let route = Route::new("r").handler(Json, async |_: Value| Outcome::Reject {
        reason: "not for us".into(),
    });
    let app = testing::app().route(route).start().await;
    app.publish_message(
        "r",
        Message::new("1")
            .with_header("tenant", "acme")
            .with_header("correlation-id", "c-1"),
    )
    .await;
    app.settled().await;
    let letters = app.route("r").dead_letters().to_vec();
    assert_eq!(letters[0].headers().get("tenant"), Some("acme"));
    assert_eq!(letters[0].payload(), "1");
    let letter = DeadLetter::of(&letters[0]).unwrap();
    assert_eq!(
        (letter.kind.as_str(), letter.reason.as_deref()),
        ("rejected", Some("not for us"))
    );
    assert_eq!(
        (
            letter.route.as_str(),
            letter.queue.as_str(),
            letter.attempts
        ),
        ("r", "r", 1)
    );
    assert_eq!(letter.correlation_id.as_deref(), Some("c-1"));
}

#[tokio::test(start_paused = true)]
async fn what_does_not_decode_is_retried_or_rejected_and_never_acked() {
    for (undecodable, received) in [(Undecodable::Retry, 3), (Undecodable::Reject, 1)] {
        let route = Route::new("r")
            .options(RouteOptions::new().undecodable(undecodable))
            .handler(Json, async |_: Vec<u32>| true);
        let app = testing::app().route(route).start().await;
        for body in ["{}", "", "not json", "\u{fffd}", "[1"] {
            app.publish_message("r", Message::new(body)).await;
        }
        app.publish_message("r", Message::new(vec![0xff, 0xfe]))
            .await;
        app.publish("r", &[1]).await;
        app.settled().await;
        assert_eq!(
            (app.route("r").acked(), app.route("r").dead_lettered()),
            (1, 6)
        );
        assert_eq!(app.route("r").received(), 6 * received + 1);
    }
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
async fn max_attempts_gives_a_message_up_with_the_last_failure() {
    let route = Route::new("r")
        .options(RouteOptions::new().max_attempts(2))
        .handler(Json, async |_: Value| {
            Err::<bool, _>("the database is away")
        });
    let app = testing::app().route(route).start().await;
    app.publish("r", &1).await;
    app.settled().await;
    let letter = DeadLetter::of(&app.route("r").dead_letters()[0]).unwrap();
    assert_eq!((letter.kind.as_str(), letter.attempts), ("error", 2));
    assert_eq!(letter.reason.as_deref(), Some("the database is away"));
}

#[tokio::test(start_paused = true)]
async fn on_error_has_the_last_word() {
    let route = Route::new("r")
        .handler(Json, async |number: u32| {
            Err::<bool, _>(format!("no {number}"))
        })
        .on_error(
            async |failure: Failure| match failure.message().payload().as_ref() {
                b"1" => Ok(true),
                b"2" => panic!("on_error too"),
                _ => Err(failure.reason()),
            },
        );
    let app = testing::app().route(route).start().await;
    for number in 1..=3 {
        app.publish("r", &number).await;
    }
    app.settled().await;
    assert_eq!(
        (app.route("r").acked(), app.route("r").dead_lettered()),
        (1, 2)
    );
}

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

#[tokio::test(start_paused = true)]
async fn one_slow_message_delays_no_other() {
    let route = Route::new("r")
        .options(RouteOptions::new().concurrency(2))
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
    assert!(
        started.elapsed() < Duration::from_secs(2),
        "{:?}",
        started.elapsed()
    );
    app.settled().await;
    assert_eq!(
        (app.route("r").acked(), app.route("r").received()),
        (101, 101)
    );
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

    let manager = loafer_core::Manager::builder()
        .route(route())
        .build()
        .unwrap();
    let error = manager.start().await.unwrap_err().to_string();
    assert!(
        error.contains("AtomicU32") && error.contains("app.state(value)"),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_undecodable_payload_is_told_by_size_and_digest_and_never_quoted() {
    let route = Route::new("r")
        .options(RouteOptions::new().undecodable(Undecodable::Reject))
        .handler(Json, async |_: u32| true);
    let app = testing::app().route(route).start().await;
    app.publish("r", "top secret").await;
    app.settled().await;
    let letter = DeadLetter::of(&app.route("r").dead_letters()[0]).unwrap();
    let reason = letter.reason.unwrap();
    assert!(reason.contains("payload of 12 bytes, SHA-256 "), "{reason}");
    assert!(!reason.contains("secret"), "{reason}");
    assert_eq!(letter.kind, "undecodable");
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
async fn without_prefetch_one_slow_message_stops_no_other() {
    let options = RouteOptions::new().concurrency(10).prefetch(0);
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
    assert!(
        started.elapsed() < Duration::from_secs(2),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn an_on_error_that_panics_before_its_future_costs_no_worker() {
    let route = Route::new("r")
        .options(RouteOptions::new().concurrency(1))
        .handler(
            Json,
            async |number: u32| if number == 0 { Err("no") } else { Ok(true) },
        )
        .on_error(|failure: Failure| {
            let tenant = failure
                .message()
                .headers()
                .get("tenant")
                .unwrap()
                .to_owned();
            async move { tenant.is_empty() }
        });
    let app = testing::app().route(route).start().await;
    for number in 0..5 {
        app.publish("r", &number).await;
    }
    app.settled().await;
    assert_eq!(
        (app.route("r").acked(), app.route("r").dead_lettered()),
        (4, 1)
    );
    assert_eq!(app.shutdown().await, Ended::Clean);
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

#[tokio::test]
async fn a_layer_that_gives_up_on_a_plain_handler_keeps_its_place_until_it_returns() {
    static RUNNING: AtomicUsize = AtomicUsize::new(0);
    static MOST: AtomicUsize = AtomicUsize::new(0);
    let route = Route::new("r")
        .options(RouteOptions::new().concurrency(1).max_attempts(1))
        .declared(("plain", (file!(), line!())), "Json", |_| {
            Ok(Ready::blocking(Json, (), |_, _| {
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
