//! Several handlers on one route.

#![allow(
    clippy::unwrap_used,
    reason = "outside of a test function, a helper panics as one"
)]

use std::{borrow::Cow, time::Duration};

use loafer_core::message::EVENT_TYPE;
use loafer_core::{
    Error,
    broker::DeadLetter,
    extract::Metadata,
    message::Message,
    policy::Unmatched,
    translate::{Envelope, Json, Text, TranslateError, Translator},
};
use loafer_runtime::{
    handler::Failure,
    program::{Manager, Route, RouteOptions},
    testing,
};
use tokio::time::sleep;

fn on(pattern: &str) -> Route {
    Route::new("orders").on(pattern.parse().unwrap())
}

fn event(of: &str, body: &'static str) -> Message {
    Message::new(body).with_header(EVENT_TYPE, of)
}

fn start_error(routes: impl IntoIterator<Item = Route>) -> String {
    let builder = Manager::builder();
    let built = routes
        .into_iter()
        .fold(builder, |all, route| all.route(route))
        .build();
    match built {
        Err(error @ Error::Start(_)) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn each_message_goes_to_the_handler_that_says_most_of_it() {
    let app = testing::app()
        .route(on("order.#").handler(Text, async |body: String| body == "any order"))
        .route(Route::new("orders").handler(Text, async |body: String| body == "anything"))
        .route(on("order.placed").handler(Json, async |body: u8| body == 1))
        .route(on("header:kind=refund").handler(Text, async |body: String| body == "refund"))
        .start()
        .await;
    for message in [
        event("order.placed", "1"),
        event("order.cancelled", "any order"),
        event("invoice.issued", "anything"),
        Message::new("anything"),
        Message::new("refund").with_header("kind", "refund"),
    ] {
        app.publish_message("orders", message).await;
    }
    app.settled().await;
    app.route("orders").assert_acked(5);
    assert_eq!(app.route("orders").received(), 5);
}

#[tokio::test(start_paused = true)]
async fn what_nobody_takes_is_retried_rejected_or_ignored_as_the_route_says() {
    for (unmatched, received, acked, reason) in [
        (None, 3, 0, None),
        (Some(Unmatched::Retry), 3, 0, None),
        (Some(Unmatched::Reject), 1, 0, Some("`invoice.issued`")),
        (Some(Unmatched::Ignore), 1, 1, None),
    ] {
        let mut options = RouteOptions::new();
        if let Some(unmatched) = unmatched {
            options = options.unmatched(unmatched);
        }
        let handler = async |_: String| true;
        let route = on("order.placed").options(options).handler(Text, handler);
        let app = testing::app().route(route).start().await;
        app.publish_message("orders", event("invoice.issued", ""))
            .await;
        app.settled().await;
        let orders = app.route("orders");
        assert_eq!((orders.received(), orders.acked()), (received, acked));
        let letter = orders.dead_letters().first().and_then(DeadLetter::of);
        let told = letter.and_then(|letter| letter.reason);
        assert_eq!(told.is_some(), reason.is_some());
        assert!(reason.is_none_or(|reason| told.unwrap().contains(reason)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_that_its_handler_can_not_decode_goes_to_no_other() {
    let app = testing::app()
        .route(on("order.placed").handler(Json, async |_: u8| true))
        .start()
        .await;
    app.publish_message("orders", event("order.placed", "no number"))
        .await;
    app.settled().await;
    assert_eq!(app.route("orders").failed(), 3);
}

/// Panics on some bodies.
#[derive(Clone, Default)]
struct Fragile;

impl Envelope for Fragile {
    fn open<'m>(&self, raw: &'m Message) -> Result<Cow<'m, Message>, TranslateError> {
        assert_ne!(&raw.payload()[..], b"fatal", "out of bounds");
        Ok(Cow::Borrowed(raw))
    }
}

impl<'m> Translator<'m, String> for Fragile {
    fn translate(&self, message: &'m Message) -> Result<String, TranslateError> {
        Text.translate(message)
    }
}

#[tokio::test(start_paused = true)]
async fn a_translator_that_panics_costs_its_message_only_and_asks_no_handler() {
    let options = RouteOptions::new().max_attempts(2);
    let acking = async |_: Failure| true;
    let app = testing::app()
        .route(
            on("a")
                .options(options)
                .handler(Fragile, async |_: String| true)
                .on_error(acking),
        )
        .route(on("b").handler(Fragile, async |_: String| true))
        .start()
        .await;
    app.publish_message("orders", event("a", "fatal")).await;
    app.publish_message("orders", event("a", "fine")).await;
    app.settled().await;
    let orders = app.route("orders");
    assert_eq!(
        (orders.acked(), orders.failed(), orders.dead_lettered()),
        (1, 2, 1)
    );
    let letter = DeadLetter::of(&orders.dead_letters()[0]).unwrap();
    assert_eq!((&*letter.kind, &*letter.handler), ("panic", "none"));
}

#[tokio::test(start_paused = true)]
async fn timeout_and_on_error_are_each_handlers_own() {
    let slow = async |_: String| {
        sleep(Duration::from_secs(5)).await;
        true
    };
    let gave_up = async |failure: Failure| failure.reason().contains("1s");
    let hurried = RouteOptions::new().timeout(Duration::from_secs(1));
    let app = testing::app()
        .route(
            on("a")
                .options(hurried)
                .handler(Text, slow)
                .on_error(gave_up),
        )
        .route(on("b").handler(Text, slow))
        .start()
        .await;
    app.publish_message("orders", event("a", "")).await;
    app.publish_message("orders", event("b", "")).await;
    app.settled().await;
    let orders = app.route("orders");
    assert_eq!(
        (orders.acked(), orders.failed(), orders.received()),
        (2, 1, 2)
    );
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_names_the_handler_that_rejected_it() {
    let rejecting = async |_: String, metadata: Metadata| -> Result<bool, std::fmt::Error> {
        Ok(metadata.attempt() > 9)
    };
    let options = RouteOptions::new().max_attempts(1);
    let app = testing::app()
        .route(
            on("a")
                .options(options)
                .handler(Text, async |_: String| true),
        )
        .route(on("b").handler(Text, rejecting))
        .start()
        .await;
    app.publish_message("orders", event("b", "")).await;
    app.settled().await;
    let letters = app.route("orders");
    let letter = DeadLetter::of(&letters.dead_letters()[0]).unwrap();
    assert!(letter.handler.contains("a_dead_letter_names"), "{letter:?}");
    let rejected_by_the_second = std::any::type_name_of_val(&rejecting);
    assert_eq!(letter.handler, rejected_by_the_second);
}

#[test]
fn handlers_that_can_not_share_a_route_are_told() {
    let all = || Route::new("orders").handler(Text, async |_: String| true);
    let told = start_error([all(), all()]);
    assert!(
        told.contains("2 handlers that take every message") && told.contains("on = "),
        "{told}"
    );

    let some = || on("order.*").handler(Text, async |_: String| true);
    let told = start_error([some(), some(), all()]);
    assert!(told.contains("2 handlers for `order.*`"), "{told}");

    let five = RouteOptions::new().concurrency(5);
    let told = start_error([
        some().options(five),
        all().options(RouteOptions::new().concurrency(6)),
    ]);
    assert!(
        told.contains("`concurrency`") && told.contains("choice.rs:"),
        "{told}"
    );
}
