//! Headers that are numbers or bytes, as other clients see them.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should fail")]

mod support;

use std::{collections::BTreeMap, time::Duration};

use aws_sdk_sqs::{
    primitives::Blob,
    types::{MessageAttributeValue, QueueAttributeName as Name},
};
use loafer_core::{
    broker::{DeadLetter, DueTime, Publisher as _, Settled, Settlement, Topic},
    message::{Message, MessageId, Outgoing},
};
use support::Queue;
use tokio::time::{Instant, sleep};

fn order(cents: i64) -> Outgoing {
    Outgoing::new(Message::new(cents.to_string()))
        .header_value("cents", cents)
        .header_value("share", 0.25)
        .header_value("hash", vec![0xff, 0x00])
        .header("tenant", "acme")
}

async fn publish(queue: &Queue, topic: &str, batch: &[Outgoing]) {
    let mut answers = Vec::new();
    let topic = Topic::from(topic);
    queue.publisher.publish(&topic, batch, &mut answers).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
}

/// Receives a message with a client of its own.
async fn raw(queue: &Queue) -> Option<aws_sdk_sqs::types::Message> {
    let received = queue.client.receive_message().queue_url(&queue.url);
    let received = received.message_attribute_names("All").send().await;
    received.unwrap().messages.unwrap_or_default().pop()
}

#[tokio::test]
async fn numbers_and_bytes_are_attributes_of_their_types() {
    let server = server!(
        "LOAFER_TEST_FAUXQS",
        "numbers_and_bytes_are_attributes_of_their_types"
    );
    let queue = server.queue("typed", None).await;
    publish(&queue, &format!("sqs:{}", queue.name), &[order(-250)]).await;
    let attributes = raw(&queue).await.unwrap().message_attributes.unwrap();
    let text = |name: &str| {
        let attribute: &MessageAttributeValue = &attributes[name];
        (
            attribute.data_type(),
            attribute.string_value().unwrap_or_default(),
        )
    };
    assert_eq!(text("cents"), ("Number", "-250"));
    assert_eq!(text("share"), ("Number", "0.25"));
    assert_eq!(text("tenant"), ("String", "acme"));
    assert_eq!(attributes["hash"].data_type(), "Binary");
    let bytes = attributes["hash"].binary_value().unwrap();
    assert_eq!(bytes.as_ref(), [0xff, 0x00]);
}

#[tokio::test]
async fn a_filter_policy_of_sns_compares_a_number() {
    let server = server!(
        "LOAFER_TEST_FAUXQS",
        "a_filter_policy_of_sns_compares_a_number"
    );
    let (queue, sns) = (server.queue("filtered", None).await, server.sns());
    let name = format!("filtered-{}", MessageId::new());
    let topic = sns.create_topic().name(&name).send().await.unwrap();
    let asked = queue.client.get_queue_attributes().queue_url(&queue.url);
    let answer = asked.attribute_names(Name::QueueArn).send().await.unwrap();
    let arn = answer.attributes.unwrap().remove(&Name::QueueArn).unwrap();
    sns.subscribe()
        .topic_arn(topic.topic_arn.unwrap())
        .protocol("sqs")
        .endpoint(arn)
        .attributes("RawMessageDelivery", "true")
        .attributes("FilterPolicy", r#"{"cents": [{"numeric": [">", 100]}]}"#)
        .send()
        .await
        .unwrap();
    publish(&queue, &name, &[order(7), order(250), order(100)]).await;
    let give_up = Instant::now() + Duration::from_secs(10);
    let mut came = Vec::new();
    while came.is_empty() && Instant::now() < give_up {
        came.extend(raw(&queue).await.and_then(|message| message.body));
        sleep(Duration::from_millis(50)).await;
    }
    came.extend(raw(&queue).await.and_then(|message| message.body));
    assert_eq!(came, ["250"]);
}

/// Sends a message with as many attributes as there can be: numbers and bytes, most of them with a label in their types.
async fn send_labelled(queue: &Queue) {
    let send = queue.client.send_message().queue_url(&queue.url);
    let mut send = send.message_body("x");
    for (name, kind) in TYPES {
        let attribute = MessageAttributeValue::builder().data_type(kind);
        let attribute = match kind.starts_with("Binary") {
            true => attribute.binary_value(Blob::new([0xff, 0x00])),
            false => attribute.string_value("7"),
        };
        send = send.message_attributes(name, attribute.build().unwrap());
    }
    send.send().await.unwrap();
}

const TYPES: [(&str, &str); 10] = [
    ("a", "Number.cents"),
    ("b", "Binary.png"),
    ("c", "String.iso"),
    ("d", "Number"),
    ("e", "Binary"),
    ("f", "String"),
    ("g", "Number"),
    ("h", "Number"),
    ("i", "Number"),
    ("j", "Number"),
];

/// The types of the attributes that this queue's first message has, but for that of a header of ours.
async fn types(queue: &Queue, url: &str, ours: &str) -> BTreeMap<String, String> {
    let received = queue.client.receive_message().queue_url(url);
    let received = received.message_attribute_names("All").wait_time_seconds(5);
    let received = received.send().await.unwrap().messages.unwrap_or_default();
    let attributes = received[0].message_attributes().unwrap();
    assert!(attributes.contains_key(ours), "{attributes:?}");
    attributes
        .iter()
        .filter(|(name, _)| *name != ours)
        .map(|(name, value)| (name.clone(), value.data_type().to_owned()))
        .collect()
}

async fn copies_keep_types_and_their_labels(server: support::Server) {
    let queue = server.queue("copied", Some(Duration::from_secs(30))).await;
    let known = |left_out: &str| {
        let known = TYPES.iter().filter(|(name, _)| *name != left_out);
        known
            .map(|(name, kind)| ((*name).to_owned(), (*kind).to_owned()))
            .collect::<BTreeMap<_, _>>()
    };
    send_labelled(&queue).await;
    let delivery = queue.receive(1).await;
    let dead_letter = Settlement::DeadLetter(support::envelope("r"));
    let answers = queue.settle(&delivery, dead_letter).await;
    assert!(matches!(answers[..], [Settled::Done]), "{answers:?}");
    let url = format!("{}-dlq", queue.url);
    // A text without a label gives way to the envelope.
    let dead = types(&queue, &url, DeadLetter::HEADER).await;
    assert_eq!(dead, known("f"));

    let until = DueTime::after(Duration::from_secs(1), Instant::now().into_std());
    let message = Outgoing::new(Message::new("x"))
        .header_value("cents", 7)
        .header(DueTime::HEADER, until.to_header());
    publish(&queue, &format!("sqs:{}", queue.name), &[message]).await;
    let delivery = queue.receive(1).await;
    let answers = queue.settle(&delivery, Settlement::Defer { until }).await;
    assert!(matches!(answers[..], [Settled::Done]), "{answers:?}");
    let deferred = types(&queue, &queue.url, DueTime::HEADER).await;
    assert_eq!(deferred["cents"], "Number");
}

#[tokio::test]
async fn copies_keep_types_and_their_labels_on_fauxqs() {
    let server = server!(
        "LOAFER_TEST_FAUXQS",
        "copies_keep_types_and_their_labels_on_fauxqs"
    );
    copies_keep_types_and_their_labels(server).await;
}

#[tokio::test]
async fn copies_keep_types_and_their_labels_on_elasticmq() {
    let server = server!(
        "LOAFER_TEST_ELASTICMQ",
        "copies_keep_types_and_their_labels_on_elasticmq"
    );
    copies_keep_types_and_their_labels(server).await;
}
