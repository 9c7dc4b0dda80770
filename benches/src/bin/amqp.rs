//! The AMQP bench: Loafer and hand-written loops, each a process of its own, publish into a quorum queue and consume it, in interleaved rounds.
//!
//! ```text
//! LOAFER_BENCH_ENDPOINT=amqp://guest:guest@127.0.0.1:5672/%2f amqp [--rounds N] [--messages N] [--prefetch N]
//! ```
//!
//! | option | what it does |
//! |---|---|
//! | `--rounds` | how often each contestant runs, interleaved; the numbers are medians |
//! | `--messages` | how many messages each queue gets |
//! | `--prefetch` | one prefetch, instead of 50 and 500 |

use std::env;

use anyhow::{Context, Result, bail};
use loafer_benches::amqp::{
    lap::{self, Lap, Run},
    queue::Queues,
    report::{self, RAW},
};

/// Where RabbitMQ is.
const ENDPOINT: &str = "LOAFER_BENCH_ENDPOINT";
/// The most messages that are delivered and not yet acked.
const PREFETCHES: [u16; 2] = [50, 500];
/// How many messages the laps before the measured ones have: the server is slow at first.
const WARMING: usize = 10_000;
/// The contestant under test.
const LOAFER: &str = "loafer";
/// Shown beside the others, but not compared: its messages are smaller.
const BARE: &str = "raw-bare";
/// Who runs, how it consumes, and how it publishes before that.
const LAPS: [(&str, &str, &str, &str); 6] = [
    (RAW, "amqp-raw", "each", "pipelined"),
    (LOAFER, "amqp-loafer", "route", "batches"),
    (RAW, "amqp-raw", "together", "batches"),
    (LOAFER, "amqp-loafer", "route", "pipelined"),
    (RAW, "amqp-raw", "multiple", "pipelined"),
    (BARE, "amqp-raw", "multiple", "bare"),
];

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::read(env::args().skip(1))?;
    let url = env::var(ENDPOINT).with_context(|| {
        format!("{ENDPOINT} does not say where RabbitMQ is: run `cargo xtask bench amqp`, which starts one")
    })?;
    let queues = Queues::at(&url).await?;
    let mut laps: Vec<(Lap, Vec<Run>)> = Vec::new();
    for prefetch in options.prefetches {
        laps.extend(
            self::laps(prefetch)?
                .into_iter()
                .map(|lap| (lap, Vec::new())),
        );
    }
    let count = laps.len();
    for round in 0..=options.rounds {
        // The first round warms the server up.
        let messages = if round == 0 {
            WARMING
        } else {
            options.messages
        };
        for turn in 0..count {
            let number = (round + turn) % count;
            let (lap, runs) = &mut laps[number];
            let queue = format!("loafer-bench-{}-{round}-{number}", std::process::id());
            let run = lap::run(&url, &queues, &queue, lap, messages).await;
            let run = run.with_context(|| format!("{lap:?}"))?;
            if round > 0 {
                runs.push(run);
            }
        }
    }
    let Options {
        rounds, messages, ..
    } = options;
    println!("medians of {rounds} rounds, {messages} messages of 16 bytes, quorum queues");
    report::show(&laps);
    Ok(())
}

fn laps(prefetch: u16) -> Result<Vec<Lap>> {
    let ours = env::current_exe()?;
    let laps = LAPS.map(|(name, program, consume, publish)| Lap {
        name,
        program: ours.with_file_name(program),
        publish,
        consume,
        prefetch,
    });
    Ok(laps.into())
}

/// The command line.
#[derive(Clone, Debug)]
struct Options {
    rounds: usize,
    messages: usize,
    prefetches: Vec<u16>,
}

impl Options {
    fn read(mut arguments: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Self {
            rounds: 5,
            messages: 50_000,
            prefetches: PREFETCHES.into(),
        };
        while let Some(name) = arguments.next() {
            let mut next = || {
                let value = arguments.next();
                value.with_context(|| format!("{name} wants a value"))
            };
            match name.as_str() {
                "--rounds" => options.rounds = next()?.parse::<usize>()?.max(1),
                "--messages" => options.messages = next()?.parse()?,
                "--prefetch" => options.prefetches = vec![next()?.parse()?],
                other => bail!("`{other}`? amqp [--rounds N] [--messages N] [--prefetch N]"),
            }
        }
        Ok(options)
    }
}
