//! The benches, and what gates: counts, and ratios to a hand-written loop in the same run. Times are printed, never judged: they are the machine's.
//!
//! # The protocol of the bench binaries
//!
//! `loafer-benches` has a binary for each bench. It prints what it likes for people, and one line for each
//! measurement: the word `RESULT` and `key=value` pairs, blank-separated, in any order.
//!
//! | binary | run as | keys read here |
//! |---|---|---|
//! | `allocations` | `allocations` | `loop` (`loafer`…), `allocs_per_msg`; it has `batch`, `concurrency`, `allocs_per_batch`, too |
//! | `memory` | `memory`, and for each flow of a peer `--peer NAME PROGRAM [ARGUMENT…]`, or `--batched-peer …` if it takes batches | none: it has `loop`, `batch`, `concurrency`, `msgs_per_s` and the `ratio` to the hand-written loop; of the part `beside` the rates of both, the median of their `ratio` with `ratio_least` and `ratio_most`, and a `verdict` |
//! | `memory` | `memory contestant BATCH preloaded\|published CONCURRENCY` | no RESULT: it prints its rate, as a peer does, and nothing else |
//! | `memory` | `memory callgrind LOOP BATCH COUNT`, under valgrind | none: it handles COUNT messages, one at a time, and ends |
//! | `sqs` | `sqs`, endpoint in `LOAFER_BENCH_ENDPOINT`, with the programs `sqs-loafer` and `sqs-raw` beside it | see `sqs` |
//! | `amqp` | `amqp`, RabbitMQ in `LOAFER_BENCH_ENDPOINT`, with the program `amqp-raw` beside it | see `amqp` |
//!
//! `LOOP` is `loafer`, its variants `loafer-extractors` and `loafer-heap`, `raw-static` and `raw-heap` (hand-written loops), or `decode` (the
//! payloads' decoding alone). The messages of `loafer` and `raw-static` share one body; those of the `-heap` loops own theirs, which are freed.
//!
//! `macros` has no binary: it times cargo itself.
//!
//! ```text
//! RESULT bench=memory loop=loafer batch=100 concurrency=1 allocs_per_msg=0.000 allocs_per_batch=0.000
//! RESULT bench=sqs part=idle loop=loafer calls_per_hour=180 stop_s=0.505
//! ```

pub(crate) mod amqp;
mod callgrind;
mod gate;
pub(crate) mod macros;
mod measurement;
pub(crate) mod memory;
mod peer;
pub(crate) mod sqs;

use std::ffi::OsString;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::leash::{self, Leashed};
use crate::workspace;
use measurement::Measurement;

/// The loop under test, in every bench.
const LOAFER: &str = "loafer";

/// Builds release binaries of the benches, with the features they require.
fn build(names: &[&str], features: &[&str]) -> Result<()> {
    let mut arguments = vec!["build", "--release", "-p", "loafer-benches"];
    for name in names {
        arguments.extend(["--bin", name]);
    }
    for feature in features {
        arguments.extend(["--features", feature]);
    }
    let mut cargo = workspace::cargo();
    cargo.args(&arguments);
    let status = Leashed::spawn(cargo)?.wait(None)?;
    if !status.success() {
        bail!(
            "`cargo {}` ended with {status}: see its errors above",
            arguments.join(" ")
        );
    }
    Ok(())
}

/// A bench's binary, on a leash, at the root of the workspace.
fn binary(name: &str) -> Command {
    let mut command = leash::command(OsString::from(workspace::release(name)));
    command.current_dir(workspace::root());
    command
}

/// Runs a bench, shows its output and returns its measurements.
fn measure(name: &str, command: Command) -> Result<Vec<Measurement>> {
    let mut measurements = Vec::new();
    let status = leash::lines(command, None, |line| {
        println!("{line}");
        measurements.extend(Measurement::parse(line));
    })
    .with_context(|| format!("can't run the bench {name}"))?;
    if !status.success() {
        bail!("the bench {name} ended with {status}: see its output above");
    }
    if measurements.is_empty() {
        bail!("the bench {name} printed no RESULT line: it has to print one for each measurement");
    }
    Ok(measurements)
}

/// What a bench measured of the loop under test: what its limits are for.
fn ours<'m>(name: &str, measurements: &'m [Measurement]) -> Result<Vec<&'m Measurement>> {
    of(name, LOAFER, measurements)
}

/// What a bench measured of one loop, which it must have measured.
fn of<'m>(name: &str, of: &str, measurements: &'m [Measurement]) -> Result<Vec<&'m Measurement>> {
    let found: Vec<_> = measurements
        .iter()
        .filter(|measurement| measurement.is_of(of))
        .collect();
    if found.is_empty() {
        bail!("the bench {name} printed no RESULT of loop={of}");
    }
    Ok(found)
}
