//! The servers there are, and what differs among them.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use clap::ValueEnum;

use super::{
    Ports, elasticmq, fauxqs, folder, health, rabbitmq,
    rabbitmq_in_debian::{self, FORKY, TRIXIE},
};

/// A server this crate can install and start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Server {
    /// SQS and SNS, fast
    Fauxqs,
    /// SQS, strict
    Elasticmq,
    /// AMQP: RabbitMQ as this Debian has it (12: 3.10)
    Rabbitmq,
    /// AMQP: RabbitMQ 4.0; left out where it can't be made
    Rabbitmq4,
    /// AMQP: RabbitMQ 4.3; left out where it can't be made
    Rabbitmq43,
}

impl Server {
    pub(crate) const ALL: [Self; 5] = [
        Self::Fauxqs,
        Self::Elasticmq,
        Self::Rabbitmq,
        Self::Rabbitmq4,
        Self::Rabbitmq43,
    ];

    /// The name on the command line, of its folder and of its log.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Fauxqs => "fauxqs",
            Self::Elasticmq => "elasticmq",
            Self::Rabbitmq => "rabbitmq",
            Self::Rabbitmq4 => "rabbitmq4",
            Self::Rabbitmq43 => "rabbitmq43",
        }
    }

    /// Where it is installed.
    pub(super) fn home(self) -> PathBuf {
        folder::servers().join(self.name())
    }

    /// Whether the AWS SDKs can be sent to it.
    pub(super) fn is_sqs(self) -> bool {
        matches!(self, Self::Fauxqs | Self::Elasticmq)
    }

    /// Whether a run goes on without it: it takes rights that not everybody has.
    pub(super) fn is_optional(self) -> bool {
        matches!(self, Self::Rabbitmq4 | Self::Rabbitmq43)
    }

    /// The variables which tell the tests of it: where it is, how its management API is reached, and the command for
    /// tests that start, kill and restart their own. Without them the tests skip.
    pub(crate) fn variables(self) -> &'static [&'static str] {
        match self {
            Self::Fauxqs => &["LOAFER_TEST_FAUXQS", super::FAUXQS_COMMAND],
            Self::Elasticmq => &["LOAFER_TEST_ELASTICMQ"],
            Self::Rabbitmq => &[
                "LOAFER_TEST_RABBITMQ",
                "LOAFER_TEST_RABBITMQ_MANAGEMENT",
                super::RABBITMQ_COMMAND,
            ],
            Self::Rabbitmq4 => &[
                "LOAFER_TEST_RABBITMQ_4",
                "LOAFER_TEST_RABBITMQ_4_MANAGEMENT",
                "LOAFER_TEST_RABBITMQ_4_COMMAND",
            ],
            Self::Rabbitmq43 => &[
                "LOAFER_TEST_RABBITMQ_4_3",
                "LOAFER_TEST_RABBITMQ_4_3_MANAGEMENT",
                "LOAFER_TEST_RABBITMQ_4_3_COMMAND",
            ],
        }
    }

    /// What [`Self::variables`] say of one on these ports, in their order.
    pub(super) fn values(self, ports: &Ports) -> Result<Vec<String>> {
        let (url, home) = (self.url(ports), self.home());
        let management = || format!("http://127.0.0.1:{}", ports[1]);
        Ok(match self {
            Self::Fauxqs => vec![url, fauxqs::shell_command(&home)?],
            Self::Elasticmq => vec![url],
            Self::Rabbitmq => vec![url, management(), rabbitmq::shell_command(&home)?],
            Self::Rabbitmq4 | Self::Rabbitmq43 => {
                vec![url, management(), rabbitmq_in_debian::shell_command(&home)?]
            }
        })
    }

    /// Where its clients find it.
    pub(crate) fn url(self, [port, ..]: &Ports) -> String {
        match self {
            Self::Fauxqs | Self::Elasticmq => format!("http://127.0.0.1:{port}"),
            Self::Rabbitmq | Self::Rabbitmq4 | Self::Rabbitmq43 => {
                format!("amqp://guest:guest@127.0.0.1:{port}/%2f")
            }
        }
    }

    /// Makes sure of what this system must have or allow, whether the server is installed or not.
    pub(super) fn need(self) -> Result<()> {
        match self {
            Self::Fauxqs => Ok(()),
            Self::Elasticmq => elasticmq::need_java(),
            Self::Rabbitmq => rabbitmq::need().map(drop),
            Self::Rabbitmq4 | Self::Rabbitmq43 => rabbitmq_in_debian::need(),
        }
    }

    /// What is installed, to the version: another stamp is another installation. None where [`Self::need`] is all.
    pub(super) fn stamp(self) -> Option<String> {
        match self {
            Self::Fauxqs => Some(fauxqs::stamp()),
            Self::Elasticmq => Some(elasticmq::stamp()),
            Self::Rabbitmq => None,
            Self::Rabbitmq4 => Some(TRIXIE.stamp()),
            Self::Rabbitmq43 => Some(FORKY.stamp()),
        }
    }

    /// Installs into the empty folder `home`.
    pub(super) fn install(self, home: &Path) -> Result<()> {
        match self {
            Self::Fauxqs => fauxqs::install(home),
            Self::Elasticmq => elasticmq::install(home),
            Self::Rabbitmq => Ok(()),
            Self::Rabbitmq4 => TRIXIE.install(home),
            Self::Rabbitmq43 => FORKY.install(home),
        }
    }

    /// What starts it on these ports, with its files in `run`.
    pub(super) fn command(self, run: &Path, ports: &Ports) -> Result<Command> {
        let home = self.home();
        match self {
            Self::Fauxqs => fauxqs::command(&home, ports[0]),
            Self::Elasticmq => elasticmq::command(&home, run, ports[0]),
            Self::Rabbitmq => rabbitmq::command(&home, run, ports),
            Self::Rabbitmq4 | Self::Rabbitmq43 => rabbitmq_in_debian::command(&home, run, ports),
        }
    }

    /// Whether it can be used.
    pub(super) fn answers(self, ports: &Ports) -> bool {
        match self {
            Self::Fauxqs | Self::Elasticmq => health::http(ports[0], "/health"),
            Self::Rabbitmq | Self::Rabbitmq4 | Self::Rabbitmq43 => {
                health::amqp(ports[0]) && health::http(ports[1], "/api/whoami")
            }
        }
    }
}
