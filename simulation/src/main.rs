//! The command line of the simulation.

use std::{io::Write, process::ExitCode, thread, time::Duration};

use clap::{Parser, error::ErrorKind};
use loafer_core::policy::unknown;
use loafer_simulation::{
    campaign::{Campaign, conduct},
    ledger::Wrong,
    report,
    run::run,
    scenario::{Fault, Scenario, Size},
    shrink::smallest,
};

/// Runs whole apps on a faulty broker in virtual time, and judges each run by the law
#[derive(Debug, Parser)]
#[command(name = "cargo xtask simulate", bin_name = "cargo xtask simulate")]
struct Arguments {
    /// How many seeds are run
    #[arg(long, default_value_t = 1_000, conflicts_with = "seed")]
    seeds: u64,
    /// The first of them
    #[arg(
        long,
        value_name = "SEED",
        default_value_t = 1,
        conflicts_with = "seed"
    )]
    from: u64,
    /// After how many seconds no other seed begins
    #[arg(long, conflicts_with = "seed")]
    seconds: Option<u64>,
    /// Runs this seed alone
    #[arg(long)]
    seed: Option<u64>,
    /// The most messages of a route
    #[arg(long)]
    messages: Option<usize>,
    /// The numbers of the routes that are run, with commas; all, unless said otherwise
    #[arg(long, value_delimiter = ',')]
    routes: Option<Vec<usize>>,
    /// Faults and kinds of user code to leave out, with commas
    #[arg(long, value_delimiter = ',', value_parser = fault)]
    without: Vec<Fault>,
    /// Violations that are not counted, with commas
    #[arg(long, value_delimiter = ',', value_parser = wrong)]
    allow: Vec<Wrong>,
    /// Goes on after a seed that failed
    #[arg(long)]
    go_on: bool,
    /// Leaves a failing run as it is
    #[arg(long)]
    no_shrink: bool,
    /// Prints all that happens in the run of the one seed
    #[arg(long, requires = "seed")]
    log: bool,
}

fn fault(name: &str) -> Result<Fault, String> {
    let names = Fault::ALL.map(Fault::name);
    Fault::named(name).ok_or_else(|| unknown(name, &names, "", "fault"))
}

fn wrong(name: &str) -> Result<Wrong, String> {
    let names: Vec<&str> = Wrong::ALL.iter().map(|kind| kind.name()).collect();
    Wrong::named(name).ok_or_else(|| unknown(name, &names, "", "violation"))
}

fn main() -> ExitCode {
    let arguments = Arguments::try_parse().unwrap_or_else(|error| match error.kind() {
        ErrorKind::DisplayHelp => error.exit(),
        _ => {
            eprint!("{error}");
            std::process::exit(2)
        }
    });
    let size = Size {
        messages: arguments.messages,
        routes: arguments.routes.clone(),
        without: arguments.without.iter().copied().collect(),
    };
    match arguments.seed {
        Some(seed) => one(seed, &size, &arguments),
        None => many(size, &arguments),
    }
}

/// Runs one seed, and tells its story if it failed.
fn one(seed: u64, size: &Size, arguments: &Arguments) -> ExitCode {
    let ran = run(seed, size, arguments.log);
    let mut out = std::io::stdout().lock();
    if let Some(log) = &ran.log {
        _ = writeln!(out, "{:#?}", Scenario::draw(seed, size));
        _ = out.write_all(log.as_bytes());
    }
    let failure = report::failure(seed, &ran, &arguments.allow);
    if failure.is_empty() {
        let (messages, calls) = (ran.messages, ran.calls);
        _ = writeln!(
            out,
            "seed {seed}: {messages} messages, {calls} handler calls, {} s of virtual time, fingerprint {:016x}: no violation",
            ran.took / 1_000,
            ran.fingerprint
        );
        return ExitCode::SUCCESS;
    }
    _ = out.write_all(failure.as_bytes());
    ExitCode::FAILURE
}

/// Runs many seeds, and makes the first one that failed smaller.
fn many(size: Size, arguments: &Arguments) -> ExitCode {
    let campaign = Campaign {
        from: arguments.from,
        seeds: arguments.seeds,
        within: arguments.seconds.map(Duration::from_secs),
        size,
        allowed: arguments.allow.clone(),
        goes_on: arguments.go_on,
        threads: thread::available_parallelism().map_or(1, usize::from),
    };
    let totals = conduct(&campaign);
    print!("{}", report::summary(&totals));
    let never = report::never_made(&totals);
    for name in &never {
        println!("NEVER MADE {name}: the scenarios of these seeds do not reach it");
    }
    let Some((seed, kind)) = totals.first else {
        return match never.is_empty() {
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        };
    };
    let ran = run(seed, &campaign.size, false);
    print!("\n{}", report::failure(seed, &ran, &campaign.allowed));
    println!("FOUND seed {seed}: {kind}");
    println!("repeat it: {}", report::command(seed, &campaign.size));
    if !arguments.no_shrink {
        let least = smallest(seed, &campaign.size, kind);
        println!("smallest: {}", report::command(seed, &least));
    }
    ExitCode::FAILURE
}
