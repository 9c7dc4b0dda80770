//! Two RabbitMQs in one program, by configuration alone.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should fail")]

mod private;

use std::time::Duration;

use loafer_amqp::{Amqp, Routing};
use loafer_core::{Error, message::MessageId, outcome::Outcome, translate::Json};
use loafer_memory::Memory;
use loafer_runtime::{
    bus::{Bus, Replier},
    program::{App, BrokerKind, Config, Ended, Manager, Route, RouteOptions, Running},
};
use loafer_test_servers::{RabbitMq, Shared, Version};
use serde_json::{Value, json};
use tokio::{
    sync::mpsc::{self, UnboundedReceiver},
    time::{sleep, timeout},
};

private::on_both!(
    each_route_and_topic_is_on_its_own_broker,
    a_request_is_replied_to_on_the_broker_it_went_to,
    connections_are_named_after_app_and_instance,
);

/// Longer than anything here takes, on a machine that is also building.
const DEADLINE: Duration = Duration::from_secs(60);
/// How long a message that must not come is waited for.
const QUIET: Duration = Duration::from_millis(500);
/// The queue of both routes, each on its own broker.
const QUEUE: &str = "instances";

/// A service with a route on each of two brokers: `a` on the first, `b` on the second, which is a virtual host of its own.
struct Service {
    shared: Shared,
    app: String,
    vhosts: [String; 2],
    running: Running,
    bus: Bus,
    /// The route and the body of each message that is handled.
    handled: UnboundedReceiver<(&'static str, u64)>,
}

impl Service {
    async fn start(version: Version, test: &str) -> Option<Self> {
        let shared = RabbitMq::shared(version, test)?;
        let id = MessageId::new();
        let app = format!("app-{id}");
        let vhosts = [format!("first-{id}"), format!("legacy-{id}")];
        let rights = json!({"configure": ".*", "write": ".*", "read": ".*"});
        for vhost in &vhosts {
            let management = &shared.management;
            management.put(&format!("vhosts/{vhost}"), &json!({})).await;
            let path = format!("permissions/{vhost}/guest");
            management.put(&path, &rights).await;
        }
        let server = shared.url.trim_end_matches("/%2f");
        let [first, legacy] = &vhosts;
        let config = format!(
            r#"
            app = "{app}"
            [brokers.amqp]
            url = "{server}/{first}"
            [brokers.legacy]
            kind = "amqp"
            url = "{server}/{legacy}"
            [routes.b]
            broker = "legacy"
            [topics."order.cancelled"]
            publisher = "legacy"
            "#
        );
        let config = Config::parse(&config, [], &["a", "b"]).unwrap();
        let (handles, handled) = mpsc::unbounded_channel();
        let route = |name: &'static str, factor: u64| {
            let handles = handles.clone();
            let options = RouteOptions::new().queue(QUEUE).topics("order.*");
            Route::new(name)
                .provider::<Amqp>()
                .options(options)
                .replying()
                .handler(Json, move |number: u64, replier: Replier| {
                    handles.send((name, number)).unwrap();
                    async move {
                        if replier.is_wanted() {
                            replier.reply(&(factor * number)).await?;
                        }
                        Ok::<_, Error>(Outcome::Ack)
                    }
                })
        };
        let service = App::new();
        let bus = service.bus();
        let manager = Manager::builder().app(service).config(config);
        let manager = manager.route(route("a", 2)).route(route("b", 3));
        Some(Self {
            running: manager.build().unwrap().start().await.unwrap(),
            shared,
            app,
            vhosts,
            bus,
            handled,
        })
    }

    /// Makes sure that this message is handled by this route, once, and by no other.
    async fn handles(&mut self, route: &'static str, number: u64) {
        let next = timeout(DEADLINE, self.handled.recv()).await;
        assert_eq!(next.unwrap(), Some((route, number)));
        let more = timeout(QUIET, self.handled.recv()).await;
        assert!(more.is_err(), "{more:?}");
    }

    /// Returns the names that the service gave its connections.
    async fn connections(&self) -> Vec<String> {
        let listed = self.shared.management.get("connections").await;
        let named = |one: &Value| Some(one["user_provided_name"].as_str()?.to_owned());
        let listed = listed.unwrap_or_default();
        let named = listed.as_array().into_iter().flatten().filter_map(named);
        let ours = named.filter(|name| name.contains(&self.app));
        let mut ours: Vec<String> = ours.collect();
        ours.sort();
        ours
    }

    async fn end(self) {
        self.running.shutdown();
        assert_eq!(self.running.ended().await, Ended::Clean);
        for vhost in &self.vhosts {
            let path = format!("vhosts/{vhost}");
            self.shared.management.delete(&path).await;
        }
    }
}

async fn each_route_and_topic_is_on_its_own_broker(version: Version) {
    let Some(mut service) = Service::start(version, "two instances").await else {
        return;
    };
    let bus = service.bus.clone();
    // Both queues are bound to this topic, each on its own broker.
    bus.publish_to("order.closed", &1).await.unwrap();
    service.handles("a", 1).await;
    bus.publish_to("order.cancelled", &2).await.unwrap();
    service.handles("b", 2).await;
    let topic = |instance: &str| format!("{instance}:{QUEUE}");
    bus.publish_to(topic("legacy"), &3).await.unwrap();
    service.handles("b", 3).await;
    bus.publish_to(topic("amqp"), &4).await.unwrap();
    service.handles("a", 4).await;
    // What follows the colon need not be a queue.
    let routing = Routing::key("order.moved").exchange("event");
    bus.publish_to(routing, &7).await.unwrap();
    service.handles("a", 7).await;
    bus.publish_to("legacy:event/order.moved", &8)
        .await
        .unwrap();
    service.handles("b", 8).await;
    for (route, broker, number) in [("a", "amqp", 5), ("b", "legacy", 6)] {
        assert_eq!(service.running.broker(route).as_deref(), Some(broker));
        let message = loafer_core::message::Message::new(number.to_string());
        service.running.publish(route, message).await.unwrap();
        service.handles(route, number).await;
    }
    service.end().await;
}

async fn a_request_is_replied_to_on_the_broker_it_went_to(version: Version) {
    let Some(mut service) = Service::start(version, "a request to a second instance").await else {
        return;
    };
    for (instance, route, reply) in [("legacy", "b", 21), ("amqp", "a", 14)] {
        let topic = format!("{instance}:{QUEUE}");
        let asked = service.bus.request::<u64>(topic, &7, DEADLINE);
        assert_eq!(asked.await.unwrap(), reply);
        service.handles(route, 7).await;
    }
    service.end().await;
}

async fn connections_are_named_after_app_and_instance(version: Version) {
    let Some(service) = Service::start(version, "names of connections").await else {
        return;
    };
    service.bus.publish_to("order.closed", &1).await.unwrap();
    service.bus.publish_to("order.cancelled", &2).await.unwrap();
    let app = &service.app;
    let named = |purpose: &str, instance: &str| format!("loafer {app}: {purpose} on {instance}");
    let expected = [
        named("consuming", "amqp"),
        named("consuming", "legacy"),
        named("publishing", "amqp"),
        named("publishing", "legacy"),
    ];
    // They are listed a second after they were made.
    let listed = async {
        while service.connections().await != expected {
            sleep(Duration::from_millis(100)).await;
        }
    };
    let listed = timeout(DEADLINE, listed).await;
    assert!(listed.is_ok(), "{:?}", service.connections().await);
    service.end().await;
}

/// Returns why a program with this configuration can't be planned.
fn refused(config: &str) -> String {
    let config = Config::parse(config, [], &["paid"]).unwrap();
    let route = Route::new("paid").provider::<Amqp>();
    let route = route.handler(Json, async |_: u64| true);
    let app = App::new().name("billing");
    let manager = Manager::builder().app(app).config(config).route(route);
    manager.build().unwrap_err().to_string()
}

#[test]
fn a_second_broker_without_an_address_is_refused_once() {
    let config = "
        [brokers.legacy]
        kind = \"amqp\"
        [routes.paid]
        broker = \"legacy\"";
    let error = refused(config);
    for part in [
        "broker `legacy`",
        "AMQP_URL is the address of the first RabbitMQ",
        "[brokers.legacy]",
        "LOAFER_BROKERS__LEGACY__URL",
    ] {
        assert!(error.contains(part), "{part} is not in: {error}");
    }
    assert_eq!(error.matches("AMQP_URL").count(), 1, "{error}");
}

#[test]
fn what_is_wrong_with_an_address_or_a_key_is_said_without_quoting_it() {
    let error = refused("[brokers.amqp]\nurl = \"http://secret-9\"");
    assert!(error.contains("can't be read"), "{error}");
    assert!(!error.contains("secret-9"), "{error}");
    let error = refused("[brokers.amqp]\nurls = \"http://secret-9\"");
    assert!(error.contains("`url`"), "{error}");
    assert!(!error.contains("secret-9"), "{error}");
    let error = refused("[routes.paid.options]\nexchnge = \"event\"");
    assert!(error.contains("`exchange`"), "{error}");
    let error = refused("[routes.paid]\nlease = \"30s\"");
    assert!(error.contains("`lease`"), "{error}");
}

/// Returns the queues of a program with two routes, one of which names its consumer.
fn queues(app: App, provider: fn(Route) -> Route) -> Vec<String> {
    let config = "app = \"billing\"\n[routes.\"order.paid\"]\nconsumer = \"stock\"";
    let names = ["order.closed", "order.paid"];
    let config = Config::parse(config, [], &names).unwrap();
    let manager = Manager::builder().app(app).config(config);
    let manager = names.into_iter().fold(manager, |manager, name| {
        manager.route(provider(Route::new(name)).handler(Json, async |_: u64| true))
    });
    let routes = manager.build().unwrap().routes();
    routes.into_iter().map(|route| route.queue).collect()
}

#[test]
fn queues_have_the_same_names_whoever_chooses_the_broker() {
    let by_type = queues(App::new(), Route::provider::<Amqp>);
    assert_eq!(by_type, ["order.closed.billing", "order.paid.stock"]);
    // `--provider amqp` in a program whose own broker is another.
    let app = App::new()
        .default_provider(BrokerKind::of::<Memory>())
        .brokers([BrokerKind::of::<Amqp>()])
        .provider("amqp");
    assert_eq!(queues(app, |route| route), by_type);
}
