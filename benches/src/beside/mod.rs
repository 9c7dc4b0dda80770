//! Loafer beside its peers, all in memory: a process for each run, in interleaved rounds.

mod contestant;
mod verdict;

use std::{env, path::PathBuf};

use anyhow::Result;
use loafer_core::{message::Message, translate::Json};
use loafer_memory::Memory;
use loafer_runtime::program::{App, Manager, Route, RouteOptions};

use self::{contestant::Contestant, verdict::Comparison};
use crate::{
    orders::{BODY, NAME, Order, Task, handle},
    spread::Spread,
};

/// How often each contestant runs each row. The numbers are medians.
const ROUNDS: usize = 11;
/// How the messages arrive, and on how many threads, as in [`orders`](crate::orders).
const SHAPES: [(&str, usize); 2] = [("preloaded", 1), ("published", 2)];
/// How many handlers run at once.
const CONCURRENCIES: [usize; 3] = [1, 8, 64];
/// How many messages one receive and one settlement of Loafer have: a tenth of what a queue in memory has by itself, and as many.
const BATCHES: [usize; 2] = [10, 100];

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

/// A peer's program, and how it runs.
#[derive(Clone, Debug)]
pub struct Peer {
    /// As in the tables.
    pub name: String,
    /// What to run.
    pub program: PathBuf,
    /// The arguments before the task.
    pub arguments: Vec<String>,
    /// Whether it takes batches: their size is its last argument before the task, and Loafer's is the same. Otherwise it runs once, beside
    /// Loafer with each of its batches.
    pub batched: bool,
}

impl Peer {
    fn contestant(&self, batch: usize) -> Contestant {
        let mut contestant = Contestant {
            name: self.name.clone(),
            program: self.program.clone(),
            arguments: self.arguments.clone(),
        };
        if self.batched {
            contestant.name = format!("{}, batch {batch}", self.name);
            contestant.arguments.push(batch.to_string());
        }
        contestant
    }
}

/// What all contestants run in one row.
#[derive(Clone, Copy, Debug)]
struct Row {
    messages: &'static str,
    threads: usize,
    concurrency: usize,
}

/// Which contestants are compared.
struct Pair<'p> {
    peer: &'p Peer,
    batch: usize,
    /// The indexes of both among the contestants.
    ours: usize,
    theirs: usize,
}

/// Runs Loafer and its peers, and shows the results.
///
/// # Errors
///
/// If a contestant does not run, or does not say how fast it was.
pub fn show(peers: &[Peer]) -> Result<()> {
    let (contestants, pairs) = contestants(peers)?;
    println!(
        "beside the peers: messages a second, medians of {ROUNDS} interleaved rounds (least to most)"
    );
    let mut compared = Vec::new();
    for (messages, threads) in SHAPES {
        for concurrency in CONCURRENCIES {
            let row = Row {
                messages,
                threads,
                concurrency,
            };
            println!("{messages}, {threads} threads, concurrency {concurrency}");
            let rates = rates(&contestants, row)?;
            for (contestant, rates) in contestants.iter().zip(&rates) {
                let Spread {
                    median,
                    least,
                    most,
                } = Spread::of(rates.iter().copied());
                println!(
                    "  {:<22} {median:>9.0} ({least:.0} to {most:.0})",
                    contestant.name
                );
            }
            compared.extend(pairs.iter().map(|pair| {
                let comparison = Comparison::of(&rates[pair.ours], &rates[pair.theirs]);
                (pair, row, comparison)
            }));
        }
    }
    for peer in peers {
        let rows = compared.iter();
        table(peer, rows.filter(|(pair, ..)| pair.peer.name == peer.name));
    }
    Ok(())
}

/// Returns who runs, and who is compared with whom.
fn contestants(peers: &[Peer]) -> Result<(Vec<Contestant>, Vec<Pair<'_>>)> {
    let ours = env::current_exe()?;
    let mut contestants: Vec<_> = BATCHES
        .iter()
        .map(|batch| Contestant {
            name: format!("loafer, batch {batch}"),
            program: ours.clone(),
            arguments: vec!["contestant".to_owned(), batch.to_string()],
        })
        .collect();
    let mut pairs = Vec::new();
    for peer in peers {
        for (ours, batch) in BATCHES.into_iter().enumerate() {
            if ours == 0 || peer.batched {
                contestants.push(peer.contestant(batch));
            }
            pairs.push(Pair {
                peer,
                batch,
                ours,
                theirs: contestants.len() - 1,
            });
        }
    }
    Ok((contestants, pairs))
}

/// Returns the rates of each contestant, in the order of the rounds. Each round begins with another contestant.
fn rates(contestants: &[Contestant], row: Row) -> Result<Vec<Vec<f64>>> {
    let mut rates: Vec<_> = contestants.iter().map(|_| Vec::new()).collect();
    for round in 0..ROUNDS {
        for turn in 0..contestants.len() {
            let which = (round + turn) % contestants.len();
            rates[which].push(contestants[which].run(row)?);
        }
    }
    Ok(rates)
}

/// Shows all rows of one peer, and prints their measurements.
fn table<'r>(peer: &Peer, rows: impl Iterator<Item = &'r (&'r Pair<'r>, Row, Comparison)>) {
    let name = &peer.name;
    println!(
        "\nbeside {name}: medians of {ROUNDS} rounds, and of each round's ratio (least to most)"
    );
    println!("messages   concurrency  batch     loafer  {name:>12}  ratio");
    let mut results = Vec::new();
    for (pair, row, compared) in rows {
        let Row {
            messages,
            threads,
            concurrency,
        } = row;
        let batch = pair.batch;
        let (ours, theirs) = (compared.ours.median, compared.theirs.median);
        let Spread {
            median,
            least,
            most,
        } = compared.ratio;
        let verdict = compared.verdict;
        println!(
            "{messages:<10} {concurrency:>11} {batch:>6} {ours:>10.0} {theirs:>13.0}  {median:.2} ({least:.2} to {most:.2})  {verdict}"
        );
        results.push(format!(
            "RESULT bench=memory part=beside loop=loafer peer={name} messages={messages} threads={threads} batch={batch} concurrency={concurrency} msgs_per_s={ours:.0} peer_msgs_per_s={theirs:.0} ratio={median:.2} ratio_least={least:.2} ratio_most={most:.2} verdict={}",
            verdict.to_string().replace(' ', "-")
        ));
    }
    println!("{}", results.join("\n"));
}
