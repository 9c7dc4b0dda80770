//! The publisher against real servers: queues, and topics through to a queue.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should fail")]

mod support;

use std::time::Duration;

use loafer_core::{
    Error,
    broker::{Broker, Provider, Publisher, Settlement, Topic},
    message::{Message, Outgoing},
    translate::{Envelope, Sns, Text, Translator},
};
use loafer_runtime::bus::Bus;

async fn subscribed(server: &support::Server, raw: bool) -> (support::Queue, String) {
    let queue = server
        .queue("subscribed", Some(Duration::from_secs(30)))
        .await;
    let sns = server.sns();
    let arn = sns
        .create_topic()
        .name(format!("t-{}", queue.name))
        .send()
        .await
        .unwrap()
        .topic_arn
        .unwrap();
    sns.subscribe()
        .topic_arn(&arn)
        .protocol("sqs")
        .endpoint(format!("arn:aws:sqs:us-east-1:000000000000:{}", queue.name))
        .attributes("RawMessageDelivery", raw.to_string())
        .send()
        .await
        .unwrap();
    (queue, arn)
}

#[tokio::test]
async fn a_topic_is_found_by_name_and_its_message_opened() {
    let server = server!(
        "LOAFER_TEST_FAUXQS",
        "a_topic_is_found_by_name_and_its_message_opened"
    );
    let (queue, arn) = subscribed(&server, false).await;
    let name = arn.rsplit(':').next().unwrap();
    let outgoing = (0..12).map(|n| {
        Message::new(format!("\"{n}\""))
            .with_header("tenant", "acme")
            .into()
    });
    let ids = support::publish(&queue.publisher, name, outgoing.collect()).await;
    assert_eq!(ids.len(), 12);

    for delivery in queue.receive(12).await {
        let sns = Sns::<Text>::default();
        let message = sns.open(&delivery.message).unwrap();
        let text: &str = sns.translate(&message).unwrap();
        assert!(text.starts_with('"'));
        assert_eq!(message.topic(), Some(name));
        assert_eq!(message.headers().get("tenant"), Some("acme"));
        let published = message.headers().get("sns-message-id").unwrap();
        assert!(ids.iter().any(|id| id.to_string() == published));
    }
}

#[tokio::test]
async fn raw_delivery_needs_no_envelope() {
    let server = server!("LOAFER_TEST_FAUXQS", "raw_delivery_needs_no_envelope");
    let (queue, arn) = subscribed(&server, true).await;
    // The bus writes the name of an instance as `sqs:`.
    for topic in [&*arn, &format!("sqs:{arn}")] {
        support::publish(
            &queue.publisher,
            topic,
            vec![Message::new("{}").with_header("tenant", "acme").into()],
        )
        .await;
        let delivery = queue.receive(1).await;
        let sns = Sns::<Text>::default();
        let message = sns.open(&delivery[0].message).unwrap();
        assert_eq!(&message.payload()[..], b"{}");
        assert_eq!(message.headers().get("tenant"), Some("acme"));
    }
}

#[tokio::test]
async fn an_unknown_topic_is_reported_with_the_way_out() {
    let server = server!(
        "LOAFER_TEST_FAUXQS",
        "an_unknown_topic_is_reported_with_the_way_out"
    );
    let publisher = server.sqs().publisher();
    for topic in [
        "no-such-topic",
        "arn:aws:sns:us-east-1:000000000000:no-such-topic",
    ] {
        let mut answers = Vec::new();
        publisher
            .publish(
                &Topic::from(topic),
                &[Message::new("x").into()],
                &mut answers,
            )
            .await;
        let error = answers[0].as_ref().unwrap_err().to_string();
        assert!(
            error.contains("no-such-topic") && error.contains("create it"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_fifo_topic_keeps_groups_in_order_and_drops_duplicates() {
    let server = server!(
        "LOAFER_TEST_FAUXQS",
        "a_fifo_topic_keeps_groups_in_order_and_drops_duplicates"
    );
    let queue = server
        .queue("heard.fifo", Some(Duration::from_secs(30)))
        .await;
    let sns = server.sns();
    let topic = format!("t-{}", queue.name);
    let made = sns
        .create_topic()
        .name(&topic)
        .attributes("FifoTopic", "true");
    let arn = made.send().await.unwrap().topic_arn.unwrap();
    sns.subscribe()
        .topic_arn(&arn)
        .protocol("sqs")
        .endpoint(format!("arn:aws:sqs:us-east-1:000000000000:{}", queue.name))
        .send()
        .await
        .unwrap();
    let message = |n: usize| {
        let message = Outgoing::new(Message::new(format!("\"{n}\"")));
        message
            .group(format!("g{}", n % 3))
            .deduplication_id(format!("id-{n}"))
    };
    let bus = Bus::new(server.sqs().publisher());
    for _ in 0..2 {
        let answers = bus.send_all(&*topic, (0..12).map(message)).await;
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    }

    let mut groups = [Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..12 {
        let delivery = queue.receive(1).await;
        let opened = Sns::<Text>::default();
        let opened = opened.open(&delivery[0].message).unwrap().into_owned();
        let n: usize = std::str::from_utf8(opened.payload())
            .unwrap()
            .trim_matches('"')
            .parse()
            .unwrap();
        groups[n % 3].push(n);
        queue.settle(&delivery, Settlement::Ack).await;
    }
    assert_eq!(groups, [[0, 3, 6, 9], [1, 4, 7, 10], [2, 5, 8, 11]]);
    assert_eq!(queue.depth().await, 0, "duplicates");
}

async fn large_messages_are_parted_into_calls(server: support::Server) {
    let queue = server.queue("large", Some(Duration::from_secs(30))).await;
    let outgoing = (0..5)
        .map(|_| Message::new("x".repeat(400 * 1024)).into())
        .collect();
    assert_eq!(queue.send(outgoing).await.len(), 5);
    assert_eq!(queue.depth().await, 5);
}

#[tokio::test]
async fn large_messages_are_parted_into_calls_on_elasticmq() {
    large_messages_are_parted_into_calls(server!(
        "LOAFER_TEST_ELASTICMQ",
        "large_messages_are_parted_into_calls_on_elasticmq"
    ))
    .await;
}

#[tokio::test]
async fn each_message_has_its_own_answer() {
    let server = server!("LOAFER_TEST_FAUXQS", "each_message_has_its_own_answer");
    let queue = server.queue("answers", Some(Duration::from_secs(30))).await;
    let delayed = |delay| Outgoing::new(Message::new("x")).delay(Duration::from_secs(delay));
    let batch = [
        Message::new("").into(),
        delayed(400 * 86_400),
        Message::new("sent").into(),
        Message::new(vec![0xFF]).into(),
    ];
    let mut answers = Vec::new();
    let topic = Topic::from(format!("sqs:{}", queue.name));
    queue.publisher.publish(&topic, &batch, &mut answers).await;
    let refused = |n: usize, why: &str| {
        let error = answers[n].as_ref().unwrap_err();
        assert!(
            matches!(error, Error::Refused { .. }) && error.to_string().contains(why),
            "{error}"
        );
    };
    refused(0, "empty");
    refused(1, "366 days");
    assert!(answers[2].is_ok());
    refused(3, "UTF-8");
    assert_eq!(&queue.receive(1).await[0].message.payload()[..], b"sent");
}

/// fauxqs drops the groups of standard queues; ElasticMQ, as AWS, does not.
#[tokio::test]
async fn groups_of_a_fair_queue_are_reported_and_keep_no_order() {
    let server = server!(
        "LOAFER_TEST_ELASTICMQ",
        "groups_of_a_fair_queue_are_reported_and_keep_no_order"
    );
    let queue = server.queue("fair", Some(Duration::from_secs(30))).await;
    let of_tenant = |n: u32| Outgoing::new(Message::new(n.to_string())).group("acme");
    queue.send((0..3).map(of_tenant).collect()).await;
    // All at once: the first holds up none.
    let deliveries = queue.receive(3).await;
    assert!(
        deliveries
            .iter()
            .all(|delivery| delivery.message.group() == Some("acme"))
    );
    assert!(!queue.provider.capabilities().ordered);
    let fifo = server.queue("fair.fifo", None).await;
    assert!(fifo.provider.capabilities().ordered);
}

/// By the provider that was opened before, and by the publisher that has sent to it before.
async fn a_queue_that_was_deleted_and_made_again_is_found_again(server: support::Server) {
    let queue = server.queue("again", Some(Duration::from_secs(30))).await;
    queue.send(vec![Message::new("before").into()]).await;
    let (client, url) = (&queue.client, &queue.url);
    client.delete_queue().queue_url(url).send().await.unwrap();
    let mut none = Vec::new();
    let error = queue.provider.receive(1, Duration::ZERO, &mut none).await;
    assert!(
        matches!(error, Err(Error::UnknownQueue { .. })),
        "{error:?}"
    );
    let bus = Bus::new(server.sqs().publisher());
    let topic = format!("sqs:{}", queue.name);
    assert!(bus.send(&*topic, Message::new("lost")).await.is_err());

    let made = client.create_queue().queue_name(&queue.name).send().await;
    made.unwrap();
    queue.send(vec![Message::new("after").into()]).await;
    bus.send(&*topic, Message::new("after")).await.unwrap();
    for delivery in queue.receive(2).await {
        assert_eq!(&delivery.message.payload()[..], b"after");
    }
}

#[tokio::test]
async fn a_queue_that_was_deleted_and_made_again_is_found_again_on_fauxqs() {
    a_queue_that_was_deleted_and_made_again_is_found_again(server!(
        "LOAFER_TEST_FAUXQS",
        "a_queue_that_was_deleted_and_made_again_is_found_again_on_fauxqs"
    ))
    .await;
}

#[tokio::test]
async fn a_queue_that_was_deleted_and_made_again_is_found_again_on_elasticmq() {
    a_queue_that_was_deleted_and_made_again_is_found_again(server!(
        "LOAFER_TEST_ELASTICMQ",
        "a_queue_that_was_deleted_and_made_again_is_found_again_on_elasticmq"
    ))
    .await;
}
