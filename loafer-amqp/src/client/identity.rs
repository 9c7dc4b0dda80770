//! Whose connections they are: RabbitMQ shows its operators a name of each connection.

use loafer_core::broker::Instance;

/// What kind of broker RabbitMQ is: the name of its first instance.
pub(crate) const KIND: &str = "amqp";

/// The broker instance and the app that connections belong to. Operators of RabbitMQ and readers of errors know them by it.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    /// The name of the instance.
    instance: String,
    /// Whether the variable `AMQP_URL` is for it.
    is_first: bool,
    app: Option<String>,
}

impl Identity {
    pub(crate) fn new(instance: &Instance<'_>) -> Self {
        Self {
            instance: instance.name().to_owned(),
            is_first: instance.is_first(),
            app: instance.app().map(str::to_owned),
        }
    }

    /// Returns the section of `loafer.toml` with its settings.
    pub(crate) fn section(&self) -> String {
        format!("brokers.{}", self.instance)
    }

    /// Returns where to set its addresses.
    pub(crate) fn remedy(&self) -> String {
        let or = if self.is_first { "AMQP_URL, or " } else { "" };
        format!("set {or}`url` under [{}] in loafer.toml", self.section())
    }

    /// Returns what to do if it has no address, and may not take that of the first instance.
    pub(crate) fn address_missing(&self) -> String {
        format!(
            "it has no address, and AMQP_URL is the address of the first RabbitMQ: set `url = \"amqp://user:password@host:5672/vhost\"` under [{}] in \
             loafer.toml, or LOAFER_BROKERS__{}__URL",
            self.section(),
            self.instance.to_uppercase().replace(['-', '.'], "_")
        )
    }

    /// Returns the name of a connection.
    pub(crate) fn connection(&self, purpose: &str) -> String {
        let instance = &self.instance;
        match &self.app {
            Some(app) => format!("loafer {app}: {purpose} on {instance}"),
            None => format!("loafer: {purpose} on {instance}"),
        }
    }
}

/// The first instance, of no app: that of an `Amqp` that no configuration named.
impl Default for Identity {
    fn default() -> Self {
        Self::new(&Instance::new(KIND, KIND, None, None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_is_named_in_remedies_and_on_connections() {
        let first = Identity::default();
        assert_eq!(
            first.remedy(),
            "set AMQP_URL, or `url` under [brokers.amqp] in loafer.toml"
        );
        assert_eq!(first.connection("consuming"), "loafer: consuming on amqp");
        let second = Instance::new("old-rabbit", KIND, Some("billing"), None);
        let second = Identity::new(&second);
        assert_eq!(
            second.remedy(),
            "set `url` under [brokers.old-rabbit] in loafer.toml"
        );
        assert_eq!(
            second.connection("publishing"),
            "loafer billing: publishing on old-rabbit"
        );
        let missing = second.address_missing();
        for part in ["[brokers.old-rabbit]", "LOAFER_BROKERS__OLD_RABBIT__URL"] {
            assert!(missing.contains(part), "{part} is not in {missing}");
        }
    }
}
