//! The environment: `LOAFER_ROUTES__FRIEND_CREATED__QUEUE`, with `__` between levels and `_` for `-` and `.`.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::keys::{LEASE, SINGLE, TOPIC, is_foreign};
use crate::bus::form;
use crate::program::RouteOptions;
use loafer_core::Error;
use loafer_core::policy::{nearest, parse_duration, unknown};

const PREFIX: &str = "LOAFER_";

/// Writes what the environment says over what the file says.
pub(super) fn overlay(
    table: &mut Table,
    environment: impl IntoIterator<Item = (String, String)>,
    routes: &[&str],
) -> Result<(), Error> {
    // A backoff comes before its parts, whatever the order of the environment.
    let mut environment: Vec<_> = environment.into_iter().collect();
    environment.sort_unstable();
    let mut written: BTreeMap<Vec<String>, String> = BTreeMap::new();
    for (name, value) in environment {
        // Variables of the test kit's servers are no configuration.
        let Some(path) = name
            .strip_prefix(PREFIX)
            .filter(|path| !path.starts_with("TEST_"))
        else {
            continue;
        };
        let fault = |what: String| {
            Error::Config(format!("the variable `{name}` of the environment: {what}"))
        };
        let levels: Vec<&str> = path.split("__").collect();
        let (last, parents) = levels
            .split_last()
            .ok_or_else(|| fault("names nothing".to_owned()))?;
        let keys = resolve(parents, last, routes, table)
            .map_err(|what| fault(what + injected(&levels)))?;
        if let Some(other) = written.insert(keys.clone(), name.clone())
            && other != name
        {
            return Err(fault(format!(
                "sets the same key as `{other}`: keep one of them"
            )));
        }
        let (last, parents) = keys
            .split_last()
            .ok_or_else(|| fault("names nothing".to_owned()))?;
        let value = match parents {
            // What it is only the broker knows, and it may be a password.
            [of, ..] if of == "brokers" => Value::String(value),
            [_, _, options] if options == "options" => option(value),
            [_, _, options, ..] if options == "options" => argument(value),
            _ => scalar(last, &value).map_err(fault)?,
        };
        let at = parents.iter().fold(&mut *table, |at, key| inner(at, key));
        at.insert(last.clone(), value);
    }
    Ok(())
}

/// What to do about a variable that looks as those Kubernetes gives a pod for a service whose name begins with `loafer`.
fn injected(levels: &[&str]) -> &'static str {
    match levels {
        [name] if name.ends_with("SERVICE_HOST") || name.split('_').any(|word| word == "PORT") => {
            "; if Kubernetes injected it, set `enableServiceLinks: false` in the pod's spec"
        }
        _ => "",
    }
}

/// The table below a key, made where there is none. It takes the place of what is no table; of a backoff that is the first delay, which stays.
fn inner<'t>(table: &'t mut Table, key: &str) -> &'t mut Table {
    let entry = table
        .entry(key)
        .or_insert_with(|| Value::Table(Table::new()));
    if !entry.is_table() {
        let other = std::mem::replace(entry, Value::Table(Table::new()));
        if let Value::Table(parts) = entry
            && key == "backoff"
        {
            parts.insert("initial".to_owned(), other);
        }
    }
    match entry {
        Value::Table(inner) => inner,
        _ => unreachable!("made a table just above"),
    }
}

/// From the levels of a variable to the keys of the file.
fn resolve(
    parents: &[&str],
    last: &str,
    routes: &[&str],
    file: &Table,
) -> Result<Vec<String>, String> {
    match parents {
        [] if last.starts_with("ROUTES_") || last.starts_with("TOPICS_") => Err(format!(
            "`{last}` has one `_` between its levels; write two, as in LOAFER_ROUTES__{}__QUEUE",
            routes
                .first()
                .map_or_else(|| "ROUTE".to_owned(), |route| form(route))
        )),
        [] if last.starts_with("BROKERS_") => Err(format!(
            "`{last}` has one `_` between its levels; write two, as in LOAFER_BROKERS__AMQP__URL"
        )),
        ["BROKERS"] => Err(format!(
            "`{last}` has parts: write LOAFER_BROKERS__{last}__KEY"
        )),
        [] => key(last, SINGLE, "key")
            .map(|key| vec![key])
            .map_err(|what| match last.split_once('_') {
                Some((broker, rest)) if injected(&[last]).is_empty() => format!(
                    "{what}; a setting of a broker is written LOAFER_BROKERS__{broker}__{rest}, with two `_`"
                ),
                _ => what,
            }),
        ["ROUTES", _] if last == "OPTIONS" => Err(format!(
            "`{last}` has parts: write LOAFER_{}__OPTIONS__KEY",
            parents.join("__")
        )),
        ["ROUTES", route, "OPTIONS", inner @ ..] => option_keys(route, inner, last, routes, file),
        ["ROUTES", route] => Ok(vec![
            "routes".into(),
            key(route, routes, "route")?,
            route_key(route, last)?,
        ]),
        ["ROUTES", route, "BACKOFF"] => {
            let part = key(last, &["initial", "factor", "max", "jitter"], "key")?;
            Ok(vec![
                "routes".into(),
                key(route, routes, "route")?,
                "backoff".into(),
                part,
            ])
        }
        ["ROUTES", route, first, ..] if key(first, RouteOptions::KEYS, "key").is_err() => {
            Err(format!(
                "is nested in a way no key is; a key of the route's broker is written LOAFER_ROUTES__{route}__OPTIONS__{}__{last}",
                parents[2..].join("__")
            ))
        }
        ["TOPICS", topic] => Ok(vec![
            "topics".into(),
            file.get("topics")
                .and_then(Value::as_table)
                .and_then(|topics| in_file(topics, topic))
                .unwrap_or_else(|| (*topic).to_owned()),
            key(last, TOPIC, "key")?,
        ]),
        ["BROKERS", broker, inner @ ..] => {
            let brokers = file.get("brokers").and_then(Value::as_table);
            let name = brokers.and_then(|brokers| in_file(brokers, broker));
            let name = name.unwrap_or_else(|| broker.to_lowercase());
            let inner = inner.iter().chain([&last]).map(|key| key.to_lowercase());
            Ok(["brokers".into(), name].into_iter().chain(inner).collect())
        }
        [broker, ..] if is_broker(broker) => Err(format!(
            "there is no section `{}`; a setting of a broker is written LOAFER_BROKERS__{}__{last}",
            broker.to_lowercase(),
            parents.join("__")
        )),
        _ => Err(
            "is nested in a way no key is; write LOAFER_ROUTES__ROUTE__KEY, or LOAFER_KEY"
                .to_owned(),
        ),
    }
}

/// The key of a route that is written like this in the environment.
fn route_key(route: &str, last: &str) -> Result<String, String> {
    let found = key(last, RouteOptions::KEYS, "key").map_err(|fault| match is_foreign(&fault) {
        true => format!(
            "{fault}; a key of the route's broker is written LOAFER_ROUTES__{route}__OPTIONS__{last}"
        ),
        false => fault,
    })?;
    Ok(match LEASE.contains(&found.as_str()) {
        true => LEASE[0].to_owned(),
        false => found,
    })
}

/// From the levels of a key of a route's broker to the keys of the file. Below the first level keys are called as the broker calls them,
/// with `-`.
fn option_keys(
    route: &str,
    inner: &[&str],
    last: &str,
    routes: &[&str],
    file: &Table,
) -> Result<Vec<String>, String> {
    let mut keys = vec![
        "routes".to_owned(),
        key(route, routes, "route")?,
        "options".to_owned(),
    ];
    let first = keys.len();
    for written in inner.iter().chain([&last]) {
        let at = keys
            .iter()
            .try_fold(file, |at, key| at.get(key)?.as_table());
        let own = || match keys.len() == first {
            true => written.to_lowercase(),
            false => written.to_lowercase().replace('_', "-"),
        };
        let name = at.and_then(|at| in_file(at, written)).unwrap_or_else(own);
        keys.push(name);
    }
    Ok(keys)
}

/// Whether variables of this section are a broker's. A name that is nearly one of ours is a slip.
fn is_broker(section: &str) -> bool {
    let ours = SINGLE.iter().any(|name| form(name) == section);
    let near = nearest(section, &["BROKERS", "ROUTES", "TOPICS"]);
    !(section.is_empty() || ours || near.is_some())
}

/// The name in this table of the file that is written like this in the environment. A topic that is not there stays as it is written: the bus finds it by that.
fn in_file(table: &Table, written: &str) -> Option<String> {
    table.keys().find(|name| form(name) == written).cloned()
}

/// The known name that is written like this in the environment.
fn key(written: &str, known: &[&str], what: &str) -> Result<String, String> {
    match known.iter().find(|name| form(name) == written) {
        Some(name) => Ok((*name).to_owned()),
        None => {
            let forms: Vec<String> = known.iter().map(|name| form(name)).collect();
            let forms: Vec<&str> = forms.iter().map(String::as_str).collect();
            let near = nearest(written, &forms)
                .map(|near| vec![near])
                .unwrap_or(forms);
            Err(unknown(written, &near, "", what))
        }
    }
}

/// Numbers and booleans where the key takes them; everything else is text.
fn scalar(key: &str, value: &str) -> Result<Value, String> {
    let text = value.trim();
    match key {
        "concurrency" | "prefetch" | "max_attempts" | "max_deliveries" | "batch"
        | "max_unpacked_bytes" => text
            .parse()
            .map(|number: u32| Value::Integer(number.into()))
            .map_err(|_| format!("`{text}` is no whole number from 0 to {}", u32::MAX)),
        "factor" => text
            .parse()
            .map(Value::Float)
            .map_err(|_| format!("`{text}` is no number")),
        "jitter" | "log_bodies" | "enabled" | "dead_letter_reasons" => text
            .parse()
            .map(Value::Boolean)
            .map_err(|_| format!("`{text}` is neither `true` nor `false`")),
        "timeout" | "lease" | "visibility_timeout" | "drain" | "initial" | "max" | "backoff"
        | "linger" => parse_duration(text).map(|_| Value::String(text.to_owned())),
        // Several, as the file writes them.
        "topics" if text.starts_with('[') => list(text)
            .ok_or_else(|| format!("`{text}` is not a list of topics: write [\"a\", \"b\"]")),
        "undecodable" if !matches!(text, "retry" | "reject") => {
            Err(format!("`{text}` is neither `retry` nor `reject`"))
        }
        "unmatched" if !matches!(text, "retry" | "reject" | "ignore") => Err(format!(
            "`{text}` is neither `retry` nor `reject` nor `ignore`"
        )),
        _ => Ok(Value::String(value.to_owned())),
    }
}

/// A list, as the file writes it.
fn list(text: &str) -> Option<Value> {
    let list = format!("list = {text}").parse::<Table>().ok();
    list.and_then(|mut list| list.remove("list"))
}

/// What an option of a broker is: a list by how it looks, else a text, of which a number is read if the broker wants one.
fn option(text: String) -> Value {
    let looks = text.trim();
    let list = looks.starts_with('[').then(|| list(looks)).flatten();
    list.unwrap_or(Value::String(text))
}

/// What a value within an option of a broker is, by how it looks.
fn argument(text: String) -> Value {
    match (text.parse(), text.parse()) {
        (Ok(number), _) => Value::Integer(number),
        (_, Ok(truth)) => Value::Boolean(truth),
        _ => Value::String(text),
    }
}
