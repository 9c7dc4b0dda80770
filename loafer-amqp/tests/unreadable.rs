//! Messages whose short strings are no UTF-8, which the client can't read: they are handled, and nobody else is interrupted.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should fail")]

mod private;
mod raw;
mod support;

use std::{
    collections::BTreeMap,
    ops::ControlFlow,
    sync::{Arc, Mutex},
};

use lapin::BasicProperties;
use loafer_amqp::{Amqp, Options, QueueType};
use loafer_core::{
    broker::{Broker as _, Destination, REPLY_TO, Replies as _},
    message::Message,
    translate::Bytes,
};
use loafer_runtime::{
    dead_letters::Selection,
    program::{App, Ended, Manager, Route, RouteOptions},
};
use loafer_test_servers::{Broker, Setup, Version};
use raw::{Raw, long, short};
use support::{DEADLINE, Rabbit, eventually, on_queue};

private::on_both!(all:
    what_can_t_be_read_is_handled_and_interrupts_nobody,
    dead_letters_that_can_t_be_read_are_listed_and_retried,
    a_reply_that_can_t_be_read_loses_no_other,
);

const ODD: &[u8] = b"\xff\xfe\x93\x00\xc3";

/// Properties that RabbitMQ takes though they are no UTF-8, with their flags.
fn odd_properties() -> Vec<(&'static str, u16, Vec<u8>)> {
    let named = |name: &[u8]| [short(name), vec![b'S'], long(ODD)].concat();
    let mut deep = vec![b'V'];
    for _ in 0..5_000 {
        deep = [vec![b'A'], long(&deep)].concat();
    }
    vec![
        ("content-type", 1 << 15, short(ODD)),
        ("content-encoding", 1 << 14, short(ODD)),
        ("name of a header", 1 << 13, long(&named(ODD))),
        (
            "a list in the headers",
            1 << 13,
            long(&[short(b"deep"), deep].concat()),
        ),
        ("correlation-id", 1 << 10, short(ODD)),
        ("reply-to", 1 << 9, short(ODD)),
        ("message-id", 1 << 7, short(ODD)),
        ("type", 1 << 5, short(ODD)),
        ("app-id", 1 << 3, short(ODD)),
        ("cluster-id", 1 << 2, short(ODD)),
    ]
}

async fn server(version: Version, test: &str) -> Option<Broker> {
    private::note_log();
    let test = format!("{test}-{version:?}").to_lowercase();
    private::broker(version, &test, &Setup::default()).await
}

/// How often each body was handled.
type Handled = Arc<Mutex<BTreeMap<String, u32>>>;

/// A route that retries what begins with `odd` once.
fn route(name: &'static str, options: RouteOptions, handled: &Handled) -> Route {
    let handled = handled.clone();
    let route = Route::new(name).provider::<Amqp>().options(options);
    route.handler(Bytes::new(), move |message: Message| {
        let body = String::from_utf8(message.payload().to_vec()).unwrap();
        let done = !body.starts_with("odd") || message.attempt() > 1;
        if done {
            *handled.lock().unwrap().entry(body).or_default() += 1;
        }
        std::future::ready(done)
    })
}

fn once<'b>(bodies: impl IntoIterator<Item = &'b String>) -> BTreeMap<String, u32> {
    bodies.into_iter().map(|body| (body.clone(), 1)).collect()
}

fn numbered(what: &str, count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{what} {n}")).collect()
}

async fn what_can_t_be_read_is_handled_and_interrupts_nobody(version: Version) {
    let Some(broker) = server(version, "unreadable").await else {
        return;
    };
    let rabbit = Rabbit::at(broker.url()).await;
    let mut raw = Raw::connect(broker.port()).await;
    for kind in [QueueType::Quorum, QueueType::Classic] {
        let queue = format!("orders-{}-{version:?}", kind.as_str());
        let (exchange, beside) = (format!("{queue}-events"), format!("{queue}-beside"));
        rabbit.declare_exchange(&exchange).await;
        let of = |exchange: &str| Options::new().queue_type(kind).exchange(exchange);
        let (handled, neighbours) = (Handled::default(), Handled::default());
        let options = on_queue(&queue, of(&exchange).binding("#"));
        let beside_options = on_queue(&beside, of(""));
        let manager = Manager::builder()
            .app(App::new().broker(Amqp::new(broker.url())))
            .route(route("orders", options, &handled))
            .route(route("beside", beside_options, &neighbours))
            .build();
        let running = manager.unwrap().start().await.unwrap();

        let (before, after) = (numbered("before", 50), numbered("after", 50));
        let others = numbered("other", 50);
        rabbit.publish_all("", &queue, &before).await;
        let mut odd = Vec::new();
        for (name, flag, property) in odd_properties() {
            odd.push(format!("odd {name}"));
            let to = ("", queue.as_bytes());
            raw.publish(to, flag, &property, &odd[odd.len() - 1]).await;
        }
        odd.push("odd routing key".to_owned());
        let to = (exchange.as_str(), &b"order.\xff"[..]);
        raw.publish(to, 1 << 5, &short(b"kind"), &odd[odd.len() - 1])
            .await;
        rabbit.publish_all("", &queue, &after).await;
        rabbit.publish_all("", &beside, &others).await;

        let wanted = once(before.iter().chain(&odd).chain(&after));
        let all = async || *handled.lock().unwrap() == wanted;
        eventually("message handled once each", all).await;
        let other = async || *neighbours.lock().unwrap() == once(&others);
        eventually("message of the other route handled once each", other).await;
        let lines = private::logged(&queue);
        for (name, ..) in odd_properties() {
            let named = lines
                .iter()
                .any(|line| line.contains(&format!("replaced=\"{name}\"")));
            assert!(named, "{name} is not in {lines:#?}");
        }
        assert!(
            lines.iter().all(|line| !line.contains("receive failed")),
            "{lines:#?}"
        );
        running.shutdown();
        assert_eq!(running.ended().await, Ended::Clean);
        for queue in [&queue, &beside] {
            rabbit.depth_is(queue, 0).await;
            assert_eq!(rabbit.depth(&format!("{queue}.dead")).await, 0);
        }
    }
}

async fn dead_letters_that_can_t_be_read_are_listed_and_retried(version: Version) {
    let Some(broker) = server(version, "unreadable-dead").await else {
        return;
    };
    let rabbit = Rabbit::at(broker.url()).await;
    let queue = format!("dead-{version:?}");
    let handled = Handled::default();
    let manager = || {
        let options = on_queue(&queue, Options::new().exchange(""));
        let manager = rabbit.manager().route(route("orders", options, &handled));
        manager.build().unwrap()
    };
    let running = manager().start().await.unwrap();
    let mut raw = Raw::connect(broker.port()).await;
    let mut odd = Vec::new();
    let dead = format!("{queue}.dead");
    for (name, flag, property) in odd_properties() {
        odd.push(format!("odd {name}"));
        let to = ("", dead.as_bytes());
        raw.publish(to, flag, &property, &odd[odd.len() - 1]).await;
    }
    rabbit.publish_all("", &dead, &["good"]).await;
    odd.push("good".to_owned());
    let dead_letters = manager().dead_letters("orders").await.unwrap();
    let mut on = |_| ControlFlow::Continue(());
    let listed = dead_letters.list(100, &mut on).await.unwrap();
    assert_eq!(listed.dead_letters.len(), odd.len(), "{listed:?}");
    let source = Destination::Source;
    let sent = dead_letters.send(&Selection::All, &source, None, &mut on);
    let sent = sent.await.unwrap();
    assert_eq!(
        (sent.sent as usize, sent.failed.len()),
        (odd.len(), 0),
        "{sent:?}"
    );
    let all = async || *handled.lock().unwrap() == once(&odd);
    eventually("dead letter handled once each", all).await;
    assert_eq!(rabbit.depth(&dead).await, 0);
    running.shutdown();
    assert_eq!(running.ended().await, Ended::Clean);
}

async fn a_reply_that_can_t_be_read_loses_no_other(version: Version) {
    let Some(broker) = server(version, "unreadable-reply").await else {
        return;
    };
    let rabbit = Rabbit::at(broker.url()).await;
    let amqp = rabbit.amqp();
    let replies = amqp.replies(Some("asking")).unwrap();
    let address = replies.address().await.unwrap();
    let mut raw = Raw::connect(broker.port()).await;
    for (_, flag, property) in odd_properties() {
        raw.publish(("", address.as_bytes()), flag, &property, "odd")
            .await;
    }
    let id = BasicProperties::default().with_correlation_id("7".into());
    rabbit.publish("", &address, "good", id).await;
    let mut came = Vec::new();
    while came.len() <= odd_properties().len() {
        replies.receive(DEADLINE, &mut came).await.unwrap();
    }
    let last = came.last().unwrap();
    assert_eq!(last.payload()[..], b"good"[..]);
    assert_eq!(last.headers().get(REPLY_TO), None);
    assert_eq!(replies.address().await.unwrap(), address);
    replies.close().await;
}
