//! The SQS bench: what the whole way costs, beside a hand-written loop and a peer.
//!
//! | part | keys read here | keys it has, too |
//! |---|---|---|
//! | `deep` | `calls_per_1000`, `rate_ratio`, `cpu_ratio` (to the loop `raw`) | `handler_ms`, `concurrency`, `msgs_per_s`, `cpu_s_per_1000`, calls of each kind, `peak_mib` |
//! | `idle` | `calls_per_hour` | `stop_s` |
//! | `in-flight` | `concurrency`, `leased` | `peak_mib` |
//! | `drain` | none | `drain_s` |
//! | `long` | `renewals_per_msg_and_lease` | |

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use super::gate::Gate;
use super::measurement::Measurement;
use super::peer::{self, Peer};
use crate::servers::{self, Server};

/// Where the bench finds its SQS.
const ENDPOINT: &str = "LOAFER_BENCH_ENDPOINT";

/// A full receive and a full delete batch for ten messages are 200 calls for 1,000.
const CALLS: f64 = 210.0;
/// One long poll of 20 s after another.
const CALLS_AN_HOUR: f64 = 180.0;
/// CPU time, against the hand-written loop.
const CPU_RATIO: f64 = 1.10;
/// Throughput, against the hand-written loop.
const RATE_RATIO: f64 = 0.95;
/// Renewals come in batches of ten, twice a lease at most.
const RENEWALS: f64 = 0.2;

/// What is measured, and whether it is judged.
#[derive(Clone, Debug, Args)]
pub(crate) struct Options {
    /// Fails where calls, or the ratios to the hand-written loop, exceed their limits
    #[arg(long)]
    gate: bool,
    /// Only handlers of five minutes on a lease of 30 s
    #[arg(long)]
    long: bool,
    /// Leaves the peer out, which takes the network to build
    #[arg(long)]
    without_peer: bool,
    /// Further arguments of the bench: `--rounds N`, `--latency MS`, `--handler MS`, `--concurrency N`, `--calls`
    #[arg(last = true)]
    bench: Vec<String>,
}

/// Runs the bench against a fauxqs of its own, and judges it where asked.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    super::build(&["sqs", "sqs-loafer", "sqs-raw"], &["sqs"])?;
    let wanted = !options.without_peer && !options.long;
    let peer = if wanted {
        peer::build(Peer::RustStreamSqs)
    } else {
        None
    };
    let mut running = servers::start(&[Server::Fauxqs])?;
    let mut bench = super::binary("sqs");
    if let Some(peer) = peer {
        bench.args(["--peer", Peer::RustStreamSqs.name()]).arg(peer);
    }
    if options.long {
        bench.arg("--long");
    }
    bench.args(&options.bench);
    bench.envs(running.url(Server::Fauxqs).map(|url| (ENDPOINT, url)));
    // The developer's own account must never be met, whatever this shell has exported.
    bench.envs(servers::CREDENTIALS).env_remove("AWS_PROFILE");
    let measurements = super::measure("sqs", bench);
    running.check()?;

    let mut gate = Gate::default();
    for measurement in super::ours("sqs", &measurements?)? {
        judge(&mut gate, measurement)?;
    }
    Ok(gate.verdict(options.gate))
}

fn judge(gate: &mut Gate, measurement: &Measurement) -> Result<()> {
    let number = |key| measurement.number(key);
    let what = |name: &str| format!("{name} ({measurement})");
    if measurement.is_part("deep") {
        gate.at_most(CALLS, number("calls_per_1000")?, &what("API calls"));
        gate.at_most(CPU_RATIO, number("cpu_ratio")?, &what("CPU time"));
        gate.at_least(RATE_RATIO, number("rate_ratio")?, &what("throughput"));
    } else if measurement.is_part("idle") {
        gate.at_most(
            CALLS_AN_HOUR,
            number("calls_per_hour")?,
            &what("idle calls"),
        );
    } else if measurement.is_part("in-flight") {
        gate.at_most(
            most_leased(number("concurrency")?),
            number("leased")?,
            &what("leased"),
        );
    } else if measurement.is_part("long") {
        gate.at_most(
            RENEWALS,
            number("renewals_per_msg_and_lease")?,
            &what("renewals"),
        );
    }
    Ok(())
}

/// Concurrency and the default prefetch: as much again, ten batches at most.
fn most_leased(concurrency: f64) -> f64 {
    concurrency + concurrency.clamp(10.0, 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_is_judged_by_its_own_limits() {
        let exceeded = |line: &str| {
            let mut gate = Gate::default();
            let measurement = Measurement::parse(line);
            let judged = measurement.map(|measurement| judge(&mut gate, &measurement));
            (matches!(judged, Some(Ok(()))), gate.is_exceeded())
        };
        let deep = |numbers: &str| exceeded(&format!("RESULT part=deep loop=loafer {numbers}"));
        assert_eq!(
            deep("calls_per_1000=201 cpu_ratio=1.05 rate_ratio=0.99"),
            (true, false)
        );
        assert_eq!(
            deep("calls_per_1000=211 cpu_ratio=1.05 rate_ratio=0.99"),
            (true, true)
        );
        assert_eq!(
            deep("calls_per_1000=201 cpu_ratio=1.11 rate_ratio=0.99"),
            (true, true)
        );
        assert_eq!(
            deep("calls_per_1000=201 cpu_ratio=1.05 rate_ratio=0.94"),
            (true, true)
        );
        assert_eq!(deep("calls_per_1000=201"), (false, false));
        assert_eq!(
            exceeded("RESULT part=idle calls_per_hour=240"),
            (true, true)
        );
        assert_eq!(
            exceeded("RESULT part=in-flight concurrency=50 leased=100"),
            (true, false)
        );
        assert_eq!(
            exceeded("RESULT part=in-flight concurrency=50 leased=101"),
            (true, true)
        );
        assert_eq!(
            exceeded("RESULT part=long renewals_per_msg_and_lease=0.21"),
            (true, true)
        );
    }
}
