//! Headers that are numbers or bytes, as other clients see them.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should fail")]

mod support;

use lapin::{BasicProperties, types::AMQPValue};
use loafer_core::{
    broker::{Broker as _, Publisher as _, Topic},
    message::{HeaderValue, Message, Outgoing},
    translate::Bytes,
};
use loafer_runtime::program::Route;
use support::{unbound, unique};
use tokio::{sync::mpsc, time::timeout};

#[tokio::test]
async fn numbers_and_bytes_are_values_of_the_header_table_both_ways() {
    let rabbit = rabbit!("numbers_and_bytes_are_values_of_the_header_table_both_ways");
    let queue = unique("typed");
    rabbit.declare(&queue, &[]).await;
    let outgoing = Outgoing::new(Message::new("1"))
        .header_value("cents", -250)
        .header_value("share", 0.25)
        .header_value("hash", vec![0xff, 0x00])
        .header("tenant", "acme");
    let mut answers = Vec::new();
    let topic = Topic::from(format!("amqp:{queue}"));
    let publisher = rabbit.amqp().publisher();
    publisher.publish(&topic, &[outgoing], &mut answers).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    let got = rabbit.get(&queue).await.unwrap();
    let properties: BasicProperties = got.delivery.properties.clone();
    let table = properties.headers().clone().unwrap();
    let value = |name: &str| table.inner().get(name).cloned().unwrap();
    assert_eq!(value("cents"), AMQPValue::LongLongInt(-250));
    assert_eq!(value("share"), AMQPValue::Double(0.25));
    assert_eq!(value("hash"), AMQPValue::ByteArray(vec![0xff, 0x00].into()));
    assert_eq!(value("tenant"), AMQPValue::LongString("acme".into()));
    rabbit.delete(&queue).await;

    // The same properties, sent by the other client.
    let (sees, mut seen) = mpsc::unbounded_channel();
    let route = Route::new("typed").options(unbound(&queue));
    let route = route.handler(Bytes::new(), move |message: Message| {
        _ = sees.send(message);
        async { true }
    });
    let manager = rabbit
        .manager()
        .route(route.provider::<loafer_amqp::Amqp>());
    let running = manager.build().unwrap().start().await.unwrap();
    rabbit.publish("", &queue, "1", properties).await;
    let came = timeout(support::DEADLINE, seen.recv()).await.unwrap();
    let came = came.unwrap();
    let value = |name: &str| came.headers().value(name).cloned();
    assert_eq!(value("cents"), Some(HeaderValue::Int(-250)));
    assert_eq!(value("share"), Some(HeaderValue::Float(0.25)));
    assert_eq!(value("hash"), Some(vec![0xff, 0x00].into()));
    assert_eq!(value("tenant"), None);
    assert_eq!(came.headers().get("hash"), Some("/wA="));
    running.shutdown();
    running.ended().await;
    rabbit.clean(&queue).await;
}
