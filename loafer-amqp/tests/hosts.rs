//! Several addresses: those of a cluster, of which some nodes are down.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should fail")]

mod private;

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use loafer_amqp::Amqp;
use loafer_core::{message::Message, translate::Bytes};
use loafer_runtime::{
    bus::Bus,
    program::{App, Ended, Manager, Route, RouteOptions, Running},
};
use loafer_test_servers::{Broker, Ports, Setup, Version};
use tokio::time::{sleep, timeout};

private::on_both!(
    a_host_that_is_down_at_the_start_is_passed_over,
    a_host_that_dies_is_followed_by_the_next,
);

/// Longer than anything here takes, on a machine that is also building.
const DEADLINE: Duration = Duration::from_secs(60);
const QUEUE: &str = "order.closed.hosts";

/// A service that notes which numbers it handled.
struct Service {
    running: Running,
    bus: Bus,
    handled: Arc<Mutex<HashSet<u32>>>,
}

impl Service {
    async fn start(urls: &[String]) -> Result<Self, loafer_core::Error> {
        let handled = Arc::new(Mutex::new(HashSet::new()));
        let seen = handled.clone();
        let app = App::new().name("hosts").broker(Amqp::with_urls(urls));
        let bus = app.bus();
        let route = Route::new("order.closed")
            .provider::<Amqp>()
            .options(RouteOptions::new())
            .handler(Bytes::new(), move |message: Message| {
                let number = std::str::from_utf8(message.payload()).unwrap().parse();
                seen.lock().unwrap().insert(number.unwrap());
                std::future::ready(true)
            });
        let manager = Manager::builder().app(app).route(route).build().unwrap();
        Ok(Self {
            running: manager.start().await?,
            bus,
            handled,
        })
    }

    async fn publish(&self, number: u32) -> Result<(), loafer_core::Error> {
        let message = Message::new(number.to_string());
        self.bus.send("order.closed", message).await.map(drop)
    }

    async fn handles(&self, number: u32) {
        let handled = || self.handled.lock().unwrap().contains(&number);
        let wait = async {
            while !handled() {
                sleep(Duration::from_millis(10)).await;
            }
        };
        let waited = timeout(DEADLINE, wait).await;
        waited.unwrap_or_else(|_| panic!("{number} is not handled"));
    }

    async fn stop(&self) {
        self.running.shutdown();
        assert_eq!(self.running.ended().await, Ended::Clean);
    }
}

/// An address where nobody listens.
fn nobody() -> String {
    let [port] = Ports::take().numbers();
    format!("amqp://guest:secret-9@127.0.0.1:{port}/%2f")
}

async fn a_host_that_is_down_at_the_start_is_passed_over(version: Version) {
    let Some(broker) = private::broker(version, "hosts at the start", &Setup::default()).await
    else {
        return;
    };
    // Which is tried first is by chance: whichever.
    for urls in [
        vec![nobody(), broker.url()],
        vec![broker.url(), nobody()],
        vec![format!("{}, {}", nobody(), broker.url())],
    ] {
        let service = Service::start(&urls).await.unwrap();
        service.publish(1).await.unwrap();
        service.handles(1).await;
        service.stop().await;
    }
}

#[tokio::test]
async fn hosts_that_are_all_down_are_all_named() {
    let urls = [nobody(), nobody()];
    let error = Service::start(&urls).await.err().unwrap().to_string();
    for url in urls {
        let (_, place) = url.split_once('@').unwrap();
        let place = place.trim_end_matches("/%2f");
        assert!(error.contains(place), "no {place} in: {error}");
    }
    assert!(!error.contains("secret-9"), "{error}");
    assert_eq!(error.matches("AMQP_URL").count(), 1, "{error}");
}

async fn a_host_that_dies_is_followed_by_the_next(version: Version) {
    let setup = Setup::default();
    let start = || private::broker(version, "hosts that die", &setup);
    let (Some(one), Some(other)) = tokio::join!(start(), start()) else {
        return;
    };
    // As the nodes of a cluster have it, or what keeps a server in reserve.
    for broker in [&one, &other] {
        Service::start(&[broker.url()]).await.unwrap().stop().await;
    }
    let service = Service::start(&[one.url(), other.url()]).await.unwrap();
    service.publish(1).await.unwrap();
    service.handles(1).await;
    // Which of them it took is by chance.
    let consumed = |broker: &Broker| {
        let management = broker.management().clone();
        async move { management.queue(QUEUE).await.unwrap().consumers == 1 }
    };
    let (mut dying, staying) = loop {
        match (consumed(&one).await, consumed(&other).await) {
            (true, false) => break (one, other),
            (false, true) => break (other, one),
            _ => sleep(Duration::from_millis(50)).await,
        }
    };
    dying.kill().await;
    for number in 2..200 {
        service.publish(number).await.unwrap();
        service.handles(number).await;
    }
    staying.management().depth_is(QUEUE, 0).await;
    assert!(service.running.is_ready());
    service.stop().await;
}
