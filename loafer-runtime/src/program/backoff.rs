//! The keys of a backoff. Each of them may be set in another place.

use std::{fmt, time::Duration};

use loafer_core::policy::{Backoff, parse_duration};
use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, Visitor, value::MapAccessDeserializer},
};

use super::duration;

/// The keys of a backoff that one place sets. A weaker place may set those that it leaves out.
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
            return Some("`backoff` has no `initial`: set the first delay, for example \"1s\"");
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
            "`backoff.max` is below `backoff.initial`: no delay would be as long as `initial` says; set both in one place, or leave `max` out everywhere: then it is 15 minutes, or `initial` if that is longer",
        )
    }

    pub(super) fn whole(self) -> Option<Backoff> {
        let mut backoff = Backoff::new(self.initial?);
        if let Some(factor) = self.factor {
            backoff = backoff.with_factor(factor);
        }
        if let Some(max) = self.max {
            backoff = backoff.with_max(max);
        }
        if let Some(jitter) = self.jitter {
            backoff = backoff.with_jitter(jitter);
        }
        Some(backoff)
    }
}

impl From<Backoff> for Parts {
    fn from(backoff: Backoff) -> Self {
        Self {
            initial: Some(backoff.initial()),
            factor: Some(backoff.factor()),
            max: backoff.max(),
            jitter: Some(backoff.has_jitter()),
        }
    }
}

/// Reads keys that are written as `"1s"`, or as a table.
pub(super) fn written<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Parts>, D::Error> {
    from.deserialize_any(Written).map(Some)
}

struct Written;

impl<'de> Visitor<'de> for Written {
    type Value = Parts;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a duration, for example \"1s\", or a table, for example { initial = \"1s\", max = \"15m\" }")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Parts, E> {
        let initial = parse_duration(text).map_err(E::custom)?;
        Ok(Parts {
            initial: Some(initial),
            ..Parts::default()
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, table: A) -> Result<Parts, A::Error> {
        Parts::deserialize(MapAccessDeserializer::new(table))
    }
}
