//! Private RabbitMQs, with a client on them: killed, restarted, emptied, blocked, frozen.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should fail")]

use std::time::Duration;

use futures_util::StreamExt as _;
use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties,
    options::{
        BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions,
        QueueDeclareOptions,
    },
    types::{AMQPValue, FieldTable},
};
use loafer_test_servers::{Broker, RabbitMq, Version};
use tokio::time::timeout;

const QUEUE: &str = "jobs";

/// Longer than anything here takes, on a machine that is also building.
const DEADLINE: Duration = Duration::from_secs(60);

/// For which a publisher that is blocked stays so.
const BLOCKED: Duration = Duration::from_secs(1);

async fn broker(version: Version, test: &str) -> Option<Broker> {
    let rabbit = RabbitMq::installed(version, test)?;
    Some(rabbit.start(env!("CARGO_TARGET_TMPDIR")).await)
}

async fn connection(broker: &Broker) -> lapin::Result<Connection> {
    Connection::connect(&broker.url(), ConnectionProperties::default()).await
}

async fn connect(broker: &Broker) -> (Connection, Channel) {
    let connection = connection(broker).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let confirming = channel.confirm_select(ConfirmSelectOptions::default());
    confirming.await.unwrap();
    (connection, channel)
}

async fn declare(channel: &Channel) {
    let mut arguments = FieldTable::default();
    let quorum = AMQPValue::LongString("quorum".into());
    arguments.insert("x-queue-type".into(), quorum);
    let declared = channel.queue_declare(QUEUE.into(), QueueDeclareOptions::durable(), arguments);
    declared.await.unwrap();
}

async fn publish(channel: &Channel, body: &[u8]) {
    let sent = channel.basic_publish(
        "".into(),
        QUEUE.into(),
        BasicPublishOptions::default(),
        body,
        BasicProperties::default().with_delivery_mode(2),
    );
    assert!(sent.await.unwrap().await.unwrap().is_ack());
}

async fn consume(channel: &Channel, count: usize) -> Vec<Vec<u8>> {
    let consumer = channel.basic_consume(
        QUEUE.into(),
        "".into(),
        BasicConsumeOptions::default(),
        FieldTable::default(),
    );
    let mut consumer = consumer.await.unwrap();
    let mut bodies = Vec::new();
    while bodies.len() < count {
        let delivery = timeout(DEADLINE, consumer.next()).await;
        let delivery = delivery.unwrap().unwrap().unwrap();
        delivery.ack(BasicAckOptions::default()).await.unwrap();
        bodies.push(delivery.data.to_vec());
    }
    bodies
}

/// The story of one broker: a start takes seconds.
async fn is_killed_and_emptied(mut broker: Broker) {
    let (_connection, channel) = connect(&broker).await;
    declare(&channel).await;
    broker.settled().await;
    publish(&channel, b"one").await;
    publish(&channel, b"two").await;
    let queue = broker
        .management()
        .queue_when(QUEUE, |queue| queue.ready == 2);
    let queue = queue.await;
    assert_eq!((queue.kind.as_str(), queue.durable), ("quorum", true));
    assert_eq!(queue.arguments["x-queue-type"], "quorum");

    broker.kill().await;
    assert!(connection(&broker).await.is_err());
    broker.restart().await;
    let (_connection, channel) = connect(&broker).await;
    let bodies = consume(&channel, 2).await;
    assert_eq!(bodies, [b"one", b"two"]);
    broker.management().depth_is(QUEUE, 0).await;

    broker.replace_by_empty().await;
    assert_eq!(broker.management().queue(QUEUE).await, None);
    let (_connection, channel) = connect(&broker).await;
    declare(&channel).await;
    assert_eq!(broker.management().queues().await, [QUEUE]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_broker_keeps_what_it_confirmed_until_it_is_emptied() {
    let test = "a_killed_broker_keeps_what_it_confirmed_until_it_is_emptied";
    if let Some(broker) = broker(Version::Debian, test).await {
        is_killed_and_emptied(broker).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_broker_of_4_0_keeps_what_it_confirmed_until_it_is_emptied() {
    let test = "a_killed_broker_of_4_0_keeps_what_it_confirmed_until_it_is_emptied";
    if let Some(broker) = broker(Version::V4, test).await {
        is_killed_and_emptied(broker).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_is_blocked_frozen_and_closes_connections() {
    let test = "a_broker_is_blocked_frozen_and_closes_connections";
    let Some(mut broker) = broker(Version::Debian, test).await else {
        return;
    };
    let (connection, channel) = connect(&broker).await;
    declare(&channel).await;
    publish(&channel, b"before").await;

    broker.raise_memory_alarm().await;
    let blocked = timeout(BLOCKED, publish(&channel, b"memory")).await;
    assert!(blocked.is_err(), "published in spite of the memory alarm");
    broker.clear_memory_alarm().await;
    broker.management().depth_is(QUEUE, 2).await;

    broker.raise_disk_alarm().await;
    let blocked = timeout(BLOCKED, publish(&channel, b"disk")).await;
    assert!(blocked.is_err(), "published in spite of the disk alarm");
    broker.clear_disk_alarm().await;
    broker.management().depth_is(QUEUE, 3).await;

    broker.freeze().await;
    let stalled = timeout(BLOCKED, publish(&channel, b"frozen")).await;
    assert!(stalled.is_err(), "a frozen broker has answered");
    broker.resume().await;
    broker.management().depth_is(QUEUE, 4).await;

    assert_eq!(broker.management().close_connections().await, 1);
    let closed = async {
        while connection.status().connected() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(DEADLINE, closed).await.unwrap();

    broker.stop().await;
    broker.restart().await;
    broker.management().depth_is(QUEUE, 4).await;
}
