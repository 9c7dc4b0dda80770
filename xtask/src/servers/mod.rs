//! The real brokers of the tests, as local processes: which there are, and how all of them start and stop.
//!
//! Each server is installed once into `target/servers/NAME` and runs on a free port of 127.0.0.1; what it
//! writes goes to `target/servers/run-PID`, which goes away with it.

mod elasticmq;
mod fauxqs;
mod folder;
mod health;
mod install;
mod port;
mod rabbitmq;
mod rabbitmq_in_debian;
mod running;
mod server;

use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use anyhow::{Result, bail};

use port::Ports;
pub(crate) use running::Running;
pub(crate) use server::Server;

/// What the AWS SDKs want besides an endpoint; the servers take any.
pub(crate) const CREDENTIALS: [(&str, &str); 3] = [
    ("AWS_REGION", "us-east-1"),
    ("AWS_ACCESS_KEY_ID", "test"),
    ("AWS_SECRET_ACCESS_KEY", "test"),
];

/// The variable with the command of a fauxqs, for tests that start, kill and restart their own.
pub(crate) const FAUXQS_COMMAND: &str = "LOAFER_TEST_FAUXQS_COMMAND";

/// The same with the command of a RabbitMQ.
pub(crate) const RABBITMQ_COMMAND: &str = "LOAFER_TEST_RABBITMQ_COMMAND";

/// Installs a server; the command by which tests start their own.
pub(crate) fn shell_command(server: Server) -> Result<String> {
    let name = server.name();
    if install::all(&[server])?.is_empty() {
        bail!("{name} can't be installed here, and without it there is nothing to run");
    }
    let home = server.home();
    match server {
        Server::Fauxqs => fauxqs::shell_command(&home),
        Server::Rabbitmq => rabbitmq::shell_command(&home),
        Server::Rabbitmq4 | Server::Rabbitmq43 => rabbitmq_in_debian::shell_command(&home),
        Server::Elasticmq => bail!("no test starts a {name} of its own"),
    }
}

/// Installs and starts servers, and returns when all of them answer. One that is optional may be missing then.
pub(crate) fn start(servers: &[Server]) -> Result<Running> {
    Running::start(&install::all(servers)?)
}

/// Starts servers, prints what a shell is to export, and stays until it is killed or a server ends.
pub(crate) fn serve(servers: &[Server], endpoint: Option<Server>) -> Result<ExitCode> {
    if servers.is_empty() {
        bail!("every server is left out: there is nothing to start");
    }
    let mut sqs = servers.iter().copied().filter(|server| server.is_sqs());
    let endpoint = match endpoint {
        None => sqs.next(),
        Some(endpoint) if sqs.any(|server| server == endpoint) => Some(endpoint),
        Some(endpoint) => {
            let name = endpoint.name();
            bail!("--endpoint {name} names no SQS that is to start: drop it, or --without {name}")
        }
    };
    let mut running = start(servers)?;
    for (variable, value) in running.variables()? {
        println!("export {variable}=\"{value}\"");
    }
    if let Some(url) = endpoint.and_then(|endpoint| running.url(endpoint)) {
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
