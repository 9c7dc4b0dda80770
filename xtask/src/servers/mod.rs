//! The real brokers of the tests, as local processes: which there are, and how all of them start and stop.
//!
//! Each server is installed once into `target/servers/NAME` and runs on a free port of 127.0.0.1; what it
//! writes goes to `target/servers/run-PID`, which goes away with it.

mod elasticmq;
mod fauxqs;
mod folder;
mod install;
mod port;
mod running;

use std::path::Path;
use std::process::{Command, ExitCode};
use std::thread;
use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use clap::ValueEnum;

pub(crate) use running::Running;

/// What the AWS SDKs want besides an endpoint; the servers take any.
pub(crate) const CREDENTIALS: [(&str, &str); 3] = [
    ("AWS_REGION", "us-east-1"),
    ("AWS_ACCESS_KEY_ID", "test"),
    ("AWS_SECRET_ACCESS_KEY", "test"),
];

/// A server this crate can install and start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Server {
    /// SQS and SNS, fast
    Fauxqs,
    /// SQS, strict
    Elasticmq,
}

impl Server {
    pub(crate) const ALL: [Self; 2] = [Self::Fauxqs, Self::Elasticmq];

    /// The name on the command line, of its folder and of its log.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Fauxqs => "fauxqs",
            Self::Elasticmq => "elasticmq",
        }
    }

    /// The variable which tells the tests where it is; without it they skip.
    pub(crate) fn variable(self) -> &'static str {
        match self {
            Self::Fauxqs => "LOAFER_TEST_FAUXQS",
            Self::Elasticmq => "LOAFER_TEST_ELASTICMQ",
        }
    }

    /// What is installed, to the version: another stamp is another installation.
    fn stamp(self) -> String {
        match self {
            Self::Fauxqs => fauxqs::stamp(),
            Self::Elasticmq => elasticmq::stamp(),
        }
    }

    /// Installs into the empty folder `home`.
    fn install(self, home: &Path) -> Result<()> {
        match self {
            Self::Fauxqs => fauxqs::install(home),
            Self::Elasticmq => elasticmq::install(home),
        }
    }

    /// What starts it from `home` on `port`, with its files in `run`.
    fn command(self, home: &Path, run: &Path, port: u16) -> Result<Command> {
        match self {
            Self::Fauxqs => fauxqs::command(home, port),
            Self::Elasticmq => elasticmq::command(home, run, port),
        }
    }
}

/// The variable with the command of a fauxqs, for tests that start, kill and restart their own.
pub(crate) const FAUXQS_COMMAND: &str = "LOAFER_TEST_FAUXQS_COMMAND";

/// Installs fauxqs; the command for [`FAUXQS_COMMAND`].
pub(crate) fn fauxqs_command() -> Result<String> {
    install::all(&[Server::Fauxqs])?;
    fauxqs::shell_command(&folder::servers().join(Server::Fauxqs.name()))
}

/// Installs and starts servers, and returns when all of them answer.
pub(crate) fn start(servers: &[Server]) -> Result<Running> {
    install::all(servers)?;
    Running::start(servers)
}

/// Starts servers, prints what a shell is to export, and stays until it is killed or a server ends.
pub(crate) fn serve(servers: &[Server], endpoint: Option<Server>) -> Result<ExitCode> {
    let endpoint = endpoint
        .or(servers.first().copied())
        .ok_or_else(|| anyhow!("every server is left out: there is nothing to start"))?;
    if !servers.contains(&endpoint) {
        let name = endpoint.name();
        bail!("--endpoint {name} and --without {name} exclude each other: drop one");
    }
    let mut running = start(servers)?;
    for (variable, url) in running.variables() {
        println!("export {variable}={url}");
    }
    if servers.contains(&Server::Fauxqs) {
        println!("export {FAUXQS_COMMAND}=\"{}\"", fauxqs_command()?);
    }
    if let Some(url) = running.url(endpoint) {
        println!("export AWS_ENDPOINT_URL={url}");
    }
    for (variable, value) in CREDENTIALS {
        println!("export {variable}={value}");
    }
    eprintln!("xtask: Ctrl-C stops the servers");
    loop {
        running.check()?;
        thread::sleep(Duration::from_millis(500));
    }
}
