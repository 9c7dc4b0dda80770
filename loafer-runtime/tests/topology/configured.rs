//! A route's topology, by code, the file and the environment.

use loafer_core::{
    Error,
    broker::Source,
    policy::{Argument, Bindings, DeadLetterTarget, Declare, QueueType},
};
use loafer_runtime::program::{App, RouteOptions};

use crate::exchanges::{Exchanges, plan, route};

/// The source of one route, by what the code, the file and the environment say.
fn source(
    name: &'static str,
    options: RouteOptions,
    file: &str,
    environment: &[(&str, &str)],
) -> Result<Source, Error> {
    let broker = Exchanges::default();
    let app = App::new().broker(broker.clone());
    plan(app, file, environment, vec![route(name, options)])?;
    let source = broker.sources.lock().unwrap().pop().unwrap();
    Ok(source)
}

fn fault(options: RouteOptions, file: &str, environment: &[(&str, &str)]) -> String {
    let planned = source("orders", options, file, environment);
    planned.unwrap_err().to_string()
}

#[test]
fn every_key_is_read_from_the_file() {
    let file = r#"
        [routes.orders]
        exchange = "event"
        binding = ["order.closed", "order.paid"]
        queue_type = "classic"
        arguments = { x-max-length = 10_000, x-single-active-consumer = true, x-overflow = "reject-publish" }
        declare = "verify"
        dead_letter = { exchange = "amq.direct", routing_key = "dead" }
    "#;
    let topology = source("orders", RouteOptions::new(), file, &[])
        .unwrap()
        .topology;
    assert_eq!(topology.exchange.as_deref(), Some("event"));
    assert_eq!(
        topology.binding,
        Some(Bindings::from(["order.closed", "order.paid"]))
    );
    assert_eq!(topology.queue_type, Some(QueueType::Classic));
    let arguments = [
        ("x-max-length", Argument::from(10_000)),
        ("x-overflow", Argument::from("reject-publish")),
        ("x-single-active-consumer", Argument::from(true)),
    ];
    let arguments = arguments.map(|(name, value)| (name.to_owned(), value));
    assert_eq!(topology.arguments, arguments.into());
    assert_eq!(topology.declare, Some(Declare::Verify));
    assert_eq!(
        topology.dead_letter,
        Some(DeadLetterTarget::new("amq.direct", "dead"))
    );
}

#[test]
fn the_environment_outranks_the_file_key_by_key() {
    let file = r#"
        [routes.orders]
        exchange = "event"
        binding = "order.*"
        declare = "create"
        arguments = { x-max-length = 1, "x-Odd.name" = 1, x-kept = 1 }
        dead_letter = { exchange = "kept", routing_key = "dead" }
    "#;
    let environment = [
        ("LOAFER_ROUTES__ORDERS__EXCHANGE", ""),
        (
            "LOAFER_ROUTES__ORDERS__BINDING",
            "[\"order.closed\", \"order.paid\"]",
        ),
        ("LOAFER_ROUTES__ORDERS__QUEUE_TYPE", "quorum"),
        ("LOAFER_ROUTES__ORDERS__DECLARE", "off"),
        ("LOAFER_ROUTES__ORDERS__ARGUMENTS__X_MAX_LENGTH", "2"),
        ("LOAFER_ROUTES__ORDERS__ARGUMENTS__X_ODD_NAME", "true"),
        ("LOAFER_ROUTES__ORDERS__ARGUMENTS__X_OVERFLOW", "drop-head"),
        ("LOAFER_ROUTES__ORDERS__DEAD_LETTER__ROUTING_KEY", "other"),
    ];
    let topology = source("orders", RouteOptions::new(), file, &environment)
        .unwrap()
        .topology;
    assert_eq!(topology.exchange.as_deref(), Some(""));
    assert_eq!(
        topology.binding.unwrap().keys(),
        ["order.closed", "order.paid"]
    );
    assert_eq!(topology.queue_type, Some(QueueType::Quorum));
    assert_eq!(topology.declare, Some(Declare::Off));
    let arguments = [
        ("x-Odd.name", Argument::from(true)),
        ("x-kept", Argument::from(1)),
        ("x-max-length", Argument::from(2)),
        ("x-overflow", Argument::from("drop-head")),
    ];
    let arguments = arguments.map(|(name, value)| (name.to_owned(), value));
    assert_eq!(topology.arguments, arguments.into());
    assert_eq!(
        topology.dead_letter,
        Some(DeadLetterTarget::new("kept", "other"))
    );
}

#[test]
fn the_file_outranks_code_and_one_binding_needs_no_list() {
    let options = RouteOptions::new()
        .binding(["a", "b"])
        .exchange("by-code")
        .argument("x-kept", true);
    let environment = [("LOAFER_ROUTES__ORDERS__BINDING", "order.#")];
    let file = "[routes.orders]\nbinding = \"by-file\"";
    let by_file = source("orders", options.clone(), file, &[])
        .unwrap()
        .topology;
    assert_eq!(by_file.binding.unwrap().keys(), ["by-file"]);
    assert_eq!(by_file.exchange.as_deref(), Some("by-code"));
    assert_eq!(by_file.arguments["x-kept"], Argument::Truth(true));
    let by_environment = source("orders", options, file, &environment).unwrap();
    assert_eq!(by_environment.topology.binding.unwrap().keys(), ["order.#"]);
}

#[test]
fn what_can_not_be_is_told_with_its_place() {
    for (file, told) in [
        ("queue_type = \"stream\"", "expected `quorum` or `classic`"),
        ("declare = \"yes\"", "`create`, `verify`, `off`"),
        ("binding = 3", "a routing key, as \"order.*\", or a list"),
        ("arguments = { x = 1.5 }", "a whole number or a text"),
        (
            "dead_letter = { exchange = \"a\" }",
            "missing field `routing_key`",
        ),
        (
            "dead_letter = { routing_ky = \"a\" }",
            "unknown key `routes.orders.dead_letter.routing_ky`; did you mean `routing_key`?",
        ),
        (
            "exchnage = \"a\"",
            "unknown key `routes.orders.exchnage`; did you mean `exchange`?",
        ),
        ("binding = []", "`binding` names no routing key"),
        (
            "binding = \"\"",
            "`binding` names no routing key, or an empty one",
        ),
        (
            "dead_letter = { routing_key = \"\" }",
            "`dead_letter.routing_key` is empty",
        ),
    ] {
        let error = fault(
            RouteOptions::new(),
            &format!("[routes.orders]\n{file}"),
            &[],
        );
        assert!(error.contains(told), "{file}: {error}");
        // Of the file: by its line.
        assert!(
            error.contains("orders") || error.contains("line 2"),
            "{error}"
        );
    }
}

#[test]
fn what_can_not_be_in_the_environment_names_its_variable() {
    for (key, value, told) in [
        ("QUEUE_TYPE", "stream", "neither `quorum` nor `classic`"),
        ("DECLARE", "yes", "neither `create` nor `verify` nor `off`"),
        ("BINDING", "[a", "is no list of routing keys"),
        (
            "ARGUMENTS",
            "x",
            "LOAFER_ROUTES__ORDERS__ARGUMENTS__X_MAX_LENGTH",
        ),
        (
            "DEAD_LETTER",
            "x",
            "LOAFER_ROUTES__ORDERS__DEAD_LETTER__ROUTING_KEY",
        ),
        ("DEAD_LETTER__KEY", "x", "unknown key `KEY`"),
        ("BINDING__KEY", "x", "is nested in a way no key is"),
    ] {
        let name = format!("LOAFER_ROUTES__ORDERS__{key}");
        let error = fault(RouteOptions::new(), "", &[(&name, value)]);
        assert!(error.contains(told), "{error}");
        assert!(error.contains(&format!("`{name}`")), "{error}");
    }
    let half = [("LOAFER_ROUTES__ORDERS__DEAD_LETTER__EXCHANGE", "x")];
    let error = fault(RouteOptions::new(), "", &half);
    assert!(
        error.contains("at `routes.orders.dead_letter`: missing field `routing_key`"),
        "{error}"
    );
}

#[test]
fn a_broker_without_exchanges_refuses_each_key_by_its_name() {
    let target = DeadLetterTarget::new("", "dead");
    for (key, options) in [
        ("exchange", RouteOptions::new().exchange("event")),
        ("binding", RouteOptions::new().binding("order.*")),
        (
            "queue_type",
            RouteOptions::new().queue_type(QueueType::Quorum),
        ),
        ("arguments", RouteOptions::new().argument("x", 1)),
        ("declare", RouteOptions::new().declare(Declare::Off)),
        ("dead_letter", RouteOptions::new().dead_letter(target)),
    ] {
        let route = route("orders", options).provider::<loafer_memory::Memory>();
        let error = plan(App::new(), "", &[], vec![route]).unwrap_err();
        let told = format!(
            "route `orders`: `{key}` is set, and its broker `memory` has no exchanges: leave it out"
        );
        assert_eq!(error.to_string(), told);
    }
}

#[test]
fn handlers_of_one_route_agree_on_its_topology() {
    let two = |one: RouteOptions, other: RouteOptions| {
        let placed = route("orders", one).on("order.placed".parse().unwrap());
        plan(App::new(), "", &[], vec![placed, route("orders", other)])
    };
    let binding = RouteOptions::new().binding("a");
    let error = two(binding.clone(), RouteOptions::new().binding("b")).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("set `binding` to different values")
    );
    two(binding, RouteOptions::new().exchange("event")).unwrap();
    let argument = |value: i64| RouteOptions::new().argument("x-max-length", value);
    let error = two(argument(1), argument(2)).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("set `arguments` to different values")
    );
    two(argument(1), argument(1).argument("x-overflow", "drop-head")).unwrap();
}

#[test]
fn routes_may_be_called_as_patterns_are() {
    for name in ["#", "order.*"] {
        let file = format!("[routes.\"{name}\"]\nexchange = \"event\"");
        let source = source(name, RouteOptions::new(), &file, &[]).unwrap();
        assert_eq!(source.route, name);
        assert_eq!(source.topology.exchange.as_deref(), Some("event"));
    }
}

#[test]
fn the_name_of_the_app_names_queues_where_the_route_names_none() {
    let queue = |app: App, file: &str, options: RouteOptions| {
        let manager = plan(app, file, &[], vec![route("orders", options)]).unwrap();
        manager.routes()[0].queue.clone()
    };
    let new = RouteOptions::new;
    assert_eq!(queue(App::new(), "", new()), "nobody.orders");
    assert_eq!(queue(App::new().name("code"), "", new()), "code.orders");
    let file = "app = \"file\"";
    assert_eq!(queue(App::new().name("code"), file, new()), "file.orders");
    let named = new().queue("mine");
    assert_eq!(queue(App::new().name("code"), file, named), "mine");
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
