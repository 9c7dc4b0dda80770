//! The memory bench: what dispatch costs, with no broker in the way, beside hand-written loops and a peer.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use super::gate::Gate;
use super::peer::{self, Peer};
use super::{LOAFER, callgrind};
use crate::debian;

/// The payloads' decoding alone, which every loop pays.
const DECODE: &str = "decode";

/// The hand-written loops; like [`DECODE`] the same for every batch.
const RAW: [&str; 2] = ["raw-static", "raw-heap"];

/// Loafer's loops that are shown beside it and not judged: with two extractors, and with a body each, as `raw-heap` has.
const BESIDE: [&str; 2] = ["loafer-extractors", "loafer-heap"];

/// Any batch, for a loop which has none.
const NO_BATCH: u32 = 100;

/// Batches, and the instructions a message above decoding that the gate allows at each.
const LIMITS: [(u32, f64); 2] = [(10, 750.0), (100, 600.0)];

/// What is measured, and whether it is judged.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Fails where instructions or allocations a message exceed their limit
    #[arg(long)]
    gate: bool,
    /// Leaves the peer out, which takes the network to build
    #[arg(long)]
    without_peer: bool,
}

/// Runs the bench, prints instructions a message, and fails on what exceeds its limit where asked.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    // Before the build: who has no valgrind shall not wait for it.
    debian::need("valgrind", "valgrind")?;
    super::build(&["allocations", "memory"], &[])?;
    let wanted = !options.without_peer;
    let peer = wanted.then(|| peer::build(Peer::Memory)).flatten();
    let mut bench = super::binary("memory");
    if let Some(peer) = peer {
        bench.args(["--peer", peer::NAME]).arg(peer);
    }
    super::measure("memory", bench)?;
    let measurements = super::measure("allocations", super::binary("allocations"))?;
    let mut gate = Gate::default();
    for measurement in super::ours("allocations", &measurements)? {
        let allocations = measurement.number("allocs_per_msg")?;
        gate.at_most(
            0.0,
            allocations,
            &format!("allocations a message ({measurement})"),
        );
    }

    println!("\ninstructions a message   batch     all   above decoding");
    let decode = callgrind::per_message(DECODE, NO_BATCH)?;
    row(DECODE, "any", decode, 0.0);
    for name in RAW {
        let raw = callgrind::per_message(name, NO_BATCH)?;
        row(name, "any", raw, raw - decode);
    }
    for (batch, limit) in LIMITS {
        let loafer = callgrind::per_message(LOAFER, batch)?;
        row(LOAFER, &batch.to_string(), loafer, loafer - decode);
        gate.at_most(
            limit,
            loafer - decode,
            &format!("instructions a message above decoding at batch {batch}"),
        );
        for name in BESIDE {
            let beside = callgrind::per_message(name, batch)?;
            row(name, &batch.to_string(), beside, beside - decode);
        }
    }
    Ok(gate.verdict(options.gate))
}

fn row(name: &str, batch: &str, all: f64, above: f64) {
    println!("{name:<22} {batch:>7} {all:>7.0} {above:>16.0}");
}
