//! What is given up, with which reason, and what `on_error` makes of it.

use loafer_core::{
    broker::DeadLetter, message::Message, outcome::Outcome, policy::Undecodable, translate::Json,
};
use loafer_runtime::{
    handler::Failure,
    program::{Ended, Route, RouteOptions},
    testing,
};
use serde_json::Value;

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
