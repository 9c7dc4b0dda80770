//! The environment: `LOAFER_ROUTES__FRIEND_CREATED__QUEUE`, with `__` between levels and `_` for `-` and `.`.

use toml::{Table, Value};

use super::keys::{TOP, nearest, unknown};
use crate::{Error, RouteOptions, policy::duration};

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
        let (last, parents) = keys
            .split_last()
            .ok_or_else(|| fault("names nothing".to_owned()))?;
        let at = parents.iter().fold(&mut *table, |at, key| inner(at, key));
        at.insert(last.clone(), scalar(last, &value).map_err(fault)?);
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

/// The table below a key, made where there is none. Only a backoff may be something else: its first delay alone.
fn inner<'t>(table: &'t mut Table, key: &str) -> &'t mut Table {
    let entry = table
        .entry(key)
        .or_insert_with(|| Value::Table(Table::new()));
    if !entry.is_table() {
        let initial = std::mem::replace(entry, Value::Table(Table::new()));
        if let Value::Table(parts) = entry {
            parts.insert("initial".to_owned(), initial);
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
        [] => Ok(vec![key(last, &TOP[..3], "key")?]),
        ["ROUTES", route] => Ok(vec![
            "routes".into(),
            key(route, routes, "route")?,
            key(last, RouteOptions::KEYS, "key")?,
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
        [section] if !matches!(*section, "ROUTES" | "TOPICS") => {
            Ok(vec![section.to_lowercase(), last.to_lowercase()])
        }
        ["TOPICS", topic] => Ok(vec![
            "topics".into(),
            in_file(file, topic),
            key(last, &["name"], "key")?,
        ]),
        _ => Err(
            "is nested in a way no key is; write LOAFER_ROUTES__ROUTE__KEY, or LOAFER_KEY"
                .to_owned(),
        ),
    }
}

/// The topic of the file that is written like this in the environment; else as it is written, and the bus finds it by that.
fn in_file(file: &Table, written: &str) -> String {
    let topics = file.get("topics").and_then(Value::as_table);
    let known = topics.and_then(|topics| topics.keys().find(|topic| form(topic) == written));
    known.map_or(written, String::as_str).to_owned()
}

/// How a name is written in the environment.
pub(crate) fn form(name: &str) -> String {
    name.to_uppercase().replace(['-', '.'], "_")
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
        "concurrency" | "prefetch" | "max_attempts" | "batch" => text
            .parse()
            .map(|number: u32| Value::Integer(number.into()))
            .map_err(|_| format!("`{text}` is no whole number from 0 to {}", u32::MAX)),
        "factor" => text
            .parse()
            .map(Value::Float)
            .map_err(|_| format!("`{text}` is no number")),
        "jitter" | "log_bodies" => text
            .parse()
            .map(Value::Boolean)
            .map_err(|_| format!("`{text}` is neither `true` nor `false`")),
        "timeout" | "visibility_timeout" | "drain" | "initial" | "max" | "backoff" | "linger" => {
            duration::parse(text).map(|_| Value::String(text.to_owned()))
        }
        "declare" if !matches!(text, "create" | "verify" | "off") => Err(format!(
            "`{text}` is neither `create` nor `verify` nor `off`"
        )),
        "queue_type" if !matches!(text, "quorum" | "classic") => {
            Err(format!("`{text}` is neither `quorum` nor `classic`"))
        }
        "undecodable" if !matches!(text, "retry" | "reject") => {
            Err(format!("`{text}` is neither `retry` nor `reject`"))
        }
        "unmatched" if !matches!(text, "retry" | "reject" | "ignore") => Err(format!(
            "`{text}` is neither `retry` nor `reject` nor `ignore`"
        )),
        _ => Ok(Value::String(value.to_owned())),
    }
}
