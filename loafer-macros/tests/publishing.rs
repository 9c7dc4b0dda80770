//! Handlers that return messages, in a service.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should fail")]

use loafer::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize, Event)]
#[event(topic = "invoice-wanted")]
struct InvoiceWanted {
    order: u32,
}

#[derive(Debug, Serialize, Deserialize, Event)]
#[event(topic = "stock-taken", version = 2)]
struct StockTaken {
    order: u32,
}

#[handler(route = "order-placed", provider = Memory, publish)]
async fn order_placed(order: u32) -> anyhow::Result<(InvoiceWanted, Vec<StockTaken>)> {
    anyhow::ensure!(order != 13, "unlucky");
    let taken = (0..order % 3).map(|_| StockTaken { order });
    Ok((InvoiceWanted { order }, taken.collect()))
}

#[handler(route = "number", provider = Memory, publish = "odd-number")]
fn number(number: u32) -> Option<u32> {
    (number % 2 == 1).then_some(number)
}

#[handler(route = "events", provider = Memory, on = "stock-taken")]
async fn stock_taken(taken: StockTaken) -> bool {
    taken.order > 0
}

#[handler(route = "events", provider = Memory, unmatched = "ignore", on = "header:kind=refund")]
async fn refunded(_: Message) -> bool {
    true
}

#[tokio::test(start_paused = true)]
async fn all_that_is_returned_is_published_and_then_the_message_acked() {
    let app = loafer::testing::app().only(["order-placed"]).start().await;
    app.publish("order-placed", &2).await;
    app.settled().await;
    app.route("order-placed").assert_acked(1);
    app.assert_published(|invoice: &InvoiceWanted| invoice.order == 2);
    app.assert_published_count::<StockTaken>(2);
    let header = |topic: &str, name: &str| {
        let message = app.published(topic).remove(0);
        message.headers().get(name).map(str::to_owned)
    };
    assert_eq!(
        header("invoice-wanted", "event-type").as_deref(),
        Some("invoice-wanted")
    );
    assert_eq!(header("invoice-wanted", "event-version"), None);
    assert_eq!(header("stock-taken", "event-version").as_deref(), Some("2"));
    assert!(header("stock-taken", "causation-id").is_some());
}

#[tokio::test(start_paused = true)]
async fn an_error_publishes_nothing_and_the_message_comes_again() {
    let app = loafer::testing::app().only(["order-placed"]).start().await;
    app.publish("order-placed", &13).await;
    app.settled().await;
    app.assert_nothing_published();
    app.route("order-placed").assert_failed(3).assert_acked(0);
}

#[tokio::test(start_paused = true)]
async fn what_the_broker_did_not_confirm_is_not_acked() {
    let app = loafer::testing::app().only(["number"]).start().await;
    app.faults().fail_publishes("odd-number", 1);
    app.publish("number", &1).await;
    app.settled().await;
    let numbers = app.route("number");
    numbers.assert_failed(1).assert_acked(1);
    assert_eq!(app.published("odd-number").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn nothing_to_publish_is_fine() {
    let app = loafer::testing::app().only(["number"]).start().await;
    app.publish("number", &2).await;
    app.settled().await;
    app.route("number").assert_acked(1);
    app.assert_nothing_published();
}

#[tokio::test(start_paused = true)]
async fn a_typed_event_finds_the_handler_of_its_type() {
    let app = loafer::testing::app().only(["events"]).start().await;
    let event = |of: &str| Message::new(r#"{"order": 1}"#).with_header("event-type", of.to_owned());
    app.publish_message("events", event("stock-taken")).await;
    app.publish_message("events", event("stock-lost")).await;
    app.publish_message("events", event("none").with_header("kind", "refund"))
        .await;
    app.settled().await;
    app.route("events").assert_acked(3);
    assert_eq!(app.route("events").received(), 3);
}
