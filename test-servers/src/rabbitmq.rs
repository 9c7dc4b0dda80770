//! The RabbitMQs that are installed, and the running one of each version that all tests share.

use std::{env, path::Path};

use crate::{Broker, Management, Setup};

/// The version of a RabbitMQ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// The version in the Debian that the tests run on: 3.10 on Debian 12.
    Debian,
    /// Version 4.0, whose quorum queues have a delivery limit by default. Only root can install it.
    V4,
    /// Version 4.3, which counts deliveries and failures apart. Only root can install it.
    V43,
}

impl Version {
    /// Returns the environment variable with the address of the shared one. The names of the other variables begin with it.
    fn variable(self) -> &'static str {
        match self {
            Self::Debian => "LOAFER_TEST_RABBITMQ",
            Self::V4 => "LOAFER_TEST_RABBITMQ_4",
            Self::V43 => "LOAFER_TEST_RABBITMQ_4_3",
        }
    }
}

/// The RabbitMQ that all tests share. Each test uses names of its own for queues, and leaves the server as it is.
#[derive(Clone, Debug)]
pub struct Shared {
    /// Its address `amqp://…`, with a user who may do everything.
    pub url: String,
    /// Its management API.
    pub management: Management,
}

/// An installed RabbitMQ, from which tests start their own.
#[derive(Clone, Debug)]
pub struct RabbitMq {
    /// A shell command: with the argument `serve` it runs a broker, with `ctl` and further arguments it runs `rabbitmqctl`.
    command: String,
}

impl RabbitMq {
    /// Returns the one that all tests share. `None` means that `cargo xtask test` did not start it; then it prints that `test` is skipped.
    pub fn shared(version: Version, test: &str) -> Option<Shared> {
        let variable = version.variable();
        let url = value_of(variable, test)?;
        let management = value_of(&format!("{variable}_MANAGEMENT"), test)?;
        Some(Shared {
            url,
            management: Management::at(&management),
        })
    }

    /// Returns what a test starts its own RabbitMQ from. `None` means that `cargo xtask test` did not install it; then it prints that `test` is
    /// skipped.
    pub fn installed(version: Version, test: &str) -> Option<Self> {
        let command = value_of(&format!("{}_COMMAND", version.variable()), test)?;
        Some(Self { command })
    }

    #[cfg(test)]
    pub(crate) fn command(&self) -> &str {
        &self.command
    }

    /// Starts an empty RabbitMQ on ports of its own. Returns when it can be used, after 4 to 8 s.
    ///
    /// Its files are in a folder of their own under `parent`, for which a test writes `env!("CARGO_TARGET_TMPDIR")`. They stay there if the test
    /// fails.
    ///
    /// # Panics
    ///
    /// If it does not start within 300 s. The message has the end of its log.
    pub async fn start(&self, parent: impl AsRef<Path>) -> Broker {
        self.start_with(parent, &Setup::default()).await
    }

    /// Starts an empty RabbitMQ with further configuration. Otherwise it does what [`start`](Self::start) does.
    ///
    /// # Panics
    ///
    /// If it does not start within 300 s. The message has the end of its log.
    pub async fn start_with(&self, parent: impl AsRef<Path>, setup: &Setup) -> Broker {
        Broker::start(&self.command, parent.as_ref(), setup).await
    }
}

/// Returns the value of an environment variable. If it is not set, prints that the test is skipped.
fn value_of(variable: &str, test: &str) -> Option<String> {
    let value = env::var(variable).ok();
    if value.is_none() {
        eprintln!("skipped: {test}: set {variable}, or run cargo xtask test");
    }
    value
}
