//! What the configuration says of a broker: the section of its name.

use loafer_memory::Memory;
use loafer_runtime::program::{App, Route, RouteOptions};

use crate::exchanges::{Exchanges, Link, Login, Mode, Url, plan, route};

/// What comes to the broker.
fn link(file: &str, environment: &[(&str, &str)]) -> Result<Link, String> {
    let broker = Exchanges::default();
    let app = App::new().broker(broker.clone());
    let routes = vec![route("orders", RouteOptions::new())];
    let manager = plan(app, file, environment, routes).map_err(|error| error.to_string())?;
    // Nor by accident.
    assert!(!format!("{manager:?}").contains("hunter2"));
    Ok(broker.link.lock().unwrap().clone())
}

#[test]
fn a_broker_reads_its_section_and_the_environment_outranks_it() {
    let file = r#"
        [ex-changes]
        url = "link://file"
        port = 1
        mode = "scram"
        peers = ["a", "b"]
        login = { user = "ana", password = "kept" }
    "#;
    let environment = [
        ("LOAFER_EX_CHANGES__URL", "link://environment"),
        ("LOAFER_EX_CHANGES__PORT", "2"),
        ("LOAFER_EX_CHANGES__TLS", "true"),
        ("LOAFER_EX_CHANGES__SHARE", "0.5"),
        ("LOAFER_EX_CHANGES__LOGIN__USER", "007"),
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
fn a_password_that_looks_like_a_number_is_a_text() {
    let environment = [("LOAFER_EX_CHANGES__LOGIN__PASSWORD", "12345")];
    assert_eq!(link("", &environment).unwrap().login.password, "12345");
}

#[test]
fn what_does_not_fit_is_told_without_its_value() {
    for (inside, told) in [
        (
            "url = \"hunter2\"",
            "`[ex-changes]`: wrong value at `url`: \"…\" is no address: write link://HOST",
        ),
        (
            "port = \"hunter2\"",
            "`[ex-changes]`: wrong value at `port`: expected u16",
        ),
        (
            "port = 70000",
            "`[ex-changes]`: wrong value at `port`: expected u16",
        ),
        (
            "mode = \"hunter2\"",
            "`[ex-changes]`: wrong value at `mode`: expected `plain` or `scram`",
        ),
        (
            "login = \"hunter2\"",
            "`[ex-changes]`: wrong value at `login`: expected struct Login",
        ),
        (
            "peers = [\"hunter2\", 70000]",
            "`[ex-changes]`: wrong value at `peers[1]`: expected a string",
        ),
        (
            "login.pasword = \"hunter2\"",
            "unknown key `ex-changes.pasword`; did you mean `password`?",
        ),
    ] {
        let error = link(&format!("[ex-changes]\n{inside}"), &[]).unwrap_err();
        assert!(error.contains(told), "{inside}: {error}");
        assert!(
            !error.contains("hunter2") && !error.contains("70000"),
            "{error}"
        );
    }
    let secret = "hunter2 with \"quotes\"";
    let error = link("", &[("LOAFER_EX_CHANGES__URL", secret)]).unwrap_err();
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
        let error = link(&format!("drain = \"1s\"\n[ex-changes]\n{line}\n"), &[]).unwrap_err();
        assert!(!error.contains("hunter2"), "{error}");
        assert!(error.starts_with("`loafer.toml`: line "), "{error}");
    }
    let error = link("[ex-changes]\nurl = \"a", &[]).unwrap_err();
    assert!(
        error.starts_with("`loafer.toml`: line 2, column "),
        "{error}"
    );
}

#[test]
fn a_section_of_nobody_says_what_is_known() {
    let told = "unknown section `kafka`; known: `routes`, `topics`, `ex-changes`; \
                it stands in `loafer.toml` as `[kafka]`, or in the environment as `LOAFER_KAFKA__…`";
    let error = link("[kafka]\nurl = \"hunter2\"", &[]).unwrap_err();
    assert_eq!(error, told);
    let error = link("", &[("LOAFER_KAFKA__URL", "hunter2")]).unwrap_err();
    assert_eq!(error, told);
    let error = link("[exchanges]", &[]).unwrap_err();
    assert!(error.contains("did you mean `ex-changes`?"), "{error}");
}

#[test]
fn a_section_that_is_nearly_routes_is_a_slip() {
    let error = link("[route.orders]\nqueue = \"q\"", &[]).unwrap_err();
    assert_eq!(
        error,
        "`loafer.toml`: unknown key `route`; did you mean `routes`?"
    );
    let environment = [("LOAFER_ROUTE__ORDERS__QUEUE", "q")];
    let error = link("", &environment).unwrap_err();
    assert!(error.contains("write LOAFER_ROUTES__ROUTE__KEY"), "{error}");
}

#[test]
fn a_key_of_a_broker_with_one_underscore_says_how_it_is_written() {
    let error = link("", &[("LOAFER_AMQP_URL", "hunter2")]).unwrap_err();
    assert!(error.contains("`LOAFER_AMQP_URL`"), "{error}");
    assert!(error.contains("LOAFER_AMQP__URL, with two `_`"), "{error}");
    assert!(!error.contains("hunter2"), "{error}");
    let error = link("", &[("LOAFER_APP__NAME", "x")]).unwrap_err();
    assert!(error.contains("is nested in a way no key is"), "{error}");
}

#[test]
fn a_section_is_a_table() {
    let error = link("ex-changes = \"hunter2\"", &[]).unwrap_err();
    assert!(error.contains("unknown key `ex-changes`"), "{error}");
    assert!(!error.contains("hunter2"), "{error}");
}

#[test]
fn a_broker_that_takes_no_settings_says_so() {
    let of_memory = |app: App, provider: fn(Route) -> Route| {
        let routes = vec![provider(route("orders", RouteOptions::new()))];
        let planned = plan(app, "[memory]\nurl = \"hunter2\"", &[], routes);
        planned.unwrap_err().to_string()
    };
    let told = "`[memory]`: the broker `memory` takes no settings from `loafer.toml`: leave the section out";
    assert_eq!(
        of_memory(App::new(), |route| route.provider::<Memory>()),
        told
    );
    // Also where it takes the place of the route's own.
    let memory = App::new().provider(loafer_runtime::program::BrokerKind::of::<Memory>());
    assert_eq!(of_memory(memory, |route| route), told);
}

#[test]
fn the_section_of_a_broker_that_another_stands_in_for_is_left_unread() {
    let memory = App::new().provider(loafer_runtime::program::BrokerKind::of::<Memory>());
    let routes = vec![route("orders", RouteOptions::new())];
    plan(memory, "[ex-changes]\nport = \"many\"", &[], routes).unwrap();
}
