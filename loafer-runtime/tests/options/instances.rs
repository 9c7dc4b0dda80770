//! Several brokers of one kind.

use std::time::Duration;

use loafer_core::{Error, extract::Metadata, message::Message, outcome::Outcome, translate::Json};
use loafer_runtime::{
    bus::{Bus, Replier},
    program::{App, BrokerKind, Route, RouteOptions, Running},
};
use serde_json::Value;

use crate::exchanges::{Exchanges, Plain, configured, fault, in_kit, in_memory, plan, route};

const SECOND: Duration = Duration::from_secs(1);

/// One route on the first broker, one on a second that the configuration alone names.
const TWO: &str = r#"
    [brokers.ex-changes]
    port = 1
    [brokers.legacy]
    kind = "ex-changes"
    port = 2
    [routes.b]
    broker = "legacy"
"#;

/// A running service, and its bus.
struct Service {
    running: Running,
    bus: Bus,
}

impl Service {
    async fn start(app: App, file: &str, routes: Vec<Route>) -> Self {
        let bus = app.bus();
        let manager = plan(app, file, &[], routes).unwrap();
        let running = manager.start().await.unwrap();
        Self { running, bus }
    }

    /// Publishes one message to each topic, and waits until all are handled.
    async fn publish(&self, topics: &[&str]) {
        for topic in topics {
            self.bus.send(*topic, Message::new("1")).await.unwrap();
        }
        for name in ["ex-changes", "legacy"] {
            if let Some(broker) = configured(name) {
                broker.memory.settled().await;
            }
        }
    }

    fn acked(&self, routes: [&str; 2]) -> [u64; 2] {
        routes.map(|route| self.running.stats(route).unwrap().acked)
    }

    async fn stop(self) {
        self.running.shutdown();
        self.running.ended().await;
    }
}

fn two() -> Vec<Route> {
    vec![
        route("a", RouteOptions::new().queue("a")),
        route("b", RouteOptions::new().queue("b")),
    ]
}

#[test]
fn each_reads_its_own_section_and_the_first_alone_is_the_first() {
    let environment = [("LOAFER_BROKERS__LEGACY__LOGIN__USER", "ana")];
    let manager = plan(App::new(), TWO, &environment, two()).unwrap();
    let of = |name: &str| {
        let broker = configured(name).unwrap();
        let link = broker.link.lock().unwrap().clone();
        let is_first = broker.is_first.lock().unwrap().clone();
        let sources = broker.sources.lock().unwrap();
        let routes: Vec<_> = sources.iter().map(|(of, _)| of.route.clone()).collect();
        (link.port, link.login.user, is_first, routes)
    };
    let first = (1, String::new(), vec![true], vec!["a".to_owned()]);
    assert_eq!(of("ex-changes"), first);
    let second = (2, "ana".to_owned(), vec![false], vec!["b".to_owned()]);
    assert_eq!(of("legacy"), second);
    let brokers: Vec<_> = manager.routes().into_iter().map(|of| of.broker).collect();
    assert_eq!(brokers, ["ex-changes", "legacy"]);
}

#[test]
fn the_environment_alone_names_a_second_broker() {
    let environment = [
        ("LOAFER_BROKERS__LEGACY__KIND", "ex-changes"),
        ("LOAFER_BROKERS__LEGACY__PORT", "2"),
        ("LOAFER_ROUTES__B__BROKER", "legacy"),
    ];
    plan(App::new(), "", &environment, two()).unwrap();
    let legacy = configured("legacy").unwrap();
    assert_eq!(legacy.link.lock().unwrap().port, 2);
    assert_eq!(legacy.sources.lock().unwrap().len(), 1);
}

#[test]
fn a_second_broker_may_have_nothing_to_say_but_its_kind() {
    let file = "[brokers.second]\nkind = \"plain\"\n[routes.b]\nbroker = \"second\"";
    let app = App::new().brokers([BrokerKind::of::<Plain>()]);
    let manager = plan(app, file, &[], two()).unwrap();
    assert_eq!(manager.routes()[1].broker, "second");
}

#[test]
fn names_that_the_environment_writes_alike_are_two_in_the_file() {
    let file = r#"
        [brokers.old-one]
        kind = "ex-changes"
        port = 1
        [brokers.old_one]
        kind = "ex-changes"
        port = 2
    "#;
    plan(App::new(), file, &[], two()).unwrap();
    for (name, port) in [("old-one", 1), ("old_one", 2)] {
        assert_eq!(configured(name).unwrap().link.lock().unwrap().port, port);
    }
}

#[test]
fn an_unknown_broker_names_the_nearest() {
    let told = |broker: &str| {
        let file = format!("{TWO}\n[routes.a]\nbroker = \"{broker}\"");
        fault(App::new(), &file, &[], two())
    };
    assert_eq!(
        told("legasy"),
        "route `a`: unknown broker `legasy`; did you mean `legacy`?"
    );
    assert_eq!(
        told("kafka"),
        "route `a`: unknown broker `kafka`; known: `ex-changes`, `legacy`"
    );
    let app = in_memory().provider("memroy");
    assert_eq!(
        fault(app, "", &[], two()),
        "unknown broker `memroy`; did you mean `memory`?"
    );
}

#[tokio::test(start_paused = true)]
async fn each_route_receives_from_its_own_broker() {
    let service = Service::start(App::new(), TWO, two()).await;
    // The bus publishes on the broker of the service.
    service.publish(&["a", "b"]).await;
    assert_eq!(service.acked(["a", "b"]), [1, 0]);
    service
        .running
        .publish("b", Message::new("1"))
        .await
        .unwrap();
    configured("legacy").unwrap().memory.settled().await;
    assert_eq!(service.acked(["a", "b"]), [1, 1]);
    assert_eq!(service.running.broker("b").as_deref(), Some("legacy"));
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_route_that_moves_takes_the_bus_nowhere() {
    let file = TWO.replace("[routes.b]", "[routes.a]");
    for default in [None, Some(BrokerKind::of::<Exchanges>())] {
        let app = default.into_iter().fold(App::new(), App::default_provider);
        let service = Service::start(app, &file, two()).await;
        service.publish(&["a", "b"]).await;
        assert_eq!(service.acked(["a", "b"]), [0, 1]);
        service.stop().await;
    }
    // Where no route is left on a first broker, it is that of the first route.
    let file = format!("{file}\n[routes.b]\nbroker = \"legacy\"");
    let service = Service::start(App::new(), &file, two()).await;
    service.publish(&["a", "b"]).await;
    assert_eq!(service.acked(["a", "b"]), [1, 1]);
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_queue_is_published_to_by_the_name_of_its_broker() {
    let service = Service::start(App::new(), TWO, two()).await;
    service.publish(&["legacy:b"]).await;
    assert_eq!(service.acked(["a", "b"]), [0, 1]);
    service.publish(&["ex-changes:a"]).await;
    assert_eq!(service.acked(["a", "b"]), [1, 1]);
    // Each has queues of its own, whatever they are called.
    service.publish(&["legacy:a", "ex-changes:b"]).await;
    assert_eq!(service.acked(["a", "b"]), [1, 1]);
    let waits = |broker: &str, queue: &str| configured(broker).unwrap().memory.messages(queue);
    assert_eq!(waits("legacy", "a").len(), 1);
    assert_eq!(waits("ex-changes", "b").len(), 1);
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_topic_goes_to_the_broker_that_the_configuration_names() {
    let file = format!("{TWO}\n[topics.b]\npublisher = \"legacy\"");
    let service = Service::start(App::new(), &file, two()).await;
    service.publish(&["b", "a"]).await;
    assert_eq!(service.acked(["a", "b"]), [1, 1]);
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_no_route_is_on_is_published_to() {
    let file = "[brokers.legacy]\nkind = \"ex-changes\"\n[topics.news]\npublisher = \"legacy\"";
    let service = Service::start(App::new(), file, two()).await;
    service.publish(&["legacy:away"]).await;
    let legacy = configured("legacy").unwrap();
    assert_eq!(legacy.memory.messages("away").len(), 1);
    service.stop().await;

    // Nor need the configuration name it, if code gives it.
    let other = Exchanges::default();
    let app = App::new().broker_named("other", other.clone());
    let service = Service::start(app, "", two()).await;
    service.publish(&["other:away"]).await;
    assert_eq!(other.memory.messages("away").len(), 1);
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn brokers_given_in_code_by_name_are_configured_as_others_are() {
    let legacy = Exchanges::default();
    legacy.link.lock().unwrap().port = 7;
    let app = App::new().broker_named("legacy", legacy.clone());
    let routes = vec![
        route("a", RouteOptions::new().queue("a")),
        route("b", RouteOptions::new().queue("b").broker("legacy")),
    ];
    let file = "[brokers.legacy.login]\nuser = \"ana\"";
    let service = Service::start(app, file, routes).await;
    assert_eq!(legacy.link.lock().unwrap().login.user, "ana");
    assert_eq!(*legacy.is_first.lock().unwrap(), [false]);
    service.publish(&["legacy:b"]).await;
    assert_eq!(service.acked(["a", "b"]), [0, 1]);
    service.stop().await;
}

/// Replies with the name of the route, and with an error to what is no number.
fn replying(name: &'static str) -> Route {
    let route = Route::new(name).provider::<Exchanges>().replying();
    let handler = async |value: Value, replier: Replier, metadata: Metadata| {
        if !value.is_number() {
            return Ok::<_, Error>(Outcome::Reject {
                reason: "no number".into(),
            });
        }
        replier.reply(metadata.route()).await?;
        Ok(Outcome::Ack)
    };
    let options = RouteOptions::new().queue(name);
    route.options(options).handler(Json, handler)
}

#[tokio::test(start_paused = true)]
async fn replies_go_out_on_the_broker_by_which_the_request_came() {
    let routes = vec![replying("a"), replying("b")];
    let file = format!("{TWO}\n[topics.b]\npublisher = \"legacy\"");
    let service = Service::start(App::new(), &file, routes).await;
    for (topic, by) in [
        ("a", "a"),
        ("ex-changes:a", "a"),
        ("legacy:b", "b"),
        ("b", "b"),
    ] {
        let reply: Value = service.bus.request(topic, &1, SECOND).await.unwrap();
        assert_eq!(reply, by, "{topic}");
        let refused: Result<Value, _> = service.bus.request(topic, "x", SECOND).await;
        assert!(
            matches!(refused, Err(Error::RequestFailed { .. })),
            "{refused:?}"
        );
    }
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn memory_stands_in_for_all_of_them() {
    let file = format!("{TWO}\n[topics.b]\npublisher = \"legacy\"");
    let memory = loafer_memory::Memory::new();
    let app = in_memory().broker(memory.clone());
    let service = Service::start(app, &file, two()).await;
    service.publish(&["a", "b", "legacy:b"]).await;
    memory.settled().await;
    assert_eq!(service.acked(["a", "b"]), [1, 2]);
    assert_eq!(service.running.broker("b").as_deref(), Some("memory"));
    service.stop().await;
    // In a test nothing is known of the configuration, and a route may name its broker in code.
    let routes = vec![route("a", RouteOptions::new().broker("legacy"))];
    in_kit(routes).start().await;
}
