//! The table at the end of a run.

use std::{fmt, time::Duration};

use crate::{
    judge::{Reasons, Verdict},
    publisher::Published,
    settings::Settings,
};

/// What a run came to.
pub(crate) struct Report<'r> {
    pub(crate) settings: &'r Settings,
    pub(crate) published: &'r Published,
    pub(crate) verdict: &'r Verdict,
    pub(crate) elapsed: Duration,
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            settings,
            published,
            verdict,
            elapsed,
        } = self;
        let mut row = |name: &str, count: u64| writeln!(f, "{name:<44} {count:>8}");
        row("published and confirmed", published.confirmed.len() as u64)?;
        row(
            "published, and nobody said",
            published.unconfirmed.len() as u64,
        )?;
        row("consumers killed", settings.kills as u64)?;
        row("servers killed", settings.server_kills as u64)?;
        row("deliveries", verdict.deliveries)?;
        row("handlers begun", verdict.starts)?;
        row("messages handled", verdict.handled)?;
        row("messages rejected, as planned", verdict.rejected)?;
        row("messages given up, as planned", verdict.given_up)?;
        row("messages that end processes, given up", verdict.crashed)?;
        row("messages given up, cut off while alone", verdict.cut_off)?;
        row("copies sent to wait", verdict.retries)?;
        row("copies sent to be handled alone", verdict.isolated)?;
        let mut reasons = |what: &str, reasons: &Reasons| {
            row(what, reasons.values().sum())?;
            let mut reasons = reasons.iter();
            reasons.try_for_each(|(why, count)| row(&format!("  {why}"), *count))
        };
        reasons("handled again after true", &verdict.again)?;
        reasons("handled by two at once", &verdict.at_once)?;
        reasons("acked after the lease", &verdict.late)?;
        reasons("given again unasked", &verdict.returned)?;
        reasons("more than one dead letter", &verdict.dead_letters)?;
        row("lost", verdict.lost)?;
        row("faults", verdict.faults.len() as u64)?;
        write!(f, "{:<44} {:>6} s", "elapsed", elapsed.as_secs())
    }
}
