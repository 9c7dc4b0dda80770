//! The section `[brokers.sqs]` of `loafer.toml`, as it is written.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Deserializer, de::Error as _};

use loafer_core::policy::{Names, parse_duration};

use crate::{names::is_account, payloads};

/// The section of one instance. [`Sqs`](crate::Sqs) says what the keys mean. It has no `Debug`, since a URL may hold a password.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Section {
    #[serde(default, deserialize_with = "url")]
    pub(crate) endpoint: Option<String>,
    #[serde(default, deserialize_with = "region")]
    pub(crate) region: Option<String>,
    #[serde(default, deserialize_with = "accounts")]
    pub(crate) reply_accounts: Vec<String>,
    #[serde(default, deserialize_with = "finish_polls")]
    pub(crate) finish_polls: Option<Duration>,
    #[serde(default)]
    pub(crate) tags: Tags,
    pub(crate) s3: Option<payloads::Section>,
}

/// The tags of what is made.
pub(crate) type Tags = BTreeMap<String, String>;

fn accounts<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    let accounts = Names::deserialize(from)?.as_slice().to_vec();
    match accounts.iter().all(|account| is_account(account)) {
        true => Ok(accounts),
        false => Err(D::Error::custom(
            "not the id of an account: those have digits alone",
        )),
    }
}

/// Reads a URL. What it says never quotes it: it may hold a password.
fn url<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let url = String::deserialize(from)?;
    let url = url.trim();
    let rest = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"));
    match rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/')) {
        true => Ok(Some(url.to_owned())),
        false => Err(D::Error::custom(
            "not a URL: it begins with `http://` or `https://`, and then has a host",
        )),
    }
}

fn finish_polls<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    let finish = parse_duration(&String::deserialize(from)?).map_err(D::Error::custom)?;
    match finish.is_zero() {
        false => Ok(Some(finish)),
        true => Err(D::Error::custom(
            "not longer than nothing: every poll would be cut off; leave it out for 500ms",
        )),
    }
}

fn region<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let region = String::deserialize(from)?;
    let region = region.trim();
    let fits =
        |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
    match !region.is_empty() && region.chars().all(fits) {
        true => Ok(Some(region.to_owned())),
        false => Err(D::Error::custom(
            "not the code of a region: those have small letters, digits and `-`",
        )),
    }
}
