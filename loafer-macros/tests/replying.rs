//! Handlers that return replies, in a service.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should fail")]

use std::time::Duration;

use loafer::{Error, prelude::*};
use serde::{Deserialize, Serialize};

const SECOND: Duration = Duration::from_secs(1);

#[derive(Debug, Serialize, Deserialize)]
struct PriceWanted {
    item: u32,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Quote {
    cents: u32,
}

#[handler(route = "price-wanted", provider = Memory, reply, max_attempts = 1)]
async fn price_wanted(wanted: PriceWanted) -> anyhow::Result<Option<Quote>> {
    anyhow::ensure!(wanted.item != 13, "unlucky");
    Ok((wanted.item > 0).then_some(Quote { cents: wanted.item }))
}

#[handler(route = "half-wanted", provider = Memory, reply)]
fn half_wanted(number: u32) -> u32 {
    number / 2
}

#[handler(route = "echo-wanted", provider = Memory, reply)]
async fn echo_wanted(request: Message) -> Message {
    Message::new(request.payload().clone()).with_header("echoed", "yes")
}

#[handler(route = "order-placed", provider = Memory)]
async fn order_placed(item: u32, bus: Bus) -> Result<bool, Error> {
    let quote: Quote = bus
        .request("price-wanted", &PriceWanted { item }, SECOND)
        .await?;
    bus.publish_to("quoted", &quote).await?;
    Ok(true)
}

#[tokio::test(start_paused = true)]
async fn what_is_returned_is_the_reply_and_then_the_message_is_acked() {
    let app = loafer::testing::app()
        .only(["price-wanted", "order-placed"])
        .start()
        .await;
    app.publish("order-placed", &7).await;
    app.settled().await;
    app.assert_acked("price-wanted", 1);
    app.assert_acked("order-placed", 1);
    app.assert_published_to("quoted", |quote: &Quote| quote.cents == 7);
}

#[tokio::test(start_paused = true)]
async fn a_plain_function_replies_too() {
    let app = loafer::testing::app().only(["half-wanted"]).start().await;
    let half: u32 = app.request("half-wanted", &8, SECOND).await.unwrap();
    assert_eq!(half, 4);
    app.settled().await;
    app.assert_acked("half-wanted", 1);
}

#[tokio::test(start_paused = true)]
async fn a_message_is_a_reply_as_it_is() {
    let app = loafer::testing::app().only(["echo-wanted"]).start().await;
    let echo: String = app.request("echo-wanted", "x", SECOND).await.unwrap();
    assert_eq!(echo, "x");
}

#[tokio::test(start_paused = true)]
async fn none_is_no_reply_and_acked() {
    let app = loafer::testing::app().only(["price-wanted"]).start().await;
    let wanted = PriceWanted { item: 0 };
    let answer = app.request::<Quote>("price-wanted", &wanted, SECOND).await;
    assert!(matches!(answer, Err(Error::NoReply { .. })), "{answer:?}");
    app.settled().await;
    app.assert_acked("price-wanted", 1);
}

#[tokio::test(start_paused = true)]
async fn an_error_that_is_final_is_reported_without_its_text() {
    let app = loafer::testing::app().only(["price-wanted"]).start().await;
    let wanted = PriceWanted { item: 13 };
    let answer = app.request::<Quote>("price-wanted", &wanted, SECOND).await;
    let Err(Error::RequestFailed { kind, reason, .. }) = answer else {
        panic!("{answer:?}");
    };
    assert_eq!((&*kind, reason), ("error", None));
    app.settled().await;
    app.assert_dead_lettered("price-wanted", "unlucky");
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_is_not_confirmed_has_its_request_retried() {
    let app = loafer::testing::app().only(["half-wanted"]).start().await;
    let address = loafer::broker::reply_queue(None, 80);
    app.faults().fail_publishes(&format!("memory:{address}"), 1);
    let request = Message::new("8").with_header("reply-to", address);
    app.publish_message("half-wanted", request).await;
    app.settled().await;
    // The second time its requester is gone, which is nothing to fail for.
    app.route("half-wanted").assert_failed(1).assert_acked(1);
}
