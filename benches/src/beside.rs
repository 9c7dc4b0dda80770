//! Loafer beside a peer, both in memory: a process for each run, in interleaved rounds.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use loafer_core::{message::Message, translate::Json};
use loafer_memory::Memory;
use loafer_runtime::program::{App, Manager, Route, RouteOptions};

use crate::orders::{BODY, NAME, Order, Task, handle};

/// How often each contestant runs. The numbers are medians.
const ROUNDS: usize = 9;
/// How the messages arrive, and on how many threads, as in [`orders`](crate::orders).
const SHAPES: [(&str, usize); 2] = [("preloaded", 1), ("published", 2)];
/// How many handlers run at once.
const CONCURRENCIES: [usize; 3] = [1, 8, 64];
/// How many messages one receive and one settlement of Loafer have: the default of a queue in memory, and ten times as many.
const BATCHES: [&str; 2] = ["10", "100"];

/// Runs Loafer as a contestant: the command line gives its batch and its task.
///
/// # Errors
///
/// If the route does not start.
pub fn loafer(batch: usize) -> Result<()> {
    let task = Task::get();
    task.runtime().block_on(async {
        let memory = Memory::new().with_batch(batch);
        let options = RouteOptions::new().concurrency(task.concurrency);
        let route = Route::new(NAME)
            .options(options)
            .handler(Json, async |order: Order| handle(&order));
        let app = App::new().broker(memory.clone());
        let manager = Manager::builder().app(app).route(route).build()?;
        let _running = manager.start().await?;
        task.run(async || memory.send(NAME, [Message::new(BODY.to_vec())]))
            .await;
        Ok(())
    })
}

/// A program that runs one task and prints its messages a second.
struct Contestant {
    name: String,
    program: PathBuf,
    /// The arguments before the task.
    arguments: Vec<&'static str>,
}

/// Runs Loafer and the peer, and shows the results.
///
/// # Errors
///
/// If a contestant does not run, or does not say how fast it was.
pub fn show(name: &str, program: &Path) -> Result<()> {
    let ours = env::current_exe()?;
    let mut contestants = vec![Contestant {
        name: name.to_owned(),
        program: program.to_owned(),
        arguments: Vec::new(),
    }];
    contestants.extend(BATCHES.map(|batch| Contestant {
        name: format!("loafer, batch {batch}"),
        program: ours.clone(),
        arguments: vec!["contestant", batch],
    }));
    println!(
        "beside {name}: messages a second, medians of {ROUNDS} rounds (least to most), and the ratio to it"
    );
    for (shape, threads) in SHAPES {
        for concurrency in CONCURRENCIES {
            println!("{shape}, {threads} threads, concurrency {concurrency}");
            let mut rates: Vec<_> = contestants.iter().map(|_| Vec::new()).collect();
            for round in 0..ROUNDS {
                for turn in 0..contestants.len() {
                    let which = (round + turn) % contestants.len();
                    let contestant = &contestants[which];
                    let rate = run(contestant, shape, concurrency);
                    rates[which].push(rate.with_context(|| contestant.name.clone())?);
                }
            }
            rates
                .iter_mut()
                .for_each(|rates| rates.sort_by(f64::total_cmp));
            let median = |rates: &[f64]| rates[rates.len() / 2];
            let peer = median(&rates[0]);
            for (contestant, rates) in contestants.iter().zip(&rates) {
                let (rate, least, most) = (median(rates), rates[0], rates[rates.len() - 1]);
                println!(
                    "  {:<18} {rate:>9.0} ({least:.0} to {most:.0}) {:.2}",
                    contestant.name,
                    rate / peer
                );
            }
            for (batch, rates) in BATCHES.iter().zip(&rates[1..]) {
                let rate = median(rates);
                println!(
                    "RESULT bench=memory part=beside loop=loafer peer={name} messages={shape} threads={threads} batch={batch} concurrency={concurrency} msgs_per_s={rate:.0} peer_msgs_per_s={peer:.0} ratio={:.2}",
                    rate / peer
                );
            }
        }
    }
    Ok(())
}

fn run(contestant: &Contestant, shape: &str, concurrency: usize) -> Result<f64> {
    let program = &contestant.program;
    let output = Command::new(program)
        .args(&contestant.arguments)
        .args([shape, &concurrency.to_string()])
        .output()
        .with_context(|| format!("can't start {}", program.display()))?;
    ensure!(
        output.status.success(),
        "it ended with {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    let said = String::from_utf8_lossy(&output.stdout);
    let rate = said.trim().parse();
    rate.with_context(|| format!("it said `{}` instead of a rate", said.trim()))
}
