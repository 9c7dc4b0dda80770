//! The test kit, for a service whose routes have topics and options of their broker: what Pigeon's `fake()` asserts has a form each.

use std::panic::{AssertUnwindSafe, catch_unwind};

use loafer_core::event::Event;
use loafer_core::{Error, translate::Json};
use loafer_runtime::{
    bus::Bus,
    program::{App, Route, RouteOptions},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::exchanges::{Exchanges, Options, in_kit, of_broker, route};

#[derive(Debug, Deserialize, PartialEq, Serialize)]
struct Paid {
    cents: u64,
}

impl Event for Paid {
    type Encoding = Json;
    const TOPIC: &'static str = "order.paid";
}

#[derive(Debug, Deserialize, Serialize)]
struct Refunded {
    cents: u64,
}

impl Event for Refunded {
    type Encoding = Json;
    const TOPIC: &'static str = "order.refunded";
}

#[derive(Serialize)]
struct Left(u64);

impl Event for Left {
    type Encoding = Json;
    const TOPIC: &'static str = "cart.left";
}

/// Receives orders that are closed, and publishes what was paid.
fn billing() -> Route {
    Route::new("sample.event")
        .provider::<Exchanges>()
        .options(RouteOptions::new().topics(["order.closed", "cart.#"]))
        .handler(Json, async |cents: u64, bus: Bus| {
            if cents > 0 {
                bus.publish(&Paid { cents }).await?;
            }
            Ok::<_, Error>(true)
        })
}

fn audit() -> Route {
    let options = of_broker(Options::default().exchange("event"));
    route("#", options.queue("audit"))
}

/// What an assertion that fails says.
fn said(assertion: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(assertion)).expect_err("the assertion holds");
    panic.downcast_ref::<String>().unwrap().clone()
}

#[tokio::test(start_paused = true)]
async fn what_is_published_is_known_by_its_topic() {
    let app = in_kit(vec![billing(), audit()]).start().await;
    app.publish_to("order.closed", &0).await;
    app.settled().await;
    app.assert_nothing_published();
    app.publish_to("order.closed", &5).await;
    app.publish_to("cart.left.late", &7).await;
    app.settled().await;
    app.assert_published(|paid: &Paid| paid.cents == 7);
    app.assert_published_to("order.paid", |body: &Value| body["cents"] == 5);
    app.assert_published_count::<Paid>(2);
    app.assert_not_published::<Refunded>();
    app.assert_acked("sample.event", 3);
    // Three of the test's and two of the service's.
    app.assert_acked("#", 5);
}

#[tokio::test(start_paused = true)]
async fn a_queue_is_consumed_by_the_name_that_its_broker_gives_it() {
    let app = in_kit(vec![billing(), audit()])
        .name("billing")
        .start()
        .await;
    app.assert_consuming("billing.sample.event");
    app.assert_consuming("audit");
    let told = said(|| app.assert_consuming("sample.event"));
    assert_eq!(
        told,
        "expected a route that consumes queue `sample.event`, found:\n  route `#`: queue `audit`\n  route `sample.event`: queue `billing.sample.event`\n"
    );
}

#[tokio::test(start_paused = true)]
async fn the_setup_of_the_service_names_it_and_the_test_may_rename_it() {
    async fn setup(app: App) -> Result<App, Error> {
        Ok(app.name("by-setup"))
    }
    let app = in_kit(vec![billing()]).setup(setup).await;
    let app = app.start().await;
    app.assert_consuming("by-setup.sample.event");
    let app = in_kit(vec![billing()]).setup(setup).await;
    let app = app.name("by-test").start().await;
    app.assert_consuming("by-test.sample.event");
}

#[tokio::test(start_paused = true)]
async fn an_event_is_received_by_its_topic_and_not_by_the_name_of_the_route() {
    let app = in_kit(vec![billing()]).start().await;
    app.assert_consuming_event::<Left>();
    app.publish_event(&Left(3)).await;
    app.settled().await;
    app.assert_acked("sample.event", 1);
    for told in [
        said(|| app.assert_consuming_event::<Paid>()),
        said(|| drop(app.publish_event(&Paid { cents: 1 }))),
    ] {
        for part in [
            "no route subscribes to `order.paid`",
            "Subscribed topics: `cart.#`, `order.closed`",
        ] {
            assert!(told.contains(part), "{part} is not in: {told}");
        }
    }
    let told = said(|| drop(app.publish_to("sample.event", &1)));
    assert!(told.contains("no route subscribes to"), "{told}");
    // By its queue it is still reached.
    app.publish("sample.event", &0).await;
    app.settled().await;
    app.assert_acked("sample.event", 2);
}

#[tokio::test(start_paused = true)]
async fn routes_called_as_patterns_are_published_to_by_their_names() {
    let routes = vec![
        route("#", RouteOptions::new()),
        route("order.*", RouteOptions::new()),
    ];
    let app = in_kit(routes).start().await;
    app.publish("#", &1).await;
    app.publish("order.*", &1).await;
    app.publish_event(&Paid { cents: 1 }).await;
    app.settled().await;
    app.assert_acked("#", 2);
    app.assert_acked("order.*", 2);
}
