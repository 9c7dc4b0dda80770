//! The stress: test binaries again and again beside busy loops, and a table of what failed.

mod table;

use std::collections::BTreeMap;
use std::fs;
use std::hint;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;

use super::pool::{self, Ran};
use super::{Arguments, binaries, tally::Tally};
use crate::servers::{self, Server};
use crate::workspace;
use table::Row;

/// Where the table is.
const TABLE: &str = "benches/stress.md";

/// What is stressed, how often, and beside what.
#[derive(Debug, Args)]
pub(crate) struct Stress {
    /// Test binaries, by a part of the paths of their main files; all without any
    #[arg(value_name = "BINARY")]
    binaries: Vec<String>,
    /// Runs of each; run N has the seed N
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..))]
    times: u64,
    /// Busy loops beside them [default: one a core]
    #[arg(long, value_name = "N")]
    busy: Option<usize>,
    /// Runs at once
    #[arg(long, value_name = "N", default_value_t = pool::at_once())]
    at_once: usize,
    /// Further arguments of `cargo test` for the build: packages, targets
    #[arg(last = true)]
    cargo: Vec<String>,
}

/// Runs the binaries against servers that stay for all runs, and writes the table.
///
/// # Errors
///
/// Where nothing could run: no binary has such a name, the build broke, or a server is not to be had.
pub(crate) fn run(stress: &Stress) -> Result<ExitCode> {
    let mut running = servers::start(&Server::ALL)?;
    let Some(mut binaries) = binaries::build(&Arguments::of(&stress.cargo).cargo)? else {
        bail!("the build broke");
    };
    let names = &stress.binaries;
    binaries
        .retain(|binary| names.is_empty() || names.iter().any(|name| binary.name.contains(name)));
    if binaries.is_empty() {
        bail!("no test binary has {names:?} in the path of its main file");
    }

    let variables = running.variables()?;
    let mut jobs = Vec::new();
    for seed in 1..=stress.times {
        for binary in &binaries {
            let mut job = binary.job();
            let seed = seed.to_string();
            let seeds = [("LOAFER_FAULT_SEED", &seed), ("PROPTEST_RNG_SEED", &seed)];
            job.command.envs(variables.iter().cloned()).envs(seeds);
            jobs.push(job);
        }
    }
    let mut rows = BTreeMap::new();
    let logs = workspace::target().join("stress");
    fs::create_dir_all(&logs).with_context(|| format!("can't make {}", logs.display()))?;
    let busy = stress.busy.unwrap_or_else(pool::cores);
    beside(busy, || {
        pool::run(jobs, stress.at_once, |ran| {
            let row: &mut Row = rows.entry(ran.name.clone()).or_default();
            let failures = failures(&ran);
            row.add(ran.took, &failures);
            let name = format!("{}-{}", ran.name.replace('/', "-"), row.runs);
            if !failures.is_empty() {
                let log = logs.join(name);
                let kept = fs::write(&log, ran.lines.join("\n"));
                println!(
                    "failed: {}: {kept:?} {}",
                    failures.join(", "),
                    log.display()
                );
            }
        });
    });
    running.check()?;

    let failed = rows.values().any(Row::has_failed);
    let beside = format!("{} at once, {busy} busy", stress.at_once);
    table::write(&workspace::root().join(TABLE), &rows, &beside)?;
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// The tests that failed in a run; the run itself, where it broke otherwise.
fn failures(ran: &Ran) -> Vec<String> {
    let mut tally = Tally::default();
    for line in &ran.lines {
        tally.see(line);
    }
    match &ran.status {
        Ok(status) if status.success() => Vec::new(),
        _ if !tally.failures().is_empty() => tally.failures().to_vec(),
        Ok(status) => vec![format!("ended with {status}")],
        Err(error) => vec![format!("can't be run: {error:#}")],
    }
}

/// Runs `work` beside this many busy loops.
fn beside(loops: usize, work: impl FnOnce()) {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..loops {
            scope.spawn(|| {
                while !over.load(Relaxed) {
                    hint::spin_loop();
                }
            });
        }
        work();
        over.store(true, Relaxed);
    });
}

impl Row {
    fn add(&mut self, took: Duration, failures: &[String]) {
        self.runs += 1;
        self.longest = self.longest.max(took);
        for failure in failures {
            *self.failures.entry(failure.clone()).or_default() += 1;
        }
    }

    fn has_failed(&self) -> bool {
        !self.failures.is_empty()
    }
}
