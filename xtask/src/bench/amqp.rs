//! The AMQP bench: what publishing and consuming cost on RabbitMQ, beside hand-written loops.
//!
//! | part | keys read here | keys it has, too |
//! |---|---|---|
//! | `publish` | `rate_ratio` (to the best loop `raw`); the best of Loafer's is judged | `style`, `msgs_per_s`, `cpu_s_per_1000`, `cpu_ratio` |
//! | `consume` | `rate_ratio` (to the best loop `raw` of the same prefetch) | `prefetch`, and as above |

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;

use super::gate::Gate;
use super::measurement::Measurement;
use crate::servers::{self, Server};

/// Where the bench finds its RabbitMQ.
const ENDPOINT: &str = "LOAFER_BENCH_ENDPOINT";

/// Throughput, against the best hand-written loop.
const RATE_RATIO: f64 = 0.9;

/// What is measured, and whether it is judged.
#[derive(Clone, Debug, Args)]
pub(crate) struct Options {
    /// Fails where throughput, as a ratio to the best hand-written loop, is below its limit
    #[arg(long)]
    gate: bool,
    /// Against RabbitMQ 4.0
    #[arg(long)]
    v4: bool,
    /// Further arguments of the bench: `--rounds N`, `--messages N`, `--prefetch N`
    #[arg(last = true)]
    bench: Vec<String>,
}

/// Runs the bench against a RabbitMQ of its own, and judges it where asked.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    super::build(&["amqp", "amqp-loafer", "amqp-raw"], &["amqp"])?;
    let server = if options.v4 {
        Server::Rabbitmq4
    } else {
        Server::Rabbitmq
    };
    let mut running = servers::start(&[server])?;
    let mut bench = super::binary("amqp");
    bench.args(&options.bench);
    let url = running
        .url(server)
        .context("without RabbitMQ there is nothing to measure")?;
    bench.env(ENDPOINT, url);
    let measurements = super::measure("amqp", bench);
    running.check()?;

    let mut gate = Gate::default();
    for measurement in judged(&super::ours("amqp", &measurements?)?)? {
        judge(&mut gate, measurement)?;
    }
    Ok(gate.verdict(options.gate))
}

/// Everything that was consumed, and the faster way to publish: the other is shown beside it.
fn judged<'m>(ours: &[&'m Measurement]) -> Result<Vec<&'m Measurement>> {
    let (published, mut judged): (Vec<_>, Vec<_>) = ours
        .iter()
        .copied()
        .partition(|measurement| measurement.is_part("publish"));
    let mut best: Option<(f64, &Measurement)> = None;
    for measurement in published {
        let ratio = measurement.number("rate_ratio")?;
        if best.is_none_or(|(most, _)| ratio > most) {
            best = Some((ratio, measurement));
        }
    }
    judged.extend(best.map(|(_, measurement)| measurement));
    Ok(judged)
}

fn judge(gate: &mut Gate, measurement: &Measurement) -> Result<()> {
    let ratio = measurement.number("rate_ratio")?;
    gate.at_least(RATE_RATIO, ratio, &format!("throughput ({measurement})"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_the_ways_to_publish_the_best_is_judged() {
        let lines = [
            "RESULT part=publish loop=loafer style=pipelined rate_ratio=0.5",
            "RESULT part=publish loop=loafer style=batches rate_ratio=0.95",
            "RESULT part=consume loop=loafer prefetch=50 rate_ratio=0.91",
            "RESULT part=consume loop=loafer prefetch=500 rate_ratio=0.92",
        ];
        let all: Vec<_> = lines
            .iter()
            .filter_map(|line| Measurement::parse(line))
            .collect();
        let ours: Vec<_> = all.iter().collect();
        let ratios = judged(&ours).map(|judged| {
            let ratio = |measurement: &&Measurement| measurement.number("rate_ratio").ok();
            judged.iter().filter_map(ratio).collect::<Vec<_>>()
        });
        assert_eq!(ratios.ok(), Some(vec![0.91, 0.92, 0.95]));
    }

    #[test]
    fn a_rate_below_the_limit_is_told() {
        let exceeded = |line: &str| {
            let mut gate = Gate::default();
            let measurement = Measurement::parse(line);
            let judged = measurement.map(|measurement| judge(&mut gate, &measurement));
            (matches!(judged, Some(Ok(()))), gate.is_exceeded())
        };
        let loafer =
            |numbers: &str| exceeded(&format!("RESULT part=consume loop=loafer {numbers}"));
        assert_eq!(loafer("prefetch=50 rate_ratio=0.90"), (true, false));
        assert_eq!(loafer("prefetch=50 rate_ratio=0.89"), (true, true));
        assert_eq!(loafer("prefetch=50"), (false, false));
    }
}
