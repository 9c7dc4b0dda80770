//! Durations as strings with units: `"20s"`, `"1h 30m"`, `"250ms"`.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de::Error as _};

/// Reads a duration, or says how one is written.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|_| {
        format!("`{text}` is no duration: write a number and a unit, as \"20s\", \"500ms\", \"15m\" or \"1h 30m\"")
    })
}

pub(super) fn required<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    parse(&String::deserialize(from)?).map_err(D::Error::custom)
}

pub(super) fn optional<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    required(from).map(Some)
}
