//! The whole test run: servers, the test binaries side by side, one summary line.
//!
//! | module | what it is |
//! |---|---|
//! | `binaries` | the test binaries that cargo builds |
//! | `pool` | commands that run side by side |
//! | `stress` | test binaries again and again, beside busy loops |
//! | `tally` | the counts, read from what tests print |
//!
//! Cargo runs one test binary after another. Most of ours wait: for a lease to end, for a broker to start. So several run at once here.

mod binaries;
mod pool;
pub(crate) mod stress;
mod tally;

use std::io::{self, Write};
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::Result;

use crate::servers::{self, Server};
use crate::workspace;
use binaries::Binary;
pub(crate) use pool::at_once;
use pool::{Job, Ran};
use tally::Tally;

const EXAMPLES: &str = "loafer-examples";
/// What the example `orders` requires.
const ORDERS: &str = "--features=loafer-examples/amqp";

/// Started first, the longest first: a run is over when its longest binary is.
const LONGEST: [&str; 5] = [
    "tests/faults/main.rs",
    "loafer-amqp/tests/uncopied.rs",
    "tests/conformance/main.rs",
    "loafer-amqp/tests/prefetch.rs",
    "loafer-macros/tests/ui.rs",
];

/// How many of the longest binaries a run names at its end.
const NAMED: usize = 8;

/// Runs all tests of the workspace against `servers`, this many binaries at once. The last line printed is the summary.
///
/// # Errors
///
/// Where no test could run: a server is not to be had, or cargo does not start.
pub(crate) fn run(servers: &[Server], further: &[String], at_once: usize) -> Result<ExitCode> {
    let mut running = servers::start(servers)?;
    let arguments = Arguments::of(further);
    let mut tally = Tally::default();
    let Some(mut jobs) = jobs(&arguments)? else {
        println!("xtask: the build broke");
        tally.broken();
        print!("{tally}");
        return Ok(ExitCode::FAILURE);
    };
    for job in &mut jobs {
        job.command.envs(running.variables()?);
    }

    let mut times = Vec::new();
    pool::run(jobs, at_once, |ran| {
        see(&mut tally, &ran, io::stdout().lock());
        times.push((ran.took, ran.name));
    });
    if let Err(error) = running.check() {
        println!("xtask: during the tests, {error:#}");
    }
    let ok = tally.failed() == 0;
    if !ok {
        running.keep_logs();
    }
    drop(running);
    println!("{}", longest(times));
    print!("{tally}");
    Ok(if ok {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Everything to run, each with a name. None where the build broke, which cargo has told.
fn jobs(arguments: &Arguments) -> Result<Option<Vec<Job>>> {
    let mut binaries = Vec::new();
    if !arguments.docs_alone() {
        let Some(built) = binaries::build(&arguments.cargo)? else {
            return Ok(None);
        };
        binaries = built;
    }
    binaries.sort_by_key(|binary| {
        LONGEST
            .iter()
            .position(|name| *name == binary.name)
            .unwrap_or(LONGEST.len())
    });
    let documented = arguments.docs_alone()
        || !arguments.select_targets() && binaries.iter().any(|binary| binary.is_documented);
    let mut jobs: Vec<_> = binaries.iter().map(Binary::job).collect();
    if documented {
        jobs.push(Job {
            name: "examples in the documentation".to_owned(),
            command: doc_tests(&arguments.cargo),
        });
    }
    for Job { command, .. } in &mut jobs {
        command.arg("--show-output").args(&arguments.tests);
        for variable in Server::ALL.iter().flat_map(|server| server.variables()) {
            // A server left out is left out, whatever this shell has exported.
            command.env_remove(variable);
        }
    }
    Ok(Some(jobs))
}

fn doc_tests(arguments: &[&str]) -> Command {
    let mut cargo = workspace::cargo();
    cargo.arg("test").args(arguments);
    if !arguments.contains(&"--doc") {
        cargo.arg("--doc");
    }
    cargo.arg("--");
    cargo
}

/// Counts what a job printed, and shows on `out` what is worth it.
fn see(tally: &mut Tally, ran: &Ran, mut out: impl Write) {
    let before = tally.failed();
    // Who closes our output still wants the exit status.
    let _ = writeln!(out, "\n== {} ({:.1} s)", ran.name, ran.took.as_secs_f32());
    for line in &ran.lines {
        if tally.see(line) {
            let _ = writeln!(out, "{line}");
        }
    }
    let broke = match &ran.status {
        Ok(status) if status.success() => return,
        Ok(status) => format!("ended with {status}"),
        Err(error) => format!("can't be run: {error:#}"),
    };
    if tally.failed() == before {
        let _ = writeln!(out, "xtask: {} {broke}, and no test of it failed", ran.name);
        tally.broken();
    }
}

fn longest(mut times: Vec<(Duration, String)>) -> String {
    times.sort_by_key(|(took, _)| std::cmp::Reverse(*took));
    let times = times.iter().take(NAMED);
    let times: Vec<_> = times
        .map(|(took, name)| format!("{name} {} s", took.as_secs()))
        .collect();
    format!("\nlongest: {}", times.join(", "))
}

/// What was said after the dashes: arguments of cargo, and after further dashes those of the test binaries.
struct Arguments<'a> {
    cargo: Vec<&'a str>,
    tests: Vec<&'a str>,
}

impl<'a> Arguments<'a> {
    /// The whole workspace, unless packages are named; and the examples with RabbitMQ, without which cargo leaves `orders` out and says
    /// nothing.
    fn of(further: &'a [String]) -> Self {
        let dashes = further.iter().position(|argument| argument == "--");
        let (cargo, tests) = further.split_at(dashes.unwrap_or(further.len()));
        let named =
            |argument: &String| argument.starts_with("-p") || argument.starts_with("--package");
        let mut arguments = Vec::new();
        let some = cargo.iter().any(named);
        if !some {
            arguments.push("--workspace");
        }
        // Named to be tested among some packages, or else to be left out of all: cargo refuses a feature of what it does not test.
        if some == cargo.iter().any(|argument| argument.contains(EXAMPLES)) {
            arguments.push(ORDERS);
        }
        arguments.extend(cargo.iter().map(String::as_str));
        Self {
            cargo: arguments,
            tests: tests.iter().skip(1).map(String::as_str).collect(),
        }
    }

    fn docs_alone(&self) -> bool {
        self.cargo.contains(&"--doc")
    }

    /// Whether targets are named, to which examples in documentation do not belong.
    fn select_targets(&self) -> bool {
        const ALL: [&str; 2] = ["--lib", "--all-targets"];
        const KINDS: [&str; 4] = ["--bin", "--test", "--example", "--bench"];
        self.cargo.iter().any(|argument| {
            ALL.contains(argument) || KINDS.iter().any(|kind| argument.starts_with(kind))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(further: &[&str]) -> Vec<String> {
        further
            .iter()
            .map(|&argument| argument.to_owned())
            .collect()
    }

    fn cargo(further: &[&str]) -> String {
        Arguments::of(&owned(further)).cargo.join(" ")
    }

    #[test]
    fn the_whole_workspace_is_tested_unless_packages_are_named() {
        assert_eq!(cargo(&[]), "--workspace --features=loafer-examples/amqp");
        assert_eq!(cargo(&["-p", "xtask"]), "-p xtask");
    }

    #[test]
    fn the_examples_are_tested_with_rabbitmq_wherever_they_are_tested() {
        for (further, asked) in [
            (&["-p", "loafer-examples"][..], true),
            (&["--package=loafer-examples", "-p", "loafer-sqs"], true),
            (&["--exclude", "loafer-examples"], false),
            (&["--", "orders"], true),
        ] {
            assert_eq!(cargo(further).contains(ORDERS), asked, "{further:?}");
        }
    }

    #[test]
    fn arguments_of_the_test_binaries_are_apart() {
        let further = owned(&["--lib", "--", "--ignored"]);
        let arguments = Arguments::of(&further);
        assert_eq!(arguments.tests, ["--ignored"]);
        assert!(!arguments.cargo.contains(&"--ignored"));
    }

    #[test]
    fn who_names_targets_does_not_want_the_documentation() {
        for (further, named) in [
            (&["-p", "loafer-core"][..], false),
            (&["--test", "hosts"], true),
            (&["--lib"], true),
            (&["--", "--test-threads=1"], false),
        ] {
            let further = owned(further);
            assert_eq!(
                Arguments::of(&further).select_targets(),
                named,
                "{further:?}"
            );
        }
    }

    #[test]
    fn a_binary_that_breaks_counts_as_a_failure() {
        let run = |script: &str| {
            let mut command = crate::leash::command("sh");
            command.args(["-c", script]);
            let name = "it".to_owned();
            let mut tally = Tally::default();
            pool::run(vec![Job { name, command }], 1, |ran| {
                // This run's own lines would be counted as ours.
                see(&mut tally, &ran, io::sink());
            });
            tally.failed()
        };
        let failed = "echo 'test result: FAILED. 0 passed; 1 failed; 0 ignored'; exit 101";
        assert_eq!(run("exit 101"), 1);
        assert_eq!(run(failed), 1);
        assert_eq!(run("true"), 0);
    }
}
