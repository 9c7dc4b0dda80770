//! What is printed: the sum of many runs, and the story of one that failed.

use std::fmt::Write;

use crate::{
    campaign::Totals,
    ledger::Wrong,
    run::Ran,
    scenario::{Fault, Size},
    transitions,
};

/// From how many seeds on every transition of the scheduler must have been made.
const ENOUGH: u64 = 1_000;

/// Returns the sum of many runs, in lines.
#[must_use]
pub fn summary(totals: &Totals) -> String {
    let Totals {
        seeds,
        messages,
        calls,
        took,
        ..
    } = totals;
    let each = took.as_secs_f64() * 1_000.0 / (*seeds).max(1) as f64;
    let mut text = format!(
        "{seeds} seeds, {messages} messages, {calls} handler calls, {} h of virtual time, in {:.1} s ({each:.2} ms a seed)\n",
        totals.virtual_time / 3_600_000,
        took.as_secs_f64()
    );
    for (fault, count) in Fault::ALL
        .iter()
        .zip(totals.faults)
        .take(Fault::OF_THE_BROKER)
    {
        _ = writeln!(text, "  {:<20} {count:>10}", fault.name());
    }
    for (name, count) in transitions::counts() {
        _ = writeln!(text, "  {name:<40} {count:>10}");
    }
    match totals.violations.is_empty() {
        true => text.push_str("no violation\n"),
        false => {
            for (kind, (seeds, first)) in &totals.violations {
                _ = writeln!(text, "VIOLATED {kind}: {seeds} seeds, the first is {first}");
            }
        }
    }
    text
}

/// Returns the transitions of the scheduler that no seed made, if there were enough seeds to make all.
#[must_use]
pub fn never_made(totals: &Totals) -> Vec<&'static str> {
    if totals.seeds < ENOUGH {
        return Vec::new();
    }
    let counts = transitions::counts().into_iter();
    counts
        .filter(|(_, count)| *count == 0)
        .map(|(name, _)| name)
        .collect()
}

/// Returns what is wrong with a run, with the story of each message. Kinds that are allowed are left out.
#[must_use]
pub fn failure(seed: u64, ran: &Ran, allowed: &[Wrong]) -> String {
    let mut text = String::new();
    let found = ran.violations.iter().zip(&ran.stories);
    for (violation, story) in found.filter(|(it, _)| !allowed.contains(&it.kind)) {
        let at = crate::ledger::clock(violation.at);
        let delivery = violation
            .delivery
            .map_or_else(String::new, |id| format!(", delivery {id}"));
        _ = writeln!(
            text,
            "seed {seed}: {} at {}{delivery}: {}\n{story}",
            violation.kind,
            at.trim_start(),
            violation.text
        );
    }
    text
}

/// Returns the command that repeats a run.
#[must_use]
pub fn command(seed: u64, size: &Size) -> String {
    let mut text = format!("cargo xtask simulate --seed {seed}");
    if let Some(messages) = size.messages {
        _ = write!(text, " --messages {messages}");
    }
    if let Some(routes) = &size.routes {
        let routes: Vec<String> = routes.iter().map(ToString::to_string).collect();
        _ = write!(text, " --routes {}", routes.join(","));
    }
    let without: Vec<&str> = size.without.iter().map(Fault::name).collect();
    if !without.is_empty() {
        _ = write!(text, " --without {}", without.join(","));
    }
    text
}
