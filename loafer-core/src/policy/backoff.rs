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
///
/// let rare = Backoff::new(Duration::from_secs(3600)).with_jitter(false);
/// assert_eq!(rare.delay(1), Duration::from_secs(3600));
/// assert_eq!(rare.delay(2), Duration::from_secs(3600));
/// ```
#[derive(Clone, PartialEq)]
pub struct Backoff {
    initial: Duration,
    factor: f64,
    /// None: 15 minutes, or `initial` where that is longer.
    max: Option<Duration>,
    jitter: bool,
}

/// What is said of a backoff in one place: what is left out there is as a weaker place says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Parts {
    #[serde(deserialize_with = "duration::optional")]
    initial: Option<Duration>,
    factor: Option<f64>,
    #[serde(deserialize_with = "duration::optional")]
    max: Option<Duration>,
    jitter: Option<bool>,
}

impl Parts {
    pub(super) fn overridden_by(self, stronger: Self) -> Self {
        Self {
            initial: stronger.initial.or(self.initial),
            factor: stronger.factor.or(self.factor),
            max: stronger.max.or(self.max),
            jitter: stronger.jitter.or(self.jitter),
        }
    }

    pub(super) fn fault(&self) -> Option<&'static str> {
        if self.initial.is_none() {
            return Some("`backoff` has no `initial`: say how long the first delay is, as \"1s\"");
        }
        let shrinks = self
            .factor
            .is_some_and(|factor| !factor.is_finite() || factor < 1.0);
        if shrinks {
            return Some(
                "`backoff.factor` is below 1, or no number: 1 keeps the delay as it is, 2 doubles it",
            );
        }
        // Each may come from another place: the attribute, the file, the environment.
        (self.max.is_some() && self.max < self.initial).then_some(
            "`backoff.max` is below `backoff.initial`: no delay would be as long as `initial` says; set both in one place, or leave `max` out everywhere: then it is 15 minutes, or `initial` where that is longer",
        )
    }

    pub(super) fn whole(self) -> Option<Backoff> {
        Some(Backoff {
            initial: self.initial?,
            factor: self.factor.unwrap_or_else(default_factor),
            max: self.max,
            jitter: self.jitter.unwrap_or_else(default_jitter),
        })
    }
}

impl From<Backoff> for Parts {
    fn from(
        Backoff {
            initial,
            factor,
            max,
            jitter,
        }: Backoff,
    ) -> Self {
        Self {
            initial: Some(initial),
            factor: Some(factor),
            max,
            jitter: Some(jitter),
        }
    }
}

/// Reads parts written as `"1s"`, or as a table.
pub(super) fn written<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Parts>, D::Error> {
    from.deserialize_any(Written).map(Some)
}

struct Written;

impl<'de> Visitor<'de> for Written {
    type Value = Parts;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a duration, as \"1s\", or a table, as { initial = \"1s\", max = \"15m\" }")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Parts, E> {
        let initial = duration::parse(text).map_err(E::custom)?;
        Ok(Parts {
            initial: Some(initial),
            ..Parts::default()
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, table: A) -> Result<Parts, A::Error> {
        Parts::deserialize(MapAccessDeserializer::new(table))
    }
}

fn default_factor() -> f64 {
    2.0
}

/// The longest delay, where nothing else is said and the first is no longer.
const MAX: Duration = Duration::from_secs(15 * 60);

fn default_jitter() -> bool {
    true
}

impl Backoff {
    /// A backoff that starts here, doubles with every attempt up to 15 minutes, with jitter. One that starts with more stays there.
    pub fn new(initial: Duration) -> Self {
        Self {
            initial,
            factor: default_factor(),
            max: None,
            jitter: default_jitter(),
        }
    }

    /// The same with another factor.
    #[must_use]
    pub fn with_factor(mut self, factor: f64) -> Self {
        self.factor = factor;
        self
    }

    /// The same with another longest delay. One below the first is an error when the program starts.
    #[must_use]
    pub fn with_max(mut self, max: Duration) -> Self {
        self.max = Some(max);
        self
    }

    /// The same with or without full jitter: a delay chosen evenly between nothing and what it would be.
    #[must_use]
    pub fn with_jitter(mut self, jitter: bool) -> Self {
        self.jitter = jitter;
        self
    }

    /// How far delays grow.
    fn max(&self) -> Duration {
        self.max.unwrap_or_else(|| MAX.max(self.initial))
    }

    /// The longest delay there can be.
    pub(crate) fn longest(&self) -> Duration {
        if self.factor > 1.0 {
            self.max()
        } else {
            self.initial.min(self.max())
        }
    }

    /// The delay after this attempt failed; the first is 1.
    pub fn delay(&self, attempt: u32) -> Duration {
        let grown = self.initial.as_secs_f64()
            * self
                .factor
                .max(1.0)
                .powi(attempt.saturating_sub(1).min(1_000) as i32);
        let delay = grown.min(self.max().as_secs_f64());
        let delay = if self.jitter {
            delay * fastrand::f64()
        } else {
            delay
        };
        Duration::try_from_secs_f64(delay).unwrap_or_else(|_| self.max())
    }
}

impl fmt::Debug for Backoff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backoff")
            .field("initial", &self.initial)
            .field("factor", &self.factor)
            .field("max", &self.max())
            .field("jitter", &self.jitter)
            .finish()
    }
}
