//! Bindings in memory.

use loafer_core::message::Message;
use loafer_runtime::program::{App, RouteOptions, Running};

use crate::exchanges::{Exchanges, plan, route};

/// A running service, its broker, and what each of its routes got of what is published.
struct Service {
    running: Running,
    broker: Exchanges,
    app_bus: loafer_runtime::bus::Bus,
}

impl Service {
    async fn start(routes: &[(&'static str, RouteOptions)]) -> Self {
        let broker = Exchanges::default();
        let app = App::new().broker(broker.clone());
        let app_bus = app.bus();
        let routes = routes.iter().cloned();
        let routes = routes.map(|(name, options)| route(name, options)).collect();
        let running = plan(app, "", &[], routes).unwrap().start().await.unwrap();
        Self {
            running,
            broker,
            app_bus,
        }
    }

    async fn publish(&self, topics: &[&str]) {
        for topic in topics {
            let one = Message::new("1");
            self.app_bus.send(*topic, one).await.unwrap();
        }
        self.broker.memory.settled().await;
    }

    fn acked(&self, route: &str) -> u64 {
        self.running.stats(route).unwrap().acked
    }
}

fn bound(keys: impl Into<loafer_core::policy::Bindings>) -> RouteOptions {
    RouteOptions::new().binding(keys)
}

#[tokio::test(start_paused = true)]
async fn two_routes_on_one_topic_each_get_a_copy() {
    let routes = [
        ("billing", bound("order.paid")),
        ("shipping", bound("order.*")),
        ("order.paid", RouteOptions::new()),
        ("refunds", bound("order.refunded")),
    ];
    let service = Service::start(&routes).await;
    service.publish(&["order.paid"]).await;
    for route in ["billing", "shipping", "order.paid"] {
        assert_eq!(service.acked(route), 1, "{route}");
    }
    assert_eq!(service.acked("refunds"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_route_called_as_a_pattern_hears_what_fits_it() {
    let routes = [("#", RouteOptions::new()), ("order.*", RouteOptions::new())];
    let service = Service::start(&routes).await;
    service
        .publish(&["order.paid", "friend-created", "order.paid.late"])
        .await;
    assert_eq!(service.acked("#"), 3);
    assert_eq!(service.acked("order.*"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_queue_bound_to_no_exchange_hears_nothing_and_is_sent_to_by_its_name() {
    let silent = || RouteOptions::new().exchange("");
    let routes = [("orders", silent()), ("all", silent().binding("#"))];
    let service = Service::start(&routes).await;
    service.publish(&["orders", "all", "nobody.orders"]).await;
    assert_eq!((service.acked("orders"), service.acked("all")), (0, 0));
    service.publish(&["queue:nobody.orders"]).await;
    assert_eq!(service.acked("orders"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_two_of_its_patterns_fit_gets_one_copy() {
    let keys = ["order.*", "#.paid", "order.paid", "#"];
    let service = Service::start(&[("billing", bound(keys))]).await;
    service.publish(&["order.paid"]).await;
    assert_eq!(service.acked("billing"), 1);
    service.publish(&["order.paid", "other"]).await;
    assert_eq!(service.acked("billing"), 3);
}

#[tokio::test(start_paused = true)]
async fn bindings_take_the_place_of_the_name() {
    let service = Service::start(&[("orders", bound("order.paid"))]).await;
    service.publish(&["orders", "order.paid"]).await;
    assert_eq!(service.acked("orders"), 1);
}

#[tokio::test(start_paused = true)]
async fn two_routes_on_one_queue_share_its_messages() {
    let queue = || RouteOptions::new().queue("shared");
    let routes = [
        ("one", queue().binding("order.*")),
        ("other", queue().binding("#")),
    ];
    let service = Service::start(&routes).await;
    service.publish(&["order.paid", "order.closed"]).await;
    assert_eq!(service.acked("one") + service.acked("other"), 2);
}
