//! The section `[brokers.amqp]` of `loafer.toml`, as it is written, or that of another instance.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use serde::{Deserialize, Deserializer, de::Error as _};

use super::config::{ExchangeType, Unroutable};

/// The section of `loafer.toml` for one instance. [`Config`](super::config::Config) says what the keys mean.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Section {
    pub(super) url: Option<Urls>,
    pub(super) password_file: Option<PathBuf>,
    pub(super) ca_file: Option<PathBuf>,
    pub(super) cert_file: Option<PathBuf>,
    pub(super) key_file: Option<PathBuf>,
    #[serde(default, deserialize_with = "duration")]
    pub(super) connect_timeout: Option<Duration>,
    #[serde(default, deserialize_with = "duration")]
    pub(super) heartbeat: Option<Duration>,
    #[serde(default, deserialize_with = "duration")]
    pub(super) consumer_timeout: Option<Duration>,
    pub(super) exchange: Option<String>,
    pub(super) app_id: Option<String>,
    pub(super) unroutable: Option<Unroutable>,
    #[serde(default)]
    pub(super) headers: BTreeMap<String, HeaderTree>,
    #[serde(default)]
    pub(super) exchanges: BTreeMap<String, ExchangeType>,
}

/// A header, or several whose names begin alike.
#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "a header is a text, a number, a truth value, or a table of headers, whose names are then joined by dots"
)]
pub(super) enum HeaderTree {
    String(String),
    Bool(bool),
    Int(i64),
    Float(f64),
    Table(BTreeMap<String, Self>),
}

impl HeaderTree {
    pub(super) fn flatten(self, name: String, into: &mut Vec<(String, String)>) {
        match self {
            Self::String(text) => into.push((name, text)),
            Self::Bool(truth) => into.push((name, truth.to_string())),
            Self::Int(number) => into.push((name, number.to_string())),
            Self::Float(number) => into.push((name, number.to_string())),
            Self::Table(table) => {
                for (key, tree) in table {
                    tree.flatten(format!("{name}.{key}"), into);
                }
            }
        }
    }
}

/// One address, or those of several nodes.
#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "an address, as \"amqp://user:password@host/vhost\", or a list of them"
)]
pub(super) enum Urls {
    One(String),
    Many(Vec<String>),
}

fn duration<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(from)?;
    let read = humantime::parse_duration(&text);
    let read = read.ok().filter(|duration| !duration.is_zero());
    let read = read.ok_or("not a duration: write a number and a unit, as \"90m\" or \"3h\"");
    read.map(Some).map_err(D::Error::custom)
}
