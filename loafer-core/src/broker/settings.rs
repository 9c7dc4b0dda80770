//! Settings of a broker in the configuration. No error quotes a value, which may be a password.

use std::fmt;

use serde::{
    Deserializer,
    de::{
        DeserializeOwned, IntoDeserializer, Visitor,
        value::{MapDeserializer, SeqDeserializer},
    },
    forward_to_deserialize_any,
};
use toml::{Table, Value, de::Error as Fault};

use crate::{
    Error,
    policy::unknown,
    translate::{expected, location},
};

/// One section of the configuration, from `loafer.toml` and the environment: the settings of a broker, or the options of a route.
///
/// ```
/// use loafer::{Error, broker::{Instance, Settings}};
/// use serde::Deserialize;
///
/// #[derive(Default, Deserialize)]
/// #[serde(default, deny_unknown_fields)]
/// struct Section {
///     url: Option<String>,
/// }
///
/// /// In `Broker::configure`.
/// fn configure(instance: &Instance<'_>) -> Result<Section, Error> {
///     instance.settings().map_or(Ok(Section::default()), Settings::read)
/// }
/// # assert!(configure(&Instance::new("acme", "acme", None, None)).unwrap().url.is_none());
/// ```
#[derive(Clone)]
pub struct Settings {
    section: String,
    table: Table,
}

impl Settings {
    /// Returns the settings of a section, for example `brokers.amqp`.
    #[must_use]
    pub fn new(section: impl Into<String>, table: Table) -> Self {
        Self {
            section: section.into(),
            table,
        }
    }

    /// Returns the name of the section, for example `brokers.amqp`.
    #[must_use]
    pub fn section(&self) -> &str {
        &self.section
    }

    /// Returns whether the section sets nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// Reads the settings as a type. Numbers and booleans may also be text, since the environment has only text.
    ///
    /// # Errors
    ///
    /// If the settings don't fit the type. The error names the section and the key, suggests the nearest known key for an unknown one, and never
    /// quotes a value, which may be a password. Values are cut out of the messages of a `Deserialize` of your own. But it must not quote a part of a
    /// value.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Error> {
        let table = Lenient(Value::Table(self.table.clone()));
        serde_path_to_error::deserialize(table).map_err(|error| {
            let (at, message) = (location(error.path()), error.inner().message());
            Error::Config(self.explain(&at, message))
        })
    }

    /// Returns serde's message without values, and with the section and the location.
    fn explain(&self, at: &str, message: &str) -> String {
        let section = &self.section;
        let unknown_field = message.strip_prefix("unknown field `");
        if let Some((name, rest)) = unknown_field.and_then(|rest| rest.split_once('`')) {
            let known = quoted(rest);
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            let at = format!("{section}.{}", parents(at, name));
            return match known.is_empty() {
                true => {
                    format!("unknown key `{at}{name}`: the broker knows no key here; leave it out")
                }
                false => unknown(name, &known, &at, "key"),
            };
        }
        let what = match expected(message) {
            known if !known.is_empty() => known,
            // The message of a type of the broker's own.
            _ => format!(": {}", self.without_values(message)),
        };
        format!("`[{section}]`: wrong value{at}{what}")
    }

    /// Returns the text with `…` for each value of the section.
    fn without_values(&self, text: &str) -> String {
        let mut values = Vec::new();
        texts(&self.table, &mut values);
        // The longest first, since a value may be part of another.
        values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        values.iter().fold(text.to_owned(), |text, value| {
            let quoted = value.escape_debug().to_string();
            text.replace(&quoted, "…").replace(value, "…")
        })
    }
}

/// Returns the part of a location before its key: an empty text, or for example `login.`.
fn parents<'p>(at: &'p str, key: &str) -> &'p str {
    let path = at.strip_prefix(" at `").unwrap_or(at);
    let path = path.strip_suffix('`').unwrap_or(path);
    // A key that may be data is left out of a location.
    let parents = path.strip_suffix(key).or(path.strip_suffix('…'));
    parents
        .filter(|parents| parents.ends_with('.'))
        .unwrap_or_default()
}

/// Returns the names that serde's message lists as known. Serde quotes each of them.
fn quoted(known: &str) -> Vec<String> {
    let names = known.split('`').skip(1).step_by(2);
    names
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Collects the texts and numbers among the values, in the form in which a message would quote them.
fn texts(table: &Table, found: &mut Vec<String>) {
    for value in table.values() {
        text(value, found);
    }
}

fn text(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Table(inner) => texts(inner, found),
        Value::Array(values) => values.iter().for_each(|value| text(value, found)),
        Value::String(text) if !text.is_empty() => found.push(text.clone()),
        Value::Integer(number) => found.push(number.to_string()),
        Value::Float(number) => found.push(number.to_string()),
        _ => {}
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values may be passwords.
        f.debug_struct("Settings")
            .field("section", &self.section)
            .field("keys", &self.table.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// A value whose text is read as a number or a boolean if the type wants one, since the environment has only text.
struct Lenient(Value);

macro_rules! from_text {
    ($($method:ident => $visit:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            match self.0.as_str().and_then(|text| text.trim().parse().ok()) {
                Some(value) => visitor.$visit(value),
                None => self.deserialize_any(visitor),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for Lenient {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.0 {
            Value::Table(table) => {
                let entries = table.into_iter().map(|(key, value)| (key, Self(value)));
                let mut entries = MapDeserializer::new(entries);
                let read = visitor.visit_map(&mut entries)?;
                entries.end().map(|()| read)
            }
            Value::Array(values) => {
                let mut values = SeqDeserializer::new(values.into_iter().map(Self));
                let read = visitor.visit_seq(&mut values)?;
                values.end().map(|()| read)
            }
            other => other.deserialize_any(visitor),
        }
    }

    from_text! {
        deserialize_bool => visit_bool
        deserialize_i8 => visit_i64
        deserialize_i16 => visit_i64
        deserialize_i32 => visit_i64
        deserialize_i64 => visit_i64
        deserialize_u8 => visit_u64
        deserialize_u16 => visit_u64
        deserialize_u32 => visit_u64
        deserialize_u64 => visit_u64
        deserialize_f32 => visit_f64
        deserialize_f64 => visit_f64
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.0.deserialize_enum(name, variants, visitor)
    }

    forward_to_deserialize_any! {
        i128 u128 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

impl<'de> IntoDeserializer<'de, Fault> for Lenient {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}
