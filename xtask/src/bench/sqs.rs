//! The SQS bench: what the whole way costs, counted in API calls.

use std::process::ExitCode;

use anyhow::{Result, bail};

use super::LOAFER;
use super::gate::Gate;
use crate::servers::{self, Server};

/// Where the bench finds its SQS.
const ENDPOINT: &str = "LOAFER_BENCH_ENDPOINT";

/// A full receive and a full delete batch for ten messages are 0.2 calls a message.
const CALLS_PER_MESSAGE: f64 = 0.21;

/// Runs the bench against a fauxqs of its own, and with `judged` fails on what exceeds its limit.
pub(crate) fn run(judged: bool) -> Result<ExitCode> {
    super::build("sqs", &["sqs"])?;
    let mut running = servers::start(&[Server::Fauxqs])?;
    let mut bench = super::binary("sqs");
    bench.envs(running.url(Server::Fauxqs).map(|url| (ENDPOINT, url)));
    // The developer's own account must never be met, whatever this shell has exported.
    bench.envs(servers::CREDENTIALS).env_remove("AWS_PROFILE");
    let measurements = super::measure("sqs", bench);
    running.check()?;

    let mut gate = Gate::default();
    let mut found = false;
    for measurement in measurements?
        .iter()
        .filter(|measurement| measurement.is_of(LOAFER))
    {
        found = true;
        let calls = measurement.number("calls_per_msg")?;
        gate.at_most(
            CALLS_PER_MESSAGE,
            calls,
            &format!("API calls a message ({measurement})"),
        );
    }
    if !found {
        bail!("the bench sqs printed no RESULT of loop={LOAFER}");
    }
    Ok(if judged {
        gate.close()
    } else {
        ExitCode::SUCCESS
    })
}
