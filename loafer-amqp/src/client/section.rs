//! The section `[amqp]` of `loafer.toml`, as it is written.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use serde::{Deserialize, Deserializer, de::Error as _};

use crate::{ExchangeType, Unroutable};

/// The section `[amqp]` of `loafer.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Section {
    pub(crate) url: Option<Urls>,
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) cert_file: Option<PathBuf>,
    pub(crate) key_file: Option<PathBuf>,
    #[serde(default, deserialize_with = "duration")]
    pub(crate) consumer_timeout: Option<Duration>,
    pub(crate) exchange: Option<String>,
    pub(crate) app_id: Option<String>,
    pub(crate) unroutable: Option<Unroutable>,
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, HeaderTree>,
    #[serde(default)]
    pub(crate) exchanges: BTreeMap<String, ExchangeType>,
}

/// A header, or several whose names begin alike.
#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "a header is a text, a number, a truth value, or a table of headers, whose names are then joined by dots"
)]
pub(crate) enum HeaderTree {
    Text(String),
    Truth(bool),
    Whole(i64),
    Number(f64),
    Table(BTreeMap<String, Self>),
}

impl HeaderTree {
    pub(crate) fn flatten(self, name: String, into: &mut Vec<(String, String)>) {
        match self {
            Self::Text(text) => into.push((name, text)),
            Self::Truth(truth) => into.push((name, truth.to_string())),
            Self::Whole(number) => into.push((name, number.to_string())),
            Self::Number(number) => into.push((name, number.to_string())),
            Self::Table(table) => {
                for (key, tree) in table {
                    tree.flatten(format!("{name}.{key}"), into);
                }
            }
        }
    }
}

#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "an address, as \"amqp://user:password@host/vhost\", or a list of them"
)]
pub(crate) enum Urls {
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
