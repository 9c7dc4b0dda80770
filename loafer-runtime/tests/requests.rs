//! Requests and replies between routes in memory.

#![allow(
    clippy::unwrap_used,
    reason = "outside of a test function, a helper panics as one"
)]

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use loafer_core::event::Event;
use loafer_core::{
    Error,
    broker::{REPLY_TO, REQUEST_ID},
    extract::Metadata,
    message::{CAUSATION_ID, CORRELATION_ID, Message, Outgoing},
    outcome::{FailureKind, Outcome},
    translate::Json,
};
use loafer_runtime::{
    bus::{Bus, Replier},
    program::{Route, RouteOptions},
    testing,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);
/// Longer than all receives of a test's queue take.
const LONG: Duration = Duration::from_secs(600);

#[derive(Deserialize, Serialize)]
struct PriceWanted {
    item: u64,
}

impl Event for PriceWanted {
    type Encoding = Json;
    const TOPIC: &'static str = "price-wanted";
}

#[derive(Debug, Deserialize, PartialEq, Serialize)]
struct Quote {
    cents: u64,
}

/// Quotes a price; rejects the item 13, fails at 0.
fn prices() -> Route {
    Route::new("price-wanted").replying().handler(
        Json,
        async |wanted: PriceWanted, replier: Replier| {
            match wanted.item {
                0 => return Err("the price list of secret.example is down".into()),
                13 => {
                    return Ok(Outcome::Reject {
                        reason: "not for sale".into(),
                    });
                }
                _ => {}
            }
            let cents = 100 * wanted.item;
            replier.reply(&Quote { cents }).await?;
            Ok::<_, loafer_core::outcome::BoxError>(Outcome::Ack)
        },
    )
}

/// Asks for a price.
fn orders() -> Route {
    Route::new("order-placed").handler(Json, async |item: u64, bus: Bus| {
        let quote: Quote = bus
            .request("price-wanted", &PriceWanted { item }, SECOND)
            .await?;
        let event: Quote = bus.request_event(&PriceWanted { item }, SECOND).await?;
        let raw = Outgoing::event(&PriceWanted { item })?.header("tenant", "acme");
        let raw = bus.request_message("price-wanted", raw, SECOND).await?;
        let raw: Quote = serde_json::from_slice(raw.payload()).unwrap();
        assert!(quote == event && event == raw);
        bus.publish_to("quoted", &quote).await?;
        Ok::<_, Error>(true)
    })
}

#[tokio::test(start_paused = true)]
async fn a_handler_is_given_the_reply_of_another() {
    let app = testing::app().route(prices()).route(orders()).start().await;
    app.publish("order-placed", &3).await;
    app.settled().await;
    app.route("order-placed").assert_acked(1);
    app.route("price-wanted").assert_acked(3);
    app.assert_published_to("quoted", |quote: &Quote| quote.cents == 300);
    // Replies are not published to anybody.
    assert_eq!(app.published("price-wanted").len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_test_asks_a_route() {
    let app = testing::app().route(prices()).start().await;
    let quote: Quote = app
        .request("price-wanted", &PriceWanted { item: 2 }, SECOND)
        .await
        .unwrap();
    assert_eq!(quote, Quote { cents: 200 });
    app.settled().await;
    app.assert_nothing_published();
}

#[tokio::test(start_paused = true)]
async fn a_conversation_goes_on_through_request_and_reply() {
    let app = testing::app().route(prices()).route(orders()).start().await;
    let order = Message::new("3").with_header(CORRELATION_ID, "first");
    let order = app.publish_message("order-placed", order).await;
    app.settled().await;
    let requests = app.published("price-wanted");
    let header = |message: &Message, name| message.headers().get(name).unwrap().to_owned();
    let ids: Vec<_> = requests
        .iter()
        .map(|request| {
            assert_eq!(header(request, CORRELATION_ID), "first");
            assert_eq!(header(request, CAUSATION_ID), order.to_string());
            assert_eq!(
                header(request, REPLY_TO),
                header(&requests[0], REPLY_TO),
                "one address a service"
            );
            header(request, REQUEST_ID)
        })
        .collect();
    assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2]);
}

#[tokio::test(start_paused = true)]
async fn a_reply_carries_the_conversation_of_its_request() {
    let route = Route::new("asks").handler(Json, async |_: Value, bus: Bus| {
        let reply = bus.request_message("price-wanted", Message::new(r#"{"item": 1}"#), SECOND);
        let reply = reply.await?;
        assert_eq!(reply.correlation_id(), Some("first"));
        assert!(reply.headers().get(CAUSATION_ID).is_some());
        Ok::<_, Error>(true)
    });
    let app = testing::app().route(prices()).route(route).start().await;
    let message = Message::new("1").with_header(CORRELATION_ID, "first");
    app.publish_message("asks", message).await;
    app.settled().await;
    app.assert_acked("asks", 1);
}

async fn refused(route: Route, item: u64) -> (Error, Duration) {
    let app = testing::app().route(route).start().await;
    let begin = Instant::now();
    let wanted = PriceWanted { item };
    let answer = app.request::<Quote>("price-wanted", &wanted, LONG).await;
    (answer.unwrap_err(), begin.elapsed())
}

#[tokio::test(start_paused = true)]
async fn a_requester_is_told_at_once_that_its_request_was_rejected() {
    let (error, after) = refused(prices(), 13).await;
    assert_eq!(after, Duration::ZERO);
    let Error::RequestFailed { kind, reason, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!(
        (&**kind, reason.as_deref()),
        ("rejected", Some("not for sale"))
    );
    assert!(error.to_string().contains("price-wanted"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_requester_is_told_that_its_request_failed_for_good_and_no_text_of_an_error() {
    // Three receives of 30 s each; then the broker gives it up by itself.
    let (error, after) = refused(prices(), 0).await;
    assert_eq!(after, Duration::from_secs(60));
    let told = error.to_string();
    assert!(told.ends_with("failed: error"), "{told}");

    let once = prices().options(RouteOptions::new().max_attempts(1));
    let (error, after) = refused(once, 0).await;
    assert_eq!(after, Duration::ZERO);
    assert!(!error.to_string().contains("secret"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_requester_is_told_that_an_on_error_acked_its_request() {
    let route = prices().on_error(async |failure: loafer_runtime::handler::Failure| {
        failure.kind() == FailureKind::Error
    });
    let (error, after) = refused(route, 0).await;
    assert_eq!(after, Duration::ZERO);
    assert!(error.to_string().ends_with("failed: error"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_replies_to_nobody_refuses_nobody() {
    // Another one may hear the same request, and reply.
    let route = Route::new("price-wanted").handler(Json, async |_: Value| Outcome::Reject {
        reason: "not mine".into(),
    });
    let app = testing::app().route(route).start().await;
    let answer = app.request::<Quote>("price-wanted", &1, SECOND).await;
    assert!(matches!(answer, Err(Error::NoReply { .. })));
    app.settled().await;
}

#[tokio::test(start_paused = true)]
async fn an_undecodable_request_is_refused_by_place() {
    let route =
        prices().options(RouteOptions::new().undecodable(loafer_core::policy::Undecodable::Reject));
    let app = testing::app().route(route).start().await;
    let wanted = json!({ "item": "secret" });
    let answer = app.request::<Quote>("price-wanted", &wanted, SECOND).await;
    let told = answer.unwrap_err().to_string();
    assert!(
        told.contains("undecodable") && told.contains("`item`") && !told.contains("secret"),
        "{told}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_undecodable_reply_is_told_by_place() {
    let app = testing::app().route(prices()).start().await;
    #[derive(Debug, Deserialize)]
    #[allow(dead_code, reason = "decoded only")]
    struct Wrong {
        cents: String,
    }
    let wanted = PriceWanted { item: 424_242 };
    let answer = app.request::<Wrong>("price-wanted", &wanted, SECOND).await;
    let error = answer.unwrap_err();
    let told = error.to_string();
    assert!(matches!(error, Error::UndecodableReply { .. }), "{told}");
    assert!(
        told.contains("`cents`") && told.contains("column") && !told.contains("424"),
        "{told}"
    );
}

#[tokio::test(start_paused = true)]
async fn who_wants_no_reply_is_handled_all_the_same() {
    let app = testing::app().route(prices()).start().await;
    app.publish("price-wanted", &PriceWanted { item: 1 }).await;
    app.settled().await;
    app.assert_acked("price-wanted", 1);
    app.assert_nothing_published();
}

#[tokio::test(start_paused = true)]
async fn a_reply_goes_to_private_addresses_only() {
    let app = testing::app().route(prices()).route(orders()).start().await;
    for address in ["order-placed", "memory:order-placed", "", "../x"] {
        let request = Message::new(r#"{"item": 1}"#)
            .with_header(REPLY_TO, address)
            .with_header(REQUEST_ID, "1");
        app.publish_message("price-wanted", request).await;
    }
    app.settled().await;
    app.assert_acked("price-wanted", 4);
    assert_eq!(app.route("order-placed").received(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_requester_that_is_gone_does_not_bring_its_request_back() {
    let app = testing::app().route(prices()).start().await;
    let request = Message::new(r#"{"item": 1}"#)
        .with_header(REPLY_TO, loafer_core::broker::reply_queue(Some("gone"), 80));
    app.publish_message("price-wanted", request).await;
    app.settled().await;
    app.assert_acked("price-wanted", 1);
}

#[tokio::test(start_paused = true)]
async fn a_handler_cancelled_while_it_waits_leaves_its_message() {
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = runs.clone();
    let route = Route::new("asks")
        .options(RouteOptions::new().timeout(SECOND))
        .handler(Json, move |_: Value, bus: Bus| {
            counted.fetch_add(1, Ordering::SeqCst);
            async move { bus.request::<bool>("void", &1, LONG).await }
        });
    let app = testing::app().route(route).start().await;
    app.publish("asks", &1).await;
    app.settled().await;
    app.route("asks").assert_acked(0).assert_failed(3);
    assert_eq!(runs.load(Ordering::SeqCst), 3);
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_drains_still_gets_its_reply() {
    let slow = Route::new("slow").replying().handler(
        Json,
        async |number: u64, replier: Replier, metadata: Metadata| {
            assert_eq!(metadata.attempt(), 1);
            tokio::time::sleep(5 * SECOND).await;
            replier.reply(&(number + 1)).await?;
            Ok::<_, Error>(true)
        },
    );
    let asks = Route::new("asks").handler(Json, async |number: u64, bus: Bus| {
        let reply: u64 = bus.request("slow", &number, LONG).await?;
        Ok::<_, Error>(reply == number + 1)
    });
    let app = testing::app().route(slow).route(asks).start().await;
    app.publish("asks", &1).await;
    app.advance(SECOND).await;
    app.shutdown().await;
    app.assert_acked("asks", 1);
}

#[tokio::test(start_paused = true)]
async fn another_service_is_faked() {
    let app = testing::app()
        .route(orders())
        .reply("price-wanted", |wanted: PriceWanted| Quote {
            cents: wanted.item,
        })
        .start()
        .await;
    app.publish("order-placed", &7).await;
    app.settled().await;
    app.assert_published_to("quoted", |quote: &Quote| quote.cents == 7);

    let app = testing::app()
        .route(orders())
        .refuse("price-wanted", "not for sale")
        .start()
        .await;
    app.publish("order-placed", &7).await;
    app.settled().await;
    app.route("order-placed").assert_failed(3).assert_acked(0);
    app.assert_not_published_to("quoted");
}

#[tokio::test(start_paused = true)]
async fn a_replier_is_made_by_hand() {
    let bus = testing::bus();
    let request = Message::new("1")
        .with_header(REPLY_TO, "address")
        .with_header(REQUEST_ID, "7");
    let replier = Replier::new(&bus.bus(), request);
    assert!(replier.is_wanted());
    replier.reply(&Quote { cents: 1 }).await.unwrap();
    let reply = bus.published("address").remove(0);
    assert_eq!(&reply.payload()[..], br#"{"cents":1}"#);
    assert_eq!(reply.headers().get(REQUEST_ID), Some("7"));
    assert!(!Replier::new(&bus.bus(), Message::new("1")).is_wanted());
}
