//! A route's options of its broker, by code, the file and the environment.

use std::collections::BTreeMap;

use loafer_core::{Error, policy::Names};
use loafer_runtime::program::{App, RouteOptions};

use crate::exchanges::{
    Argument, Exchanges, Options, QueueType, configured, fault, of_broker, plan, route,
};

/// The options of one route as its broker reads them.
fn options(
    name: &'static str,
    code: RouteOptions,
    file: &str,
    environment: &[(&str, &str)],
) -> Result<Options, Error> {
    plan(App::new(), file, environment, vec![route(name, code)])?;
    let broker = configured("ex-changes").unwrap();
    let (_, options) = broker.sources.lock().unwrap().pop().unwrap();
    Ok(options)
}

fn arguments<const COUNT: usize>(of: [(&str, Argument); COUNT]) -> BTreeMap<String, Argument> {
    of.map(|(name, value)| (name.to_owned(), value)).into()
}

#[test]
fn every_key_is_read_from_the_file() {
    let file = r#"
        [routes.orders.options]
        exchange = "event"
        binding = ["order.closed", "order.paid"]
        queue_type = "classic"
        arguments = { x-max-length = 10_000, x-single-active-consumer = true, x-overflow = "reject-publish" }
        declare = false
        priority = 3
    "#;
    let read = options("orders", RouteOptions::new(), file, &[]).unwrap();
    let expected = Options {
        exchange: Some("event".to_owned()),
        binding: Some(Names::from(["order.closed", "order.paid"])),
        queue_type: Some(QueueType::Classic),
        arguments: arguments([
            ("x-max-length", Argument::Int(10_000)),
            ("x-single-active-consumer", Argument::Bool(true)),
            ("x-overflow", Argument::String("reject-publish".to_owned())),
        ]),
        declare: Some(false),
        priority: Some(3),
    };
    assert_eq!(read, expected);
}

#[test]
fn the_environment_outranks_the_file_key_by_key() {
    let file = r#"
        [routes.orders.options]
        exchange = "event"
        binding = "order.*"
        declare = true
        arguments = { x-max-length = 1, "x-Odd.name" = 1, x-kept = 1 }
    "#;
    let environment = [
        ("LOAFER_ROUTES__ORDERS__OPTIONS__EXCHANGE", ""),
        (
            "LOAFER_ROUTES__ORDERS__OPTIONS__BINDING",
            "[\"order.closed\", \"order.paid\"]",
        ),
        ("LOAFER_ROUTES__ORDERS__OPTIONS__QUEUE_TYPE", "quorum"),
        ("LOAFER_ROUTES__ORDERS__OPTIONS__DECLARE", "false"),
        ("LOAFER_ROUTES__ORDERS__OPTIONS__PRIORITY", "7"),
        (
            "LOAFER_ROUTES__ORDERS__OPTIONS__ARGUMENTS__X_MAX_LENGTH",
            "2",
        ),
        (
            "LOAFER_ROUTES__ORDERS__OPTIONS__ARGUMENTS__X_ODD_NAME",
            "true",
        ),
        (
            "LOAFER_ROUTES__ORDERS__OPTIONS__ARGUMENTS__X_OVERFLOW",
            "drop-head",
        ),
    ];
    let read = options("orders", RouteOptions::new(), file, &environment).unwrap();
    let expected = Options {
        exchange: Some(String::new()),
        binding: Some(Names::from(["order.closed", "order.paid"])),
        queue_type: Some(QueueType::Quorum),
        arguments: arguments([
            ("x-Odd.name", Argument::Bool(true)),
            ("x-kept", Argument::Int(1)),
            ("x-max-length", Argument::Int(2)),
            ("x-overflow", Argument::String("drop-head".to_owned())),
        ]),
        declare: Some(false),
        priority: Some(7),
    };
    assert_eq!(read, expected);
}

#[test]
fn a_table_in_the_environment_takes_the_place_of_what_is_none() {
    let file = "[routes.orders.options]\narguments = \"none\"";
    let argument = [(
        "LOAFER_ROUTES__ORDERS__OPTIONS__ARGUMENTS__X_MAX_LENGTH",
        "2",
    )];
    let read = options("orders", RouteOptions::new(), file, &argument).unwrap();
    let expected = arguments([("x-max-length", Argument::Int(2))]);
    assert_eq!(read.arguments, expected);
}

#[test]
fn each_place_outranks_the_weaker_ones_key_by_key() {
    let of_route = Options::default()
        .exchange("by-attribute")
        .binding(["a", "b"])
        .argument("x-kept", 1)
        .argument("x-by", 1);
    let of_code = Options::default().exchange("by-code").argument("x-by", 2);
    let read = |file: &str, environment: &[(&str, &str)]| {
        let app = App::new().options("orders", of_broker(of_code.clone()));
        let routes = vec![route("orders", of_broker(of_route.clone()))];
        plan(app, file, environment, routes).unwrap();
        let broker = configured("ex-changes").unwrap();
        let (_, options) = broker.sources.lock().unwrap().pop().unwrap();
        options
    };
    let by_code = read("", &[]);
    assert_eq!(by_code.exchange.as_deref(), Some("by-code"));
    assert_eq!(by_code.binding, Some(Names::from(["a", "b"])));
    let kept = ("x-kept", Argument::Int(1));
    let expected = |by| arguments([kept.clone(), ("x-by", Argument::Int(by))]);
    assert_eq!(by_code.arguments, expected(2));

    let file = "[routes.orders.options]\nbinding = \"by-file\"\narguments = { x-by = 3 }";
    let by_file = read(file, &[]);
    assert_eq!(by_file.exchange.as_deref(), Some("by-code"));
    assert_eq!(by_file.binding, Some(Names::from("by-file")));
    assert_eq!(by_file.arguments, expected(3));

    let environment = [
        ("LOAFER_ROUTES__ORDERS__OPTIONS__BINDING", "order.#"),
        ("LOAFER_ROUTES__ORDERS__OPTIONS__ARGUMENTS__X_BY", "4"),
    ];
    let by_environment = read(file, &environment);
    assert_eq!(by_environment.exchange.as_deref(), Some("by-code"));
    assert_eq!(by_environment.binding, Some(Names::from("order.#")));
    assert_eq!(by_environment.arguments, expected(4));
}

#[test]
fn what_can_not_be_is_told_with_its_place() {
    for (file, told) in [
        (
            "queue_type = \"stream\"",
            "wrong value at `queue_type`: expected `quorum` or `classic`",
        ),
        ("priority = 300", "wrong value at `priority`: expected u8"),
        (
            "binding = 3",
            "wrong value at `binding`: a name, for example \"order.*\", or a list",
        ),
        (
            "arguments = { x = 1.5 }",
            "wrong value at `arguments.x`: true, false, a whole number or a text",
        ),
        (
            "arguments = \"x\"",
            "wrong value at `arguments`: expected a map",
        ),
        (
            "exchnage = \"a\"",
            "unknown key `routes.orders.options.exchnage`; did you mean `exchange`?",
        ),
        (
            "quality = \"a\"",
            "unknown key `routes.orders.options.quality`; known: `exchange`, `binding`",
        ),
        (
            "binding = []",
            "`binding` names no routing key, or an empty one",
        ),
    ] {
        let file = format!("[routes.orders.options]\n{file}");
        let routes = vec![route("orders", RouteOptions::new())];
        let error = fault(App::new(), &file, &[], routes);
        assert!(error.contains(told), "{file}: {error}");
        assert!(error.starts_with("route `orders`: "), "{error}");
    }
}

#[test]
fn options_are_a_table() {
    let routes = || vec![route("orders", RouteOptions::new())];
    let error = fault(App::new(), "[routes.orders]\noptions = 3", &[], routes());
    assert!(
        error.contains("line 2") && error.contains("a table of what the route's broker knows"),
        "{error}"
    );
    let whole = [("LOAFER_ROUTES__ORDERS__OPTIONS", "x")];
    let error = fault(App::new(), "", &whole, routes());
    assert_eq!(
        error,
        "the variable `LOAFER_ROUTES__ORDERS__OPTIONS` of the environment: `OPTIONS` has parts: write LOAFER_ROUTES__ORDERS__OPTIONS__KEY"
    );
}

#[test]
fn what_can_not_be_in_the_environment_is_told_with_its_place() {
    for (key, value, told) in [
        (
            "QUEUE_TYPE",
            "stream",
            "wrong value at `queue_type`: expected `quorum` or `classic`",
        ),
        ("PRIORITY", "high", "wrong value at `priority`: expected u8"),
        (
            "DECLARE",
            "yes",
            "wrong value at `declare`: expected a boolean",
        ),
        (
            "EXCHNAGE",
            "x",
            "unknown key `routes.orders.options.exchnage`; did you mean `exchange`?",
        ),
    ] {
        let name = format!("LOAFER_ROUTES__ORDERS__OPTIONS__{key}");
        let routes = vec![route("orders", RouteOptions::new())];
        let error = fault(App::new(), "", &[(&name, value)], routes);
        assert!(error.contains(told), "{error}");
        assert!(
            error.contains("`[routes.orders.options]`") || error.contains("unknown key"),
            "{error}"
        );
    }
}

#[test]
fn no_value_of_an_option_is_shown() {
    for file in [
        "queue_type = \"hunter2\"",
        "arguments = { x = [\"hunter2\"] }",
        "arguments = \"hunter2\"",
        "priority = \"hunter2\"",
    ] {
        let file = format!("[routes.orders.options]\n{file}");
        let routes = vec![route("orders", RouteOptions::new())];
        let error = fault(App::new(), &file, &[], routes);
        assert!(!error.contains("hunter2"), "{error}");
    }
    // A line of the file that is shown may hold some of them.
    let file = "[routes]\norders = { batch = true, options = { exchange = \"hunter2\" } }";
    let routes = vec![route("orders", RouteOptions::new())];
    let error = fault(App::new(), file, &[], routes);
    assert!(
        error.starts_with("`loafer.toml`: line 2, column 20: ") && !error.contains("hunter2"),
        "{error}"
    );
    let code = of_broker(Options::default().exchange("hunter2"));
    assert!(!format!("{code:?}").contains("hunter2"));
}

#[test]
fn handlers_of_one_route_agree_on_its_options() {
    let two = |one: RouteOptions, other: RouteOptions| {
        let placed = route("orders", one).on("order.placed".parse().unwrap());
        plan(App::new(), "", &[], vec![placed, route("orders", other)])
    };
    let bound = |to: &str| of_broker(Options::default().binding(to));
    let error = two(bound("a"), bound("b")).unwrap_err().to_string();
    assert!(
        error.contains("set `options.binding` to different values"),
        "{error}"
    );
    let event = of_broker(Options::default().exchange("event"));
    two(bound("a"), event).unwrap();
    let broker = configured("ex-changes").unwrap();
    let (_, both) = broker.sources.lock().unwrap().pop().unwrap();
    assert_eq!(both, Options::default().exchange("event").binding("a"));

    let argument = |value| Options::default().argument("x-max-length", value);
    let error = two(of_broker(argument(1)), of_broker(argument(2)));
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains("set `options.arguments.x-max-length` to different values"),
        "{error}"
    );
    let more = argument(1).argument("x-expires", 1);
    two(of_broker(argument(1)), of_broker(more)).unwrap();
}

#[test]
fn routes_may_be_called_as_patterns_are() {
    for name in ["#", "order.*"] {
        let file = format!("[routes.\"{name}\".options]\nexchange = \"event\"");
        let read = options(name, RouteOptions::new(), &file, &[]).unwrap();
        assert_eq!(read.exchange.as_deref(), Some("event"));
    }
}

#[test]
fn a_value_given_in_code_is_the_first_of_its_kind() {
    let broker = Exchanges::default();
    let app = App::new().broker(broker.clone());
    plan(app, "", &[], vec![route("orders", RouteOptions::new())]).unwrap();
    assert_eq!(broker.sources.lock().unwrap().len(), 1);
    assert_eq!(*broker.is_first.lock().unwrap(), [true]);
}
