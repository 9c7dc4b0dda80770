//! Which keys there are, and the nearest one to a wrong one.

use std::collections::BTreeMap;

use toml::{Table, Value};

use crate::program::RouteOptions;
use loafer_core::{
    broker::Settings,
    policy::{nearest, unknown},
};

pub(super) const TOP: &[&str] = &["app", "drain", "log_bodies", "routes", "topics"];
pub(super) const TOPIC: &[&str] = &["name", "publisher"];
pub(super) const DEAD_LETTER: &[&str] = &["exchange", "routing_key", "queue"];
const BACKOFF: &[&str] = &["initial", "factor", "max", "jitter"];

/// Every key is known, every route is the program's; else says which is not, and what it is nearest to.
pub(super) fn check(table: &Table, routes: &[&str]) -> Result<(), String> {
    // What a table of another name is for only the brokers of the program know; but a name that is nearly one of ours is a slip.
    let ours = |name: &str, value: &Value| {
        !value.is_table() || nearest(name, &["routes", "topics"]).is_some()
    };
    let ours = table.iter().filter(|(name, value)| ours(name, value));
    known(ours.map(|(key, _)| key), TOP, "", "key")?;
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
            known(options.keys(), RouteOptions::KEYS, &at, "key")?;
            if let Some(Value::Table(backoff)) = options.get("backoff") {
                known(backoff.keys(), BACKOFF, &format!("{at}backoff."), "key")?;
            }
            if let Some(Value::Table(target)) = options.get("dead_letter") {
                let at = format!("{at}dead_letter.");
                known(target.keys(), DEAD_LETTER, &at, "key")?;
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

/// Takes the sections of brokers out of a table.
pub(super) fn sections(table: &mut Table) -> BTreeMap<String, Settings> {
    let names: Vec<String> = table
        .iter()
        .filter(|(name, value)| value.is_table() && !TOP.contains(&name.as_str()))
        .map(|(name, _)| name.clone())
        .collect();
    let sections = names
        .into_iter()
        .filter_map(|name| match table.remove(&name) {
            Some(Value::Table(section)) => {
                let settings = Settings::new(&name, section);
                Some((name, settings))
            }
            _ => None,
        });
    sections.collect()
}
