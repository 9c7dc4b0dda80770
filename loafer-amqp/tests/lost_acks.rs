//! Acks that are lost with their connection: RabbitMQ redelivers what was handled.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should fail")]

mod private;
#[path = "listener/proxy.rs"]
#[allow(dead_code, unreachable_pub, reason = "this binary uses a part of it")]
mod proxy;
mod support;

use std::sync::{Arc, Mutex};

use lapin::BasicProperties;
use loafer_amqp::Amqp;
use loafer_core::{message::Message, translate::Bytes};
use loafer_runtime::program::{App, Ended, Manager, Route};
use loafer_test_servers::{RabbitMq, Version};
use tokio::sync::Barrier;

use private::{logged, note_log};
use proxy::Proxy;
use support::{Rabbit, eventually, unbound, unique};

private::on_both!(all: what_was_handled_before_its_ack_was_lost_does_not_run_again);

const MESSAGES: usize = 5;

async fn what_was_handled_before_its_ack_was_lost_does_not_run_again(version: Version) {
    let Some(shared) = RabbitMq::shared(version, "lost acks") else {
        return;
    };
    note_log();
    let rabbit = Rabbit::at(shared.url).await;
    let proxy = Arc::new(Proxy::start(&rabbit.url).await);
    let queue = unique("lost-acks");
    let ran: Arc<Mutex<Vec<String>>> = Arc::default();
    let runs = || ran.lock().unwrap().len();
    let (all, runs_now, swallows) = (Arc::new(Barrier::new(MESSAGES)), ran.clone(), proxy.clone());
    let handler = move |message: Message| {
        let body = std::str::from_utf8(message.payload()).unwrap().to_owned();
        let (all, swallows) = (all.clone(), swallows.clone());
        let mut ran = runs_now.lock().unwrap();
        ran.push(body);
        let is_first = ran.len() <= MESSAGES;
        async move {
            if is_first {
                all.wait().await;
                swallows.swallow();
            }
            true
        }
    };
    let route = Route::new("orders")
        .provider::<Amqp>()
        .options(unbound(&queue).concurrency(MESSAGES))
        .handler(Bytes::new(), handler);
    let app = App::new().broker(Amqp::new(&proxy.url));
    let manager = Manager::builder().app(app).route(route).build().unwrap();
    let running = manager.start().await.unwrap();
    let numbers: Vec<String> = (0..MESSAGES).map(|number| number.to_string()).collect();
    rabbit.publish_all("", &queue, &numbers).await;
    let acked = || running.stats("orders").unwrap().acked;
    eventually("acks", async || acked() == MESSAGES as u64).await;
    assert_eq!(runs(), MESSAGES);
    proxy.cut();
    // Behind those that are redelivered.
    rabbit
        .publish("", &queue, "last", BasicProperties::default())
        .await;
    eventually("the last run", async || runs() > MESSAGES).await;
    let told = || {
        let lines = logged(&queue).into_iter();
        let lines = lines.filter(|line| line.contains("handled before"));
        lines.collect::<Vec<_>>()
    };
    eventually("a word of it", async || !told().is_empty()).await;
    running.shutdown();
    assert_eq!(running.ended().await, Ended::Clean);
    assert_eq!(rabbit.depth(&queue).await, 0, "not acked again");
    let mut ran = ran.lock().unwrap().clone();
    ran.sort();
    assert_eq!(ran, ["0", "1", "2", "3", "4", "last"]);
    let told = told();
    assert!(
        told.len() == 1 && told[0].contains("messages=5"),
        "{told:?}"
    );
    rabbit.clean(&queue).await;
}
