//! The brokers of a program, by name: which there are, and each made and configured when first asked for.

use std::{collections::BTreeMap, fmt, sync::Arc};

use loafer_core::{
    broker::{self, Broker, Settings},
    policy::unknown,
};

use super::{
    App, Config,
    config::BrokerSection,
    erased::{DynBroker, Maker},
};
use crate::bus::form;

/// A kind of broker, by its type.
#[derive(Clone, Copy)]
pub struct BrokerKind {
    name: &'static str,
    stands_in: bool,
    queue_name: fn(&str, Option<&str>) -> String,
    make: Maker,
}

impl BrokerKind {
    /// Returns the kind of this broker.
    #[must_use]
    pub fn of<B: Broker>() -> Self {
        Self {
            name: B::KIND,
            stands_in: B::STANDS_IN,
            queue_name: B::queue_name,
            make: || Box::new(B::default()),
        }
    }

    /// Returns its name, for example `sqs`: that of its first instance.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Whether it stands in for other brokers.
    pub(crate) fn stands_in(&self) -> bool {
        self.stands_in
    }

    /// The queue of a route that names none.
    pub(crate) fn queue_name(&self, route: &str, consumer: Option<&str>) -> String {
        (self.queue_name)(route, consumer)
    }
}

impl PartialEq for BrokerKind {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for BrokerKind {}

impl fmt::Debug for BrokerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// One broker of a program.
#[derive(Clone)]
pub(crate) struct Instance {
    pub(crate) name: Arc<str>,
    pub(crate) kind: BrokerKind,
    pub(crate) broker: Arc<dyn DynBroker>,
}

/// A broker that may be asked for.
struct Known {
    kind: BrokerKind,
    /// Given in code.
    value: Option<Box<dyn DynBroker>>,
    settings: Option<Settings>,
    /// Whether code or configuration speaks of it: it may be published to, though no route runs on it.
    is_named: bool,
}

/// The brokers of a program.
pub(crate) struct Instances {
    app: Option<String>,
    known: BTreeMap<String, Known>,
    /// Those that were asked for; or why one can't be had.
    used: BTreeMap<String, Result<Instance, String>>,
}

impl Instances {
    /// Returns the brokers that the app and the configuration name, and those of these kinds; and what is wrong with their names.
    pub(crate) fn new(
        app: &mut App,
        config: &Config,
        kinds: impl IntoIterator<Item = BrokerKind>,
    ) -> (Self, Vec<String>) {
        let given = std::mem::take(&mut app.brokers);
        let kinds: BTreeMap<&str, BrokerKind> = kinds
            .into_iter()
            .chain(app.kinds.iter().copied())
            .chain(given.values().map(|(kind, _)| *kind))
            .map(|kind| (kind.name, kind))
            .collect();
        let (mut faults, mut used) = (Vec::new(), BTreeMap::new());
        let firsts = kinds.values().map(|kind| (kind.name.to_owned(), *kind));
        let mut known: BTreeMap<String, Known> = firsts
            .map(|(name, kind)| (name, Known::new(kind)))
            .collect();
        for (name, (kind, value)) in given {
            faults.extend(name_fault(&name, kind, &kinds));
            let known = known.entry(name).or_insert(Known::new(kind));
            (known.kind, known.value, known.is_named) = (kind, Some(value), true);
        }
        let of_code: Vec<String> = known.keys().cloned().collect();
        for (name, section) in &config.brokers {
            // The environment writes `_` for `-`.
            let mut same = of_code.iter().filter(|known| form(known) == form(name));
            let name = same.next().unwrap_or(name).clone();
            match kind_of(&name, section, known.get(&name), &kinds) {
                Ok(kind) => {
                    faults.extend(name_fault(&name, kind, &kinds));
                    let known = known.entry(name).or_insert(Known::new(kind));
                    known.is_named = true;
                    // A second instance may have nothing to say but its kind.
                    known.settings = Some(&section.settings)
                        .filter(|settings| !settings.is_empty())
                        .cloned();
                }
                Err(fault) => {
                    faults.push(fault.clone());
                    // Routes and topics on it have nothing to add.
                    used.insert(name, Err(fault));
                }
            }
        }
        let app = config.app.clone().or_else(|| app.name.clone());
        (Self { app, known, used }, faults)
    }

    /// Adds a kind of broker: that of a route which is added while the program runs.
    ///
    /// # Errors
    ///
    /// If a broker of another kind has its name.
    pub(crate) fn add_kind(&mut self, kind: BrokerKind) -> Result<(), String> {
        let known = self.known.entry(kind.name.to_owned());
        let known = known.or_insert_with(|| Known::new(kind));
        match known.kind == kind {
            true => Ok(()),
            false => Err(format!(
                "it is on `{}`, and the broker of this name is of kind `{}`: give that broker another name",
                kind.name, known.kind.name
            )),
        }
    }

    /// Returns the broker of this name, made and configured.
    ///
    /// # Errors
    ///
    /// If there is none of this name, or its settings are invalid: the same error each time.
    pub(crate) fn get(&mut self, name: &str) -> Result<Instance, String> {
        if let Some(used) = self.used.get(name) {
            return used.clone();
        }
        self.check(name)?;
        let made = self.make(name);
        self.used.insert(name.to_owned(), made.clone());
        made
    }

    fn make(&mut self, name: &str) -> Result<Instance, String> {
        let Some(known) = self.known.get_mut(name) else {
            unreachable!("it was found by its name");
        };
        let mut broker = known.value.take().unwrap_or_else(|| (known.kind.make)());
        let (app, settings) = (self.app.as_deref(), known.settings.as_ref());
        let instance = broker::Instance::new(name, known.kind.name, app, settings);
        let configured = broker.configure(&instance);
        configured.map_err(|error| match instance.is_first() {
            true => error.to_string(),
            false => format!("broker `{name}`: {error}"),
        })?;
        Ok(Instance {
            name: name.into(),
            kind: known.kind,
            broker: broker.into(),
        })
    }

    /// Returns the names of those that code gave, or that the configuration has a section for.
    pub(crate) fn named(&self) -> Vec<String> {
        let known = self.known.iter();
        let named = known.filter(|(_, known)| known.is_named);
        named.map(|(name, _)| name.clone()).collect()
    }

    /// Returns the kind of the broker of this name, if there is one.
    pub(crate) fn kind(&self, name: &str) -> Option<BrokerKind> {
        self.known.get(name).map(|known| known.kind)
    }

    /// Returns whether there is a broker of this name; it is not made.
    ///
    /// # Errors
    ///
    /// If there is none: says which there are.
    pub(crate) fn check(&self, name: &str) -> Result<(), String> {
        let names: Vec<&str> = self.known.keys().map(String::as_str).collect();
        match self.known.contains_key(name) || self.used.contains_key(name) {
            true => Ok(()),
            false => Err(unknown(name, &names, "", "broker")),
        }
    }

    /// Returns those that were asked for.
    pub(crate) fn used(&self) -> impl Iterator<Item = &Instance> {
        self.used.values().filter_map(|used| used.as_ref().ok())
    }

    /// Returns the app's name, if it has one.
    pub(crate) fn app(&self) -> Option<&str> {
        self.app.as_deref()
    }
}

impl Known {
    fn new(kind: BrokerKind) -> Self {
        Self {
            kind,
            value: None,
            settings: None,
            is_named: false,
        }
    }
}

/// What is wrong with the name of an instance, if anything.
fn name_fault(name: &str, kind: BrokerKind, kinds: &BTreeMap<&str, BrokerKind>) -> Option<String> {
    if name.is_empty() || name.contains(':') {
        return Some(format!(
            "broker `{name}`: the name of a broker is not empty and has no `:`, which ends it in topics (`legacy:orders`): call it otherwise"
        ));
    }
    let other = kinds.get(name).filter(|other| **other != kind)?;
    Some(format!(
        "broker `{name}` is of kind `{}`, and `{}` is the name of the first broker of that kind: call it otherwise",
        kind.name, other.name
    ))
}

/// The kind of broker that a section of the configuration is for: the one it names, else the one that the instance has already.
fn kind_of(
    name: &str,
    section: &BrokerSection,
    known: Option<&Known>,
    kinds: &BTreeMap<&str, BrokerKind>,
) -> Result<BrokerKind, String> {
    let names: Vec<&str> = kinds.keys().copied().collect();
    let own = known.map(|known| known.kind);
    let Some(wanted) = &section.kind else {
        return own.ok_or_else(|| {
            format!(
                "{}; a second broker of a kind says which: [brokers.{name}] with `kind = \"{}\"`",
                unknown(name, &names, "brokers.", "broker"),
                names.last().copied().unwrap_or("memory")
            )
        });
    };
    match (kinds.get(wanted.as_str()), own) {
        (None, _) => Err(format!(
            "[brokers.{name}]: {}",
            unknown(wanted, &names, "", "kind")
        )),
        (Some(kind), Some(own)) if *kind != own => Err(format!(
            "[brokers.{name}]: `kind = \"{wanted}\"`, but `{name}` is a broker of kind `{}`: give the section another name, or leave `kind` out",
            own.name
        )),
        (Some(kind), _) => Ok(*kind),
    }
}
