//! [`Argument`], the value of a queue's argument: only RabbitMQ's queues have arguments.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, de};

/// The value of a queue's argument.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Argument {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A text.
    String(String),
}

impl From<bool> for Argument {
    fn from(truth: bool) -> Self {
        Self::Bool(truth)
    }
}

impl From<i64> for Argument {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<&str> for Argument {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for Argument {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl<'de> Deserialize<'de> for Argument {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = Argument;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`true`, `false`, a whole number or a text")
            }

            fn visit_bool<E: de::Error>(self, truth: bool) -> Result<Argument, E> {
                Ok(Argument::Bool(truth))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Argument, E> {
                Ok(Argument::Int(number))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Argument, E> {
                let too_large = |_| E::invalid_value(de::Unexpected::Unsigned(number), &self);
                i64::try_from(number).map(Argument::Int).map_err(too_large)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Argument, E> {
                Ok(Argument::String(text.to_owned()))
            }
        }

        from.deserialize_any(Visitor)
    }
}
