//! A dead letter that is kept as JSON and sent back by another process.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should fail")]

mod again;
mod support;

use lapin::{
    BasicProperties,
    types::{AMQPValue, ByteArray, FieldTable},
};
use loafer_amqp::Options;
use loafer_core::broker::{
    Broker as _, DeadLetter, DeadLetterQueue as _, Destination, PackedDeadLetter, Source,
};
use support::{Rabbit, unique};

again::on_rabbitmq_4!();

fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}

fn headers() -> FieldTable {
    let mut address = FieldTable::default();
    address.insert("zip".into(), AMQPValue::LongInt(90_000));
    let mut headers = FieldTable::default();
    for (name, value) in [
        ("tenant", text("acme")),
        ("event-id", text("e-1")),
        ("tries", AMQPValue::LongInt(7)),
        ("price", AMQPValue::Double(0.1)),
        ("key", AMQPValue::ByteArray(ByteArray::from(vec![0, 255]))),
        ("address", AMQPValue::FieldTable(address)),
    ] {
        headers.insert(name.into(), value);
    }
    headers
}

/// Leases the one dead letter, packs it and deletes it. Returns what is left of it.
async fn packed(rabbit: &Rabbit, source: &Source, options: &Options) -> String {
    let amqp = rabbit.amqp();
    let dead_letters = amqp.dead_letters(source, options).unwrap();
    dead_letters.open().await.unwrap();
    let (mut leased, mut answers) = (Vec::new(), Vec::new());
    dead_letters.lease(1, &mut leased).await.unwrap();
    let written = serde_json::to_string(&dead_letters.pack(&leased[0])).unwrap();
    let leases = [leased[0].receipt.clone()];
    dead_letters.delete(&leases, &mut answers).await;
    assert!(answers.remove(0).is_ok());
    written
}

#[tokio::test]
async fn what_was_packed_comes_back_with_its_types() {
    let rabbit = rabbit!("what_was_packed_comes_back_with_its_types");
    let queue = unique("packed");
    let dead = format!("{queue}.dead");
    let quorum = [("x-queue-type", text("quorum"))];
    rabbit.declare(&queue, &quorum).await;
    rabbit.declare(&dead, &quorum).await;
    let given = BasicProperties::default()
        .with_headers(headers())
        .with_message_id("m-1".into())
        .with_priority(3)
        .with_timestamp(1_500)
        .with_type("order".into());
    rabbit
        .publish("", &dead, "{\"a\": \"\u{f6}\"}", given)
        .await;
    rabbit.depth_is(&dead, 1).await;

    let source = Source::new("orders", &queue);
    let options = Options::new().exchange("");
    let written = packed(&rabbit, &source, &options).await;
    rabbit.depth_is(&dead, 0).await;

    let packed: PackedDeadLetter = serde_json::from_str(&written).unwrap();
    let amqp = rabbit.amqp();
    let dead_letters = amqp.dead_letters(&source, &options).unwrap();
    dead_letters.open().await.unwrap();
    let mut answers = Vec::new();
    dead_letters
        .copy(&Destination::Source, &[packed], &mut answers)
        .await;
    assert!(answers.remove(0).is_ok());

    let back = rabbit.get(&queue).await.unwrap().delivery;
    assert_eq!(back.data, "{\"a\": \"\u{f6}\"}".as_bytes());
    let properties = &back.properties;
    assert_eq!(properties.message_id().as_ref().unwrap().as_str(), "m-1");
    assert_eq!(
        (properties.priority(), properties.timestamp()),
        (&Some(3), &Some(1_500))
    );
    assert_eq!(properties.kind().as_ref().unwrap().as_str(), "order");
    let back = properties.headers().clone().unwrap();
    for (name, value) in &headers() {
        assert_eq!(back.inner().get(name), Some(value), "{name:?}");
    }
    assert_eq!(back.inner()[DeadLetter::RETRIED_FROM], text("m-1"));
    rabbit.clean(&queue).await;
}
