//! A whole service on a real server: topic, queue, handler, ack; and what `check` says of it.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should fail")]

mod support;

use std::time::Duration;

use loafer_core::{
    broker::{DeadLetter, Level, Open},
    extract::Metadata,
    message::Message,
    translate::{Json, Sns},
};
use loafer_runtime::program::{Ended, Route, RouteOptions};
use loafer_sqs::Sqs;
use tokio::sync::mpsc;

fn options(queue: &support::Queue) -> RouteOptions {
    RouteOptions::new().queue(&queue.name)
}

#[tokio::test]
async fn a_confirmation_of_sns_is_an_explained_dead_letter_and_no_handler_gets_it() {
    let server = server!(
        "LOAFER_TEST_FAUXQS",
        "a_confirmation_of_sns_is_an_explained_dead_letter_and_no_handler_gets_it"
    );
    let queue = server.queue("confirmed", None).await;
    let notice = r#"{"Type": "SubscriptionConfirmation", "Token": "s3cr3t", "TopicArn": "arn:aws:sns:eu-central-1:1:orders"}"#;
    queue.send(vec![Message::new(notice).into()]).await;
    let route = Route::new("confirmed")
        .provider::<Sqs>()
        .options(options(&queue))
        .handler(Sns::new(), async |_: Message| true);
    let running = server.manager().route(route).build().unwrap();
    let running = running.start().await.unwrap();
    let dead = support::receive(&queue.dead_letters().await, 1).await;
    let letter = DeadLetter::of(&dead[0].message).unwrap();
    let reason = letter.reason.unwrap();
    assert!(
        reason.contains("`arn:aws:sns:eu-central-1:1:orders` waits for its confirmation"),
        "{reason}"
    );
    running.shutdown();
    assert_eq!(running.ended().await, Ended::Clean);
    assert_eq!(running.stats("confirmed").unwrap().acked, 0);
}

#[tokio::test]
async fn a_deep_queue_is_handled_and_emptied() {
    let server = server!("LOAFER_TEST_FAUXQS", "a_deep_queue_is_handled_and_emptied");
    let queue = server.queue("service", None).await;
    queue
        .send(
            (0..200)
                .map(|n| Message::new(n.to_string()).into())
                .collect(),
        )
        .await;
    let (handled, mut seen) = mpsc::unbounded_channel();
    let handler = move |n: u32, metadata: Metadata| {
        let handled = handled.clone();
        async move { metadata.attempt() == 1 && handled.send(n).is_ok() }
    };
    let route = Route::new("numbers")
        .provider::<Sqs>()
        .options(options(&queue))
        .handler(Sns::new(), handler);
    let running = server
        .manager()
        .route(route)
        .build()
        .unwrap()
        .start()
        .await
        .unwrap();

    let mut numbers = Vec::new();
    while numbers.len() < 200 {
        let next = tokio::time::timeout(Duration::from_secs(10), seen.recv());
        numbers.push(next.await.unwrap().unwrap());
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (0..200).collect::<Vec<_>>());
    running.shutdown();
    assert_eq!(running.ended().await, Ended::Clean);
    assert_eq!(running.stats("numbers").unwrap().acked, 200);
    assert_eq!(queue.depth().await, 0);
}

async fn checked(
    server: &support::Server,
    queue: &support::Queue,
    options: RouteOptions,
) -> Vec<(Level, String)> {
    let route = Route::new("checked")
        .provider::<Sqs>()
        .options(options.queue(&queue.name))
        .handler(Json, async |_: u32| true);
    let manager = server
        .manager()
        .route(route)
        .open(Open::Existing)
        .build()
        .unwrap();
    let (_, findings) = manager.check().await.remove(0);
    findings
        .into_iter()
        .map(|finding| (finding.level, finding.text))
        .collect()
}

#[tokio::test]
async fn check_says_what_is_there_and_what_is_missing() {
    let server = server!(
        "LOAFER_TEST_FAUXQS",
        "check_says_what_is_there_and_what_is_missing"
    );
    let queue = server.queue("checked", Some(Duration::from_secs(60))).await;
    let findings = checked(&server, &queue, RouteOptions::new()).await;
    assert!(
        findings.iter().all(|(level, _)| *level == Level::Good),
        "{findings:?}"
    );
    assert!(
        findings
            .iter()
            .any(|(_, text)| text.contains("after 10 receives")),
        "{findings:?}"
    );

    let findings = checked(
        &server,
        &queue,
        RouteOptions::new().timeout(Duration::from_secs(90)),
    )
    .await;
    assert!(
        findings
            .iter()
            .any(|(level, text)| *level == Level::Warning && text.contains("is 90s, and the lease")),
        "{findings:?}"
    );

    let dead_letters = queue
        .client
        .get_queue_url()
        .queue_name(format!("{}-dlq", queue.name))
        .send()
        .await
        .unwrap();
    queue
        .client
        .delete_queue()
        .set_queue_url(dead_letters.queue_url)
        .send()
        .await
        .unwrap();
    let findings = checked(&server, &queue, RouteOptions::new()).await;
    assert!(
        findings
            .iter()
            .any(|(level, text)| *level == Level::Problem && text.contains("-dlq")),
        "{findings:?}"
    );

    queue
        .client
        .delete_queue()
        .queue_url(&queue.url)
        .send()
        .await
        .unwrap();
    let findings = checked(&server, &queue, RouteOptions::new()).await;
    assert!(
        matches!(&findings[..], [(Level::Problem, text)] if text.contains(&queue.name)),
        "{findings:?}"
    );
}
