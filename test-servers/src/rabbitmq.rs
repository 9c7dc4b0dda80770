//! The RabbitMQs that are installed, and the one of each that all tests share.

use std::{env, path::Path};

use crate::{Broker, Management, Setup};

/// Which RabbitMQ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// The package of the Debian the tests run on: 3.10 on Debian 12.
    Debian,
    /// 4.0, with its limit of deliveries in quorum queues. It takes root to make.
    V4,
}

impl Version {
    /// The variable which says where the shared one is; others begin with it.
    fn variable(self) -> &'static str {
        match self {
            Self::Debian => "LOAFER_TEST_RABBITMQ",
            Self::V4 => "LOAFER_TEST_RABBITMQ_4",
        }
    }
}

/// The RabbitMQ that all tests share: they name their queues apart, and leave the server as it is.
#[derive(Clone, Debug)]
pub struct Shared {
    /// `amqp://…`, of a user who may do everything.
    pub url: String,
    /// Its management API.
    pub management: Management,
}

/// An installed RabbitMQ, from which tests start their own.
#[derive(Clone, Debug)]
pub struct RabbitMq {
    command: String,
}

impl RabbitMq {
    /// The one all tests share; none, and a word about it, where `cargo xtask test` did not start it.
    pub fn shared(version: Version, test: &str) -> Option<Shared> {
        let variable = version.variable();
        let url = said(variable, test)?;
        let management = said(&format!("{variable}_MANAGEMENT"), test)?;
        Some(Shared {
            url,
            management: Management::at(&management),
        })
    }

    /// What a test starts its own from; none, and a word about it, where `cargo xtask test` did not install it.
    pub fn installed(version: Version, test: &str) -> Option<Self> {
        let command = said(&format!("{}_COMMAND", version.variable()), test)?;
        Some(Self { command })
    }

    /// Starts one, empty, on ports of its own, and returns when it can be used: 4 to 8 s. Its files are in a folder of
    /// their own under `parent`, for which a test says `env!("CARGO_TARGET_TMPDIR")`; they stay where the test fails.
    pub async fn start(&self, parent: impl AsRef<Path>) -> Broker {
        self.start_with(parent, &Setup::default()).await
    }

    /// The same with this said in its configuration.
    pub async fn start_with(&self, parent: impl AsRef<Path>, setup: &Setup) -> Broker {
        Broker::start(&self.command, parent.as_ref(), setup).await
    }
}

fn said(variable: &str, test: &str) -> Option<String> {
    let said = env::var(variable).ok();
    if said.is_none() {
        eprintln!("skipped: {test}: set {variable}, or run cargo xtask test");
    }
    said
}
