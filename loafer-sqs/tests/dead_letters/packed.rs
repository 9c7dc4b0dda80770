//! A dead letter that is kept as JSON and sent back by another process.

use std::{collections::HashMap, time::Duration};

use aws_sdk_sqs::{primitives::Blob, types::MessageAttributeValue};
use loafer_core::broker::{
    Broker as _, DeadLetter, DeadLetterQueue as _, Destination, NoOptions, PackedDeadLetter, Source,
};

use super::support::{Server, envelope};

fn attributes() -> HashMap<String, MessageAttributeValue> {
    let of = |kind: &str| MessageAttributeValue::builder().data_type(kind);
    [
        ("tenant", of("String").string_value("acme")),
        ("event-id", of("String").string_value("e-1")),
        ("tries", of("Number").string_value("7")),
        ("cents", of("Number.money").string_value("7.50")),
        ("key", of("Binary").binary_value(Blob::new([0, 255]))),
    ]
    .map(|(name, value)| (name.to_owned(), value.build().unwrap()))
    .into()
}

pub(crate) async fn what_was_packed_comes_back_with_its_types(server: Server) {
    let queue = server.queue("packed", Some(Duration::from_secs(30))).await;
    let url = format!("{}-dlq", queue.url);
    let why = MessageAttributeValue::builder().data_type("String");
    let why = why.string_value(envelope("r").to_header()).build().unwrap();
    let put = queue.client.send_message().queue_url(&url);
    let put = put
        .message_body("typed")
        .set_message_attributes(Some(attributes()));
    let put = put.message_attributes(DeadLetter::HEADER, why);
    put.send().await.unwrap();

    let (source, options) = (Source::new("test-route", &queue.name), NoOptions::default());
    let sqs = server.sqs();
    let dead_letters = sqs.dead_letters(&source, &options).unwrap();
    dead_letters.open().await.unwrap();
    let mut leased = Vec::new();
    dead_letters.lease(1, &mut leased).await.unwrap();
    let written = serde_json::to_string(&dead_letters.pack(&leased[0])).unwrap();
    let mut answers = Vec::new();
    let leases = [leased[0].receipt.clone()];
    dead_letters.delete(&leases, &mut answers).await;
    assert!(answers.remove(0).is_ok());
    drop((dead_letters, leased));
    drop(sqs);

    let packed: PackedDeadLetter = serde_json::from_str(&written).unwrap();
    let id = packed.message().id().to_string();
    let sqs = server.sqs();
    let dead_letters = sqs.dead_letters(&source, &options).unwrap();
    dead_letters.open().await.unwrap();
    dead_letters
        .copy(&Destination::Source, &[packed], &mut answers)
        .await;
    assert!(answers.remove(0).is_ok());
    let back = queue.client.receive_message().queue_url(&queue.url);
    let back = back.message_attribute_names("All").wait_time_seconds(5);
    let back = back.send().await.unwrap().messages.unwrap().remove(0);
    assert_eq!(back.body(), Some("typed"));
    let mut back = back.message_attributes.unwrap();
    let from = back.remove(DeadLetter::RETRIED_FROM).unwrap();
    assert_eq!(from.string_value(), Some(&*id));
    assert_eq!(back, attributes());
    assert_eq!(queue.depth_of_dead_letters().await, 0);
}
