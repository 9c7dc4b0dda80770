//! The delay of a retry.

use std::{fmt, time::Duration};

use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, Visitor, value::MapAccessDeserializer},
};

use super::duration;

/// The delay of a retry, growing with the attempts.
///
/// ```
/// # use std::time::Duration;
/// use loafer_core::Backoff;
///
/// let backoff = Backoff::new(Duration::from_secs(1)).with_jitter(false);
/// assert_eq!(backoff.delay(1), Duration::from_secs(1));
/// assert_eq!(backoff.delay(4), Duration::from_secs(8));
/// assert_eq!(backoff.delay(40), Duration::from_secs(15 * 60));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Backoff {
    initial: Duration,
    factor: f64,
    max: Duration,
    jitter: bool,
}

/// The table that a backoff is written as.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    #[serde(deserialize_with = "duration::required")]
    initial: Duration,
    #[serde(default = "default_factor")]
    factor: f64,
    #[serde(default = "default_max", deserialize_with = "duration::required")]
    max: Duration,
    #[serde(default = "default_jitter")]
    jitter: bool,
}

impl<'de> Deserialize<'de> for Backoff {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Written)
    }
}

/// Reads `"1s"`, or a table.
struct Written;

impl<'de> Visitor<'de> for Written {
    type Value = Backoff;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a duration, as \"1s\", or a table, as { initial = \"1s\", max = \"15m\" }")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Backoff, E> {
        duration::parse(text).map(Backoff::new).map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, table: A) -> Result<Backoff, A::Error> {
        let Table {
            initial,
            factor,
            max,
            jitter,
        } = Table::deserialize(MapAccessDeserializer::new(table))?;
        Ok(Backoff {
            initial,
            factor,
            max,
            jitter,
        })
    }
}

fn default_factor() -> f64 {
    2.0
}

fn default_max() -> Duration {
    Duration::from_secs(15 * 60)
}

fn default_jitter() -> bool {
    true
}

impl Backoff {
    /// A backoff that starts here, doubles with every attempt up to 15 minutes, with jitter.
    pub fn new(initial: Duration) -> Self {
        Self {
            initial,
            factor: default_factor(),
            max: default_max(),
            jitter: default_jitter(),
        }
    }

    /// The same with another factor.
    #[must_use]
    pub fn with_factor(mut self, factor: f64) -> Self {
        self.factor = factor;
        self
    }

    /// The same with another longest delay.
    #[must_use]
    pub fn with_max(mut self, max: Duration) -> Self {
        self.max = max;
        self
    }

    /// The same with or without full jitter: a delay chosen evenly between nothing and what it would be.
    #[must_use]
    pub fn with_jitter(mut self, jitter: bool) -> Self {
        self.jitter = jitter;
        self
    }

    /// The delay after this attempt failed; the first is 1.
    pub fn delay(&self, attempt: u32) -> Duration {
        let grown = self.initial.as_secs_f64()
            * self
                .factor
                .max(1.0)
                .powi(attempt.saturating_sub(1).min(1_000) as i32);
        let delay = grown.min(self.max.as_secs_f64());
        let delay = if self.jitter {
            delay * fastrand::f64()
        } else {
            delay
        };
        Duration::try_from_secs_f64(delay).unwrap_or(self.max)
    }
}
