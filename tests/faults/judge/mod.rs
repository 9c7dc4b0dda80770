//! The judge: reads the ledger, and says what was lost, what came twice, and whether there was a reason.

mod excuse;
mod record;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, HashSet},
    fmt::Write as _,
};

use self::record::{History, Record, What};
use crate::publisher::Published;

/// How often something happened, by its reason.
pub(crate) type Reasons = BTreeMap<String, u64>;

/// What became of a run.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    /// Deliveries of which the consumers heard.
    pub(crate) deliveries: u64,
    /// Handlers that began.
    pub(crate) starts: u64,
    /// Messages that a handler said `true` of.
    pub(crate) handled: u64,
    /// Messages among the dead letters, as planned.
    pub(crate) rejected: u64,
    pub(crate) lost: u64,
    /// Handled again after a `true`.
    pub(crate) again: Reasons,
    /// Handled by two at once.
    pub(crate) at_once: Reasons,
    /// Acked after somebody else had been given them.
    pub(crate) late: Reasons,
    /// What must not be, each with its history.
    pub(crate) faults: Vec<String>,
}

/// Judges a run whose queue is empty, from its ledger and the numbers of its dead letters.
pub(crate) fn judge(ledger: &str, published: &Published, letters: &HashSet<u64>) -> Verdict {
    let record = Record::read(ledger);
    let mut verdict = Verdict::default();
    for (pid, how) in &record.ended {
        let began = |line: &record::Line| line.what == What::Start(*pid);
        if record.messages.values().flatten().any(began) {
            let fault = format!("consumer {pid} ended by itself, at work: {how}");
            verdict.faults.push(fault);
        }
    }
    for (id, history) in &record.messages {
        verdict.judge(&record, *id, history);
    }
    let nothing = History::new();
    let (confirmed, unconfirmed) = (&published.confirmed, &published.unconfirmed);
    for (id, job) in confirmed.iter().chain(unconfirmed) {
        let history = record.messages.get(id).unwrap_or(&nothing);
        let letter = letters.contains(id);
        verdict.rejected += u64::from(letter && job.rejected);
        let lost = if job.rejected {
            !letter
        } else {
            !handled(history)
        };
        if lost && confirmed.contains_key(id) {
            verdict.lost += 1;
            verdict.fault(*id, history, "was lost");
        }
        if letter && !job.rejected {
            verdict.fault(*id, history, "is a dead letter, against the plan");
        }
        if job.rejected && handled(history) {
            verdict.fault(*id, history, "was handled, against the plan");
        }
    }
    verdict
}

fn handled(history: &History) -> bool {
    history.iter().any(|line| is_true(&line.what))
}

fn is_true(what: &What) -> bool {
    matches!(what, What::Said(_, word) if word == "true")
}

impl Verdict {
    /// Goes through what happened to a message.
    fn judge(&mut self, record: &Record, id: u64, history: &History) {
        self.handled += u64::from(handled(history));
        for (place, line) in history.iter().enumerate() {
            let before = &history[..place];
            match line.what {
                What::Given => self.deliveries += 1,
                What::Deleting => {
                    let may = |what: &What| matches!(what, What::Said(_, word) if word == "true" || word == "reject");
                    if !before.iter().any(|line| may(&line.what)) {
                        self.fault(id, history, "was acked before anybody said true");
                    }
                    let safe = |what: &What| is_true(what) || *what == What::Copied;
                    if !before.iter().any(|line| safe(&line.what)) {
                        self.fault(id, history, "was deleted before its dead letter was there");
                    }
                    let others = |other: &&record::Line| {
                        other.what == What::Given && other.attempt > line.attempt
                    };
                    if before.iter().any(|other| others(&other)) {
                        match record.why_late(&history[..=place], line) {
                            Some(why) => *self.late.entry(why.to_owned()).or_default() += 1,
                            None => self.fault(id, history, "was acked without its lease"),
                        }
                    }
                }
                What::Start(_) => {
                    self.starts += 1;
                    if let Some(said) = before.iter().rposition(|line| is_true(&line.what)) {
                        match record.why_again(history, said, place) {
                            Some(why) => *self.again.entry(why.to_owned()).or_default() += 1,
                            None => self.fault(id, history, "was handled again without a reason"),
                        }
                    }
                    self.judge_company(record, id, history, place);
                }
                _ => {}
            }
        }
    }

    /// Whether somebody else was still at it.
    fn judge_company(&mut self, record: &Record, id: u64, history: &History, start: usize) {
        let (before, at) = (&history[..start], history[start].at);
        for (place, line) in before.iter().enumerate() {
            let What::Start(pid) = line.what else {
                continue;
            };
            let over = before[place..].iter().any(|other| {
                let ends = matches!(other.what, What::Said(..) | What::Left(_));
                ends && other.attempt == line.attempt
            });
            if over || record.is_over(pid, at) {
                continue;
            }
            match record.why_at_once(history, place, start) {
                Some(why) => *self.at_once.entry(why.to_owned()).or_default() += 1,
                None => self.fault(id, history, "was handled by two at once"),
            }
        }
    }

    fn fault(&mut self, id: u64, history: &History, what: &str) {
        let mut fault = format!("message {id} {what}:");
        for line in history {
            _ = write!(
                fault,
                "\n  {} attempt {}: {:?}",
                line.at, line.attempt, line.what
            );
        }
        self.faults.push(fault);
    }
}
