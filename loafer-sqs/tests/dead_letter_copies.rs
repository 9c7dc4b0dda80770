//! Copies for the dead-letter queue that can't be made: what is said of them, and what is done once they can.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should fail")]

mod support;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use aws_sdk_sqs::types::QueueAttributeName as Name;
use axum::{
    Router,
    extract::State as Shared,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use loafer_core::{
    Error,
    broker::{Broker, NoOptions, Open, Provider, Settled, Settlement, Source},
    message::{Message, MessageId},
};
use loafer_sqs::{Sqs, SqsProvider};
use serde_json::{Value, json};
use support::{Queue, entry, envelope};
use tokio::time::{Instant, sleep};

/// How SQS answers a call that sends copies.
#[derive(Clone, Copy)]
enum Sends {
    Well,
    /// The whole call fails so.
    Fails(StatusCode, &'static str),
    /// A call with the body `bad` fails as a whole.
    RefusesTheCallOfABadOne,
}

/// SQS with a queue of some messages and its dead-letter queue.
struct Fake {
    sends: Mutex<Sends>,
    bodies: &'static [&'static str],
    /// The bodies of each call that sends.
    sent: Mutex<Vec<Vec<String>>>,
    deleted: Mutex<Vec<String>>,
}

impl Fake {
    async fn start(sends: Sends, bodies: &'static [&'static str]) -> (Arc<Self>, SqsProvider) {
        let fake = Arc::new(Self {
            sends: Mutex::new(sends),
            bodies,
            sent: Mutex::default(),
            deleted: Mutex::default(),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new()
            .route("/", post(answer))
            .with_state(Arc::clone(&fake));
        tokio::spawn(async move { axum::serve(listener, app).await });
        let sqs = Sqs::with_config(support::config(&endpoint));
        let source = Source::new("orders", "orders");
        let provider = sqs.provider(&source, &NoOptions::default()).unwrap();
        provider.open(Open::Existing).await.unwrap();
        (fake, provider)
    }

    fn sent(&self) -> Vec<Vec<String>> {
        self.sent.lock().unwrap().clone()
    }
}

async fn answer(
    Shared(fake): Shared<Arc<Fake>>,
    headers: HeaderMap,
    body: String,
) -> (StatusCode, String) {
    let asked: Value = serde_json::from_str(&body).unwrap();
    let entries = || asked["Entries"].as_array().unwrap().iter();
    let done = || {
        let done = entries()
            .map(|entry| json!({ "Id": entry["Id"], "MessageId": "copy", "MD5OfMessageBody": "" }));
        json!({ "Successful": done.collect::<Vec<_>>(), "Failed": [] })
    };
    let answer = match headers["x-amz-target"].to_str().unwrap() {
        "AmazonSQS.GetQueueUrl" => {
            json!({ "QueueUrl": format!("http://queues/1/{}", asked["QueueName"].as_str().unwrap()) })
        }
        "AmazonSQS.GetQueueAttributes" if asked["QueueUrl"] == "http://queues/1/orders" => {
            let policy = r#"{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:1:orders-dlq","maxReceiveCount":10}"#;
            json!({ "Attributes": { "RedrivePolicy": policy } })
        }
        "AmazonSQS.GetQueueAttributes" => json!({ "Attributes": {} }),
        "AmazonSQS.ReceiveMessage" => {
            let messages = fake
                .bodies
                .iter()
                .map(|body| json!({ "MessageId": body, "ReceiptHandle": body, "Body": body, "Attributes": { "ApproximateReceiveCount": "1" } }));
            json!({ "Messages": messages.collect::<Vec<_>>() })
        }
        "AmazonSQS.SendMessageBatch" => {
            let bodies: Vec<_> = entries()
                .map(|entry| entry["MessageBody"].as_str().unwrap().to_owned())
                .collect();
            fake.sent.lock().unwrap().push(bodies.clone());
            let fails = match *fake.sends.lock().unwrap() {
                Sends::Fails(status, code) => Some((status, code)),
                Sends::RefusesTheCallOfABadOne if bodies.iter().any(|body| body == "bad") => {
                    Some((StatusCode::BAD_REQUEST, "InvalidMessageContents"))
                }
                Sends::Well | Sends::RefusesTheCallOfABadOne => None,
            };
            match fails {
                Some((status, code)) => {
                    return (
                        status,
                        json!({ "__type": format!("com.amazonaws.sqs#{code}"), "message": "no" })
                            .to_string(),
                    );
                }
                None => done(),
            }
        }
        "AmazonSQS.DeleteMessageBatch" => {
            let handles =
                entries().map(|entry| entry["ReceiptHandle"].as_str().unwrap().to_owned());
            fake.deleted.lock().unwrap().extend(handles);
            done()
        }
        other => panic!("{other}"),
    };
    (StatusCode::OK, answer.to_string())
}

/// Receives all messages and dead-letters them.
async fn dead_lettered(provider: &SqsProvider) -> Vec<Settled> {
    let (mut deliveries, mut answers) = (Vec::new(), Vec::new());
    let received = provider.receive(10, Duration::ZERO, &mut deliveries);
    received.await.unwrap();
    let entries: Vec<_> = deliveries
        .iter()
        .map(|delivery| entry(delivery, Settlement::DeadLetter(envelope("r"))))
        .collect();
    provider.settle(&entries, &mut answers).await;
    answers
}

/// What is said of a copy that can never be made.
fn refusal(answer: &Settled) -> String {
    match answer {
        Settled::Failed(error) if matches!(**error, Error::Refused { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_right_that_is_missing_is_named_and_nothing_is_logged_for_each_message() {
    let (log, _listening) = support::log::Log::start();
    let denied = Sends::Fails(StatusCode::FORBIDDEN, "AccessDeniedException");
    let (fake, provider) = Fake::start(denied, &["a", "b", "c"]).await;
    let answers = dead_lettered(&provider).await;
    assert_eq!(
        refusal(&answers[2]),
        "dead letter of `orders` was refused: its dead-letter queue `orders-dlq` is closed to us: allow sqs:SendMessage on \
         arn:aws:sqs:us-east-1:1:orders-dlq"
    );
    assert_eq!(fake.sent().len(), 1, "no entry can be better alone");
    assert!(fake.deleted.lock().unwrap().is_empty());
    // The engine says it.
    assert_eq!(log.lines("WARN"), Vec::<String>::new());

    *fake.sends.lock().unwrap() = Sends::Fails(StatusCode::BAD_REQUEST, "KmsAccessDenied");
    let said = refusal(&dead_lettered(&provider).await[0]);
    assert!(said.contains("allow kms:GenerateDataKey"), "{said}");
}

#[tokio::test]
async fn what_passes_by_itself_can_be_tried_again() {
    for (status, code) in [
        (StatusCode::BAD_REQUEST, "RequestThrottled"),
        (StatusCode::BAD_REQUEST, "KmsThrottled"),
        (StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable"),
    ] {
        let (fake, provider) = Fake::start(Sends::Fails(status, code), &["a"]).await;
        let answers = dead_lettered(&provider).await;
        let is_transient = matches!(&answers[0], Settled::Failed(error) if error.is_transient());
        assert!(is_transient, "{answers:?}");
        // Whoever settles tries again: each try is one call.
        assert_eq!(fake.sent().len(), 1, "{code}");
        *fake.sends.lock().unwrap() = Sends::Well;
        let answers = dead_lettered(&provider).await;
        assert!(matches!(answers[..], [Settled::Done]), "{answers:?}");
    }
}

#[tokio::test]
async fn a_bad_entry_that_fails_a_whole_call_fails_alone() {
    let (fake, provider) =
        Fake::start(Sends::RefusesTheCallOfABadOne, &["good", "bad", "better"]).await;
    let answers = dead_lettered(&provider).await;
    assert!(matches!(answers[0], Settled::Done), "{answers:?}");
    assert!(matches!(answers[2], Settled::Done), "{answers:?}");
    let said = refusal(&answers[1]);
    assert!(
        said.contains("`orders-dlq` does not take the copy of "),
        "{said}"
    );
    assert!(
        said.contains(" bytes: InvalidMessageContents: no; mend that"),
        "{said}"
    );
    assert_eq!(*fake.deleted.lock().unwrap(), ["good", "better"]);
    assert_eq!(fake.sent().len(), 4);
}

/// Dead-letters one message until it is done, 20 s at most; the answer before that is the second value.
async fn until_done(queue: &Queue) -> Option<Settled> {
    let mut before = None;
    let end = Instant::now() + Duration::from_secs(20);
    queue.send(vec![Message::new("x").into()]).await;
    let delivery = queue.receive(1).await;
    while Instant::now() < end {
        let dead_letter = Settlement::DeadLetter(envelope("r"));
        match queue.settle(&delivery, dead_letter).await.remove(0) {
            Settled::Done => return before,
            other => before = Some(other),
        }
        sleep(Duration::from_millis(500)).await;
    }
    panic!("{before:?}")
}

async fn a_changed_redrive_policy_is_followed_after_a_copy_failed(server: support::Server) {
    let queue = server.queue("moved", Some(Duration::from_secs(60))).await;
    assert_eq!(queue.provider.capabilities().max_receives, Some(10));
    assert!(until_done(&queue).await.is_none());
    let old = format!("{}-dlq", queue.url);
    queue
        .client
        .delete_queue()
        .queue_url(&old)
        .send()
        .await
        .unwrap();
    let name = format!("{}-other-{}", &queue.name[..5], MessageId::new());
    let made = queue.client.create_queue().queue_name(&name).send();
    let url = made.await.unwrap().queue_url.unwrap();
    let arn = queue.attribute(&url, Name::QueueArn).await.unwrap();
    let policy = json!({ "deadLetterTargetArn": arn, "maxReceiveCount": 20 });
    queue.set(Name::RedrivePolicy, &policy.to_string()).await;

    let said = refusal(&until_done(&queue).await.unwrap());
    let gone = format!(
        "its dead-letter queue `{}-dlq` does not exist; make it: aws sqs",
        queue.name
    );
    assert!(said.contains(&gone), "{said}");
    let count = queue
        .attribute(&url, Name::ApproximateNumberOfMessages)
        .await;
    assert_eq!(count.as_deref(), Some("1"));
    assert_eq!(queue.provider.capabilities().max_receives, Some(20));
}

#[tokio::test]
async fn a_changed_redrive_policy_is_followed_on_fauxqs() {
    let server = server!(
        "LOAFER_TEST_FAUXQS",
        "a_changed_redrive_policy_is_followed_on_fauxqs"
    );
    a_changed_redrive_policy_is_followed_after_a_copy_failed(server).await;
}

#[tokio::test]
async fn a_changed_redrive_policy_is_followed_on_elasticmq() {
    let server = server!(
        "LOAFER_TEST_ELASTICMQ",
        "a_changed_redrive_policy_is_followed_on_elasticmq"
    );
    a_changed_redrive_policy_is_followed_after_a_copy_failed(server).await;
}

/// fauxqs goes by `MaximumMessageSize`.
#[tokio::test]
async fn a_message_too_large_for_its_dead_letter_queue_is_kept_and_the_sizes_are_told() {
    let server = server!(
        "LOAFER_TEST_FAUXQS",
        "a_message_too_large_for_its_dead_letter_queue_is_kept_and_the_sizes_are_told"
    );
    let queue = server.queue("large", Some(Duration::from_secs(30))).await;
    let url = format!("{}-dlq", queue.url);
    let set = queue.client.set_queue_attributes().queue_url(&url);
    set.attributes(Name::MaximumMessageSize, "1024")
        .send()
        .await
        .unwrap();
    let large = Message::new("x".repeat(2000)).into();
    queue.send(vec![large, Message::new("small").into()]).await;
    let mut deliveries = queue.receive(2).await;
    deliveries.sort_by_key(|delivery| delivery.message.payload().len());
    let answers = queue
        .settle(&deliveries, Settlement::DeadLetter(envelope("r")))
        .await;
    assert!(matches!(answers[0], Settled::Done), "{answers:?}");
    let said = refusal(&answers[1]);
    let told = format!(
        "it is too large for its dead-letter queue `{}-dlq`: the message has 2",
        queue.name
    );
    assert!(said.contains(&told), "{said}");
    assert!(said.contains("and 1024 is the most there"), "{said}");
    assert!(
        said.ends_with("'{\"MaximumMessageSize\":\"1048576\"}'"),
        "{said}"
    );
    assert_eq!(queue.depth().await, 1);
}
