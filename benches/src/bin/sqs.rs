//! The SQS bench: a full queue, consumed by Loafer and by a hand-written loop over the same counting proxy, in one run.
//!
//! ```text
//! LOAFER_BENCH_ENDPOINT=http://127.0.0.1:4566 sqs [--runs N] [--latency MS] [--handler MS] [--calls]
//! ```
//!
//! | option | what it does |
//! |---|---|
//! | `--runs` | how often each loop runs, interleaved; the numbers are medians |
//! | `--latency` | what the proxy adds to every call: SQS itself takes about 10 ms |
//! | `--handler` | how long a handler waits |
//! | `--calls` | prints the calls over time |

use std::{
    env,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, bail};
use aws_sdk_sqs::Client;
use loafer_benches::sqs::{
    Seen, calls, loafer,
    meter::Run,
    proxy::Proxy,
    queue, raw,
    report::{self, Numbers},
};
use tokio::time::timeout;

/// Where SQS is.
const ENDPOINT: &str = "LOAFER_BENCH_ENDPOINT";
/// Messages of one run of one loop.
const MESSAGES: usize = 10_000;
/// Messages that nobody measures, before: a server of a JIT compiler is slow at first.
const WARMING: usize = 2_000;
/// Handlers at once.
const CONCURRENCY: [usize; 2] = [50, 1];
/// The longest one run of one loop may take.
const LIMIT: Duration = Duration::from_mins(2);

#[derive(Clone, Copy, Debug)]
enum Loop {
    Loafer,
    Raw,
}

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::read(env::args().skip(1))?;
    let endpoint = env::var(ENDPOINT).with_context(|| {
        format!(
            "{ENDPOINT} does not say where SQS is: run `cargo xtask bench sqs`, which starts one"
        )
    })?;
    let bench = Bench {
        client: Client::new(&queue::config(&endpoint).await),
        proxy: Proxy::start(&endpoint, options.latency)?,
        queues: AtomicUsize::new(0),
        options,
    };
    for which in [Loop::Loafer, Loop::Raw] {
        bench.run(which, CONCURRENCY[0], WARMING).await?;
    }

    let mut numbers = CONCURRENCY.map(|_| (Vec::new(), Vec::new()));
    for run in 0..options.runs {
        for (concurrency, (ours, theirs)) in CONCURRENCY.into_iter().zip(&mut numbers) {
            let mut order = [Loop::Loafer, Loop::Raw];
            order.rotate_left(run % 2);
            for which in order {
                let run = bench.run(which, concurrency, MESSAGES).await?;
                bench.show(which, concurrency, &run);
                let numbers = Numbers::of(&run, MESSAGES);
                match which {
                    Loop::Loafer => ours.push(numbers),
                    Loop::Raw => theirs.push(numbers),
                }
            }
        }
    }
    println!("{MESSAGES} messages a loop; medians of {}", options.runs);
    for (concurrency, (ours, theirs)) in CONCURRENCY.into_iter().zip(&numbers) {
        report::print(
            concurrency,
            &Numbers::median(ours),
            &Numbers::median(theirs),
        );
    }
    Ok(())
}

struct Bench {
    /// Past the proxy.
    client: Client,
    proxy: Proxy,
    /// Queues made so far: each has its own name.
    queues: AtomicUsize,
    options: Options,
}

impl Bench {
    /// Fills a queue, has it consumed, and removes it.
    async fn run(&self, which: Loop, concurrency: usize, messages: usize) -> Result<Run> {
        let name = format!(
            "loafer-bench-{}-{}",
            std::process::id(),
            self.queues.fetch_add(1, Ordering::Relaxed)
        );
        let url = queue::filled(&self.client, &name, messages).await?;
        // Connections of its own: none is warm.
        let config = queue::config(&self.proxy.url()).await;
        let seen = Arc::new(Seen::new(messages, self.options.handler));
        let consumed = timeout(LIMIT, async {
            match which {
                Loop::Loafer => {
                    loafer::consume(&self.proxy, config, &name, concurrency, &seen).await
                }
                Loop::Raw => raw::consume(&self.proxy, &config, &name, concurrency, &seen).await,
            }
        });
        let run = consumed
            .await
            .with_context(|| {
                format!("{which:?} did not handle {messages} messages within {LIMIT:?}")
            })?
            .with_context(|| format!("{which:?} at concurrency {concurrency}"))?;
        self.client.delete_queue().queue_url(url).send().await?;
        Ok(run)
    }

    fn show(&self, which: Loop, concurrency: usize, run: &Run) {
        if self.options.calls {
            println!("{which:?} at concurrency {concurrency}: {:?}", run.took);
            calls::timeline(&run.calls, run.started, &report::ACTIONS);
        }
    }
}

/// The command line.
#[derive(Clone, Copy, Debug)]
struct Options {
    runs: usize,
    latency: Duration,
    handler: Duration,
    /// Whether the calls over time are printed.
    calls: bool,
}

impl Options {
    fn read(mut arguments: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Self {
            runs: 1,
            latency: Duration::ZERO,
            handler: Duration::ZERO,
            calls: false,
        };
        while let Some(name) = arguments.next() {
            let mut number = || {
                let number = arguments.next().and_then(|number| number.parse().ok());
                number.with_context(|| format!("{name} wants a number"))
            };
            match name.as_str() {
                "--runs" => options.runs = usize::try_from(number()?)?.max(1),
                "--latency" => options.latency = Duration::from_millis(number()?),
                "--handler" => options.handler = Duration::from_millis(number()?),
                "--calls" => options.calls = true,
                other => bail!("`{other}`? sqs [--runs N] [--latency MS] [--handler MS] [--calls]"),
            }
        }
        Ok(options)
    }
}
