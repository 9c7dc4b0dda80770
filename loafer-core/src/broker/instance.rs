//! One broker of a program, as the configuration names it.

use super::Settings;

/// One broker of a program: what the configuration says of it.
///
/// A program may have several of one kind. The first is called as its kind is (`[brokers.amqp]`); it is the one that variables of the
/// broker's own, for example `AMQP_URL`, are for. Others have names of their own: `[brokers.legacy]` with `kind = "amqp"`.
#[derive(Clone, Debug)]
pub struct Instance<'i> {
    name: &'i str,
    kind: &'i str,
    app: Option<&'i str>,
    settings: Option<&'i Settings>,
}

impl<'i> Instance<'i> {
    /// Returns the instance of this name and kind, for the app of this name, with what the configuration says of it.
    #[must_use]
    pub fn new(
        name: &'i str,
        kind: &'i str,
        app: Option<&'i str>,
        settings: Option<&'i Settings>,
    ) -> Self {
        Self {
            name,
            kind,
            app,
            settings,
        }
    }

    /// Returns its name: the first part of its topics (`legacy:orders`), and what `broker = "legacy"` of a route names.
    #[must_use]
    pub fn name(&self) -> &'i str {
        self.name
    }

    /// Returns whether it is the first of its kind: the one that the broker's own variables of the environment are for.
    #[must_use]
    pub fn is_first(&self) -> bool {
        self.name == self.kind
    }

    /// Returns the app's name, if it has one.
    #[must_use]
    pub fn app(&self) -> Option<&'i str> {
        self.app
    }

    /// Returns what its section of the configuration says; `None` if there is no section, or if it says no more than the kind.
    #[must_use]
    pub fn settings(&self) -> Option<&'i Settings> {
        self.settings
    }
}
