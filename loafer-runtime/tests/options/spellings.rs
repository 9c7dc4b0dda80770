//! Spellings of before: each is an error that gives the new one.

use loafer_runtime::program::{App, RouteOptions};

use crate::exchanges::{fault, plan, route};

fn told(file: &str, environment: &[(&str, &str)]) -> String {
    let routes = vec![route("orders", RouteOptions::new())];
    let error = fault(App::new(), file, environment, routes);
    assert!(!error.contains("hunter2"), "{error}");
    error
}

fn of_variable(name: &str) -> String {
    told("", &[(name, "hunter2")])
}

#[test]
fn a_section_at_the_top_is_written_under_brokers() {
    let error = told("[ex-changes]\nurl = \"hunter2\"", &[]);
    assert_eq!(
        error,
        "`loafer.toml`: unknown key `ex-changes`; known: `app`, `dead_letter_reasons`, `drain`, `log_bodies`, `max_unpacked_bytes`, `brokers`, `routes`, `topics`; the settings of a broker are written under [brokers.ex-changes]"
    );
    // Only what is a section can be a broker's.
    let error = told("colour = \"hunter2\"\n[ex-changes]\nport = 1", &[]);
    assert!(
        error.contains("unknown key `colour`") && !error.contains("brokers.ex-changes"),
        "{error}"
    );
}

#[test]
fn a_variable_of_a_broker_is_written_with_brokers_before_it() {
    for (old, new) in [
        (
            "LOAFER_EX_CHANGES__URL",
            "there is no section `ex_changes`; a setting of a broker is written LOAFER_BROKERS__EX_CHANGES__URL",
        ),
        (
            "LOAFER_EX_CHANGES__LOGIN__USER",
            "a setting of a broker is written LOAFER_BROKERS__EX_CHANGES__LOGIN__USER",
        ),
        (
            "LOAFER_AMQP_URL",
            "a setting of a broker is written LOAFER_BROKERS__AMQP__URL, with two `_`",
        ),
        (
            "LOAFER_BROKERS_AMQP_URL",
            "has one `_` between its levels; write two, as in LOAFER_BROKERS__AMQP__URL",
        ),
    ] {
        let error = of_variable(old);
        assert!(error.contains(new), "{error}");
        assert!(error.contains(&format!("`{old}`")), "{error}");
    }
}

#[test]
fn a_name_that_is_nearly_one_of_ours_is_a_slip() {
    let error = told("[route.orders]\nqueue = \"q\"", &[]);
    assert_eq!(
        error,
        "`loafer.toml`: unknown key `route`; did you mean `routes`?"
    );
    for slip in [
        "LOAFER_ROUTE__ORDERS__QUEUE",
        "LOAFER_BROKER__AMQP__URL",
        "LOAFER_APP__NAME",
    ] {
        let error = of_variable(slip);
        assert!(error.contains("is nested in a way no key is"), "{error}");
    }
}

#[test]
fn a_key_of_a_broker_is_written_under_options() {
    for (key, value) in [
        ("exchange", "\"event\""),
        ("binding", "[\"a\", \"b\"]"),
        ("queue_type", "\"classic\""),
        ("arguments", "{ x-max-length = 1 }"),
        ("declare", "\"off\""),
    ] {
        let error = told(&format!("[routes.orders]\n{key} = {value}"), &[]);
        let begin = format!("`loafer.toml`: unknown key `routes.orders.{key}`; known: ");
        assert!(error.starts_with(&begin), "{error}");
        let end = "; a key of the route's broker is written under [routes.orders.options]";
        assert!(error.ends_with(end), "{error}");
    }
    for (old, new) in [
        ("BINDING", "BINDING"),
        ("QUEUE_TYPE", "QUEUE_TYPE"),
        ("ARGUMENTS__X_MAX_LENGTH", "ARGUMENTS__X_MAX_LENGTH"),
    ] {
        let error = of_variable(&format!("LOAFER_ROUTES__ORDERS__{old}"));
        let end = format!(
            "; a key of the route's broker is written LOAFER_ROUTES__ORDERS__OPTIONS__{new}"
        );
        assert!(error.ends_with(&end), "{error}");
    }
    let error = of_variable("LOAFER_ROUTES__ORDERS__QUEUE__KEY");
    assert!(
        error.ends_with("write LOAFER_ROUTES__ROUTE__KEY, or LOAFER_KEY"),
        "{error}"
    );
}

#[test]
fn lease_and_visibility_timeout_are_one_key() {
    let lease = |file: &str, environment: &[(&str, &str)]| {
        let routes = vec![route("orders", RouteOptions::new())];
        let manager = plan(App::new(), file, environment, routes).unwrap();
        format!("{manager:?}")
    };
    let is = |file: &str, environment: &[(&str, &str)], seconds: u64| {
        let policy = lease(file, environment);
        let lease = format!("lease: Some({seconds}s)");
        assert!(policy.contains(&lease), "{policy}");
    };
    let names = ["lease", "visibility_timeout"];
    for of_file in names {
        let file = format!("[routes.orders]\n{of_file} = \"40s\"");
        is(&file, &[], 40);
        for of_environment in names {
            let name = format!("LOAFER_ROUTES__ORDERS__{}", of_environment.to_uppercase());
            is(&file, &[(&name, "50s")], 50);
        }
    }

    let both = "[routes.orders]\nlease = \"40s\"\nvisibility_timeout = \"40s\"";
    assert_eq!(
        told(both, &[]),
        "`loafer.toml`: [routes.orders] sets `lease` and `visibility_timeout`, which are one key: leave one of them out"
    );
    let both = [
        ("LOAFER_ROUTES__ORDERS__LEASE", "40s"),
        ("LOAFER_ROUTES__ORDERS__VISIBILITY_TIMEOUT", "40s"),
    ];
    assert_eq!(
        told("", &both),
        "the variable `LOAFER_ROUTES__ORDERS__VISIBILITY_TIMEOUT` of the environment: sets the same key as `LOAFER_ROUTES__ORDERS__LEASE`: keep one of them"
    );
}
