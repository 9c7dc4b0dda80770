//! The fault test of the workspace, as long and as large as wanted: the soak, and what the ledger runs.

use std::process::{Command, ExitCode};

use anyhow::Result;
use clap::{Args, ValueEnum};

use crate::leash::Leashed;
use crate::servers::{self, Running, Server};
use crate::workspace;

/// What the services of a soak are on: its test, and the server that the test starts, kills and restarts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Broker {
    /// fauxqs
    Sqs,
    /// ElasticMQ, which keeps nothing and is not killed
    Elasticmq,
    /// RabbitMQ of the Debian this runs on
    Rabbitmq,
    /// RabbitMQ 4.0
    Rabbitmq4,
    /// RabbitMQ 4.3
    Rabbitmq43,
}

impl Broker {
    fn test(self) -> &'static str {
        match self {
            Self::Sqs => "whatever_is_killed_or_cut_nothing_is_lost",
            Self::Elasticmq => "whatever_is_killed_or_cut_elasticmq_loses_nothing",
            Self::Rabbitmq | Self::Rabbitmq4 | Self::Rabbitmq43 => {
                "whatever_is_killed_or_cut_rabbitmq_loses_nothing"
            }
        }
    }

    fn server(self) -> Server {
        match self {
            Self::Sqs => Server::Fauxqs,
            Self::Elasticmq => Server::Elasticmq,
            Self::Rabbitmq => Server::Rabbitmq,
            Self::Rabbitmq4 => Server::Rabbitmq4,
            Self::Rabbitmq43 => Server::Rabbitmq43,
        }
    }

    /// What the test reads the server's command from. `None` means that it runs on a server of ours.
    fn variable(self) -> Option<&'static str> {
        match self {
            Self::Sqs => Some(servers::FAUXQS_COMMAND),
            Self::Elasticmq => None,
            Self::Rabbitmq | Self::Rabbitmq4 | Self::Rabbitmq43 => Some(servers::RABBITMQ_COMMAND),
        }
    }
}

/// How large a run of the fault test is; what is not given, the test derives from the time.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Size {
    /// Messages to publish [default: 6,000 a minute]
    #[arg(long, value_name = "N")]
    pub(crate) messages: Option<u64>,
    /// Consumers to kill [default: 6 a minute]
    #[arg(long, value_name = "N")]
    pub(crate) kills: Option<u64>,
    /// Times to kill the server [default: 3 in two minutes]
    #[arg(long, value_name = "N")]
    pub(crate) server_kills: Option<u64>,
    /// Messages that end the process of whoever handles them, where the broker can isolate them [default: 0]
    #[arg(long, value_name = "N")]
    pub(crate) crashes: Option<u64>,
    /// The seed that an earlier run printed, to repeat its plan
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
}

/// A soak.
#[derive(Debug, Args)]
pub(crate) struct Soak {
    /// What the services are on
    #[arg(long, value_name = "NAME", default_value = "sqs")]
    broker: Broker,
    /// How long messages are published and things go wrong
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    minutes: u64,
    #[command(flatten)]
    size: Size,
}

/// Runs the fault test against a server of its own; it prints how far it is, and a table at the end.
pub(crate) fn run(soak: &Soak) -> Result<ExitCode> {
    let (test, _running) = fault_test(soak.broker, soak.minutes, &soak.size)?;
    let status = Leashed::spawn(test)?.wait(None)?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Returns the command of the fault test, and the server that it runs on where it does not start one itself.
pub(crate) fn fault_test(
    broker: Broker,
    minutes: u64,
    size: &Size,
) -> Result<(Command, Option<Running>)> {
    let mut cargo = workspace::cargo();
    cargo.args(["test", "-p", "loafer-tests", "--test", "faults", "--"]);
    cargo.args(["--nocapture", "--include-ignored", "--exact", broker.test()]);
    let mut running = None;
    if let Some(variable) = broker.variable() {
        cargo.env(variable, servers::shell_command(broker.server())?);
    } else {
        let server = servers::start(&[broker.server()])?;
        cargo.envs(server.variables()?);
        running = Some(server);
    }
    let sizes = [
        ("SECONDS", Some(60 * minutes)),
        ("MESSAGES", size.messages),
        ("KILLS", size.kills),
        ("SERVER_KILLS", size.server_kills),
        ("CRASHES", size.crashes),
        ("SEED", size.seed),
    ];
    for (name, size) in sizes {
        let variable = format!("LOAFER_FAULT_{name}");
        match size {
            Some(size) => cargo.env(variable, size.to_string()),
            None => cargo.env_remove(variable),
        };
    }
    Ok((cargo, running))
}
