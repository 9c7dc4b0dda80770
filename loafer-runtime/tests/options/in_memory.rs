//! Topics of routes, in memory.

use loafer_core::{message::Message, policy::Names};
use loafer_runtime::{
    bus::Bus,
    program::{App, RouteOptions, Running},
};

use crate::exchanges::{Exchanges, plan, route};

/// A running service, its broker, and what each of its routes got of what is published.
struct Service {
    running: Running,
    broker: Exchanges,
    bus: Bus,
}

impl Service {
    async fn start(routes: &[(&'static str, RouteOptions)]) -> Self {
        let broker = Exchanges::default();
        let app = App::new().broker(broker.clone());
        let bus = app.bus();
        let routes = routes.iter().cloned();
        let routes = routes.map(|(name, options)| route(name, options)).collect();
        let running = plan(app, "", &[], routes).unwrap().start().await.unwrap();
        Self {
            running,
            broker,
            bus,
        }
    }

    async fn publish(&self, topics: &[&str]) {
        for topic in topics {
            let one = Message::new("1");
            self.bus.send(*topic, one).await.unwrap();
        }
        self.broker.memory.settled().await;
    }

    fn acked(&self, route: &str) -> u64 {
        self.running.stats(route).unwrap().acked
    }
}

fn on(topics: impl Into<Names>) -> RouteOptions {
    RouteOptions::new().topics(topics)
}

#[tokio::test(start_paused = true)]
async fn two_routes_on_one_topic_each_get_a_copy() {
    let routes = [
        ("billing", on("order.paid")),
        ("shipping", on("order.*")),
        ("order.paid", RouteOptions::new()),
        ("refunds", on("order.refunded")),
    ];
    let service = Service::start(&routes).await;
    service.publish(&["order.paid"]).await;
    for route in ["billing", "shipping", "order.paid"] {
        assert_eq!(service.acked(route), 1, "{route}");
    }
    assert_eq!(service.acked("refunds"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_route_called_as_a_pattern_receives_what_fits_it() {
    let routes = [("#", RouteOptions::new()), ("order.*", RouteOptions::new())];
    let service = Service::start(&routes).await;
    service
        .publish(&["order.paid", "friend-created", "order.paid.late"])
        .await;
    assert_eq!(service.acked("#"), 3);
    assert_eq!(service.acked("order.*"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_queue_is_sent_to_by_its_name_whatever_its_topics() {
    let service = Service::start(&[("orders", on("order.paid"))]).await;
    service.publish(&["orders", "nobody.orders"]).await;
    assert_eq!(service.acked("orders"), 0);
    service.publish(&["ex-changes:nobody.orders"]).await;
    assert_eq!(service.acked("orders"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_two_of_its_patterns_fit_gets_one_copy() {
    let keys = ["order.*", "#.paid", "order.paid", "#"];
    let service = Service::start(&[("billing", on(keys))]).await;
    service.publish(&["order.paid"]).await;
    assert_eq!(service.acked("billing"), 1);
    service.publish(&["order.paid", "other"]).await;
    assert_eq!(service.acked("billing"), 3);
}

#[tokio::test(start_paused = true)]
async fn topics_take_the_place_of_the_name() {
    let service = Service::start(&[("orders", on("order.paid"))]).await;
    service.publish(&["orders", "order.paid"]).await;
    assert_eq!(service.acked("orders"), 1);
}

#[tokio::test(start_paused = true)]
async fn two_routes_on_one_queue_share_its_messages() {
    let queue = || RouteOptions::new().queue("shared");
    let routes = [
        ("one", queue().topics("order.*")),
        ("other", queue().topics("#")),
    ];
    let service = Service::start(&routes).await;
    service.publish(&["order.paid", "order.closed"]).await;
    assert_eq!(service.acked("one") + service.acked("other"), 2);
}
