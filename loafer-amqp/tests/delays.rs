//! Delayed messages, against a real server.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should fail")]

mod again;
mod listener;

use std::time::{Duration, Instant};

use lapin::types::FieldTable;
use listener::{own, publish, publish_all, publisher};
use loafer_core::{
    broker::Broker,
    message::{Message, Outgoing},
};

again::on_rabbitmq_4!();

#[tokio::test]
async fn a_delayed_event_comes_later_under_its_own_key() {
    let server = server!("a_delayed_event_comes_later_under_its_own_key");
    let exchange = own("event");
    let queue = server.listen(&exchange, "order.*").await;
    let publisher = publisher(server.amqp(), &exchange);
    let began = Instant::now();
    let batch = vec![
        Outgoing::new(Message::new("later")).delay(Duration::from_millis(700)),
        Outgoing::new(Message::new("now")),
    ];
    let answers = publish_all(&publisher, "order.closed", batch).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!(server.next(&queue).await.delivery.data, b"now");
    let later = server.next(&queue).await;
    assert!(
        began.elapsed() >= Duration::from_millis(1000),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(later.delivery.data, b"later");
    assert_eq!(later.delivery.routing_key.as_str(), "order.closed");
    assert_eq!(
        listener::header(&later, "category").as_deref(),
        Some("order.closed")
    );
    let waiting = format!("{exchange}/order.closed.delay.1s");
    server.delete_queue(&waiting).await;
}

#[tokio::test]
async fn delayed_events_without_listeners_hold_up_no_others() {
    let server = server!("delayed_events_without_listeners_hold_up_no_others");
    let exchange = own("event");
    let queue = server.listen(&exchange, "heard").await;
    let publisher = publisher(server.amqp(), &exchange);
    let delayed = |count| {
        let messages =
            (0..count).map(|number: usize| Outgoing::new(Message::new(number.to_string())));
        messages.map(|outgoing| outgoing.delay(Duration::from_secs(1)))
    };
    let unheard = publish_all(&publisher, "unheard", delayed(100).collect()).await;
    assert!(unheard.iter().all(Result::is_ok), "{unheard:?}");
    let received = publish_all(&publisher, "heard", delayed(1).collect()).await;
    assert!(received.iter().all(Result::is_ok), "{received:?}");
    server.next(&queue).await;
    for key in ["heard", "unheard"] {
        let waiting = format!("{exchange}/{key}.delay.1s");
        server.delete_queue(&waiting).await;
    }
}

#[tokio::test]
async fn a_delayed_message_to_a_queue_comes_later() {
    let server = server!("a_delayed_message_to_a_queue_comes_later");
    let queue = server.queue(FieldTable::default()).await;
    let publisher = server.amqp().publisher();
    let topic = format!("amqp:{queue}");
    let message = || Outgoing::new(Message::new("later")).delay(Duration::from_millis(1));
    publish(&publisher, topic.as_str(), message())
        .await
        .unwrap();
    assert!(server.take(&queue).await.is_none());
    assert_eq!(server.next(&queue).await.delivery.data, b"later");
    // What it waited in is made again.
    let waiting = format!("{queue}.retry.1s");
    server.delete_queue(&waiting).await;
    publish(&publisher, topic.as_str(), message())
        .await
        .unwrap();
    server.next(&queue).await;
    server.delete_queue(&waiting).await;
}

#[tokio::test]
async fn a_delay_without_a_destination_is_refused() {
    let server = server!("a_delay_without_a_destination_is_refused");
    let publisher = server.amqp().publisher();
    for topic in [
        format!("amqp:{}", own("none")),
        format!("amqp:{}/k", own("none")),
    ] {
        let message = Outgoing::new(Message::new("1")).delay(Duration::from_secs(1));
        let error = publish(&publisher, topic.as_str(), message)
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains("does not exist"), "{error}");
    }
}
