//! What queues take, and how often publishers ask, against a server that refuses what the test says.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should fail")]

mod support;

use std::{collections::BTreeMap, sync::Arc};

use aws_sdk_sqs::types::QueueAttributeName as Name;
use futures_util::future::join_all;
use loafer_core::{
    Error,
    broker::{
        Broker, DeadLetterQueue, Destination, NoOptions, Publisher, Settled, Settlement, Source,
        Topic,
    },
    message::{Message, MessageId, Outgoing},
};
use loafer_sqs::SqsPublisher;
use support::{
    Queue,
    bucket::Bucket,
    fake::{Fake, State},
};

const LIMIT: usize = 256 * 1024;

async fn published(
    publisher: &SqsPublisher,
    topic: &str,
    batch: &[Outgoing],
) -> Vec<Result<MessageId, Error>> {
    let mut answers = Vec::new();
    let topic = Topic::from(topic);
    publisher.publish(&topic, batch, &mut answers).await;
    assert_eq!(answers.len(), batch.len());
    answers
}

fn of_bytes(bytes: usize) -> Outgoing {
    Message::new("x".repeat(bytes)).into()
}

#[tokio::test]
async fn a_message_too_large_for_its_queue_fails_alone_and_before_the_call() {
    let fake = Fake::start(State {
        queue_limit: Some(LIMIT),
        ..State::default()
    })
    .await;
    let batch = [of_bytes(1), of_bytes(300_000), of_bytes(2)];
    let answers = published(&fake.sqs().publisher(), "sqs:orders", &batch).await;
    assert!(answers[0].is_ok() && answers[2].is_ok(), "{answers:?}");
    let said = answers[1].as_ref().unwrap_err().to_string();
    assert!(
        said.contains("300000 bytes")
            && said.contains("262144 is the most there, its `MaximumMessageSize`"),
        "{said}"
    );
    assert_eq!(fake.state().calls.len(), 1);
}

#[tokio::test]
async fn a_call_that_is_too_long_is_sent_in_smaller_ones() {
    let fake = Fake::start(State {
        longest_call: Some(LIMIT),
        ..State::default()
    })
    .await;
    let batch: Vec<_> = (0..10).map(|n| of_bytes(100_000 + n)).collect();
    let answers = published(&fake.sqs().publisher(), "sqs:orders", &batch).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!(fake.state().taken.len(), 10);
}

#[tokio::test]
async fn handlers_that_publish_first_at_once_look_each_topic_up_once() {
    let names: Vec<_> = (0..50).map(|n| format!("topic-{n}")).collect();
    let fake = Fake::start(State {
        topics: names.clone(),
        ..State::default()
    })
    .await;
    let publisher = Arc::new(fake.sqs().publisher());
    let handlers = (0..200).map(|n| {
        let (publisher, name) = (Arc::clone(&publisher), names[n % 50].clone());
        async move {
            let queue = format!("sqs:{name}");
            for topic in [&name, &queue] {
                let answers = published(&publisher, topic, &[of_bytes(1)]).await;
                assert!(answers[0].is_ok(), "{answers:?}");
            }
        }
    });
    join_all(handlers).await;
    let mut asked = BTreeMap::new();
    for looked_up in &fake.state().looked_up {
        *asked.entry(looked_up.clone()).or_insert(0) += 1;
    }
    assert_eq!(asked.remove("ListTopics"), Some(50));
    assert_eq!(asked.len(), 100, "a URL and attributes of each queue");
    assert!(asked.values().all(|times| *times == 1), "{asked:?}");
}

#[tokio::test]
async fn a_topic_that_was_not_found_is_looked_up_again() {
    let fake = Fake::start(State::default()).await;
    let publisher = fake.sqs().publisher();
    let batch = [of_bytes(1)];
    assert!(published(&publisher, "late", &batch).await[0].is_err());
    fake.state().topics.push("late".to_owned());
    assert!(published(&publisher, "late", &batch).await[0].is_ok());
}

#[tokio::test]
async fn what_no_queue_carries_fails_alone() {
    let fake = Fake::start(State::default()).await;
    let batch = [
        Message::new("1").into(),
        Message::new("a\u{8}").into(),
        Message::new("2").with_header("cloudEvents:id", "1").into(),
        Message::new("3").into(),
    ];
    let answers = published(&fake.sqs().publisher(), "sqs:orders", &batch).await;
    let said = |at: usize| answers[at].as_ref().unwrap_err().to_string();
    assert!(
        said(1).contains("the payload has the character U+0008 at byte 1"),
        "{}",
        said(1)
    );
    assert!(
        said(2).contains("the header `cloudEvents:id` has `:` in its name"),
        "{}",
        said(2)
    );
    assert_eq!(fake.state().bodies(), ["1", "3"]);
}

async fn limited(server: &support::Server, bucket: Option<&Bucket>) -> Queue {
    let sqs = match bucket {
        Some(bucket) => server.sqs().with_large_payloads(bucket.payloads()),
        None => server.sqs(),
    };
    let queue = server.queue_of(sqs, "limited", None).await;
    queue.set(Name::MaximumMessageSize, "262144").await;
    queue
}

#[tokio::test]
async fn a_payload_too_large_for_its_queue_alone_goes_by_s3() {
    let server = server!(
        "LOAFER_TEST_FAUXQS",
        "a_payload_too_large_for_its_queue_alone_goes_by_s3"
    );
    let bucket = Bucket::of(&server).await;
    let queue = limited(&server, Some(&bucket)).await;
    queue.send(vec![of_bytes(300_000), of_bytes(1)]).await;
    assert_eq!(bucket.keys().await.len(), 1);
    let mut sizes: Vec<_> = queue
        .receive(2)
        .await
        .iter()
        .map(|delivery| delivery.message.payload().len())
        .collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [1, 300_000]);
}

/// A dead letter that is larger than its source takes now, tried again there.
async fn tried_again(
    server: &support::Server,
    bucket: Option<&Bucket>,
) -> (Queue, Result<(), Error>) {
    let sqs = match bucket {
        Some(bucket) => server.sqs().with_large_payloads(bucket.payloads()),
        None => server.sqs(),
    };
    let queue = server.queue_of(sqs, "again", None).await;
    queue.send(vec![of_bytes(300_000)]).await;
    let delivery = queue.receive(1).await;
    let answers = queue
        .settle(&delivery, Settlement::DeadLetter(support::envelope("r")))
        .await;
    assert!(matches!(answers[..], [Settled::Done]), "{answers:?}");
    queue.set(Name::MaximumMessageSize, "262144").await;
    let dead_letters = queue
        .sqs
        .dead_letters(
            &Source::new("test-route", &queue.name),
            &NoOptions::default(),
        )
        .unwrap();
    dead_letters.open().await.unwrap();
    let mut leased = Vec::new();
    while leased.is_empty() {
        dead_letters.lease(1, &mut leased).await.unwrap();
    }
    let packed = [dead_letters.pack(&leased[0])];
    let mut answers = Vec::new();
    dead_letters
        .copy(&Destination::Source, &packed, &mut answers)
        .await;
    (queue, answers.remove(0))
}

#[tokio::test]
async fn a_dead_letter_too_large_for_its_source_is_told_with_its_size() {
    let server = server!(
        "LOAFER_TEST_FAUXQS",
        "a_dead_letter_too_large_for_its_source_is_told_with_its_size"
    );
    let (_, answer) = tried_again(&server, None).await;
    let said = answer.unwrap_err().to_string();
    assert!(said.contains("the dead letter has 300000 bytes"), "{said}");
    assert!(
        said.contains("262144 is the most there; let it take more: aws sqs set-queue-attributes"),
        "{said}"
    );
}

#[tokio::test]
async fn a_dead_letter_too_large_for_its_source_is_tried_again_by_s3() {
    let server = server!(
        "LOAFER_TEST_FAUXQS",
        "a_dead_letter_too_large_for_its_source_is_tried_again_by_s3"
    );
    let bucket = Bucket::of(&server).await;
    let (queue, answer) = tried_again(&server, Some(&bucket)).await;
    assert!(answer.is_ok(), "{answer:?}");
    let again = queue.receive(1).await;
    assert_eq!(again[0].message.payload().len(), 300_000);
}
