//! The exchanges and queues that a service publishes to: looked at, and made.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should fail")]

mod support;

use loafer_amqp::Amqp;
use loafer_core::{
    broker::{Broker as _, Finding, Level, Open, Publisher as _, Topic},
    message::Message,
};
use support::unique;

async fn look(amqp: &Amqp, topics: &[Topic], mode: Open) -> Vec<Finding> {
    let found = amqp.publisher().check(topics, mode).await;
    assert_eq!(found.len(), topics.len(), "{found:?}");
    found
}

#[tokio::test]
async fn exchanges_and_queues_that_are_missing_are_found_and_made() {
    let rabbit = rabbit!("exchanges_and_queues_that_are_missing_are_found_and_made");
    let (events, other, queue) = (unique("events"), unique("other"), unique("queue"));
    let amqp = rabbit.amqp().exchange(&events);
    let topics = [
        "order.closed".to_owned(),
        format!("amqp:{other}/key"),
        format!("amqp:{queue}"),
    ]
    .map(Topic::from);

    for _ in 0..2 {
        let missing = look(&amqp, &topics, Open::ReadOnly).await;
        // The first message makes the exchange of events.
        let levels = missing.iter().map(|found| found.level);
        let expected = [Level::Warning, Level::Problem, Level::Problem];
        assert!(levels.eq(expected), "{missing:?}");
        for found in &missing {
            assert!(found.text.contains("check --create"), "{found:?}");
        }
    }
    for mode in [Open::Create, Open::ReadOnly] {
        let made = look(&amqp, &topics, mode).await;
        for found in &made {
            assert_eq!(found.level, Level::Good, "{found:?}");
        }
        let said = if mode == Open::Create {
            "made"
        } else {
            "exists"
        };
        assert!(
            made.iter().all(|found| found.text.contains(said)),
            "{made:?}"
        );
    }
    assert!(rabbit.counts(&format!("{queue}.dead")).await.is_some());
    // Asking whether one may publish leaves nothing.
    rabbit.bind(&queue, &events, "#").await;
    look(&amqp, &topics, Open::ReadOnly).await;
    assert_eq!(rabbit.depth(&queue).await, 0);
    let mut answers = Vec::new();
    let publisher = amqp.publisher();
    for topic in [&topics[0], &topics[2]] {
        let batch = [Message::new("1").into()];
        publisher.publish(topic, &batch, &mut answers).await;
    }
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    rabbit.depth_is(&queue, 2).await;
    rabbit.clean(&queue).await;
    for exchange in [&events, &other] {
        rabbit.delete_exchange(exchange).await;
    }
}
