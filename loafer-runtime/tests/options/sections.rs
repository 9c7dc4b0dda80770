//! What the configuration says of a broker: its section.

use loafer_memory::Memory;
use loafer_runtime::program::{App, Config, Route, RouteOptions};

use crate::exchanges::{
    Exchanges, Link, Login, Mode, Plain, Url, configured, fault, in_memory, plan, route, variables,
};

/// What comes to the broker.
fn link(file: &str, environment: &[(&str, &str)]) -> Result<Link, String> {
    let routes = vec![route("orders", RouteOptions::new())];
    let manager = plan(App::new(), file, environment, routes).map_err(|error| error.to_string())?;
    // Nor by accident.
    let config = Config::parse(file, variables(environment), &["orders"]).unwrap();
    assert!(!format!("{manager:?}{config:?}").contains("hunter2"));
    let broker = configured("ex-changes").unwrap();
    Ok(broker.link.lock().unwrap().clone())
}

/// Why it does not start with one route.
fn told(file: &str, environment: &[(&str, &str)]) -> String {
    link(file, environment).unwrap_err()
}

#[test]
fn a_broker_reads_its_section_and_the_environment_outranks_it() {
    let file = r#"
        [brokers.ex-changes]
        url = "link://file"
        port = 1
        mode = "scram"
        peers = ["a", "b"]
        login = { user = "ana", password = "kept" }
    "#;
    let environment = [
        ("LOAFER_BROKERS__EX_CHANGES__URL", "link://environment"),
        ("LOAFER_BROKERS__EX_CHANGES__PORT", "2"),
        ("LOAFER_BROKERS__EX_CHANGES__TLS", "true"),
        ("LOAFER_BROKERS__EX_CHANGES__SHARE", "0.5"),
        ("LOAFER_BROKERS__EX_CHANGES__LOGIN__USER", "007"),
    ];
    let expected = Link {
        url: Some(Url("link://environment".to_owned())),
        port: 2,
        tls: Some(true),
        share: 0.5,
        mode: Mode::Scram,
        peers: vec!["a".to_owned(), "b".to_owned()],
        login: Login {
            user: "007".to_owned(),
            password: "kept".to_owned(),
        },
    };
    assert_eq!(link(file, &environment).unwrap(), expected);
    let alone = link("", &environment[..2]).unwrap();
    assert_eq!((alone.port, alone.mode), (2, Mode::Plain));
}

#[test]
fn the_configuration_outranks_what_code_gave() {
    let broker = Exchanges::default();
    broker.link.lock().unwrap().port = 7;
    let port = |file: &str| {
        let routes = vec![route("orders", RouteOptions::new())];
        plan(App::new().broker(broker.clone()), file, &[], routes).unwrap();
        broker.link.lock().unwrap().port
    };
    assert_eq!(port(""), 7);
    assert_eq!(port("[brokers.ex-changes]\nport = 8"), 8);
}

#[test]
fn a_password_that_looks_like_a_number_is_a_text() {
    let environment = [("LOAFER_BROKERS__EX_CHANGES__LOGIN__PASSWORD", "12345")];
    assert_eq!(link("", &environment).unwrap().login.password, "12345");
}

#[test]
fn what_does_not_fit_is_told_without_its_value() {
    for (inside, what) in [
        (
            "url = \"hunter2\"",
            "`[brokers.ex-changes]`: wrong value at `url`: \"…\" is no address: write link://HOST",
        ),
        (
            "port = \"hunter2\"",
            "`[brokers.ex-changes]`: wrong value at `port`: expected u16",
        ),
        (
            "port = 70000",
            "`[brokers.ex-changes]`: wrong value at `port`: expected u16",
        ),
        (
            "mode = \"hunter2\"",
            "`[brokers.ex-changes]`: wrong value at `mode`: expected `plain` or `scram`",
        ),
        (
            "login = \"hunter2\"",
            "`[brokers.ex-changes]`: wrong value at `login`: expected struct Login",
        ),
        (
            "peers = [\"hunter2\", 70000]",
            "`[brokers.ex-changes]`: wrong value at `peers[1]`: expected a string",
        ),
        (
            "login.pasword = \"hunter2\"",
            "unknown key `brokers.ex-changes.login.pasword`; did you mean `password`?",
        ),
        (
            "prot = \"hunter2\"",
            "unknown key `brokers.ex-changes.prot`; did you mean `port`?",
        ),
    ] {
        let error = told(&format!("[brokers.ex-changes]\n{inside}"), &[]);
        assert_eq!(error, what, "{inside}");
    }
    let secret = "hunter2 with \"quotes\"";
    let error = told("", &[("LOAFER_BROKERS__EX_CHANGES__URL", secret)]);
    assert!(
        error.contains("is no address") && !error.contains("hunter2"),
        "{error}"
    );
}

#[test]
fn a_file_that_can_not_be_read_does_not_show_its_secrets() {
    for line in [
        "url = \"link://ana:hunter2@host",
        "url = link://ana:hunter2@host",
        "url = hunter2",
        "url = \"hunter2\" \"hunter2\"",
        "url = \"\\hunter2\"",
        "url = \"a\"\nurl = \"hunter2\"",
    ] {
        let file = format!("drain = \"1s\"\n[brokers.ex-changes]\n{line}\n");
        let error = told(&file, &[]);
        assert!(!error.contains("hunter2"), "{error}");
        assert!(error.starts_with("`loafer.toml`: line "), "{error}");
    }
    let error = told("[brokers.ex-changes]\nurl = \"a", &[]);
    assert!(
        error.starts_with("`loafer.toml`: line 2, column "),
        "{error}"
    );
}

#[test]
fn a_mistake_is_told_once_however_many_routes_and_topics_it_touches() {
    let routes = ["orders", "refunds", "returns"];
    let routes = routes.map(|name| route(name, RouteOptions::new())).into();
    let file = r#"
        [brokers.ex-changes]
        prot = "hunter2"
        [topics.one]
        publisher = "ex-changes"
        [topics.two]
        publisher = "ex-changes"
    "#;
    assert_eq!(
        fault(App::new(), file, &[], routes),
        "unknown key `brokers.ex-changes.prot`; did you mean `port`?"
    );
}

#[test]
fn a_section_of_no_kind_says_how_a_second_broker_is_named() {
    let what = "unknown broker `brokers.kafka`; known: `ex-changes`; a second broker of a kind says which: [brokers.kafka] with `kind = \"ex-changes\"`";
    assert_eq!(told("[brokers.kafka]\nurl = \"hunter2\"", &[]), what);
    let environment = [("LOAFER_BROKERS__KAFKA__URL", "hunter2")];
    assert_eq!(told("", &environment), what);
    let error = told("[brokers.exchanges]", &[]);
    assert!(error.contains("did you mean `ex-changes`?"), "{error}");
}

#[test]
fn an_unknown_kind_names_the_nearest() {
    assert_eq!(
        told("[brokers.legacy]\nkind = \"exchanges\"", &[]),
        "[brokers.legacy]: unknown kind `exchanges`; did you mean `ex-changes`?"
    );
    // Routes on it have nothing to add.
    let environment = [("LOAFER_ROUTES__ORDERS__BROKER", "legacy")];
    assert_eq!(
        told("[brokers.legacy]\nkind = \"exchanges\"", &environment),
        "[brokers.legacy]: unknown kind `exchanges`; did you mean `ex-changes`?"
    );
    assert_eq!(
        told("[brokers.legacy]\nkind = 3", &[]),
        "`brokers.legacy.kind` is not a text: write `kind = \"amqp\"`, for example"
    );
}

#[test]
fn a_kind_that_contradicts_is_refused() {
    let told = |app: App, file: &str| {
        let routes = vec![route("orders", RouteOptions::new())];
        fault(app.broker(Plain::default()), file, &[], routes)
    };
    let of_name = "[brokers.ex-changes]\nkind = \"plain\"";
    assert_eq!(
        told(App::new(), of_name),
        "[brokers.ex-changes]: `kind = \"plain\"`, but `ex-changes` is a broker of kind `ex-changes`: give the section another name, or leave `kind` out"
    );
    let given = App::new().broker_named("legacy", Exchanges::default());
    assert_eq!(
        told(given, "[brokers.legacy]\nkind = \"plain\""),
        "[brokers.legacy]: `kind = \"plain\"`, but `legacy` is a broker of kind `ex-changes`: give the section another name, or leave `kind` out"
    );
    // The kind that it has anyway may be said.
    link("[brokers.ex-changes]\nkind = \"ex-changes\"\nport = 1", &[]).unwrap();
}

#[test]
fn no_broker_takes_the_name_of_another_kind() {
    let given = App::new().broker_named("plain", Exchanges::default());
    let routes = vec![route("orders", RouteOptions::new())];
    assert_eq!(
        fault(given.broker_named("old", Plain::default()), "", &[], routes),
        "broker `plain` is of kind `ex-changes`, and `plain` is the name of the first broker of that kind: call it otherwise"
    );
}

#[test]
fn the_name_of_a_broker_can_stand_before_a_colon() {
    for name in ["a:b", ""] {
        let error = told(&format!("[brokers.\"{name}\"]\nkind = \"ex-changes\""), &[]);
        let what = format!("broker `{name}`: the name of a broker is not empty and has no `:`");
        assert!(error.starts_with(&what), "{error}");
    }
}

#[test]
fn a_section_is_a_table() {
    for (file, what) in [
        ("brokers = \"hunter2\"", "`brokers` is not a table"),
        (
            "[brokers]\nex-changes = \"hunter2\"",
            "`brokers.ex-changes` is not a table",
        ),
    ] {
        let error = told(file, &[]);
        let how = "write [brokers.NAME], and what is said of that broker below it";
        assert_eq!(error, format!("{what}: {how}"));
    }
    let error = told("", &[("LOAFER_BROKERS__EX_CHANGES", "hunter2")]);
    assert_eq!(
        error,
        "the variable `LOAFER_BROKERS__EX_CHANGES` of the environment: `EX_CHANGES` has parts: write LOAFER_BROKERS__EX_CHANGES__KEY"
    );
}

#[test]
fn a_broker_that_takes_no_settings_says_so() {
    let of_memory = |app: App, provider: fn(Route) -> Route| {
        let routes = vec![provider(route("orders", RouteOptions::new()))];
        fault(app, "[brokers.memory]\nurl = \"hunter2\"", &[], routes)
    };
    let what = "`[brokers.memory]`: the broker `memory` takes no settings: leave the section out";
    let on_memory = |route: Route| route.provider::<Memory>();
    assert_eq!(of_memory(App::new(), on_memory), what);
    // Also where it takes the place of the route's own.
    assert_eq!(of_memory(in_memory(), |route| route), what);
    // A section that says nothing is no mistake.
    let routes = vec![on_memory(route("orders", RouteOptions::new()))];
    plan(App::new(), "[brokers.memory]", &[], routes).unwrap();
}

#[test]
fn the_section_of_a_broker_that_another_stands_in_for_is_left_unread() {
    let routes = vec![route("orders", RouteOptions::new())];
    let file = "[brokers.ex-changes]\nport = \"many\"";
    plan(in_memory(), file, &[], routes).unwrap();
}

#[test]
fn the_section_of_a_broker_that_no_route_is_on_is_read() {
    let routes = vec![route("orders", RouteOptions::new())];
    let file = "[brokers.legacy]\nkind = \"ex-changes\"\nport = \"hunter2\"";
    assert_eq!(
        fault(App::new(), file, &[], routes),
        "broker `legacy`: `[brokers.legacy]`: wrong value at `port`: expected u16"
    );
}
