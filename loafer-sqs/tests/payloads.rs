//! Payloads on S3, from the publisher through queue or topic to the provider.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should fail")]

mod support;

use std::time::Duration;

use loafer_core::{
    broker::{Broker, Delivery, NoOptions, Provider, Settled, Settlement, Source},
    message::{Message, MessageId, Outgoing},
};
use loafer_sqs::{Cleanup, Receipt, S3Payloads, Sqs, SqsProvider};
use support::{Queue, Server, bucket::Bucket};

const LEASE: Option<Duration> = Some(Duration::from_secs(30));
const MIB: usize = 1024 * 1024;

fn large() -> Outgoing {
    Message::new("é".repeat(MIB))
        .with_header("tenant", "acme")
        .into()
}

async fn queue(server: &Server, name: &str, payloads: S3Payloads) -> Queue {
    let sqs = server.sqs().with_large_payloads(payloads);
    server.queue_of(sqs, name, LEASE).await
}

fn is_whole(delivery: &Delivery<Receipt>) {
    let message = &delivery.message;
    assert_eq!(message.payload().len(), 2 * MIB);
    let headers: Vec<_> = message.headers().iter().collect();
    assert_eq!(headers, [("tenant", "acme")]);
}

#[tokio::test]
async fn a_payload_too_large_for_a_queue_goes_by_s3_and_is_deleted_after_its_message() {
    let server = server!(
        "LOAFER_TEST_FAUXQS",
        "a_payload_too_large_for_a_queue_goes_by_s3"
    );
    let bucket = Bucket::of(&server).await;
    let queue = queue(&server, "large", bucket.payloads().prefix("orders/")).await;
    queue
        .send(vec![large(), Message::new("small").into()])
        .await;
    let keys = bucket.keys().await;
    assert!(
        matches!(&keys[..], [key] if key.starts_with("orders/")),
        "{keys:?}"
    );

    let deliveries = queue.receive(2).await;
    let (large, small): (Vec<_>, Vec<_>) = deliveries
        .into_iter()
        .partition(|delivery| delivery.message.payload().len() > 5);
    is_whole(&large[0]);
    queue.settle(&small, Settlement::Ack).await;
    queue.provider.close().await;
    assert_eq!(bucket.keys().await.len(), 1);
    queue.settle(&large, Settlement::Release).await;
    queue.provider.close().await;
    assert_eq!(bucket.keys().await.len(), 1, "its message is redelivered");
    let again = queue.receive(1).await;
    is_whole(&again[0]);
    assert!(matches!(
        queue.settle(&again, Settlement::Ack).await[..],
        [Settled::Done]
    ));
    assert_eq!(queue.depth().await, 0);
    queue.provider.close().await;
    assert!(bucket.keys().await.is_empty());
}

#[tokio::test]
async fn what_stands_in_the_queue_is_what_the_clients_of_aws_read() {
    let server = server!(
        "LOAFER_TEST_FAUXQS",
        "what_stands_in_the_queue_is_what_the_clients_of_aws_read"
    );
    let bucket = Bucket::of(&server).await;
    let queue = queue(&server, "pointer", bucket.payloads().threshold(100)).await;
    queue
        .send(vec![
            Message::new("é".repeat(60)).into(),
            Message::new("x".repeat(100)).into(),
        ])
        .await;
    let received = queue
        .client
        .receive_message()
        .queue_url(&queue.url)
        .max_number_of_messages(10);
    let messages = received
        .message_attribute_names("All")
        .send()
        .await
        .unwrap()
        .messages
        .unwrap();
    let pointed = messages
        .iter()
        .find_map(|message| Some((message.body()?, message.message_attributes()?)));
    let (body, attributes) = pointed.unwrap();
    let size = &attributes["ExtendedPayloadSize"];
    assert_eq!(
        (size.data_type(), size.string_value()),
        ("Number", Some("120"))
    );
    let key = &bucket.keys().await[0];
    let name = &bucket.name;
    assert_eq!(
        body,
        format!(
            r#"["software.amazon.payloadoffloading.PayloadS3Pointer",{{"s3BucketName":"{name}","s3Key":"{key}"}}]"#
        )
    );
    assert_eq!(messages.len(), 2);
}

#[tokio::test]
async fn pointers_of_other_programs_are_read_and_their_objects_kept() {
    let server = server!(
        "LOAFER_TEST_FAUXQS",
        "pointers_of_other_programs_are_read_and_their_objects_kept"
    );
    let bucket = Bucket::of(&server).await;
    for cleanup in [Cleanup::OfQueues, Cleanup::All] {
        let queue = queue(&server, "others", bucket.payloads().cleanup(cleanup)).await;
        bucket.put("new", "payload").await;
        bucket.put("old", "payload").await;
        bucket
            .send(
                &queue,
                "software.amazon.payloadoffloading.PayloadS3Pointer",
                "ExtendedPayloadSize",
                "new",
            )
            .await;
        bucket
            .send(
                &queue,
                "com.amazon.sqs.javamessaging.MessageS3Pointer",
                "SQSLargePayloadSize",
                "old",
            )
            .await;
        let deliveries = queue.receive(2).await;
        for delivery in &deliveries {
            assert_eq!(&delivery.message.payload()[..], b"payload");
            assert!(delivery.message.headers().is_empty());
        }
        queue.settle(&deliveries, Settlement::Ack).await;
        queue.provider.close().await;
        assert_eq!(bucket.keys().await.len(), 2);
    }
}

/// Two queues are subscribed to one topic: one object.
async fn of_a_topic(server: &Server, raw: bool) {
    use loafer_core::translate::{Envelope, Sns, Text, Translator};

    let bucket = Bucket::of(server).await;
    let sns = server.sns();
    let made = sns
        .create_topic()
        .name(format!("t-{}", MessageId::new()))
        .send()
        .await;
    let arn = made.unwrap().topic_arn.unwrap();
    let queues = [
        queue(server, "first", bucket.payloads()).await,
        queue(server, "second", bucket.payloads()).await,
    ];
    for queue in &queues {
        sns.subscribe()
            .topic_arn(&arn)
            .protocol("sqs")
            .endpoint(format!("arn:aws:sqs:us-east-1:000000000000:{}", queue.name))
            .attributes("RawMessageDelivery", raw.to_string())
            .send()
            .await
            .unwrap();
    }
    support::publish(&queues[0].publisher, &arn, vec![large()]).await;
    for queue in &queues {
        let deliveries = queue.receive(1).await;
        let sns = Sns::<Text>::default();
        let message = sns.open(&deliveries[0].message).unwrap();
        let text: &str = sns.translate(&message).unwrap();
        assert_eq!(text.len(), 2 * MIB);
        assert_eq!(message.headers().get("tenant"), Some("acme"));
        assert_eq!(message.headers().get("ExtendedPayloadSize"), None);
        queue.settle(&deliveries, Settlement::Ack).await;
        queue.provider.close().await;
        assert_eq!(bucket.keys().await.len(), 1);
    }
}

#[tokio::test]
async fn a_payload_of_a_topic_reaches_every_queue_in_envelopes() {
    of_a_topic(
        &server!(
            "LOAFER_TEST_FAUXQS",
            "a_payload_of_a_topic_reaches_every_queue_in_envelopes"
        ),
        false,
    )
    .await;
}

#[tokio::test]
async fn a_payload_of_a_topic_reaches_every_queue_raw() {
    of_a_topic(
        &server!(
            "LOAFER_TEST_FAUXQS",
            "a_payload_of_a_topic_reaches_every_queue_raw"
        ),
        true,
    )
    .await;
}

#[tokio::test]
async fn a_missing_payload_keeps_its_message_and_holds_up_no_other() {
    let server = server!(
        "LOAFER_TEST_FAUXQS",
        "a_missing_payload_keeps_its_message_and_holds_up_no_other"
    );
    let bucket = Bucket::of(&server).await;
    let queue = queue(&server, "missing", bucket.payloads()).await;
    let class = "software.amazon.payloadoffloading.PayloadS3Pointer";
    bucket
        .send(&queue, class, "ExtendedPayloadSize", "missing")
        .await;
    queue.send(vec![Message::new("here").into()]).await;
    let (log, _listening) = support::log::Log::start();
    let deliveries = queue.receive(1).await;
    assert_eq!(&deliveries[0].message.payload()[..], b"here");
    queue.settle(&deliveries, Settlement::Ack).await;
    assert_eq!(queue.depth().await, 1);
    let said = log.lines("can't be had");
    let names = [&*bucket.name, "key=\"missing\"", "NoSuchKey", &queue.name];
    assert!(names.iter().all(|name| said[0].contains(name)), "{said:?}");
}

#[tokio::test]
async fn nothing_of_a_group_overtakes_a_missing_payload() {
    let server = server!(
        "LOAFER_TEST_FAUXQS",
        "nothing_of_a_group_overtakes_a_missing_payload"
    );
    let bucket = Bucket::of(&server).await;
    let queue = queue(&server, "missing.fifo", bucket.payloads()).await;
    let class = "software.amazon.payloadoffloading.PayloadS3Pointer";
    bucket
        .send(&queue, class, "ExtendedPayloadSize", "missing")
        .await;
    let in_group = |text: &'static str, group| Outgoing::new(Message::new(text)).group(group);
    queue
        .send(vec![in_group("behind", "g"), in_group("beside", "h")])
        .await;
    let deliveries = queue.receive(1).await;
    assert_eq!(&deliveries[0].message.payload()[..], b"beside");
    let mut more = Vec::new();
    queue
        .provider
        .receive(10, Duration::ZERO, &mut more)
        .await
        .unwrap();
    assert!(more.is_empty(), "{more:?}");
}

async fn another(sqs: &Sqs, queue: &Queue) -> SqsProvider {
    let provider = sqs
        .provider(&Source::new("other", &queue.name), &NoOptions::default())
        .unwrap();
    provider
        .open(loafer_core::broker::Open::Existing)
        .await
        .unwrap();
    provider
}

#[tokio::test]
async fn a_bucket_that_was_not_named_is_not_read() {
    let server = server!(
        "LOAFER_TEST_FAUXQS",
        "a_bucket_that_was_not_named_is_not_read"
    );
    let (bucket, foreign) = (Bucket::of(&server).await, Bucket::of(&server).await);
    let queue = queue(&server, "foreign", bucket.payloads()).await;
    foreign.put("key", "payload").await;
    let class = "software.amazon.payloadoffloading.PayloadS3Pointer";
    foreign
        .send(&queue, class, "ExtendedPayloadSize", "key")
        .await;
    let mut none = Vec::new();
    queue
        .provider
        .receive(10, Duration::ZERO, &mut none)
        .await
        .unwrap();
    assert!(none.is_empty(), "{none:?}");

    foreign
        .send(&queue, class, "ExtendedPayloadSize", "key")
        .await;
    let accepting = server
        .sqs()
        .with_large_payloads(bucket.payloads().accept(&foreign.name));
    let deliveries = support::receive(&another(&accepting, &queue).await, 1).await;
    assert_eq!(&deliveries[0].message.payload()[..], b"payload");
}

#[tokio::test]
async fn a_dead_letter_points_to_its_payload() {
    let server = server!("LOAFER_TEST_FAUXQS", "a_dead_letter_points_to_its_payload");
    let bucket = Bucket::of(&server).await;
    let queue = queue(&server, "dead", bucket.payloads()).await;
    queue.send(vec![large()]).await;
    let deliveries = queue.receive(1).await;
    let reject = Settlement::DeadLetter(support::envelope("r"));
    assert!(matches!(
        queue.settle(&deliveries, reject).await[..],
        [Settled::Done]
    ));
    assert_eq!(queue.depth().await, 0);
    let dead_letters = support::receive(&queue.dead_letters().await, 1).await;
    assert_eq!(dead_letters[0].message.payload().len(), 2 * MIB);
    assert!(loafer_core::broker::DeadLetter::of(&dead_letters[0].message).is_some());
}

#[tokio::test]
async fn where_s3_takes_no_payload_its_message_is_not_published() {
    let server = server!(
        "LOAFER_TEST_FAUXQS",
        "where_s3_takes_no_payload_its_message_is_not_published"
    );
    let queue = queue(&server, "nowhere", S3Payloads::new("no-such-bucket")).await;
    let bus = loafer_runtime::bus::Bus::new(
        server
            .sqs()
            .with_large_payloads(S3Payloads::new("no-such-bucket"))
            .publisher(),
    );
    let answers = bus
        .send_all(
            format!("sqs:{}", queue.name),
            [large(), Message::new("small").into()],
        )
        .await;
    let said = answers[0].as_ref().unwrap_err().to_string();
    assert!(said.contains("storing of `no-such-bucket/"), "{said}");
    assert!(answers[1].is_ok());
    assert_eq!(queue.depth().await, 1);
}
