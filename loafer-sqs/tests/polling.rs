//! Long polls, and servers that do not count, against a server that answers as the test says.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should fail")]

mod support;

use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use loafer_core::broker::{Broker, Delivery, NoOptions, Open, Provider, Source};
use loafer_sqs::{Receipt, Sqs, SqsProvider};
use support::{
    fake::{Fake, State},
    log::Log,
};

async fn opened(sqs: &Sqs) -> SqsProvider {
    let source = Source::new("orders", "orders");
    let provider = sqs.provider(&source, &NoOptions::default()).unwrap();
    provider.open(Open::Existing).await.unwrap();
    provider
}

async fn received(provider: &SqsProvider) -> Vec<Delivery<Receipt>> {
    let mut received = Vec::new();
    let wait = Duration::from_secs(2);
    provider.receive(1, wait, &mut received).await.unwrap();
    received
}

#[tokio::test]
async fn a_long_poll_outlasts_the_timeouts_of_the_user() {
    let fake = Fake::start(State {
        idle: Some(Duration::from_secs(1)),
        ..State::default()
    })
    .await;
    let short = Duration::from_millis(300);
    let timeouts = TimeoutConfig::builder()
        .operation_attempt_timeout(short)
        .operation_timeout(short)
        .read_timeout(short);
    let config = support::config(&fake.endpoint).into_builder();
    let config = config.timeout_config(timeouts.build()).build();
    let provider = opened(&Sqs::with_config(config)).await;
    assert!(received(&provider).await.is_empty());
}

#[tokio::test]
async fn a_server_of_before_2024_tells_how_often_a_message_was_received() {
    for by in ["AttributeNames", "MessageSystemAttributeNames"] {
        let fake = Fake::start(State {
            attributes_by: Some(by),
            ..State::default()
        })
        .await;
        let (log, _guard) = Log::start();
        let provider = opened(&fake.sqs()).await;
        assert_eq!(received(&provider).await[0].message.deliveries(), 3, "{by}");
        assert!(log.lines("ApproximateReceiveCount").is_empty());
    }
}

#[tokio::test]
async fn a_server_that_does_not_count_is_told_once() {
    let fake = Fake::start(State::default()).await;
    let (log, _guard) = Log::start();
    let provider = opened(&fake.sqs()).await;
    for _ in 0..2 {
        assert_eq!(received(&provider).await[0].message.attempt(), 1);
    }
    let lines = log.lines("ApproximateReceiveCount");
    assert!(
        matches!(&lines[..], [line] if line.contains("WARN") && line.contains("orders") && line.contains("`max_attempts`")),
        "{lines:?}"
    );
}
