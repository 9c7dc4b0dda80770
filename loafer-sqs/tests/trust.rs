//! What whoever may send a message can't do with it.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should fail")]

mod support;

use std::time::Duration;

use loafer_core::{
    broker::{Broker, DeadLetter, Instance, Provider, Settings, Settlement},
    message::{Message, MessageId},
};
use loafer_sqs::{Cleanup, Sqs};
use support::bucket::Bucket;

const POINTER: &str = "software.amazon.payloadoffloading.PayloadS3Pointer";

#[tokio::test]
async fn headers_folded_into_an_envelope_are_believed_on_a_dead_letter_queue_alone() {
    let server = server!(
        "LOAFER_TEST_ELASTICMQ",
        "headers_folded_into_an_envelope_are_believed_on_a_dead_letter_queue_alone"
    );
    let queue = server.queue("forged", Some(Duration::from_secs(30))).await;
    let envelope = r#"{"headers":{"folded":"v"}}"#;
    let message = || Message::new("x").with_header(DeadLetter::HEADER, envelope);
    queue.send(vec![message().into()]).await;
    let here = queue.receive(1).await.remove(0).message;
    assert_eq!(here.headers().get("folded"), None);
    assert_eq!(here.headers().get(DeadLetter::HEADER), Some(envelope));

    let dead_letters = format!("sqs:{}-dlq", queue.name);
    support::publish(&queue.publisher, &dead_letters, vec![message().into()]).await;
    let there = support::receive(&queue.dead_letters().await, 1).await;
    assert_eq!(there[0].message.headers().get("folded"), Some("v"));
}

#[tokio::test]
async fn an_object_is_fetched_where_it_is_accepted_and_deleted_where_we_put_it() {
    let server = server!(
        "LOAFER_TEST_FAUXQS",
        "an_object_is_fetched_where_it_is_accepted_and_deleted_where_we_put_it"
    );
    let bucket = Bucket::of(&server).await;
    let payloads = bucket.payloads().prefix("own/").cleanup(Cleanup::All);
    let payloads = payloads.accept(format!("{}/partners/", bucket.name));
    let sqs = server.sqs().with_large_payloads(payloads);
    let lease = Some(Duration::from_secs(30));
    let queue = server.queue_of(sqs, "objects", lease).await;
    let id = MessageId::new();
    let ours = ["own/loafer-queue/", "own/loafer-topic/"].map(|of| format!("{of}{id}"));
    let theirs = [
        format!("own/{id}"),
        "own/loafer-queue/secret".to_owned(),
        format!("own/more/loafer-queue/{id}"),
        format!("partners/loafer-queue/{id}"),
    ];
    let private = [format!("loafer-queue/{id}"), "private/secret".to_owned()];
    for key in ours.iter().chain(&theirs).chain(&private) {
        bucket.put(key, "payload").await;
        bucket
            .send(&queue, POINTER, "ExtendedPayloadSize", key)
            .await;
    }
    let deliveries = queue.receive(6).await;
    queue.settle(&deliveries, Settlement::Ack).await;
    queue.provider.close().await;
    let mut left: Vec<_> = theirs.into_iter().chain(private).collect();
    left.sort();
    assert_eq!(bucket.keys().await, left);
    assert_eq!(
        queue.depth().await,
        2,
        "what may not be fetched is not received"
    );
}

/// The sender of a request names where its reply goes.
#[tokio::test]
async fn a_reply_leaves_the_account_only_where_the_settings_allow_it() {
    let server = server!(
        "LOAFER_TEST_FAUXQS",
        "a_reply_leaves_the_account_only_where_the_settings_allow_it"
    );
    let queue = server.queue("asked", None).await;
    let id = MessageId::new();
    let own = queue.url.rsplit_once('/').unwrap().0;
    assert!(
        queue
            .sqs
            .reply_topic(&format!("{own}/app-replies-{id}"))
            .is_ok()
    );
    let foreign = format!("http://127.0.0.1/999999999999/app-replies-{id}");
    let said = queue.sqs.reply_topic(&foreign).unwrap_err().to_string();
    assert!(said.contains("`reply_accounts`"), "{said}");

    let mut allowing = Sqs::default();
    let section = "reply_accounts = '999999999999'".parse().unwrap();
    let settings = Settings::new("brokers.sqs", section);
    let instance = Instance::new("sqs", Sqs::KIND, None, Some(&settings));
    allowing.configure(&instance).unwrap();
    assert!(allowing.reply_topic(&foreign).is_ok());
}
