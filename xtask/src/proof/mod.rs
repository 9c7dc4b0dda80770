//! The proof: what is too long for CI, step by step, and what it came to, in files that are committed.

pub(crate) mod ledger;
mod results;

use std::env;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::leash;
use results::{Results, machine, revision, today};

/// Where the results are.
const RESULTS: Results = Results {
    file: "benches/proof.md",
    head: "# What was proved\n\n`cargo xtask proof` runs what is too long for CI; `--only NAME` runs one step. A step that is not here did not run. Each is as of its date and commit.\n",
};

/// How many of its last lines tell what a step came to.
const TOLD: usize = 4;

/// One step: its name, and the task of this program that it is.
type Step = (&'static str, &'static [&'static str]);

/// All steps.
const STEPS: [Step; 6] = [
    ("ledger", &["ledger"]),
    ("simulation", &["simulate", "--seeds", "100000"]),
    ("sabotages", &["simulate", "--sabotage"]),
    ("fuzzing", &["fuzz", "--minutes", "10"]),
    ("soak", &["soak", "--minutes", "60"]),
    (
        "soak-rabbitmq",
        &["soak", "--broker", "rabbitmq", "--minutes", "60"],
    ),
];

/// Which steps are run.
#[derive(Debug, Args)]
pub(crate) struct Proof {
    /// Steps to run, with commas: ledger, simulation, sabotages, fuzzing, soak, soak-rabbitmq [default: all]
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<String>,
}

/// Runs the steps one after the other, and writes down each. One that fails does not keep the others from running.
///
/// # Errors
///
/// If there is no step of a name, or the results can't be written.
pub(crate) fn run(proof: &Proof) -> Result<ExitCode> {
    let mut code = ExitCode::SUCCESS;
    for (name, arguments) in wanted(&proof.only)? {
        println!("xtask: proof: {name}");
        let mut step = leash::command(env::current_exe().context("where is this program?")?);
        step.args(arguments);
        let (begin, date, revision) = (Instant::now(), today()?, revision()?);
        let mut lines: Vec<String> = Vec::new();
        let status = leash::lines(step, None, |line| {
            println!("{line}");
            lines.push(line.trim_end().to_owned());
        })?;
        if !status.success() {
            code = ExitCode::FAILURE;
        }
        let outcome = if status.success() { "passed" } else { "FAILED" };
        lines.retain(|line| !line.is_empty());
        let told = lines[lines.len().saturating_sub(TOLD)..].join("\n");
        let text = format!(
            "{outcome} on {date}, after {} s, at {revision}, on {}: `cargo xtask {}`\n\n```text\n{told}\n```\n",
            begin.elapsed().as_secs(),
            machine()?,
            arguments.join(" ")
        );
        RESULTS.put(name, &text)?;
    }
    Ok(code)
}

/// Returns the steps of these names, or all if there are no names.
fn wanted(names: &[String]) -> Result<Vec<Step>> {
    if let Some(unknown) = names
        .iter()
        .find(|name| STEPS.iter().all(|(step, _)| step != name))
    {
        let known = STEPS.map(|(step, _)| step).join(", ");
        bail!("there is no step `{unknown}`; known: {known}");
    }
    let is_wanted = |(step, _): &Step| names.is_empty() || names.iter().any(|name| name == step);
    Ok(STEPS.into_iter().filter(is_wanted).collect())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn every_step_is_a_task() {
        for (name, arguments) in STEPS {
            let line = ["xtask"].iter().chain(arguments);
            assert!(Cli::try_parse_from(line).is_ok(), "{name}");
        }
    }

    #[test]
    fn a_step_that_is_not_known_is_named() {
        let error = wanted(&["sokes".to_owned()]).map_err(|error| error.to_string());
        assert!(error.is_err_and(|error| error.contains("`sokes`")));
        let soak = wanted(&["soak".to_owned()]).map(|steps| steps.len());
        assert_eq!(soak.ok(), Some(1));
    }
}
