//! The test kit: what it publishes, waits for and asserts, and what a test that fails is told.

#![allow(
    clippy::unwrap_used,
    reason = "outside of a test function, a helper panics as one"
)]

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use loafer_core::event::Event;
use loafer_core::{
    Error,
    extract::{Metadata, State},
    message::{Message, Outgoing},
    outcome::Outcome,
    policy::Backoff,
    translate::Json,
};
use loafer_runtime::{
    bus::Bus,
    program::{App, Route, RouteOptions},
    testing,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

#[derive(Debug, Deserialize, PartialEq, Serialize)]
struct FriendCreated {
    name: String,
}

impl Event for FriendCreated {
    type Encoding = Json;
    const TOPIC: &'static str = "friend-created";
}

fn friend(name: &str) -> FriendCreated {
    FriendCreated { name: name.into() }
}

/// Publishes a friend for every name it gets.
fn names() -> Route {
    Route::new("names").handler(Json, async |name: String, bus: Bus| {
        if name.is_empty() {
            return Ok::<_, Error>(Outcome::Reject {
                reason: "nobody has no name".into(),
            });
        }
        bus.publish(&FriendCreated { name }).await?;
        Ok(Outcome::Ack)
    })
}

/// Hears of friends, and says false of the first.
fn friends() -> Route {
    Route::new("friend-created")
        .options(every(Duration::from_secs(5)).queue("all-friends"))
        .handler(Json, async |_: FriendCreated, metadata: Metadata| {
            metadata.attempt() > 1
        })
}

/// Retried after this much time.
fn every(pause: Duration) -> RouteOptions {
    RouteOptions::new().backoff(Backoff::new(pause).with_jitter(false))
}

/// What an assertion that fails says.
fn said(assertion: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(assertion)).expect_err("the assertion holds");
    panic.downcast_ref::<String>().unwrap().clone()
}

#[tokio::test(start_paused = true)]
async fn an_event_comes_to_every_route_that_hears_its_topic() {
    let app = testing::app().route(names()).route(friends()).start().await;
    app.publish_event(&friend("ana")).await;
    app.publish_to("friend-created", &friend("bea")).await;
    app.settled().await;
    app.route("friend-created")
        .assert_acked(2)
        .assert_retried(2)
        .assert_failed(0)
        .assert_no_dead_letters();
    app.assert_consuming_event::<FriendCreated>();
    app.assert_consuming("all-friends");
}

#[tokio::test(start_paused = true)]
async fn what_the_service_publishes_is_known_and_what_the_test_publishes_is_not() {
    let app = testing::app().route(names()).route(friends()).start().await;
    app.publish_event(&friend("zoe")).await;
    app.settled().await;
    app.assert_nothing_published();
    app.assert_not_published::<FriendCreated>();
    app.publish("names", "ana").await;
    app.settled().await;
    app.assert_published(|friend: &FriendCreated| friend.name == "ana");
    app.assert_published_to("friend-created", |body: &Value| body["name"] == "ana");
    app.assert_published_count::<FriendCreated>(1);
    app.assert_not_published_to("friend-deleted");
    assert_eq!(app.published_events::<FriendCreated>(), [friend("ana")]);
}

#[tokio::test(start_paused = true)]
async fn a_message_keeps_the_id_that_publishing_gave() {
    let route = Route::new("r").handler(Json, async |_: Value| false);
    let app = testing::app().route(route).start().await;
    let id = app.publish("r", &1).await;
    let outgoing = Outgoing::new(Message::new("2")).delay(Duration::from_secs(60));
    let later = app.publish_message("r", outgoing).await;
    app.advance(Duration::from_secs(59)).await;
    assert_eq!(app.route("r").received(), 2);
    app.settled().await;
    let dead: Vec<_> = app
        .route("r")
        .dead_letters()
        .iter()
        .map(|dead| dead.id().clone())
        .collect();
    assert_eq!(dead, [id, later]);
}

#[tokio::test(start_paused = true)]
async fn advancing_does_what_becomes_due_and_no_more() {
    let route = friends();
    let app = testing::app().route(route).start().await;
    app.publish("friend-created", &friend("ana")).await;
    let start = Instant::now();
    app.advance(Duration::from_millis(4_990)).await;
    app.route("friend-created")
        .assert_retried(1)
        .assert_acked(0);
    app.advance(Duration::from_millis(10)).await;
    app.assert_acked("friend-created", 1);
    assert_eq!(start.elapsed(), Duration::from_secs(5));
}

#[tokio::test(start_paused = true)]
async fn a_retry_comes_when_it_is_due_and_not_with_the_next_receive() {
    let start = Instant::now();
    let options = every(Duration::from_secs(5));
    let route =
        Route::new("r")
            .options(options)
            .handler(Json, async |_: Value, metadata: Metadata| {
                sleep(Duration::from_secs(1)).await;
                metadata.attempt() > 1
            });
    let app = testing::app().route(route).start().await;
    app.publish("r", &1).await;
    app.settled().await;
    assert_eq!(start.elapsed().as_secs(), 7);
}

#[tokio::test]
#[should_panic = "advance() works on a paused clock: write `#[tokio::test(start_paused = true)]`"]
async fn advancing_a_clock_that_runs_says_how_to_pause_it() {
    let app = testing::app().route(names()).start().await;
    app.advance(Duration::from_secs(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_failed_assertion_tells_what_happened_to_each_message() {
    let app = testing::app().route(names()).route(friends()).start().await;
    let [ana, bad, none] = [
        app.publish("names", "ana").await,
        app.publish("names", &7).await,
        app.publish("names", "").await,
    ];
    app.settled().await;
    let told = said(|| app.assert_acked("names", 3));
    let lines: Vec<_> = told.lines().collect();
    assert_eq!(lines[0], "route `names`: expected 3 acked, found 1");
    assert_eq!(lines[1], "what happened on route `names`:");
    let line = |begin: String| lines.iter().find(|line| line.trim().starts_with(&begin));
    assert!(line(format!("{ana}, attempt 1: acked")).is_some(), "{told}");
    let rejected = format!(
        "{none}, attempt 1: not acked, dead-lettered: the handler rejected it: nobody has no name"
    );
    assert!(line(rejected).is_some(), "{told}");
    for attempt in 1..=3 {
        let undecodable = format!(
            "{bad}, attempt {attempt}: not acked, to be redelivered when its lease expires: "
        );
        assert!(line(undecodable).is_some(), "{told}");
    }
    assert!(line(format!("{bad}: is a dead letter")).is_some(), "{told}");
}

#[tokio::test(start_paused = true)]
async fn a_failed_assertion_says_that_messages_still_wait() {
    let app = testing::app().route(names()).start().await;
    let id = app.publish("names", "ana").await;
    let told = said(|| app.assert_acked("names", 1));
    assert!(told.contains(&format!("{id}: not received yet")), "{told}");
    assert!(
        told.contains("1 still on its queue: is an `app.settled().await` missing?"),
        "{told}"
    );
    assert!(
        said(|| app.assert_dead_lettered("names", "x"))
            .contains("expected a dead letter because of “x”, found no dead letter")
    );
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_is_found_by_its_rejection_by_any_attempt_and_by_its_kind() {
    let route = Route::new("r").handler(Json, async |number: u64, metadata: Metadata| {
        match (number, metadata.attempt()) {
            (0, _) => Ok(Outcome::Reject {
                reason: "no zeros here".into(),
            }),
            (_, 1) => Err("the first time it fails"),
            _ => Ok(Outcome::Retry {
                after: Duration::from_secs(1),
            }),
        }
    });
    let app = testing::app().route(route).start().await;
    app.publish("r", &0).await;
    app.publish("r", &1).await;
    app.settled().await;
    app.route("r")
        .assert_dead_lettered("no zeros")
        .assert_dead_lettered("rejected")
        .assert_dead_lettered("the first time");
    let told = said(|| app.assert_dead_lettered("r", "no ones"));
    assert!(
        told.contains("found 2 dead letters, for other reasons"),
        "{told}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_failed_assertion_on_publishing_lists_what_was_published() {
    let app = testing::app().route(names()).start().await;
    let told = said(|| app.assert_published(|_: &FriendCreated| true));
    assert_eq!(
        told,
        "published to topic `friend-created`: expected a message, found none\nthe service published nothing\n"
    );
    app.publish("names", "ana").await;
    app.settled().await;
    let told = said(|| app.assert_published(|friend: &FriendCreated| friend.name == "bea"));
    assert!(
        told.contains(
            "expected a message for which the closure returns true; it returned false for 1"
        ),
        "{told}"
    );
    assert!(told.contains("topic `friend-created`, "), "{told}");
    assert!(told.contains(r#": {"name":"ana"}"#), "{told}");
    assert!(
        said(|| app.assert_nothing_published()).contains("expected nothing published, found 1")
    );
    assert!(
        said(|| app.assert_published_count::<FriendCreated>(2)).contains("expected 2, found 1")
    );
    assert!(said(|| app.assert_not_published::<FriendCreated>()).contains("expected 0, found 1"));
    let told = said(|| app.assert_published_to("friend-created", |_: &u64| true));
    assert!(told.contains("does not decode as `u64`"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn what_nobody_hears_or_consumes_is_said() {
    let app = testing::app().route(names()).start().await;
    let told = said(|| drop(app.publish_event(&friend("ana"))));
    assert!(
        told.contains("no route subscribes to `friend-created`"),
        "{told}"
    );
    assert!(
        told.contains("`app.publish_event_on(ROUTE, &event)`")
            && told.ends_with("\n  route `names`\n"),
        "{told}"
    );
    assert_eq!(
        said(|| app.assert_consuming("orders")),
        "expected a route that consumes queue `orders`, found:\n  route `names`: queue `names`\n"
    );
    assert!(said(|| drop(app.publish("name", "ana"))).contains("did you mean `names`?"));
}

#[tokio::test(start_paused = true)]
async fn an_event_that_goes_by_another_name_than_its_route_is_told_where_it_can_go() {
    let of_friends = Route::new("friends")
        .on("friend-*".parse().unwrap())
        .handler(Json, async |_: Value| false);
    let created = Route::new("friends")
        .on("friend-created".parse().unwrap())
        .handler(Json, async |_: Value| true);
    let routes = testing::app()
        .route(names())
        .route(of_friends)
        .route(created);
    let app = routes.start().await;
    let told = said(|| drop(app.publish_event(&friend("ana"))));
    assert_eq!(
        told.lines().collect::<Vec<_>>(),
        [
            "no route subscribes to `friend-created`: in memory a route subscribes to its `topics`, else to the topic of its name. Subscribed topics: `friends`, `names`",
            "  route `friends` takes such events (`on = \"friend-created\"`): `app.publish_event_on(\"friends\", &event)` puts one on its queue",
            "  route `friends` (`on = \"friend-*\"`)",
            "  route `names`",
        ]
    );
    app.publish_event_on("friends", &friend("ana")).await;
    app.settled().await;
    app.assert_acked("friends", 1);
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_never_returns_is_told_and_not_waited_for() {
    let route =
        Route::new("r").handler(Json, async |_: Value| std::future::pending::<bool>().await);
    let app = testing::app().route(route).start().await;
    let id = app.publish("r", &1).await;
    let settled = tokio::spawn(async move { app.settled().await });
    let panic = settled.await.unwrap_err().into_panic();
    let told = panic.downcast_ref::<String>().unwrap();
    assert!(
        told.contains("a handler has said nothing for a day"),
        "{told}"
    );
    assert!(told.contains("tests/testing.rs:"), "{told}");
    assert!(
        told.contains(&format!("{id}, attempt 1: running, or not settled yet")),
        "{told}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_a_test_sets_after_setup_takes_its_place() {
    struct Real {
        whose: &'static str,
    }
    async fn setup(app: App) -> Result<App, Error> {
        assert!(app.shared::<u8>().is_some(), "set before: setup sees it");
        Ok(app
            .state(Real {
                whose: "the service's",
            })
            .options("r", RouteOptions::new().queue("theirs")))
    }
    let route = Route::new("r").handler(Json, async |_: Value, real: State<Real>| {
        real.whose == "the test's"
    });
    let app = testing::app().state(7_u8).setup(setup).await;
    let app = app
        .state(Real {
            whose: "the test's",
        })
        .options("r", RouteOptions::new().queue("ours"));
    let app = app.route(route).start().await;
    app.publish("r", &json!({})).await;
    app.settled().await;
    app.assert_acked("r", 1);
    app.assert_consuming("ours");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn services_of_the_same_names_do_not_see_each_other() {
    async fn one(messages: u64) {
        let handled = Arc::new(AtomicU64::new(0));
        let app = testing::app().state(handled.clone());
        let route = Route::new("numbers").handler(
            Json,
            async |number: u64, handled: State<Arc<AtomicU64>>, bus: Bus| {
                sleep(Duration::from_millis(number % 3)).await;
                handled.fetch_add(1, Ordering::Relaxed);
                bus.publish_to("handled", &number).await.is_ok()
            },
        );
        let app = app.route(route).start().await;
        for number in 0..messages {
            app.publish("numbers", &number).await;
        }
        app.settled().await;
        app.assert_acked("numbers", messages);
        app.assert_published_count_to("handled", messages as usize);
        assert_eq!(handled.load(Ordering::Relaxed), messages);
    }
    let both = tokio::join!(tokio::spawn(one(50)), tokio::spawn(one(70)));
    both.0.unwrap();
    both.1.unwrap();
}
