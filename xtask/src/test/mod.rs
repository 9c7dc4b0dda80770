//! The whole test run: servers, `cargo test`, one summary line.

mod tally;

use std::io::{self, Write};
use std::process::{Command, ExitCode};

use anyhow::Result;

use crate::servers::{self, Server};
use crate::{leash, workspace};
use tally::Tally;

const EXAMPLES: &str = "loafer-examples";
/// What the example `orders` requires.
const ORDERS: &str = "--features=loafer-examples/amqp";

/// Runs all tests of the workspace against `servers`. The last line printed is the summary.
///
/// # Errors
///
/// Where no test could run: a server is not to be had, or cargo does not start.
pub(crate) fn run(servers: &[Server], further: &[String]) -> Result<ExitCode> {
    let mut running = servers::start(servers)?;
    let mut tally = Tally::default();
    let mut cargo = cargo_test(further);
    cargo.envs(running.variables()?);
    let status = leash::lines(cargo, None, |line| {
        if tally.see(line) {
            // Who closes our output still wants the exit status.
            let _ = writeln!(io::stdout(), "{line}");
        }
    })?;

    if let Err(error) = running.check() {
        println!("xtask: during the tests, {error:#}");
    }
    if !status.success() && tally.failed() == 0 {
        println!(
            "xtask: `cargo test` ended with {status} and no failed test: the build or a test binary broke"
        );
        tally.broken();
    }
    let ok = tally.failed() == 0;
    if !ok {
        running.keep_logs();
    }
    drop(running);
    print!("{tally}");
    Ok(if ok {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn cargo_test(further: &[String]) -> Command {
    let mut cargo = workspace::cargo();
    cargo.arg("test").args(arguments(further));
    for variable in Server::ALL.iter().flat_map(|server| server.variables()) {
        // A server left out is left out, whatever this shell has exported.
        cargo.env_remove(variable);
    }
    cargo
}

/// The whole workspace, unless packages are named; every binary, though one fails; the examples with RabbitMQ, without which cargo
/// leaves `orders` out and says nothing; and what passing tests print, because a skipped case says so there.
fn arguments(further: &[String]) -> Vec<&str> {
    let dashes = further.iter().position(|argument| argument == "--");
    let (cargo, tests) = further.split_at(dashes.unwrap_or(further.len()));
    let named = |argument: &String| argument.starts_with("-p") || argument.starts_with("--package");
    let mut arguments = Vec::new();
    let some = cargo.iter().any(named);
    if !some {
        arguments.push("--workspace");
    }
    // Named to be tested among some packages, or else to be left out of all: cargo refuses a feature of what it does not test.
    if some == cargo.iter().any(|argument| argument.contains(EXAMPLES)) {
        arguments.push(ORDERS);
    }
    arguments.push("--no-fail-fast");
    arguments.extend(cargo.iter().map(String::as_str));
    arguments.extend(["--", "--show-output"]);
    arguments.extend(tests.iter().skip(1).map(String::as_str));
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(further: &[&str]) -> String {
        let further: Vec<_> = further
            .iter()
            .map(|&argument| argument.to_owned())
            .collect();
        arguments(&further).join(" ")
    }

    #[test]
    fn the_whole_workspace_is_tested_unless_packages_are_named() {
        let all = "--workspace --features=loafer-examples/amqp --no-fail-fast -- --show-output";
        assert_eq!(line(&[]), all);
        assert_eq!(
            line(&["-p", "xtask"]),
            "--no-fail-fast -p xtask -- --show-output"
        );
    }

    #[test]
    fn the_examples_are_tested_with_rabbitmq_wherever_they_are_tested() {
        for (further, asked) in [
            (&["-p", "loafer-examples"][..], true),
            (&["--package=loafer-examples", "-p", "loafer-sqs"], true),
            (&["--exclude", "loafer-examples"], false),
            (&["--", "orders"], true),
        ] {
            assert_eq!(line(further).contains(ORDERS), asked, "{further:?}");
        }
    }

    #[test]
    fn arguments_of_the_test_binaries_join_ours() {
        let line = line(&["--lib", "--", "--ignored"]);
        assert!(line.ends_with(" --no-fail-fast --lib -- --show-output --ignored"));
    }
}
