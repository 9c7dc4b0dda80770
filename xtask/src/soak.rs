//! The soak: the fault test of the workspace, as long and as large as wanted.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, ValueEnum};

use crate::leash::Leashed;
use crate::servers::{self, Server};
use crate::workspace;

/// What the services of a soak are on: its test, and the server that the test starts, kills and restarts.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Broker {
    /// fauxqs
    Sqs,
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
            Self::Rabbitmq | Self::Rabbitmq4 | Self::Rabbitmq43 => {
                "whatever_is_killed_or_cut_rabbitmq_loses_nothing"
            }
        }
    }

    fn server(self) -> Server {
        match self {
            Self::Sqs => Server::Fauxqs,
            Self::Rabbitmq => Server::Rabbitmq,
            Self::Rabbitmq4 => Server::Rabbitmq4,
            Self::Rabbitmq43 => Server::Rabbitmq43,
        }
    }

    /// What the test reads the server's command from.
    fn variable(self) -> &'static str {
        match self {
            Self::Sqs => servers::FAUXQS_COMMAND,
            Self::Rabbitmq | Self::Rabbitmq4 | Self::Rabbitmq43 => servers::RABBITMQ_COMMAND,
        }
    }
}

/// The size of a soak; what is not given follows from its time.
#[derive(Debug, Args)]
pub(crate) struct Soak {
    /// What the services are on
    #[arg(long, value_name = "NAME", default_value = "sqs")]
    broker: Broker,
    /// How long messages are published and things go wrong
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    minutes: u64,
    /// Messages to publish [default: 6,000 a minute]
    #[arg(long, value_name = "N")]
    messages: Option<u64>,
    /// Consumers to kill [default: 6 a minute]
    #[arg(long, value_name = "N")]
    kills: Option<u64>,
    /// Times to kill the server [default: 3 in two minutes]
    #[arg(long, value_name = "N")]
    server_kills: Option<u64>,
    /// The seed that an earlier run printed, to repeat its plan
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
}

/// Runs the fault test against a server of its own; it prints how far it is, and a table at the end.
pub(crate) fn run(soak: &Soak) -> Result<ExitCode> {
    let mut cargo = workspace::cargo();
    cargo.args(["test", "-p", "loafer-tests", "--test", "faults", "--"]);
    cargo.args(["--nocapture", "--exact", soak.broker.test()]);
    let command = servers::shell_command(soak.broker.server())?;
    cargo.env(soak.broker.variable(), command);
    let sizes = [
        ("SECONDS", Some(60 * soak.minutes)),
        ("MESSAGES", soak.messages),
        ("KILLS", soak.kills),
        ("SERVER_KILLS", soak.server_kills),
        ("SEED", soak.seed),
    ];
    for (name, size) in sizes {
        let variable = format!("LOAFER_FAULT_{name}");
        match size {
            Some(size) => cargo.env(variable, size.to_string()),
            None => cargo.env_remove(variable),
        };
    }
    let status = Leashed::spawn(cargo)?.wait(None)?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
