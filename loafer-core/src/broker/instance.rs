//! Instances of brokers, as the configuration names them.

use super::Settings;

/// One broker of a program: its name, and what the configuration says of it.
///
/// A program may have several brokers of one kind. The first has the name of the kind (`[brokers.amqp]`), and environment variables that the
/// broker itself defines, for example `AMQP_URL`, are for it alone. Others have names of their own: `[brokers.legacy]` with `kind = "amqp"`.
#[derive(Clone, Debug)]
pub struct Instance<'i> {
    name: &'i str,
    kind: &'i str,
    app: Option<&'i str>,
    settings: Option<&'i Settings>,
}

impl<'i> Instance<'i> {
    /// Returns the instance of this name and kind, of the app of this name, with its settings.
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

    /// Returns its name. A route names it by `broker = "legacy"`, and topics of its queues begin with it: `legacy:orders`.
    #[must_use]
    pub fn name(&self) -> &'i str {
        self.name
    }

    /// Returns whether it is the first of its kind. Only the first reads environment variables that the broker itself defines.
    #[must_use]
    pub fn is_first(&self) -> bool {
        self.name == self.kind
    }

    /// Returns the name of the app. `None` means that it has none.
    #[must_use]
    pub fn app(&self) -> Option<&'i str> {
        self.app
    }

    /// Returns its section of the configuration. `None` means that there is no such section, or that it sets nothing but the kind.
    #[must_use]
    pub fn settings(&self) -> Option<&'i Settings> {
        self.settings
    }
}
