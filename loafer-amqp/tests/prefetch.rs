//! How many messages RabbitMQ pushes ahead: few of slow ones, so that replicas share them, and many of quick ones.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should fail")]

mod direct;
mod private;
mod support;

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use loafer_amqp::{Amqp, Options};
use loafer_core::{
    broker::{Provider, Settlement},
    message::Message,
    translate::Bytes,
};
use loafer_runtime::program::{App, Ended, Manager, Route, RouteOptions, Running};
use loafer_test_servers::{Broker, Queue, Setup, Version};
use tokio::time::{Instant, sleep};

use direct::Direct;
use support::{Rabbit, eventually};

private::on_both!(
    two_replicas_share_slow_messages,
    it_follows_the_speed_and_no_delivery_is_touched,
    it_follows_a_capacity_that_grows,
    an_explicit_prefetch_is_obeyed,
);
private::on_both!(
    @rabbitmq_4_3,
    V43,
    it_follows_the_speed_and_no_delivery_is_touched
);

const QUEUE: &str = "prefetch";

async fn server(version: Version) -> Option<(Broker, Rabbit)> {
    let broker = private::broker(version, QUEUE, &Setup::default()).await?;
    let rabbit = Rabbit::at(broker.url()).await;
    Some((broker, rabbit))
}

async fn publish(rabbit: &Rabbit, messages: usize) {
    let bodies: Vec<String> = (0..messages).map(|number| number.to_string()).collect();
    rabbit.publish_all("", QUEUE, &bodies).await;
}

/// The prefetches of the queue's consumers, as RabbitMQ tells them.
async fn prefetches(broker: &Broker) -> Vec<u64> {
    let consumers = broker.management().get("consumers").await.unwrap();
    let consumers = consumers.as_array().unwrap().iter();
    consumers
        .filter(|consumer| consumer["queue"]["name"] == QUEUE)
        .map(|consumer| consumer["prefetch_count"].as_u64().unwrap())
        .collect()
}

async fn prefetch_is(broker: &Broker, prefetch: u64) {
    let what = format!("a prefetch of {prefetch}");
    eventually(&what, async || prefetches(broker).await == [prefetch]).await;
}

/// A replica of a service whose handlers take 2 s; and how many messages it has handled.
async fn replica(url: &str) -> (Running, Arc<AtomicUsize>) {
    let handled = Arc::new(AtomicUsize::new(0));
    let count = handled.clone();
    let options = Options::new().exchange("");
    let options = RouteOptions::new().broker_options::<Amqp>(options);
    let route = Route::new("slow")
        .provider::<Amqp>()
        .options(options.queue(QUEUE).concurrency(10))
        .handler(Bytes::new(), move |_: Message| {
            let count = count.clone();
            async move {
                sleep(Duration::from_secs(2)).await;
                count.fetch_add(1, Ordering::SeqCst);
                true
            }
        });
    let app = App::new().name("prefetch").broker(Amqp::new(url));
    let manager = Manager::builder().app(app).route(route).build().unwrap();
    (manager.start().await.unwrap(), handled)
}

async fn two_replicas_share_slow_messages(version: Version) {
    let Some((broker, rabbit)) = server(version).await else {
        return;
    };
    let (first, of_first) = replica(&broker.url()).await;
    publish(&rabbit, 100).await;
    // The first one takes what it wants before the second one is there.
    let takes = |queue: &Queue| queue.unacknowledged >= 10;
    broker.management().queue_when(QUEUE, takes).await;
    let (second, of_second) = replica(&broker.url()).await;
    let handled = || [&of_first, &of_second].map(|count| count.load(Ordering::SeqCst));
    eventually("100 messages", async || {
        handled().iter().sum::<usize>() == 100
    })
    .await;
    let shares = handled();
    assert!(
        shares.iter().all(|share| (40..=60).contains(share)),
        "{shares:?}"
    );
    for running in [first, second] {
        running.shutdown();
        assert_eq!(running.ended().await, Ended::Clean);
    }
}

async fn it_follows_the_speed_and_no_delivery_is_touched(version: Version) {
    let Some((broker, rabbit)) = server(version).await else {
        return;
    };
    let direct = Direct::open(&broker.url(), QUEUE, Options::new()).await;
    direct.provider.set_capacity(110);
    publish(&rabbit, 1).await;
    // Settled last: a change of the prefetch must not redeliver it.
    let held = direct.receive(1).await;
    prefetch_is(&broker, 10).await;
    let (mut seen, mut total) = (HashSet::new(), 0);
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(4) {
        publish(&rabbit, 500).await;
        total += 500;
        while seen.len() < total {
            let received = direct.receive_some().await;
            for delivery in &received {
                // What was on its way to a consumer that ends comes to the next one. No message comes to both.
                let new = seen.insert(delivery.message.id().clone());
                assert!(new, "it comes again: {:?}", delivery.message);
            }
            direct.settle(&received, &Settlement::Ack).await;
        }
    }
    prefetch_is(&broker, 110).await;
    let nothing = direct.receive_for(Duration::from_secs(8)).await;
    assert!(nothing.is_empty(), "{nothing:?}");
    prefetch_is(&broker, 10).await;
    assert!(direct.provider.is_live(&held[0].receipt));
    direct.settle(&held, &Settlement::Ack).await;
    direct.provider.close().await;
    assert_eq!(rabbit.depth(QUEUE).await, 0);
}

async fn it_follows_a_capacity_that_grows(version: Version) {
    let Some((broker, rabbit)) = server(version).await else {
        return;
    };
    let direct = Direct::open(&broker.url(), QUEUE, Options::new()).await;
    direct.provider.set_capacity(110);
    publish(&rabbit, 40).await;
    let held = direct.receive(10).await;
    let none = direct.receive_for(Duration::from_secs(2)).await;
    assert!(none.is_empty(), "{} more than its prefetch", none.len());
    // Ten are held in place of a retry: as many others come.
    direct.provider.set_capacity(120);
    let others = direct.receive(10).await;
    let both = held.iter().chain(&others);
    assert!(both.into_iter().all(|it| it.message.attempt() == 1));
    direct.settle(&held, &Settlement::Ack).await;
    direct.settle(&others, &Settlement::Ack).await;
    direct.receive(20).await;
    direct.provider.close().await;
}

async fn an_explicit_prefetch_is_obeyed(version: Version) {
    let Some((broker, rabbit)) = server(version).await else {
        return;
    };
    let direct = Direct::with(&broker.url(), QUEUE, Options::new(), |policy| {
        policy.prefetch = Some(20);
    })
    .await;
    direct.provider.set_capacity(30);
    publish(&rabbit, 40).await;
    direct.receive(30).await;
    let none = direct.receive_for(Duration::from_secs(2)).await;
    assert!(none.is_empty(), "{} more than its capacity", none.len());
    prefetch_is(&broker, 30).await;
    direct.provider.close().await;
}
