//! A contestant: a program that runs one task, and prints how many messages a second it handled.

use std::{path::PathBuf, process::Command};

use anyhow::{Context, Result, ensure};

use super::Row;

/// A program, and how it is told what to run.
#[derive(Debug)]
pub(super) struct Contestant {
    /// As in the tables.
    pub(super) name: String,
    pub(super) program: PathBuf,
    /// The arguments before the task.
    pub(super) arguments: Vec<String>,
}

impl Contestant {
    /// Runs the task of a row, and returns its messages a second.
    pub(super) fn run(&self, row: Row) -> Result<f64> {
        let rate = self.rate(row);
        rate.with_context(|| self.name.clone())
    }

    fn rate(&self, row: Row) -> Result<f64> {
        let program = &self.program;
        let output = Command::new(program)
            .args(&self.arguments)
            .args([row.messages, &row.concurrency.to_string()])
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
}
