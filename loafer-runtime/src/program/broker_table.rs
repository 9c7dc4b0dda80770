//! A route's options of its broker, as a table: only that broker knows the keys.

use std::fmt;

use loafer_core::broker::{Broker, Settings};
use serde::{Deserialize, Deserializer, de::Error};
use toml::{Table, Value};

/// A route's options of its broker: what the attribute, the code, the file and the environment say, each key overridden alone.
#[derive(Clone, Default, PartialEq)]
pub(crate) struct BrokerTable {
    /// The kind of broker that the attribute or the code set some for; `None` if only the configuration does.
    kind: Option<&'static str>,
    table: Table,
    /// What is wrong with options given in code.
    fault: Option<String>,
}

impl BrokerTable {
    /// Returns the options of a broker of this type.
    pub(super) fn of<B: Broker>(options: B::Options) -> Self {
        let (table, fault) = match Table::try_from(options) {
            Ok(table) => (table, None),
            Err(error) => (Table::new(), Some(format!("can't be read: {error}"))),
        };
        Self {
            // What sets nothing is of no kind.
            kind: (!table.is_empty()).then_some(B::KIND),
            table,
            fault,
        }
    }

    /// Returns the kind of broker they were set for, if code or attribute set any.
    pub(super) fn kind(&self) -> Option<&'static str> {
        self.kind
    }

    /// Returns them as the section of this route.
    pub(super) fn section(&self, route: &str) -> Settings {
        Settings::new(format!("routes.{route}.options"), self.table.clone())
    }

    /// Returns the first key, if one is set.
    pub(super) fn first_key(&self) -> Option<&str> {
        self.table.keys().next().map(String::as_str)
    }

    /// Returns what is wrong with them, if anything: the rest of a sentence that begins "its options".
    pub(super) fn fault(&self) -> Option<&str> {
        self.fault.as_deref()
    }

    /// These options, overridden key by key where `stronger` sets them.
    pub(super) fn overridden_by(mut self, stronger: Self) -> Self {
        let two_kinds = match (self.kind, stronger.kind) {
            (Some(one), Some(other)) if one != other => Some(format!(
                "are those of two kinds of brokers, `{one}` and `{other}`: keep those of the one it runs on"
            )),
            _ => None,
        };
        merge(&mut self.table, stronger.table);
        Self {
            kind: stronger.kind.or(self.kind),
            table: self.table,
            fault: self.fault.or(stronger.fault).or(two_kinds),
        }
    }

    /// Returns the key that both set, to different values.
    pub(super) fn conflict(&self, other: &Self) -> Option<String> {
        if let (Some(one), Some(another)) = (self.kind, other.kind)
            && one != another
        {
            return Some("options".to_owned());
        }
        conflict(&self.table, &other.table).map(|key| format!("options.{key}"))
    }
}

/// Writes what `stronger` says over a table; tables within it key by key.
fn merge(table: &mut Table, stronger: Table) {
    for (key, value) in stronger {
        match (table.get_mut(&key), value) {
            (Some(Value::Table(inner)), Value::Table(stronger)) => merge(inner, stronger),
            (_, value) => {
                table.insert(key, value);
            }
        }
    }
}

/// The key that both tables set to different values.
fn conflict(one: &Table, other: &Table) -> Option<String> {
    one.iter()
        .find_map(|(key, value)| match (value, other.get(key)?) {
            (Value::Table(one), Value::Table(other)) => {
                conflict(one, other).map(|inner| format!("{key}.{inner}"))
            }
            (value, other) => (value != other).then(|| key.clone()),
        })
}

impl<'de> Deserialize<'de> for BrokerTable {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        match Value::deserialize(from)? {
            Value::Table(table) => Ok(Self {
                table,
                ..Self::default()
            }),
            _ => Err(Error::custom(
                "expected a table of what the route's broker knows: write [routes.ROUTE.options]",
            )),
        }
    }
}

/// Shows the keys only.
impl fmt::Debug for BrokerTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.table.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> BrokerTable {
        BrokerTable {
            table: text.parse().unwrap_or_default(),
            ..BrokerTable::default()
        }
    }

    #[test]
    fn a_stronger_place_overrides_key_by_key() {
        let weaker = of("exchange = 'event'\narguments = { a = 1, b = 2 }");
        let both = weaker.overridden_by(of("exchange = 'news'\narguments = { b = 3 }"));
        assert_eq!(
            both.table,
            of("exchange = 'news'\narguments = { a = 1, b = 3 }").table
        );
    }

    #[test]
    fn two_handlers_agree_or_the_key_is_named() {
        let one = of("exchange = 'event'\narguments = { a = 1 }");
        assert_eq!(one.conflict(&of("declare = 'off'")), None);
        let other = of("exchange = 'event'\narguments = { a = 2 }");
        assert_eq!(one.conflict(&other).as_deref(), Some("options.arguments.a"));
    }
}
