//! What a route asks of its broker: queue, topics, consumer.

use loafer_core::{broker::Source, translate::Json};
use loafer_memory::Memory;
use loafer_runtime::program::{App, Manager, Route, RouteOptions};
use serde_json::Value;

use crate::exchanges::{Exchanges, configured, fault, in_memory, plan, route};

/// What the broker of one route is asked for.
fn source(app: App, options: RouteOptions, file: &str, environment: &[(&str, &str)]) -> Source {
    plan(app, file, environment, vec![route("orders", options)]).unwrap();
    let broker = configured("ex-changes").unwrap();
    let (source, _) = broker.sources.lock().unwrap().pop().unwrap();
    source
}

#[test]
fn the_topics_of_a_route_are_its_name_unless_it_names_others() {
    let new = RouteOptions::new;
    let topics = |options: RouteOptions, file: &str, environment: &[(&str, &str)]| {
        source(App::new(), options, file, environment).topics
    };
    assert_eq!(topics(new(), "", &[]), ["orders"]);
    let code = || new().topics(["a", "b"]);
    assert_eq!(topics(code(), "", &[]), ["a", "b"]);
    let file = "[routes.orders]\ntopics = \"order.*\"";
    assert_eq!(topics(code(), file, &[]), ["order.*"]);
    for (written, read) in [("#", vec!["#"]), ("[\"c\", \"d.#\"]", vec!["c", "d.#"])] {
        let environment = [("LOAFER_ROUTES__ORDERS__TOPICS", written)];
        assert_eq!(topics(code(), file, &environment), read);
    }
}

#[test]
fn topics_are_called_as_the_broker_calls_them() {
    let file = r#"
        [routes.orders]
        topics = ["order.closed", "order.paid"]
        [topics."order.closed"]
        name = "closed-of-production"
    "#;
    let topics = source(App::new(), RouteOptions::new(), file, &[]).topics;
    assert_eq!(topics, ["closed-of-production", "order.paid"]);
    let named = "[topics.orders]\nname = \"orders-of-production\"";
    let topics = source(App::new(), RouteOptions::new(), named, &[]).topics;
    assert_eq!(topics, ["orders-of-production"]);
}

#[test]
fn no_topic_and_an_empty_one_are_mistakes() {
    for written in ["[]", "\"\"", "[\"a\", \"\"]"] {
        let file = format!("[routes.orders]\ntopics = {written}");
        let routes = vec![route("orders", RouteOptions::new())];
        assert_eq!(
            fault(App::new(), &file, &[], routes),
            "route `orders`: `topics` names no topic, or an empty one: name one, or leave it out for the topic of the route's name"
        );
    }
    let environment = [("LOAFER_ROUTES__ORDERS__TOPICS", "[a")];
    let routes = vec![route("orders", RouteOptions::new())];
    let error = fault(App::new(), "", &environment, routes);
    assert!(error.contains("`[a` is not a list of topics"), "{error}");
}

#[test]
fn the_consumer_is_the_routes_else_the_app() {
    let consumer = |app: App, file: &str, environment: &[(&str, &str)]| {
        let options = RouteOptions::new();
        let source = source(app, options, file, environment);
        (source.consumer, source.queue, source.named)
    };
    let is = |consumer: &str| {
        let queue = format!("{consumer}.orders");
        (Some(consumer.to_owned()), queue, false)
    };
    let nobody = (None, "nobody.orders".to_owned(), false);
    assert_eq!(consumer(App::new(), "", &[]), nobody);
    let named = || App::new().name("code");
    assert_eq!(consumer(named(), "", &[]), is("code"));
    let app = "app = \"file\"\n";
    assert_eq!(consumer(named(), app, &[]), is("file"));
    let file = format!("{app}[routes.orders]\nconsumer = \"billing\"");
    assert_eq!(consumer(named(), &file, &[]), is("billing"));
    let environment = [("LOAFER_ROUTES__ORDERS__CONSUMER", "audit")];
    assert_eq!(consumer(named(), &file, &environment), is("audit"));

    let routes = vec![route("orders", RouteOptions::new().consumer(""))];
    assert_eq!(
        fault(App::new(), "", &[], routes),
        "route `orders`: `consumer` is empty: name the consumer, or leave it out for the app's name"
    );
}

#[test]
fn a_queue_that_somebody_named_is_called_so() {
    let options = RouteOptions::new().queue("mine").consumer("billing");
    let source = source(App::new().name("code"), options, "", &[]);
    assert_eq!((&*source.queue, source.named), ("mine", true));
    assert_eq!(source.policy.queue, "mine");
    assert_eq!(source.translators, ["Json"]);
}

#[test]
fn a_broker_is_told_the_name_of_the_app() {
    let told = |app: App, file: &str| {
        let broker = Exchanges::default();
        let routes = vec![route("orders", RouteOptions::new())];
        plan(app.broker(broker.clone()), file, &[], routes).unwrap();
        broker.app.lock().unwrap().clone()
    };
    assert_eq!(told(App::new(), ""), None);
    let named = || App::new().name("code");
    assert_eq!(told(named(), "").as_deref(), Some("code"));
    assert_eq!(told(named(), "app = \"file\"").as_deref(), Some("file"));
}

#[test]
fn in_memory_a_queue_keeps_the_name_that_its_broker_gives_it() {
    let queue = |app: App, file: &str| {
        let routes = vec![route("orders", RouteOptions::new())];
        let manager = plan(app, file, &[], routes).unwrap();
        let summary = manager.routes().swap_remove(0);
        (summary.broker, summary.queue)
    };
    let memory = |queue: &str| ("memory".to_owned(), queue.to_owned());
    let named = || in_memory().name("billing");
    assert_eq!(queue(named(), ""), memory("billing.orders"));
    // As it is called where the configuration moves the route to.
    let moved = "[routes.orders]\nbroker = \"memory\"";
    assert_eq!(queue(named(), moved), memory("orders"));
    let on_memory = App::new().brokers([loafer_runtime::program::BrokerKind::of::<Memory>()]);
    assert_eq!(queue(on_memory, moved), memory("orders"));
}

#[test]
fn a_route_of_no_provider_says_what_to_do() {
    let route = || Route::new("orders").handler(Json, async |_: Value| true);
    let told = "route `orders`: it names no provider, and the program has no default: name one with `Route::provider::<B>()`, or give `App::default_provider`";
    let error = Manager::builder().route(route()).build().unwrap_err();
    assert_eq!(error.to_string(), told);
    // Two kinds given in code are no default either; one is.
    let one = || App::new().broker(Exchanges::default());
    let two = one().broker(Memory::new());
    assert_eq!(fault(two, "", &[], vec![route()]), told);
    plan(one(), "", &[], vec![route()]).unwrap();
    // The configuration may name one.
    let named = "[routes.orders]\nbroker = \"memory\"";
    let two = one().broker(Memory::new());
    plan(two, named, &[], vec![route()]).unwrap();
}
