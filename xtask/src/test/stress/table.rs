//! The table of a stress: one row a binary, of its last stress.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

const HEAD: &str = "\
# Stress

Test binaries run again and again beside busy loops, by `cargo xtask stress`. Each row is of the last stress of its binary.

| binary | runs | failed tests | longest run | beside | date |
|---|---|---|---|---|---|
";

/// What the runs of one binary came to.
#[derive(Debug, Default)]
pub(super) struct Row {
    pub(super) runs: u64,
    /// How often each test failed.
    pub(super) failures: BTreeMap<String, u64>,
    pub(super) longest: Duration,
}

/// Writes these rows, and keeps those of other binaries.
pub(super) fn write(path: &Path, rows: &BTreeMap<String, Row>, beside: &str) -> Result<()> {
    let found = fs::read_to_string(path).unwrap_or_default();
    let text = merged(&found, rows, beside, &today()?);
    fs::write(path, text).with_context(|| format!("can't write {}", path.display()))
}

fn merged(found: &str, rows: &BTreeMap<String, Row>, beside: &str, date: &str) -> String {
    let lines = found.lines().filter_map(|line| {
        let name = line.strip_prefix("| `")?.split('`').next()?;
        Some((name.to_owned(), line.to_owned()))
    });
    let mut lines: BTreeMap<_, _> = lines.collect();
    for (name, row) in rows {
        let seconds = row.longest.as_secs_f32();
        let (runs, failures) = (row.runs, row.failures());
        let line =
            format!("| `{name}` | {runs} | {failures} | {seconds:.1} s | {beside} | {date} |");
        lines.insert(name.clone(), line);
    }
    let lines: String = lines.into_values().map(|line| line + "\n").collect();
    format!("{HEAD}{lines}")
}

impl Row {
    fn failures(&self) -> String {
        let each = self.failures.iter();
        let each: Vec<_> = each
            .map(|(test, times)| format!("{test}: {times}"))
            .collect();
        if each.is_empty() {
            "none".to_owned()
        } else {
            each.join(", ")
        }
    }
}

fn today() -> Result<String> {
    let date = Command::new("date").args(["-u", "+%F"]).output();
    let date = date.context("can't run `date`")?;
    Ok(String::from_utf8_lossy(&date.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_other_binaries_stay() {
        let row = |failed: &[&str]| Row {
            runs: 30,
            failures: failed.iter().map(|test| ((*test).to_owned(), 2)).collect(),
            longest: Duration::from_millis(1_250),
        };
        let rows = |name: &str, failed: &[&str]| BTreeMap::from([(name.to_owned(), row(failed))]);
        let first = merged(
            "",
            &rows("b.rs", &["it_ends"]),
            "4 at once, 2 busy",
            "2026-01-01",
        );
        let second = merged(
            &first,
            &rows("a.rs", &[]),
            "1 at once, 8 busy",
            "2026-01-02",
        );
        let third = merged(
            &second,
            &rows("b.rs", &[]),
            "1 at once, 8 busy",
            "2026-01-03",
        );
        assert!(
            first.ends_with(
                "| `b.rs` | 30 | it_ends: 2 | 1.2 s | 4 at once, 2 busy | 2026-01-01 |\n"
            )
        );
        let expected = "\
| `a.rs` | 30 | none | 1.2 s | 1 at once, 8 busy | 2026-01-02 |
| `b.rs` | 30 | none | 1.2 s | 1 at once, 8 busy | 2026-01-03 |
";
        assert_eq!(third, format!("{HEAD}{expected}"));
    }
}
