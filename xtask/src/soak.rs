//! The soak: the fault test of the workspace, as long and as large as wanted.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use crate::leash::Leashed;
use crate::{servers, workspace};

/// The size of a soak; what is not given follows from its time.
#[derive(Debug, Args)]
pub(crate) struct Soak {
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

/// Runs the fault test against a fauxqs of its own; it prints how far it is, and a table at the end.
pub(crate) fn run(soak: &Soak) -> Result<ExitCode> {
    let mut cargo = workspace::cargo();
    cargo.args(["test", "-p", "loafer-tests", "--test", "faults", "--"]);
    cargo.args(["--nocapture", "whatever_is_killed_or_cut_nothing_is_lost"]);
    cargo.env(servers::FAUXQS_COMMAND, servers::fauxqs_command()?);
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
