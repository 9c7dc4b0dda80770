//! Requests and replies on a real server: between services, and with clients that know nothing of Loafer.

#![allow(
    clippy::unwrap_used,
    reason = "outside of a test function, a helper panics as one"
)]

mod again;
#[path = "../../tests/support/doubling.rs"]
mod doubling;
mod support;

use std::time::Duration;

use futures_util::StreamExt;
use lapin::{
    BasicProperties,
    options::{BasicConsumeOptions, BasicPublishOptions, QueueDeclareOptions},
    types::FieldTable,
};
use loafer_amqp::Amqp;
use loafer_core::{
    broker::{Broker, REPLY_TO, REQUEST_ID, Replies, is_reply_queue, reply_queue},
    message::{CORRELATION_ID, Message},
};
use loafer_runtime::program::{Route, Running};

use doubling::{Answers, Told, next, stop};
use support::{DEADLINE, Rabbit, eventually, unbound, unique};

again::on_rabbitmq_4!();

async fn start(rabbit: &Rabbit, route: Route) -> Running {
    let manager = rabbit.manager().route(route).build().unwrap();
    manager.start().await.unwrap()
}

fn on(queue: &str, name: &'static str) -> Route {
    Route::new(name).provider::<Amqp>().options(unbound(queue))
}

async fn doubling(rabbit: &Rabbit, queue: &str) -> (Running, Told<Message>) {
    let (route, handled) = doubling::doubling(on(queue, "doubling"));
    (start(rabbit, route).await, handled)
}

async fn asking(rabbit: &Rabbit, queue: &str, whom: &str) -> (Running, Answers) {
    let (route, handled) = doubling::asking(on(queue, "asking"), format!("amqp:{whom}"));
    (start(rabbit, route).await, handled)
}

#[tokio::test]
async fn a_service_gets_the_replies_of_another() {
    let rabbit = rabbit!("a_service_gets_the_replies_of_another");
    let (wanted, numbers) = (unique("doubling"), unique("asking"));
    let (doubling, mut requests) = doubling(&rabbit, &wanted).await;
    let (asking, mut answers) = asking(&rabbit, &numbers, &wanted).await;
    for number in 20..50_u64 {
        let message = Message::new(number.to_string()).with_header(CORRELATION_ID, "talk");
        asking.publish("asking", message).await.unwrap();
    }
    let mut doubles = Vec::new();
    for _ in 20..50 {
        doubles.push(next(&mut answers).await.unwrap());
    }
    doubles.sort_unstable();
    assert_eq!(doubles, (20..50).map(|n| 2 * n).collect::<Vec<_>>());

    let request = next(&mut requests).await;
    assert_eq!(request.correlation_id(), Some("talk"));
    let queue = request.headers().get(REPLY_TO).unwrap().to_owned();
    assert!(is_reply_queue(&queue), "{queue}");

    asking.publish("asking", Message::new("13")).await.unwrap();
    let error = next(&mut answers).await.unwrap_err();
    assert!(error.ends_with("failed: rejected: unlucky"), "{error}");

    stop(asking).await;
    eventually("end of the queue for replies", async || {
        rabbit.counts(&queue).await.is_none()
    })
    .await;
    stop(doubling).await;
    rabbit.clean(&wanted).await;
    rabbit.clean(&numbers).await;
}

#[tokio::test]
async fn a_client_of_another_kind_is_replied_to() {
    let rabbit = rabbit!("a_client_of_another_kind_is_replied_to");
    let wanted = unique("doubling");
    let (doubling, _requests) = doubling(&rabbit, &wanted).await;
    let channel = rabbit.channel().await;
    let none = FieldTable::default;
    let exclusive = QueueDeclareOptions {
        exclusive: true,
        ..QueueDeclareOptions::default()
    };
    let named_by_server = channel.queue_declare("".into(), exclusive, none());
    let named_by_server = named_by_server.await.unwrap().name().to_string();
    let no_ack = BasicConsumeOptions {
        no_ack: true,
        ..BasicConsumeOptions::default()
    };
    for reply_to in [&*named_by_server, "amq.rabbitmq.reply-to"] {
        let consumed = channel.basic_consume(reply_to.into(), "".into(), no_ack, none());
        let mut consumer = consumed.await.unwrap();
        let properties = BasicProperties::default()
            .with_reply_to(reply_to.into())
            .with_correlation_id("7".into());
        let options = BasicPublishOptions::default();
        let key = wanted.as_str().into();
        let published = channel.basic_publish("".into(), key, options, b"4", properties);
        published.await.unwrap();
        let reply = tokio::time::timeout(DEADLINE, consumer.next()).await;
        let reply = reply.unwrap().unwrap().unwrap();
        assert_eq!(reply.data, b"8", "{reply_to}");
        let id = reply.properties.correlation_id();
        assert_eq!(id.as_ref().map(|id| id.as_str()), Some("7"));
    }
    stop(doubling).await;
    rabbit.clean(&wanted).await;
}

#[tokio::test]
async fn a_client_of_another_kind_replies() {
    let rabbit = rabbit!("a_client_of_another_kind_replies");
    let (wanted, numbers) = (unique("foreign"), unique("asking"));
    rabbit.declare(&wanted, &[]).await;
    let (asking, mut answers) = asking(&rabbit, &numbers, &wanted).await;
    asking.publish("asking", Message::new("4")).await.unwrap();
    rabbit.depth_is(&wanted, 1).await;
    let request = rabbit.get(&wanted).await.unwrap().delivery.properties;
    let (to, id) = (request.reply_to(), request.correlation_id());
    let (to, id) = (to.clone().unwrap(), id.clone().unwrap());
    let reply = BasicProperties::default().with_correlation_id(id);
    rabbit.publish("", to.as_str(), "9", reply).await;
    assert_eq!(next(&mut answers).await, Ok(9));
    stop(asking).await;
    rabbit.clean(&numbers).await;
    rabbit.delete(&wanted).await;
}

#[tokio::test]
async fn a_request_of_somebody_who_is_gone_or_never_was_is_handled() {
    let rabbit = rabbit!("a_request_of_somebody_who_is_gone_or_never_was_is_handled");
    let (wanted, other) = (unique("doubling"), unique("orders"));
    rabbit.declare(&other, &[]).await;
    let (doubling, mut requests) = doubling(&rabbit, &wanted).await;
    for address in [reply_queue(Some("gone"), 255), other.clone()] {
        let request = Message::new("1")
            .with_header(REPLY_TO, address)
            .with_header(REQUEST_ID, "7");
        doubling.publish("doubling", request).await.unwrap();
        next(&mut requests).await;
    }
    stop(doubling).await;
    assert_eq!(
        (rabbit.depth(&wanted).await, rabbit.depth(&other).await),
        (0, 0)
    );
    rabbit.clean(&wanted).await;
    rabbit.delete(&other).await;
}

#[tokio::test]
async fn an_address_is_opened_once_and_closed_with_its_queue() {
    let rabbit = rabbit!("an_address_is_opened_once_and_closed_with_its_queue");
    let amqp = rabbit.amqp();
    let replies = amqp.replies(Some("friends")).unwrap();
    let first = replies.address().await.unwrap();
    assert!(first.starts_with("friends-replies-"), "{first}");
    assert_eq!(replies.address().await.unwrap(), first);
    let mut into = Vec::new();
    let short = Duration::from_millis(10);
    replies.receive(short, &mut into).await.unwrap();
    assert!(into.is_empty());
    replies.close().await;
    // Its own connection may look: there is none.
    assert_ne!(replies.address().await.unwrap(), first);
    replies.close().await;
}
