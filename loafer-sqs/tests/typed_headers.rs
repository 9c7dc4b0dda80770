//! Headers that are numbers or bytes, as other clients see them.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should fail")]

mod support;

use std::time::Duration;

use aws_sdk_sqs::types::{MessageAttributeValue, QueueAttributeName as Name};
use loafer_core::{
    broker::{Publisher as _, Topic},
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
