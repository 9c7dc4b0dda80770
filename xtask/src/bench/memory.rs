//! The memory bench: what dispatch costs, with no broker in the way, beside hand-written loops and the peers.

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
const RAW: [&str; 2] = ["raw-static", RAW_OWNED];

/// The hand-written loop whose messages own their bodies.
const RAW_OWNED: &str = "raw-heap";

/// Each message owns its body, as those of a broker do, and the engine frees it; as in [`RAW_OWNED`].
const OWNED: &str = "loafer-heap";

/// Each handler takes two extractors.
const EXTRACTORS: &str = "loafer-extractors";

/// Loafer's loops with a batch each, and the instructions a message above decoding that the gate allows. Those without a limit are shown,
/// and not judged.
const LOOPS: [(&str, u32, Option<f64>); 6] = [
    (LOAFER, 10, Some(690.0)),
    (EXTRACTORS, 10, None),
    (OWNED, 10, None),
    (LOAFER, 100, Some(500.0)),
    (EXTRACTORS, 100, None),
    (OWNED, 100, Some(700.0)),
];

/// Loops which allocate nothing above decoding.
const ALLOCATION_FREE: [&str; 2] = [LOAFER, OWNED];

/// How often a loop with owned bodies is counted, of which the fewest instructions stand. The allocator keeps the freed bodies in a list,
/// and now and then a larger allocation, of whatever part of the process, makes it merge them all: some 50 instructions a message, in one
/// run and not in the next.
const OWNED_RUNS: u32 = 3;

/// Any batch, for a loop which has none.
const NO_BATCH: u32 = 100;

/// What is measured, and whether it is judged.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Fails where instructions or allocations a message exceed their limit
    #[arg(long)]
    gate: bool,
    /// Leaves the peers out, which take the network to build
    #[arg(long)]
    without_peer: bool,
}

/// Runs the bench, prints instructions a message, and fails on what exceeds its limit where asked.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    // Before the build: who has no valgrind shall not wait for it.
    debian::need("valgrind", "valgrind")?;
    super::build(&["allocations", "memory"], &[])?;
    let mut bench = super::binary("memory");
    if !options.without_peer {
        for peer in [Peer::RustStreamMemory, Peer::ShoveMemory] {
            if let Some(program) = peer::build(peer) {
                peer.add_to(&mut bench, &program);
            }
        }
    }
    super::measure("memory", bench)?;
    let measurements = super::measure("allocations", super::binary("allocations"))?;
    let mut gate = Gate::default();
    for name in ALLOCATION_FREE {
        for measurement in super::of("allocations", name, &measurements)? {
            let allocations = measurement.number("allocs_per_msg")?;
            gate.at_most(
                0.0,
                allocations,
                &format!("allocations a message ({measurement})"),
            );
        }
    }

    println!("\ninstructions a message   batch     all   above decoding   limit");
    let decode = callgrind::per_message(DECODE, NO_BATCH, 1)?;
    row(DECODE, "any", decode, 0.0, None);
    for name in RAW {
        let raw = callgrind::per_message(name, NO_BATCH, runs(name))?;
        row(name, "any", raw, raw - decode, None);
    }
    for (name, batch, limit) in LOOPS {
        let loafer = callgrind::per_message(name, batch, runs(name))?;
        row(name, &batch.to_string(), loafer, loafer - decode, limit);
        if let Some(limit) = limit {
            let what = format!("instructions a message of {name} above decoding at batch {batch}");
            gate.at_most(limit, loafer - decode, &what);
        }
    }
    Ok(gate.verdict(options.gate))
}

fn runs(name: &str) -> u32 {
    if [RAW_OWNED, OWNED].contains(&name) {
        OWNED_RUNS
    } else {
        1
    }
}

fn row(name: &str, batch: &str, all: f64, above: f64, limit: Option<f64>) {
    let limit = limit.map_or_else(String::new, |limit| format!("{limit:.0}"));
    println!("{name:<22} {batch:>7} {all:>7.0} {above:>16.0} {limit:>7}");
}
