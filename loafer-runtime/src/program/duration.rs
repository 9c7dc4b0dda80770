//! Durations in configuration.

use std::time::Duration;

use loafer_core::policy::parse_duration;
use serde::{Deserialize, Deserializer, de::Error as _};

pub(super) fn required<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    parse_duration(&String::deserialize(from)?).map_err(D::Error::custom)
}

pub(super) fn optional<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    required(from).map(Some)
}
