//! Durations in configuration: text with units, for example `"20s"`, `"1h 30m"`, `"250ms"`.

use std::time::Duration;

/// Reads a duration as the configuration writes it: a number and a unit, for example `"20s"`.
///
/// # Errors
///
/// If the text is not a duration. The error says how to write one.
pub fn parse(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|_| {
        format!("`{text}` is no duration: write a number and a unit, for example \"20s\", \"500ms\", \"15m\" or \"1h 30m\"")
    })
}
