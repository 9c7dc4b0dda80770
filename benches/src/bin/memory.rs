//! The memory bench: Loafer and a hand-written loop over a bounded channel consume a preloaded queue, in one run. If there are
//! peers, the bench beside them runs too.

use std::{
    hint::black_box,
    path::PathBuf,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use bytes::Bytes;
use loafer_benches::{
    BODY, Friend, HANDLED, LAST,
    beside::{self, Peer},
    handle,
    loafer::{consume, preloaded, preloaded_on_the_heap},
    raw,
    runtime::{many_threads, one_thread},
};
use tokio::runtime::Runtime;

/// Before the name of a peer, and of one that takes batches.
const PEER: &str = "--peer";
const BATCHED_PEER: &str = "--batched-peer";

/// How many messages are preloaded for every instruction count, however many are consumed: more than any run does.
const PRELOADED: u64 = 130_000;
/// How many messages one timed run has.
const TIMED: u64 = 400_000;
/// How many timed runs each loop has, interleaved.
const RUNS: usize = 7;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["callgrind", name, batch, count] => callgrind(name, number(batch), number(count), 1),
        ["callgrind", name, batch, count, concurrency] => {
            callgrind(
                name,
                number(batch),
                number(count),
                number(concurrency) as usize,
            );
        }
        [] => times(),
        ["contestant", batch, _, _] => or_exit(beside::loafer(number(batch) as usize)),
        [PEER | BATCHED_PEER, ..] => {
            // This runs first, so that whoever watches sees it soon.
            or_exit(peers(&arguments).and_then(|peers| beside::show(&peers)));
            times();
        }
        _ => {
            eprintln!(
                "memory [{PEER} NAME PROGRAM [ARGUMENT…] | {BATCHED_PEER} NAME PROGRAM [ARGUMENT…]]…"
            );
            eprintln!("memory callgrind LOOP BATCH COUNT [CONCURRENCY]");
            std::process::exit(2);
        }
    }
}

/// Returns the peers that the command line gives, each with the arguments up to the next.
fn peers(arguments: &[&str]) -> Result<Vec<Peer>> {
    let mut peers: Vec<Peer> = Vec::new();
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        if [PEER, BATCHED_PEER].contains(argument) {
            let (Some(name), Some(program)) = (arguments.next(), arguments.next()) else {
                bail!("{argument} needs a name and a program");
            };
            peers.push(Peer {
                name: (*name).to_owned(),
                program: PathBuf::from(program),
                arguments: Vec::new(),
                batched: *argument == BATCHED_PEER,
            });
        } else if let Some(peer) = peers.last_mut() {
            peer.arguments.push((*argument).to_owned());
        }
    }
    Ok(peers)
}

fn or_exit(result: Result<()>) {
    if let Err(error) = result {
        eprintln!("error: {error:#}");
        std::process::exit(1);
    }
}

fn number(text: &str) -> u64 {
    text.parse().unwrap_or_else(|_| {
        eprintln!("`{text}` is no number");
        std::process::exit(2)
    })
}

/// Consumes `count` of the preloaded messages on one thread, and then ends the process.
fn callgrind(name: &str, batch: u64, count: u64, concurrency: usize) {
    LAST.store(count, Ordering::Relaxed);
    let runtime = one_thread();
    match name {
        "loafer" | "loafer-extractors" => {
            let memory = preloaded(PRELOADED, batch as usize);
            runtime.block_on(consume(&memory, concurrency, name != "loafer"));
        }
        "loafer-heap" => {
            let memory = preloaded_on_the_heap(PRELOADED, batch as usize);
            runtime.block_on(consume(&memory, concurrency, false));
        }
        "raw-static" => runtime.block_on(raw::run(
            static_bodies(PRELOADED),
            batch as usize,
            concurrency,
        )),
        "raw-heap" => runtime.block_on(raw::run(
            heap_bodies(PRELOADED),
            batch as usize,
            concurrency,
        )),
        "decode" => {
            for _ in 0..count {
                if let Ok(friend) = serde_json::from_slice::<Friend>(black_box(BODY)) {
                    black_box(handle(friend));
                }
            }
        }
        _ => eprintln!(
            "no loop `{name}`: loafer, loafer-extractors, loafer-heap, raw-static, raw-heap, decode"
        ),
    }
}

/// Prints the messages per second of both loops, as medians of interleaved runs.
fn times() {
    for batch in [10, 100] {
        for concurrency in [1, 8, 64] {
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            for _ in 0..RUNS {
                ours.push(timed(|| {
                    let memory = preloaded(TIMED, batch);
                    move |runtime: &Runtime| {
                        drop(runtime.block_on(consume(&memory, concurrency, false)))
                    }
                }));
                theirs.push(timed(|| {
                    let bodies = static_bodies(TIMED);
                    move |runtime: &Runtime| runtime.block_on(raw::run(bodies, batch, concurrency))
                }));
            }
            let (ours, theirs) = (median(ours), median(theirs));
            for (name, rate) in [("loafer", ours), ("raw-static", theirs)] {
                let ratio = rate / theirs;
                println!(
                    "RESULT bench=memory loop={name} batch={batch} concurrency={concurrency} msgs_per_s={rate:.0} ratio={ratio:.2}"
                );
            }
        }
    }
}

/// Prepares a run, and then times it on a runtime of its own.
fn timed<R: FnOnce(&Runtime)>(prepare: impl FnOnce() -> R) -> f64 {
    let run = prepare();
    let runtime = many_threads();
    let started = Instant::now();
    run(&runtime);
    let took = started.elapsed();
    runtime.shutdown_timeout(Duration::from_secs(1));
    TIMED as f64 / took.as_secs_f64()
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

fn static_bodies(messages: u64) -> Vec<Bytes> {
    HANDLED.store(0, Ordering::Relaxed);
    (0..messages).map(|_| Bytes::from_static(BODY)).collect()
}

fn heap_bodies(messages: u64) -> Vec<Bytes> {
    HANDLED.store(0, Ordering::Relaxed);
    (0..messages)
        .map(|_| Bytes::copy_from_slice(BODY))
        .collect()
}
