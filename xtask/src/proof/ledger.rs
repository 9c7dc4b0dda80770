//! The kill ledger: the fault test on every broker, as large as a release wants it, and what it came to.

use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};

use super::results::{Results, machine, revision, today};
use crate::soak::{self, Broker, Size};
use crate::{leash, simulate};

/// Where the counts are.
const COUNTS: Results = Results {
    file: "benches/ledger.md",
    head: "# The kill ledger\n\n`cargo xtask ledger` publishes messages to a broker that two services consume. By a plan from a seed it kills, stops and restarts the services, kills and restarts the broker, and cuts, stalls and slows\ntheir connections. A ledger of all that happened is judged: what is confirmed is handled or a dead letter, and what came twice has a reason in the ledger. In memory it is the simulation, whose clock is virtual.\nA broker that is not here was not run. Each section is as of its date and commit; a seed repeats the plan, not what meets what in the middle of it.\n",
};

/// What a run publishes, of which the rest follows.
const MESSAGES: u64 = 100_000;
/// Services that are killed in a run, and brokers.
const KILLS: u64 = 60;
const SERVER_KILLS: u64 = 12;
/// Messages that end the process of whoever handles them.
const CRASHES: u64 = 5;
/// The messages of a minute.
const PACE: u64 = 6_000;
/// The fewest messages that a seed of the simulation has on average.
const OF_A_SEED: u64 = 200;

/// The first and the last row of the table that the fault test prints.
const ROWS: [&str; 2] = ["published and confirmed", "elapsed"];

/// What the services of a ledger are on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum On {
    Broker(Broker),
    /// The simulation: the broker in memory lives no longer than its process.
    Memory,
}

impl ValueEnum for On {
    fn value_variants<'a>() -> &'a [Self] {
        &[
            Self::Broker(Broker::Sqs),
            Self::Broker(Broker::Elasticmq),
            Self::Broker(Broker::Rabbitmq),
            Self::Broker(Broker::Rabbitmq4),
            Self::Broker(Broker::Rabbitmq43),
            Self::Memory,
        ]
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        match self {
            Self::Broker(broker) => broker.to_possible_value(),
            Self::Memory => Some(clap::builder::PossibleValue::new("memory")),
        }
    }
}

impl On {
    fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

/// What is run, and how large.
#[derive(Debug, Args)]
pub(crate) struct Ledger {
    /// What the services are on, with commas [default: all]
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    brokers: Vec<On>,
    /// How long messages are published and things go wrong, on each [default: a minute for 6,000 messages]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    minutes: Option<u64>,
    #[command(flatten)]
    size: Size,
}

/// Runs one broker after the other, and writes down what each came to.
///
/// # Errors
///
/// If a run ends before it is judged.
pub(crate) fn run(ledger: &Ledger) -> Result<ExitCode> {
    let all = On::value_variants();
    let brokers = match &ledger.brokers[..] {
        [] => all,
        some => some,
    };
    let mut code = ExitCode::SUCCESS;
    for on in brokers {
        if !ledger.run(*on)? {
            code = ExitCode::FAILURE;
        }
    }
    Ok(code)
}

impl Ledger {
    /// Runs on one, and returns whether nothing is wrong.
    fn run(&self, on: On) -> Result<bool> {
        let messages = self.size.messages.unwrap_or(MESSAGES);
        // A smaller run has as much go wrong in its time.
        let share = |count: u64| (count * messages).div_ceil(MESSAGES);
        let kills = self.size.kills.unwrap_or(share(KILLS));
        let server_kills = self.size.server_kills.unwrap_or(share(SERVER_KILLS));
        let crashes = self.size.crashes.unwrap_or(share(CRASHES));
        let size = Size {
            messages: Some(messages),
            kills: Some(kills),
            server_kills: Some(server_kills),
            crashes: Some(crashes),
            seed: self.size.seed,
        };
        let minutes = self.minutes.unwrap_or(messages.div_ceil(PACE));
        let (begin, date, revision) = (Instant::now(), today()?, revision()?);
        let (command, running) = match on {
            On::Broker(broker) => soak::fault_test(broker, minutes, &size)?,
            On::Memory => (
                simulate::seeds(messages.div_ceil(OF_A_SEED), size.seed)?,
                None,
            ),
        };
        let (right, lines) = told(command)?;
        drop(running);
        let (counts, repeat) = match on {
            On::Broker(_) => {
                let plan = format!(
                    " --minutes {minutes} --kills {kills} --server-kills {server_kills} --crashes {crashes}"
                );
                (table(&lines), plan + &seed(&lines))
            }
            On::Memory => (lines, String::new()),
        };
        if counts.is_empty() {
            bail!(
                "the run on {} ended before it was judged: see above",
                on.name()
            );
        }
        let outcome = if right { "Nothing is wrong" } else { "FAILED" };
        let text = format!(
            "{outcome}. Run on {date}, in {} s, at {revision}, on {}. To repeat it: `cargo xtask ledger --brokers {} --messages {messages}{repeat}`\n\n```text\n{}\n```\n",
            begin.elapsed().as_secs(),
            machine()?,
            on.name(),
            counts.join("\n")
        );
        COUNTS.put(&on.name(), &text)?;
        Ok(right)
    }
}

/// Runs a command, and returns whether it succeeded and what it printed.
fn told(command: Command) -> Result<(bool, Vec<String>)> {
    let mut lines = Vec::new();
    let status = leash::lines(command, None, |line| {
        println!("{line}");
        lines.push(line.trim_end().to_owned());
    })?;
    Ok((status.success(), lines))
}

/// Returns the rows of the table. None: it was not printed.
fn table(lines: &[String]) -> Vec<String> {
    let [first, last] = ROWS.map(|row| lines.iter().position(|line| line.starts_with(row)));
    match (first, last) {
        (Some(first), Some(last)) if first <= last => lines[first..=last].to_vec(),
        _ => Vec::new(),
    }
}

/// Returns the argument that repeats the plan.
fn seed(lines: &[String]) -> String {
    let seed = |line: &String| Some(line.split_once("LOAFER_FAULT_SEED=")?.1.to_owned());
    let seed = lines.iter().find_map(seed);
    seed.map_or_else(String::new, |seed| format!(" --seed {seed}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_and_the_seed_are_found_in_what_the_test_prints() {
        let lines = [
            "Settings { seed: 7 }: to repeat it, LOAFER_FAULT_SEED=7",
            "  11 s: 9 handled",
            "published and confirmed    10",
            "lost    0",
            "elapsed    70 s",
            "test … ok",
        ];
        let lines = lines.map(str::to_owned);
        assert_eq!(table(&lines), lines[2..5]);
        assert_eq!(seed(&lines), " --seed 7");
        assert!(table(&lines[..4]).is_empty());
    }
}
