//! The judge: reads the ledger, and says what was lost, what came twice, and whether there was a reason.

mod connection;
#[cfg(test)]
mod connection_tests;
mod dead_letters;
mod excuse;
mod record;
mod rules;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, fmt::Write as _};

use self::record::{History, Record, What};
pub(crate) use self::rules::{DeadMessage, Envelope, Hold, Rules};
use crate::publisher::Published;

/// How often something happened, by its reason.
pub(crate) type Reasons = BTreeMap<String, u64>;

/// What became of a run.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    /// Deliveries that the consumers received.
    pub(crate) deliveries: u64,
    /// Handlers that began.
    pub(crate) starts: u64,
    /// Messages that a handler said `true` of.
    pub(crate) handled: u64,
    /// Messages among the dead letters, as planned.
    pub(crate) rejected: u64,
    /// Messages among the dead letters, as planned, since their attempts were used up.
    pub(crate) given_up: u64,
    /// Messages among the dead letters, as planned, since they end their process.
    pub(crate) crashed: u64,
    /// Messages among the dead letters, since they were cut off while they were handled alone, again and again.
    pub(crate) cut_off: u64,
    /// Copies that were sent to wait for a retry.
    pub(crate) retries: u64,
    /// Copies that were sent to be handed over alone.
    pub(crate) isolated: u64,
    pub(crate) lost: u64,
    /// Handled again after a `true`.
    pub(crate) again: Reasons,
    /// Handled by two at once.
    pub(crate) at_once: Reasons,
    /// Acked after somebody else had been given them.
    pub(crate) late: Reasons,
    /// Given again, though nobody asked for it.
    pub(crate) returned: Reasons,
    /// More than one dead letter.
    pub(crate) dead_letters: Reasons,
    /// What must not be, each with its history.
    pub(crate) faults: Vec<String>,
}

/// Judges a run whose queue is empty, from its ledger and its dead letters.
pub(crate) fn judge(
    rules: Rules,
    ledger: &str,
    published: &Published,
    dead_letters: &[DeadMessage],
) -> Verdict {
    let record = Record::read(rules, ledger);
    let mut verdict = Verdict::default();
    let told = |pid: &u32| record.killed.contains_key(pid);
    for (pid, how) in record.ended.iter().filter(|(pid, _)| !told(pid)) {
        let began = |line: &record::Line| line.what == What::Start(*pid);
        if record.messages.values().flatten().any(began) {
            let fault = format!("consumer {pid} ended by itself, at work: {how}");
            verdict.faults.push(fault);
        }
    }
    for (id, history) in &record.messages {
        verdict.judge(&record, *id, history);
    }
    verdict.judge_ends(&record, published, dead_letters);
    verdict
}

fn handled(history: &[record::Line]) -> bool {
    history.iter().any(|line| is_true(&line.what))
}

fn is_true(what: &What) -> bool {
    matches!(what, What::Said(_, word) if word == "true")
}

impl Verdict {
    /// Goes through what happened to a message.
    fn judge(&mut self, record: &Record, id: u64, history: &History) {
        self.handled += u64::from(handled(history));
        for place in 0..history.len() {
            if record.rules.hold == Hold::Connection {
                self.judge_attempts(record, id, history, place);
            }
            match history[place].what {
                What::Given => self.deliveries += 1,
                What::Deleting => self.judge_ack(record, id, history, place),
                What::Start(_) => self.judge_start(record, id, history, place),
                _ => {}
            }
        }
    }

    /// Whether it was time to ack.
    fn judge_ack(&mut self, record: &Record, id: u64, history: &History, place: usize) {
        let (before, line) = (&history[..place], &history[place]);
        let retried =
            |other: &record::Line| other.what == What::Waiting && other.attempt == line.attempt + 1;
        let may = |what: &What| match what {
            What::Said(_, word) if record.rules.hold == Hold::Lease => {
                word == "true" || word == "reject"
            }
            // A retry is another message, and this one done with.
            What::Said(..) | What::Left(_) => record.rules.hold == Hold::Connection,
            _ => false,
        };
        let copied = connection::is_isolated(before, line.attempt)
            || before
                .iter()
                .any(|other| other.what == What::Copied || retried(other));
        if !copied && !before.iter().any(|line| may(&line.what)) {
            self.fault(id, history, "was acked before anybody said true");
        } else if !copied && !handled(before) {
            self.fault(id, history, "was deleted before its copy was there");
        }
        let others =
            |other: &&record::Line| other.what == What::Given && other.attempt > line.attempt;
        // Where its copy is what the other was given, there is nothing to lose.
        let of_copy = copied && record.rules.hold == Hold::Connection;
        if !of_copy && before.iter().any(|other| others(&other)) {
            match record.why_late(&history[..=place], line) {
                Some(why) => *self.late.entry(why.to_owned()).or_default() += 1,
                None => self.fault(id, history, "was acked without its lease"),
            }
        }
    }

    /// Whether it was time to begin.
    fn judge_start(&mut self, record: &Record, id: u64, history: &History, place: usize) {
        self.starts += 1;
        let before = &history[..place];
        if let Some(said) = before.iter().rposition(|line| is_true(&line.what)) {
            // Where the broker gives ids, whoever handled a message knows it again until its ack is confirmed.
            let knows = |line: &record::Line| match (&line.what, &history[place].what) {
                (What::Said(by, word), What::Start(again)) if word == "true" && by == again => {
                    let confirmed = |other: &record::Line| {
                        other.attempt == line.attempt && other.what == What::Deleted
                    };
                    !before.iter().any(confirmed)
                }
                _ => false,
            };
            if record.rules.hold == Hold::Lease && before.iter().any(knows) {
                self.fault(id, history, "was handled again by whoever had handled it");
            }
            match record.why_again(history, said, place) {
                Some(why) => *self.again.entry(why.to_owned()).or_default() += 1,
                None => self.fault(id, history, "was handled again without a reason"),
            }
        }
        self.judge_company(record, id, history, place);
    }

    /// Whether somebody else was still at it.
    fn judge_company(&mut self, record: &Record, id: u64, history: &History, start: usize) {
        let (before, at) = (&history[..start], history[start].at);
        for (place, line) in before.iter().enumerate() {
            let What::Start(pid) = line.what else {
                continue;
            };
            let over = before[place..].iter().any(|other| {
                let ends = |by: u32| by == pid && other.attempt == line.attempt;
                matches!(other.what, What::Said(by, _) | What::Left(by) if ends(by))
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

    fn fault(&mut self, id: u64, history: &[record::Line], what: &str) {
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
