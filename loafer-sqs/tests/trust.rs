//! What whoever may send a message can't do with it.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should fail")]

mod support;

use std::time::Duration;

use loafer_core::{broker::DeadLetter, message::Message};

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
