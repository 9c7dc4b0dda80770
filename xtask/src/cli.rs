//! The command line.

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};

use crate::bench;
use crate::fuzz;
use crate::loom;
use crate::proof::ledger::{self, Ledger};
use crate::proof::{self, Proof};
use crate::rules;
use crate::servers::{self, Server};
use crate::simulate;
use crate::soak::{self, Soak};
use crate::test::{
    self,
    stress::{self, Stress},
};

/// The tasks of this workspace
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
pub(crate) struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Installs and starts the servers, runs every test of the workspace, stops the servers
    Test {
        #[command(flatten)]
        without: Without,
        /// Test binaries that run at once
        #[arg(long, value_name = "N", default_value_t = test::at_once())]
        at_once: usize,
        /// Further arguments of `cargo test`
        #[arg(last = true)]
        cargo: Vec<String>,
    },
    /// Runs test binaries again and again beside busy loops, and writes what failed into benches/stress.md
    Stress(Stress),
    /// Starts the servers, prints what to export, stays until Ctrl-C
    Servers {
        #[command(flatten)]
        without: Without,
        /// The SQS that AWS_ENDPOINT_URL names; the first one started, unless told otherwise
        #[arg(long, value_name = "NAME")]
        endpoint: Option<Server>,
    },
    /// Kills consumers and servers and cuts connections while messages flow, for long; then says what was lost
    Soak(Soak),
    /// Does so on every broker, as large as a release wants it, and writes down what was lost and what came twice
    Ledger(Ledger),
    /// Runs what is too long for CI, and writes down what it came to
    Proof(Proof),
    /// Fuzzes the translators, in a build of its own
    Fuzz {
        /// Arguments of the fuzzer: targets, `--minutes N` each, `--seed S`, `--input FILE`; all targets for a minute each without any
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Runs whole apps on a faulty broker in virtual time, and judges each run by the law
    Simulate {
        /// Arguments of the simulation: `--seeds N`, `--from S`, `--seed S`, `--seconds N`, `--messages N`, `--without FAULT,…`, `--log`; or
        /// `--sabotage [NAME…]`, which breaks the engine on purpose and must find that
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Searches every order in which tasks of a route can meet at its scheduler, in a build of its own
    Loom {
        /// Only the tests whose names have this in them
        #[arg(default_value = loom::ALL)]
        name: String,
    },
    /// Prints which module names which, and fails on circles and on arrows against the order of the house
    Arrows(rules::Arrows),
    /// Prints retired words and phrases that users and readers see, and fails on any
    Words(rules::Words),
    /// Runs a bench of this workspace
    Bench {
        #[command(subcommand)]
        bench: Bench,
    },
}

#[derive(Debug, Args)]
struct Without {
    /// A server to leave out, knowingly; its tests are skipped
    #[arg(long = "without", value_name = "NAME")]
    names: Vec<Server>,
}

#[derive(Debug, Subcommand)]
enum Bench {
    /// Throughput, allocations and instructions of dispatch in memory, beside hand-written loops and a peer
    Memory(bench::memory::Options),
    /// What a handler adds to the time of a check and of a debug build
    Macros(bench::macros::Options),
    /// Throughput, CPU time, API calls and memory against a local SQS, beside a hand-written loop and a peer
    Sqs(bench::sqs::Options),
    /// Throughput and CPU time of publishing and consuming on a local RabbitMQ, beside hand-written loops
    Amqp(bench::amqp::Options),
}

impl Cli {
    pub(crate) fn run(self) -> Result<ExitCode> {
        match self.task {
            Task::Test {
                without,
                at_once,
                cargo,
            } => test::run(&without.rest(), &cargo, at_once),
            Task::Stress(stress) => stress::run(&stress),
            Task::Servers { without, endpoint } => servers::serve(&without.rest(), endpoint),
            Task::Soak(soak) => soak::run(&soak),
            Task::Ledger(ledger) => ledger::run(&ledger),
            Task::Proof(proof) => proof::run(&proof),
            Task::Fuzz { arguments } => fuzz::run(&arguments),
            Task::Simulate { arguments } => simulate::run(&arguments),
            Task::Loom { name } => loom::run(&name),
            Task::Arrows(arrows) => rules::arrows(&arrows),
            Task::Words(words) => rules::words(&words),
            Task::Bench { bench } => match bench {
                Bench::Memory(options) => bench::memory::run(&options),
                Bench::Macros(options) => bench::macros::run(&options),
                Bench::Sqs(options) => bench::sqs::run(&options),
                Bench::Amqp(options) => bench::amqp::run(&options),
            },
        }
    }
}

impl Without {
    fn rest(&self) -> Vec<Server> {
        let left_out = |server: &Server| self.names.contains(server);
        Server::ALL
            .into_iter()
            .filter(|server| !left_out(server))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn arguments_after_the_dashes_go_to_cargo() {
        let line = [
            "xtask",
            "test",
            "--without",
            "elasticmq",
            "--",
            "-p",
            "xtask",
            "--",
            "--nocapture",
        ];
        let Ok(Cli {
            task: Task::Test { without, cargo, .. },
        }) = Cli::try_parse_from(line)
        else {
            panic!("the line is not understood");
        };
        let rest = [
            Server::Fauxqs,
            Server::Rabbitmq,
            Server::Rabbitmq4,
            Server::Rabbitmq43,
        ];
        assert_eq!(without.rest(), rest);
        assert_eq!(cargo, ["-p", "xtask", "--", "--nocapture"]);
    }
}
