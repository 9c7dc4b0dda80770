//! The SQS bench: full queues, consumed by Loafer, by a hand-written loop and by a peer, each a process of its own, in interleaved rounds.
//!
//! ```text
//! LOAFER_BENCH_ENDPOINT=http://127.0.0.1:4566 sqs [--peer NAME PROGRAM] [--rounds N] [--latency MS] [--concurrency N] [--handler MS] [--calls] [--long]
//! ```
//!
//! | option | what it does |
//! |---|---|
//! | `--peer` | adds a contestant |
//! | `--rounds` | how often each contestant runs, interleaved; the numbers are medians |
//! | `--latency` | what the proxy adds to every call: SQS itself takes about 10 ms |
//! | `--concurrency` | how many handlers run at once |
//! | `--handler` | how long a handler waits: one deep queue, and nothing else is measured |
//! | `--calls` | prints the calls over time |
//! | `--long` | runs Loafer alone, with handlers of five minutes on a lease of 30 s |

use std::{env, path::PathBuf, time::Duration};

use anyhow::{Context, Result, bail};
use futures_util::future::try_join_all;
use loafer_benches::sqs::{
    bench::Bench,
    calls,
    deep::{self, ACTIONS, Case},
    drain, idle, in_flight, long, report,
};

/// Where SQS is.
const ENDPOINT: &str = "LOAFER_BENCH_ENDPOINT";
/// How long handlers wait, in milliseconds, and how many messages each case has.
const HANDLERS: [(u64, usize); 3] = [(0, 10_000), (10, 10_000), (100, 5_000)];
/// How many messages the queues before the measured ones have: a server with a JIT compiler is slow at first.
const WARMING: usize = 5_000;
/// The contestant under test.
const LOAFER: &str = "loafer";

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::read(env::args().skip(1))?;
    let endpoint = env::var(ENDPOINT).with_context(|| {
        format!(
            "{ENDPOINT} does not say where SQS is: run `cargo xtask bench sqs`, which starts one"
        )
    })?;
    let beside = |name| Ok::<_, std::io::Error>(env::current_exe()?.with_file_name(name));
    let mut programs = vec![
        (LOAFER, beside("sqs-loafer")?),
        (report::RAW, beside("sqs-raw")?),
    ];
    programs.extend(options.peer.clone());
    let bench = Bench::new(&endpoint, options.latency, programs).await?;
    if options.long {
        return show_long(&bench).await;
    }
    let case = |handler, messages| Case {
        concurrency: options.concurrency,
        handler: Duration::from_millis(handler),
        messages,
    };
    let warming = case(0, WARMING);
    for contestant in &bench.contestants {
        let warmed = deep::run(&bench, contestant, warming).await;
        warmed.with_context(|| format!("{}, {warming:?}", contestant.name))?;
    }
    match options.handler {
        Some(handler) => deeply(&bench, &options, &[case(handler, WARMING)]).await,
        None => {
            deeply(
                &bench,
                &options,
                &HANDLERS.map(|(handler, messages)| case(handler, messages)),
            )
            .await?;
            show_drains(&bench, options.rounds).await?;
            show_in_flight(&bench, options.concurrency).await?;
            show_idle(&bench).await
        }
    }
}

/// Runs deep queues: every case and contestant in every round, each round in another order.
async fn deeply(bench: &Bench, options: &Options, cases: &[Case]) -> Result<()> {
    let nothing = || {
        bench
            .contestants
            .iter()
            .map(|contestant| (contestant.name, Vec::new()))
    };
    let mut runs: Vec<Vec<_>> = cases.iter().map(|_| nothing().collect()).collect();
    for round in 0..options.rounds {
        for (case, runs) in cases.iter().zip(&mut runs) {
            for turn in 0..bench.contestants.len() {
                let which = (round + turn) % bench.contestants.len();
                let contestant = &bench.contestants[which];
                let run = deep::run(bench, contestant, *case).await;
                let (run, calls) = run.with_context(|| format!("{}, {case:?}", contestant.name))?;
                if options.calls {
                    println!("{}, {case:?}", contestant.name);
                    calls::timeline(&calls, &ACTIONS);
                }
                runs[which].1.push(run);
            }
        }
    }
    println!("medians of {} rounds", options.rounds);
    for (case, runs) in cases.iter().zip(&runs) {
        report::deep(*case, runs);
    }
    Ok(())
}

async fn show_drains(bench: &Bench, rounds: usize) -> Result<()> {
    let nothing = |contestant: &_| (name(contestant), Vec::new());
    let mut drains: Vec<_> = bench.contestants.iter().map(nothing).collect();
    for _ in 0..rounds {
        for (contestant, (_, drains)) in bench.contestants.iter().zip(&mut drains) {
            let drain = drain::run(bench, contestant).await;
            drains.push(drain.with_context(|| format!("{}, drain", contestant.name))?);
        }
    }
    report::drain(&drains);
    Ok(())
}

async fn show_in_flight(bench: &Bench, concurrency: usize) -> Result<()> {
    let mut all = Vec::new();
    for concurrency in [concurrency, in_flight::MESSAGES] {
        for contestant in &bench.contestants {
            let leased = in_flight::run(bench, contestant, concurrency).await;
            let leased = leased.with_context(|| format!("{}, in flight", contestant.name))?;
            all.push((contestant.name, concurrency, leased));
        }
    }
    report::in_flight(&all);
    Ok(())
}

/// Runs all contestants at once: none is in the way of another, and it takes a minute.
async fn show_idle(bench: &Bench) -> Result<()> {
    let all = bench.contestants.iter().map(async |contestant| {
        let idle = idle::run(bench, contestant).await;
        Ok::<_, anyhow::Error>((
            contestant.name,
            idle.with_context(|| format!("{}, idle", contestant.name))?,
        ))
    });
    report::idle(&try_join_all(all).await?);
    Ok(())
}

async fn show_long(bench: &Bench) -> Result<()> {
    println!("handlers of five minutes on a lease of 30 s, which takes five minutes");
    let renewals = long::run(bench, &bench.contestants[0]).await?;
    println!("each handled once");
    println!("RESULT bench=sqs part=long loop={LOAFER} renewals_per_msg_and_lease={renewals:.3}");
    Ok(())
}

fn name(contestant: &loafer_benches::sqs::bench::Contestant) -> &'static str {
    contestant.name
}

/// The command line.
#[derive(Clone, Debug)]
struct Options {
    peer: Option<(&'static str, PathBuf)>,
    rounds: usize,
    latency: Duration,
    concurrency: usize,
    handler: Option<u64>,
    /// Whether the calls over time are printed.
    calls: bool,
    long: bool,
}

impl Options {
    fn read(mut arguments: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Self {
            peer: None,
            rounds: 5,
            latency: Duration::ZERO,
            concurrency: 50,
            handler: None,
            calls: false,
            long: false,
        };
        while let Some(name) = arguments.next() {
            let mut next = || {
                let value = arguments.next();
                value.with_context(|| format!("{name} wants a value"))
            };
            match name.as_str() {
                "--peer" => options.peer = Some((next()?.leak(), next()?.into())),
                "--rounds" => options.rounds = next()?.parse::<usize>()?.max(1),
                "--latency" => options.latency = Duration::from_millis(next()?.parse()?),
                "--concurrency" => options.concurrency = next()?.parse()?,
                "--handler" => options.handler = Some(next()?.parse()?),
                "--calls" => options.calls = true,
                "--long" => options.long = true,
                other => bail!(
                    "`{other}`? sqs [--peer NAME PROGRAM] [--rounds N] [--latency MS] [--concurrency N] [--handler MS] [--calls] [--long]"
                ),
            }
        }
        Ok(options)
    }
}
