//! What an annotated handler is given, and what becomes of what it says: every form, run in memory.

#![allow(
    clippy::needless_pass_by_value,
    reason = "a handler takes its arguments as it is given them"
)]

use std::sync::atomic::{AtomicU64, Ordering};

use loafer::{
    FromContext,
    extract::{Context, Missing, Rejection, Resources},
    outcome::FailureKind,
    prelude::*,
    program::Manager,
};

#[derive(serde::Serialize, serde::Deserialize)]
struct Friend {
    name: String,
}

#[derive(serde::Deserialize)]
struct Borrowed<'m> {
    name: &'m str,
}

/// How long the names were that the handlers saw, in all.
struct Seen(AtomicU64);

impl Seen {
    fn add(&self, name: &str) -> bool {
        self.0.fetch_add(name.len() as u64, Ordering::Relaxed);
        name == "ana"
    }
}

#[handler(route = "by-value")]
async fn by_value(friend: Friend, seen: State<Seen>) -> bool {
    tokio::task::yield_now().await;
    seen.add(&friend.name)
}

#[handler(route = "by-reference")]
async fn by_reference(friend: &Friend, State(seen): State<Seen>) -> bool {
    tokio::task::yield_now().await;
    seen.add(&friend.name)
}

#[handler(route = "borrowing")]
async fn borrowing(friend: Borrowed<'_>, seen: State<Seen>) -> bool {
    tokio::task::yield_now().await;
    seen.add(friend.name)
}

#[handler(route = "blocking")]
fn blocking(friend: Borrowed<'_>, seen: State<Seen>) -> bool {
    seen.add(friend.name)
}

#[handler(route = "text", translator = Text)]
async fn text(name: &str, seen: State<Seen>) -> bool {
    tokio::task::yield_now().await;
    seen.add(name.trim_matches('"'))
}

struct Greeter {
    seen: AtomicU64,
}

#[handler(route = "greeted")]
impl Greeter {
    async fn handle(&self, friend: Friend, metadata: Metadata) -> Result<bool, std::io::Error> {
        self.seen
            .fetch_add(u64::from(metadata.attempt()), Ordering::Relaxed);
        Ok(friend.name == "ana")
    }
}

struct Tenant;

impl FromContext for Tenant {
    type Needs = ();

    fn needs(_: &Resources) -> Result<(), Missing> {
        Ok(())
    }

    fn from_context((): &(), _: &Context<'_>) -> Result<Self, Rejection> {
        Err(Rejection::new("there is no tenant"))
    }
}

#[handler(route = "refused")]
async fn refused(_: Friend, _: Tenant) -> bool {
    true
}

#[handler(route = "forgiven", on_error = forgive)]
async fn forgiven(_: Friend, _: Tenant) -> bool {
    true
}

async fn forgive(failure: Failure) -> bool {
    failure.reason() == "there is no tenant"
}

#[handler(
    route = "late",
    queue = "late-queue",
    provider = Memory,
    translator = Text,
    concurrency = 7,
    timeout = "1m 30s",
    on_error = forgive_lateness,
)]
async fn late(_: &str) -> bool {
    std::future::pending().await
}

async fn forgive_lateness(failure: Failure) -> Outcome {
    match failure.kind() {
        FailureKind::Timeout => Outcome::Ack,
        _ => Outcome::Reject {
            reason: failure.reason().into(),
        },
    }
}

#[handler(route = "batches", batch = 2, linger = "1s")]
async fn batches(batch: Batch<Borrowed<'_>>, seen: State<Seen>) -> BatchOutcome {
    tokio::task::yield_now().await;
    batch.iter().map(|friend| seen.add(friend.name)).collect()
}

#[handler(route = "blocking-batches", linger = "1s")]
fn blocking_batches(batch: Batch<Friend>, seen: State<Seen>) -> BatchOutcome {
    assert!(batch.values().all(|friend| !friend.name.is_empty()), "who?");
    batch.iter().map(|friend| seen.add(&friend.name)).collect()
}

struct Guests;

#[handler(route = "batches-of-a-type", linger = "1s", on_error = forgive)]
impl Guests {
    async fn handle(&self, batch: &Batch<Friend>) -> Result<bool, &'static str> {
        if batch.len() == 1 {
            Ok(true)
        } else {
            Err("there is no tenant")
        }
    }
}

fn service() -> loafer::testing::TestBuilder {
    loafer::testing::app()
        .state(Seen(AtomicU64::new(0)))
        .state(Greeter {
            seen: AtomicU64::new(0),
        })
        .state(Guests)
}

fn ana() -> Friend {
    Friend { name: "ana".into() }
}

#[tokio::test(start_paused = true)]
async fn every_form_is_given_its_message() {
    let app = service().start().await;
    for route in [
        "by-value",
        "by-reference",
        "borrowing",
        "blocking",
        "greeted",
    ] {
        app.publish(route, &ana()).await;
    }
    app.publish("text", "ana").await;
    app.settled().await;
    for route in [
        "by-value",
        "by-reference",
        "borrowing",
        "blocking",
        "greeted",
        "text",
    ] {
        assert_eq!(app.route(route).acked(), 1, "{route}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_does_not_decode_is_not_acked() {
    let app = service().start().await;
    for route in [
        "by-value",
        "by-reference",
        "borrowing",
        "blocking",
        "greeted",
    ] {
        app.publish(route, &json!({ "name": 1 })).await;
    }
    app.settled().await;
    for route in [
        "by-value",
        "by-reference",
        "borrowing",
        "blocking",
        "greeted",
    ] {
        assert_eq!(app.route(route).acked(), 0, "{route}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_extractor_that_refuses_is_a_failure_that_on_error_answers() {
    let app = service().start().await;
    app.publish("refused", &ana()).await;
    app.publish("forgiven", &ana()).await;
    app.settled().await;
    assert_eq!(app.route("refused").acked(), 0);
    assert_eq!(app.route("forgiven").acked(), 1);
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "there is no `dispatch::Greeter`")]
async fn a_handler_type_without_a_value_stops_the_start() {
    _ = loafer::testing::app().only(["greeted"]).start().await;
}

#[tokio::test(start_paused = true)]
async fn what_the_attribute_sets_holds() {
    let app = service().start().await;
    let begun = tokio::time::Instant::now();
    app.publish("late", "ana").await;
    app.settled().await;
    assert_eq!(app.route("late").acked(), 1);
    assert_eq!(begun.elapsed().as_secs(), 90);
}

#[tokio::test(start_paused = true)]
async fn every_form_of_batch_handler_says_what_becomes_of_each_message() {
    let app = service().start().await;
    let bob = Friend { name: "bob".into() };
    for route in ["batches", "blocking-batches"] {
        app.publish(route, &ana()).await;
        app.publish(route, &bob).await;
        app.publish(route, &1).await;
    }
    // One alone is done; of more each is forgiven.
    app.publish("batches-of-a-type", &ana()).await;
    app.settled().await;
    app.publish("batches-of-a-type", &ana()).await;
    app.publish("batches-of-a-type", &bob).await;
    app.settled().await;
    for route in ["batches", "blocking-batches"] {
        let route = app.route(route);
        assert_eq!(
            (route.acked(), route.dead_lettered(), route.failed()),
            (1, 2, 3)
        );
    }
    let route = app.route("batches-of-a-type");
    assert_eq!((route.acked(), route.failed()), (3, 2));
}

#[tokio::test(start_paused = true)]
async fn a_plain_batch_handler_that_panics_acks_nothing() {
    let app = service().start().await;
    for name in ["ana", "", "ana"] {
        app.publish("blocking-batches", &Friend { name: name.into() })
            .await;
    }
    app.settled().await;
    let route = app.route("blocking-batches");
    assert_eq!((route.acked(), route.dead_lettered()), (0, 3));
    assert_eq!(route.failed(), 9);
}

#[test]
fn what_the_attribute_says_is_in_the_table_of_routes() -> Result<(), loafer::Error> {
    let manager = Manager::builder().registered().only(["late"]).build()?;
    let routes = manager.routes();
    let route = &routes[0];
    assert_eq!((&*route.route, &*route.queue), ("late", "late-queue"));
    assert_eq!(
        (&*route.broker, route.translator, route.concurrency),
        ("memory", "Text", 7)
    );
    assert_eq!(
        (&*route.handler, route.location.0.ends_with("dispatch.rs")),
        ("dispatch::late", true)
    );
    Ok(())
}

#[tokio::test]
async fn handlers_stay_plain_functions() {
    let outcome = blocking_batches([ana()].into(), State::new(Seen(AtomicU64::new(0))));
    assert!(outcome.verdicts()[0].is_ack());
    assert!(by_reference(&ana(), State::new(Seen(AtomicU64::new(0)))).await);
    assert!(blocking(
        Borrowed { name: "ana" },
        State::new(Seen(AtomicU64::new(0)))
    ));
    let greeter = Greeter {
        seen: AtomicU64::new(0),
    };
    assert!(
        greeter
            .handle(ana(), Metadata::new(Message::new("")))
            .await
            .is_ok_and(|done| done)
    );
    assert_eq!(greeter.seen.load(Ordering::Relaxed), 1);
}
