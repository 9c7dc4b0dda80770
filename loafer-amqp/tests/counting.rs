//! What counts as an attempt and what as a delivery; and queues with a delivery limit of others.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should fail")]

mod counted;
mod private;
mod support;

use std::time::{Duration, SystemTime};

use counted::{done, given, one, open};
use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldArray, FieldTable},
};
use loafer_amqp::{Amqp, Options};
use loafer_core::{
    broker::{Broker as _, Provider as _, Settlement},
    extract::Metadata,
    message::Message,
    translate::Bytes,
};
use loafer_runtime::program::{Ended, Route, RouteOptions};
use loafer_test_servers::Version;
use support::unique;

private::on_both!(all:
    lost_connections_are_deliveries_and_no_attempts,
    deploys_cost_no_attempt,
    what_a_publisher_says_of_attempts_is_not_believed,
    a_queue_with_another_delivery_limit_is_used_as_it_is,
);

/// Long enough for what is in the queue already.
const SOON: Duration = Duration::from_secs(1);

const RETRY: Settlement = Settlement::Retry { after: Some(SOON) };

async fn lost_connections_are_deliveries_and_no_attempts(version: Version) {
    let Some(rabbit) = given(version, "lost_connections").await else {
        return;
    };
    let queue = unique("lost");
    let before = SystemTime::now() - Duration::from_secs(1);
    let mut amqp = rabbit.amqp();
    let mut provider = open(&amqp, &queue).await;
    rabbit
        .publish("", &queue, "7", BasicProperties::default())
        .await;
    for attempt in [1, 2] {
        for lost in 0..3 {
            let delivery = one(&provider).await;
            let message = &delivery.message;
            assert_eq!(
                (message.attempt(), message.deliveries()),
                (attempt, attempt + lost)
            );
            assert_eq!(message.first_failed_at().is_some(), attempt > 1);
            drop(provider);
            amqp.close().await;
            amqp = rabbit.amqp();
            provider = open(&amqp, &queue).await;
        }
        let delivery = one(&provider).await;
        done(&provider, &delivery, RETRY).await;
    }
    let last = one(&provider).await;
    assert_eq!((last.message.attempt(), last.message.deliveries()), (3, 3));
    let first = last.message.first_failed_at().unwrap();
    assert!(first >= before && first <= SystemTime::now(), "{first:?}");
    done(&provider, &last, Settlement::Ack).await;
    provider.close().await;
    rabbit.clean(&queue).await;
}

async fn deploys_cost_no_attempt(version: Version) {
    const MESSAGES: u32 = 29;
    let Some(rabbit) = given(version, "deploys").await else {
        return;
    };
    let queue = unique("deploys");
    let first = open(&rabbit.amqp(), &queue).await;
    first.close().await;
    for number in 0..MESSAGES {
        let plain = BasicProperties::default();
        rabbit.publish("", &queue, &number.to_string(), plain).await;
    }
    for _ in 0..5 {
        let amqp = rabbit.amqp();
        let provider = open(&amqp, &queue).await;
        for delivery in counted::receive(&provider, MESSAGES as usize).await {
            done(&provider, &delivery, Settlement::Release).await;
        }
        provider.close().await;
        amqp.close().await;
        rabbit.depth_is(&queue, MESSAGES).await;
    }
    // Five attempts unless set: a sixth would be a dead letter.
    let (seen, mut sees) = tokio::sync::mpsc::unbounded_channel();
    let options = RouteOptions::new()
        .queue(&queue)
        .broker_options::<Amqp>(Options::new().exchange(""));
    let route = Route::new("deploys")
        .provider::<Amqp>()
        .options(options)
        .handler(Bytes::new(), move |_: Message, metadata: Metadata| {
            seen.send((metadata.attempt(), metadata.deliveries()))
                .unwrap();
            std::future::ready(metadata.attempt() == 2)
        });
    let manager = rabbit.manager().route(route).build().unwrap();
    let running = manager.start().await.unwrap();
    let mut counts = Vec::new();
    while counts.len() < 2 * MESSAGES as usize {
        let next = tokio::time::timeout(support::DEADLINE, sees.recv()).await;
        counts.push(next.unwrap().unwrap());
    }
    counts.sort_unstable();
    let (tried, retried) = counts.split_at(MESSAGES as usize);
    assert!(tried.iter().all(|counts| *counts == (1, 6)), "{tried:?}");
    // A new prefetch may come with the retries: RabbitMQ counts a delivery of what it was pushing to the consumer before.
    let once_more = |(attempt, deliveries): &(u32, u32)| *attempt == 2 && *deliveries >= 2;
    assert!(retried.iter().all(once_more), "{retried:?}");
    running.shutdown();
    assert_eq!(running.ended().await, Ended::Clean);
    assert_eq!(rabbit.depth(&format!("{queue}.dead")).await, 0);
    rabbit.clean(&queue).await;
}

async fn what_a_publisher_says_of_attempts_is_not_believed(version: Version) {
    let Some(rabbit) = given(version, "forged").await else {
        return;
    };
    let (queue, exchange) = (unique("forged"), unique("event"));
    rabbit.declare_exchange(&exchange).await;
    let amqp = rabbit.amqp();
    let provider = counted::open_with(&amqp, &queue, Options::new().exchange(&exchange)).await;
    let mut death = FieldTable::default();
    let delayed = format!("{queue}.retry.1s");
    death.insert("queue".into(), AMQPValue::LongString(delayed.into()));
    let deaths = FieldArray::from(vec![AMQPValue::FieldTable(death)]);
    let text = |text: &str| AMQPValue::LongString(text.into());
    let mut headers = FieldTable::default();
    for (name, value) in [
        ("loafer-attempt", AMQPValue::LongLongInt(9)),
        ("loafer-first-failed-at", AMQPValue::Timestamp(7)),
        ("loafer-not-before", text("9999999999999")),
        ("loafer-topic", text("salary.raised")),
        ("loafer-queue", text("salaries")),
        ("x-delivery-count", AMQPValue::LongLongInt(50)),
        ("x-acquired-count", AMQPValue::LongLongInt(50)),
        // Each version shows it to the consumer, as if it were its own.
        ("x-death", AMQPValue::FieldArray(deaths)),
    ] {
        headers.insert(name.into(), value);
    }
    let forged = BasicProperties::default().with_headers(headers);
    rabbit.publish(&exchange, "orders", "7", forged).await;
    let delivery = one(&provider).await;
    let message = &delivery.message;
    assert_eq!((message.attempt(), message.deliveries()), (1, 1));
    assert_eq!(message.topic(), Some("orders"));
    assert_eq!(message.first_failed_at(), None);
    assert_eq!(message.headers().len(), 0, "{:?}", message.headers());
    // The copy says nothing of it either.
    done(&provider, &delivery, RETRY).await;
    let again = one(&provider).await;
    let message = &again.message;
    assert_eq!((message.attempt(), message.deliveries()), (2, 2));
    assert_eq!(message.topic(), Some("orders"));
    let forged = SystemTime::UNIX_EPOCH + Duration::from_secs(7);
    assert!(message.first_failed_at().unwrap() > forged);
    done(&provider, &again, Settlement::Ack).await;
    provider.close().await;
    rabbit.clean(&queue).await;
    rabbit.delete_exchange(&exchange).await;
}

async fn a_queue_with_another_delivery_limit_is_used_as_it_is(version: Version) {
    let Some(rabbit) = given(version, "limits").await else {
        return;
    };
    for (limit, receives) in [(Some(20), Some(21)), (None, None), (Some(100), Some(101))] {
        let queue = unique("limit");
        let text = |text: &str| AMQPValue::LongString(text.into());
        let dead = format!("{queue}.dead");
        let mut arguments = vec![
            ("x-queue-type", text("quorum")),
            ("x-dead-letter-exchange", text("")),
            ("x-dead-letter-routing-key", text(&dead)),
            ("x-dead-letter-strategy", text("at-least-once")),
            ("x-overflow", text("reject-publish")),
        ];
        arguments.extend(limit.map(|limit| ("x-delivery-limit", AMQPValue::LongLongInt(limit))));
        rabbit.declare(&queue, &arguments).await;
        let amqp = rabbit.amqp();
        // Also when it is declared again.
        for _ in 0..2 {
            let provider = open(&amqp, &queue).await;
            assert_eq!(provider.capabilities().max_receives, receives, "{limit:?}");
            rabbit
                .publish("", &queue, "7", BasicProperties::default())
                .await;
            let delivery = one(&provider).await;
            done(&provider, &delivery, Settlement::Ack).await;
            provider.close().await;
        }
        rabbit.clean(&queue).await;
    }
}
