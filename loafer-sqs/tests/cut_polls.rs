//! A poll that is cut off is still answered: what it brings is released.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should fail")]

mod support;

use std::{sync::Arc, time::Duration};

use axum::{Router, extract::State, http::HeaderMap, routing::post};
use loafer_core::broker::{Broker as _, NoOptions, Open, Provider as _, Source};
use loafer_sqs::Sqs;
use serde_json::{Value, json};
use tokio::{
    sync::{Notify, mpsc},
    time::timeout,
};

const PATIENCE: Duration = Duration::from_secs(20);

/// An SQS whose polls wait for the test.
struct Server {
    /// Notified when a poll has come.
    polled: Notify,
    /// Lets a poll be answered.
    answer: Notify,
    /// The entries whose visibility was changed, and when they are visible again.
    changed: mpsc::UnboundedSender<(String, u64)>,
}

async fn answered(State(server): State<Arc<Server>>, headers: HeaderMap, body: String) -> String {
    let asked: Value = serde_json::from_str(&body).unwrap();
    let target = headers["x-amz-target"].to_str().unwrap();
    let answer = match target.trim_start_matches("AmazonSQS.") {
        "GetQueueUrl" => json!({ "QueueUrl": "http://queues/0/orders" }),
        "GetQueueAttributes" => json!({ "Attributes": { "VisibilityTimeout": "30" } }),
        "ReceiveMessage" => {
            server.polled.notify_one();
            server.answer.notified().await;
            let message = |id| json!({ "MessageId": id, "ReceiptHandle": id, "Body": "1" });
            json!({ "Messages": [message("one"), message("two")] })
        }
        "ChangeMessageVisibilityBatch" => {
            for entry in asked["Entries"].as_array().unwrap() {
                let handle = entry["ReceiptHandle"].as_str().unwrap().to_owned();
                let after = entry["VisibilityTimeout"].as_u64().unwrap();
                server.changed.send((handle, after)).unwrap();
            }
            let done = |entry: &Value| json!({ "Id": entry["Id"] });
            let entries = asked["Entries"].as_array().unwrap().iter();
            json!({ "Successful": entries.map(done).collect::<Vec<_>>(), "Failed": [] })
        }
        other => panic!("{other}"),
    };
    answer.to_string()
}

#[tokio::test]
async fn what_comes_to_a_poll_that_is_cut_off_is_released() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let (changed, mut changes) = mpsc::unbounded_channel();
    let server = Arc::new(Server {
        polled: Notify::new(),
        answer: Notify::new(),
        changed,
    });
    let app = Router::new().route("/", post(answered));
    let app = app.with_state(server.clone());
    tokio::spawn(async move { axum::serve(listener, app).await });

    let sqs = Sqs::with_config(support::config(&endpoint));
    let source = Source::new("orders", "orders");
    let provider = sqs.provider(&source, &NoOptions::default()).unwrap();
    provider.open(Open::Existing).await.unwrap();
    let mut into = Vec::new();
    tokio::select! {
        _ = provider.receive(10, Duration::from_secs(20), &mut into) => panic!("it waits"),
        polled = timeout(PATIENCE, server.polled.notified()) => polled.unwrap(),
    }
    provider.close().await;

    server.answer.notify_one();
    for handle in ["one", "two"] {
        let released = timeout(PATIENCE, changes.recv()).await.unwrap();
        assert_eq!(released, Some((handle.to_owned(), 0)));
    }
    assert!(into.is_empty());
}
