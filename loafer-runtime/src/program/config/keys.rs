//! Which keys there are, and the nearest one to a wrong one.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::BrokerSection;
use crate::program::RouteOptions;
use loafer_core::{Error, broker::Settings, policy::unknown};

/// Single values.
pub(super) const SINGLE: &[&str] = &[
    "app",
    "dead_letter_reasons",
    "drain",
    "log_bodies",
    "max_unpacked_bytes",
];
pub(super) const TOP: &[&str] = &[
    "app",
    "dead_letter_reasons",
    "drain",
    "log_bodies",
    "max_unpacked_bytes",
    "brokers",
    "routes",
    "topics",
];
pub(super) const TOPIC: &[&str] = &["name", "publisher"];
/// One key by two names; it is kept under the first.
pub(super) const LEASE: [&str; 2] = ["lease", "visibility_timeout"];
const BACKOFF: &[&str] = &["initial", "factor", "max", "jitter"];

/// Every key is known, every route is the program's; else says which is not, and what it is nearest to.
pub(super) fn check(table: &Table, routes: &[&str]) -> Result<(), String> {
    let mut keys = table.iter();
    if let Some((name, value)) = keys.find(|(name, _)| !TOP.contains(&name.as_str())) {
        let fault = unknown(name, TOP, "", "key");
        return Err(match value.is_table() && is_foreign(&fault) {
            true => {
                format!("{fault}; the settings of a broker are written under [brokers.{name}]")
            }
            false => fault,
        });
    }
    if let Some(Value::Table(of_routes)) = table.get("routes") {
        if let Some(first) = of_routes.keys().find(|name| is_cut(name, routes)) {
            return Err(format!(
                "unknown route `routes.{first}`: a name with dots is written in quotes, as [routes.\"{first}.…\"]"
            ));
        }
        known(of_routes.keys(), routes, "routes.", "route")?;
        for (route, options) in of_routes {
            let Value::Table(options) = options else {
                continue;
            };
            let at = format!("routes.{route}.");
            known(options.keys(), RouteOptions::KEYS, &at, "key").map_err(|fault| {
                match is_foreign(&fault) {
                    true => format!(
                        "{fault}; a key of the route's broker is written under [routes.{route}.options]"
                    ),
                    false => fault,
                }
            })?;
            if LEASE.iter().all(|key| options.contains_key(*key)) {
                let [lease, other] = LEASE;
                return Err(format!(
                    "[routes.{route}] sets `{lease}` and `{other}`, which are one key: leave one of them out"
                ));
            }
            if let Some(Value::Table(backoff)) = options.get("backoff") {
                known(backoff.keys(), BACKOFF, &format!("{at}backoff."), "key")?;
            }
        }
    }
    if let Some(Value::Table(topics)) = table.get("topics") {
        for (topic, options) in topics {
            let Value::Table(options) = options else {
                continue;
            };
            known(options.keys(), TOPIC, &format!("topics.{topic}."), "key")?;
        }
    }
    Ok(())
}

/// Whether this is a route's name as far as its first dot: TOML takes the rest for a table in a table.
fn is_cut(name: &str, routes: &[&str]) -> bool {
    let begins = |route: &&str| {
        let rest = route.strip_prefix(name);
        rest.is_some_and(|rest| rest.starts_with('.'))
    };
    !routes.contains(&name) && routes.iter().any(begins)
}

fn known<'k>(
    mut keys: impl Iterator<Item = &'k String>,
    names: &[&str],
    at: &str,
    what: &str,
) -> Result<(), String> {
    match keys.find(|key| !names.contains(&key.as_str())) {
        Some(key) => Err(unknown(key, names, at, what)),
        None => Ok(()),
    }
}

/// Whether the key that this is said of is none of ours, nor nearly one: it may belong to a broker.
pub(super) fn is_foreign(fault: &str) -> bool {
    !fault.contains("did you mean")
}

/// Calls the lease of each route by one name: whoever outranks the file may call it by the other.
pub(super) fn same_names(table: &mut Table) {
    let [lease, other] = LEASE;
    let routes = table.get_mut("routes").and_then(Value::as_table_mut);
    let routes = routes.into_iter().flat_map(|routes| routes.iter_mut());
    for options in routes.filter_map(|(_, options)| options.as_table_mut()) {
        if let Some(value) = options.remove(other) {
            options.insert(lease.to_owned(), value);
        }
    }
}

/// Takes the settings of brokers out of the table.
pub(super) fn brokers(table: &mut Table) -> Result<BTreeMap<String, BrokerSection>, Error> {
    let Some(brokers) = table.remove("brokers") else {
        return Ok(BTreeMap::new());
    };
    let fault = |at: &str| {
        Error::Config(format!(
            "`{at}` is not a table: write [brokers.NAME], and what is said of that broker below it"
        ))
    };
    let Value::Table(brokers) = brokers else {
        return Err(fault("brokers"));
    };
    let section = |(name, section): (String, Value)| {
        let at = format!("brokers.{name}");
        let Value::Table(mut section) = section else {
            return Err(fault(&at));
        };
        let kind = match section.remove("kind") {
            None => None,
            Some(Value::String(kind)) => Some(kind),
            Some(_) => {
                return Err(Error::Config(format!(
                    "`{at}.kind` is not a text: write `kind = \"amqp\"`, for example"
                )));
            }
        };
        let settings = Settings::new(at, section);
        Ok((name, BrokerSection { kind, settings }))
    };
    brokers.into_iter().map(section).collect()
}
