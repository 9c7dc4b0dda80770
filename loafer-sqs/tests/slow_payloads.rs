//! Payloads on an S3 that is slow, hangs, or gives too much; and what that costs leases and acks.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should fail")]

mod support;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::State as Shared,
    http::{HeaderMap, Method},
    routing::post,
};
use loafer_core::broker::{
    Broker, Delivery, NoOptions, Open, Provider, Settled, Settlement, Source,
};
use loafer_sqs::{Cleanup, Receipt, S3Payloads, Sqs, SqsProvider};
use serde_json::{Value, json};
use tokio::{
    sync::Semaphore,
    time::{sleep, timeout},
};

const LEASE: Duration = Duration::from_secs(10);

/// SQS with a few messages, and S3 with a payload for each that has none.
struct Server {
    /// The bodies of its messages; with `pointer` for one whose payload is on S3.
    bodies: &'static [&'static str],
    /// How long S3 takes for a payload.
    slow: Duration,
    /// S3 deletes as many objects as it may.
    deletions: Semaphore,
    /// New visibility timeouts, by message.
    changes: Mutex<Vec<(String, u64)>>,
    deleted: Mutex<Vec<String>>,
    /// How many messages each receive asked for.
    asked: Mutex<Vec<u64>>,
    /// S3 does not say how large payloads are.
    unsized_payloads: bool,
}

impl Server {
    fn of(bodies: &'static [&'static str], slow: Duration) -> Self {
        Self {
            bodies,
            slow,
            deletions: Semaphore::new(0),
            changes: Mutex::default(),
            deleted: Mutex::default(),
            asked: Mutex::default(),
            unsized_payloads: false,
        }
    }

    /// Starts it; gives a provider of its queue.
    async fn provider(self: &Arc<Self>, payloads: S3Payloads) -> SqsProvider {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new()
            .route("/", post(sqs))
            .fallback(s3)
            .with_state(Arc::clone(self));
        tokio::spawn(async move { axum::serve(listener, app).await });
        let sqs = Sqs::with_config(support::config(&endpoint)).with_large_payloads(payloads);
        let mut source = Source::new("photos", "photos");
        source.policy.lease = Some(LEASE);
        let provider = sqs.provider(&source, &NoOptions::default()).unwrap();
        provider.open(Open::Existing).await.unwrap();
        provider
    }
}

async fn sqs(Shared(server): Shared<Arc<Server>>, headers: HeaderMap, body: String) -> String {
    let asked: Value = serde_json::from_str(&body).unwrap();
    let entries = asked["Entries"].as_array().into_iter().flatten();
    let answer = match headers["x-amz-target"].to_str().unwrap() {
        "AmazonSQS.GetQueueUrl" => json!({ "QueueUrl": "http://queues/0/photos" }),
        "AmazonSQS.GetQueueAttributes" => json!({ "Attributes": { "VisibilityTimeout": "10" } }),
        "AmazonSQS.ReceiveMessage" => {
            let max = asked["MaxNumberOfMessages"].as_u64().unwrap();
            server.asked.lock().unwrap().push(max);
            let messages = server.bodies.iter().map(|body| match *body {
                "pointer" => json!({
                    "MessageId": body, "ReceiptHandle": body,
                    "Body": r#"["software.amazon.payloadoffloading.PayloadS3Pointer",{"s3BucketName":"b","s3Key":"loafer-topic/01a200c9-c824-72c4-b47e-e7fe093b4d81"}]"#,
                    "MessageAttributes": { "ExtendedPayloadSize": { "DataType": "Number", "StringValue": "7" } },
                }),
                body => json!({ "MessageId": body, "ReceiptHandle": body, "Body": body }),
            });
            json!({ "Messages": messages.collect::<Vec<_>>() })
        }
        "AmazonSQS.ChangeMessageVisibilityBatch" => {
            let (mut done, mut failed) = (Vec::new(), Vec::new());
            for entry in entries {
                let handle = entry["ReceiptHandle"].as_str().unwrap().to_owned();
                match handle.starts_with("stubborn") {
                    true => failed.push(
                        json!({ "Id": entry["Id"], "Code": "InternalError", "SenderFault": false }),
                    ),
                    false => done.push(json!({ "Id": entry["Id"] })),
                }
                let seconds = entry["VisibilityTimeout"].as_u64().unwrap();
                server.changes.lock().unwrap().push((handle, seconds));
            }
            json!({ "Successful": done, "Failed": failed })
        }
        "AmazonSQS.DeleteMessageBatch" => {
            let done = entries.map(|entry| json!({ "Id": entry["Id"] }));
            json!({ "Successful": done.collect::<Vec<_>>(), "Failed": [] })
        }
        other => panic!("{other}"),
    };
    answer.to_string()
}

async fn s3(Shared(server): Shared<Arc<Server>>, method: Method, uri: axum::http::Uri) -> Body {
    if method == Method::DELETE {
        server.deletions.acquire().await.unwrap().forget();
        let object = uri.path().to_owned();
        server.deleted.lock().unwrap().push(object);
        return Body::empty();
    }
    sleep(server.slow).await;
    if server.unsized_payloads {
        let parts = ["pay", "load"].map(Ok::<_, std::io::Error>);
        return Body::from_stream(futures_util::stream::iter(parts));
    }
    "payload".into()
}

async fn received(provider: &SqsProvider) -> Vec<Delivery<Receipt>> {
    let mut deliveries = Vec::new();
    provider
        .receive(10, Duration::ZERO, &mut deliveries)
        .await
        .unwrap();
    deliveries
}

fn payloads(deliveries: &[Delivery<Receipt>]) -> Vec<&[u8]> {
    let payloads = deliveries
        .iter()
        .map(|delivery| &delivery.message.payload()[..]);
    payloads.collect()
}

#[tokio::test]
async fn an_ack_does_not_wait_for_s3_but_the_end_does() {
    let server = Arc::new(Server::of(&["pointer"], Duration::ZERO));
    let settings = S3Payloads::new("b").cleanup(Cleanup::All);
    let provider = server.provider(settings).await;
    let deliveries = received(&provider).await;
    let entries = [support::entry(&deliveries[0], Settlement::Ack)];
    let mut answers = Vec::new();
    let settling = provider.settle(&entries, &mut answers);
    // As long as S3 hangs; what waited for it would never be over.
    timeout(Duration::from_secs(4), settling).await.unwrap();
    assert!(matches!(answers[..], [Settled::Done]), "{answers:?}");
    assert!(server.deleted.lock().unwrap().is_empty());
    server.deletions.add_permits(1);
    provider.close().await;
    assert_eq!(
        *server.deleted.lock().unwrap(),
        ["/b/loafer-topic/01a200c9-c824-72c4-b47e-e7fe093b4d81"]
    );
}

#[tokio::test]
async fn leases_that_waited_for_a_payload_are_renewed() {
    let slow = Duration::from_millis(550);
    let server = Arc::new(Server::of(&["here", "pointer", "stubborn"], slow));
    let provider = server.provider(S3Payloads::new("b")).await;
    let deliveries = received(&provider).await;
    let expected: [&[u8]; 2] = [b"here", b"payload"];
    assert_eq!(
        payloads(&deliveries),
        expected,
        "one whose lease is in doubt is redelivered"
    );
    let changes = server.changes.lock().unwrap();
    let all = ["here", "pointer", "stubborn"].map(|message| (message.to_owned(), 10));
    assert_eq!(*changes, all);
}

#[tokio::test]
async fn leases_that_did_not_wait_are_not_renewed() {
    let server = Arc::new(Server::of(&["here"], Duration::ZERO));
    let provider = server.provider(S3Payloads::new("b")).await;
    assert_eq!(received(&provider).await.len(), 1);
    assert!(server.changes.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_payload_larger_than_may_be_is_not_fetched() {
    let server = Arc::new(Server::of(&["here", "pointer"], Duration::ZERO));
    let (log, _listening) = support::log::Log::start();
    let provider = server.provider(S3Payloads::new("b").largest(6)).await;
    assert_eq!(payloads(&received(&provider).await), [b"here"]);
    let said = log.lines("can't be had");
    assert!(said[0].contains("S3Payloads::largest(7)"), "{said:?}");

    let server = Arc::new(Server::of(&["pointer"], Duration::ZERO));
    let provider = server.provider(S3Payloads::new("b").largest(7)).await;
    assert_eq!(payloads(&received(&provider).await), [b"payload"]);
}

#[tokio::test]
async fn a_payload_whose_size_s3_does_not_say_is_read_no_further_than_may_be() {
    let mut server = Server::of(&["here", "pointer"], Duration::ZERO);
    server.unsized_payloads = true;
    let server = Arc::new(server);
    let (log, _listening) = support::log::Log::start();
    let provider = server.provider(S3Payloads::new("b").largest(6)).await;
    assert_eq!(payloads(&received(&provider).await), [b"here"]);
    let said = log.lines("can't be had");
    assert!(said[0].contains("more than 6 bytes"), "{said:?}");
    let provider = server.provider(S3Payloads::new("b").largest(7)).await;
    assert_eq!(payloads(&received(&provider).await).len(), 2);
}

/// A payload takes a KiB at least.
#[tokio::test]
async fn a_route_holds_no_more_bytes_of_payloads_than_may_be() {
    let server = Arc::new(Server::of(
        &["pointer", "pointer", "pointer"],
        Duration::ZERO,
    ));
    let (log, _listening) = support::log::Log::start();
    let provider = server.provider(S3Payloads::new("b").in_flight(2048)).await;
    let mut held = received(&provider).await;
    assert_eq!(held.len(), 2, "the third is redelivered");
    let said = log.lines("can't be had");
    assert!(said[0].contains("S3Payloads::in_flight"), "{said:?}");

    assert!(received(&provider).await.is_empty());
    assert_eq!(*server.asked.lock().unwrap(), [10], "nothing is asked for");
    held.pop();
    assert_eq!(received(&provider).await.len(), 1);
    assert_eq!(*server.asked.lock().unwrap(), [10, 1]);
}
