//! Where messages ended: handled, or among the dead letters, as planned.

use super::{DeadMessage, Envelope, Hold, Record, Verdict, handled, record::History, record::What};
use crate::{
    job::{End, Job},
    publisher::Published,
};

impl Verdict {
    /// Whether all that was published came to its end.
    pub(super) fn judge_ends(
        &mut self,
        record: &Record,
        published: &Published,
        dead_letters: &[DeadMessage],
    ) {
        let nothing = History::new();
        let (confirmed, unconfirmed) = (&published.confirmed, &published.unconfirmed);
        for (id, job) in confirmed.iter().chain(unconfirmed) {
            let history = record.messages.get(id).unwrap_or(&nothing);
            let its: Vec<_> = dead_letters
                .iter()
                .filter(|dead_letter| dead_letter.id == *id)
                .collect();
            match (job.end, its.is_empty()) {
                (End::Rejected, false) => self.rejected += 1,
                (End::GivenUp, false) => self.given_up += 1,
                (End::Crashed, false) => self.crashed += 1,
                _ => {}
            }
            // Cut off as often as one that ends its process, a message can't be told from it.
            let cut_off = job.end != End::Crashed && its.iter().any(|its| its.is_crash());
            self.cut_off += u64::from(cut_off);
            let lost = match job.end {
                End::Acked => !handled(history) && !cut_off,
                End::Rejected | End::GivenUp | End::Crashed => its.is_empty(),
            };
            if lost && confirmed.contains_key(id) {
                self.lost += 1;
                self.fault(*id, history, "was lost");
            }
            let accepted = || history.iter().any(|line| line.what == What::Accepted);
            let told = record.rules.hold == Hold::Connection && confirmed.contains_key(id);
            if told && !accepted() {
                self.fault(*id, history, "was confirmed by the publisher alone");
            }
            if !its.is_empty() && job.end == End::Acked && !cut_off {
                self.fault(*id, history, "is a dead letter, against the plan");
            }
            if job.end != End::Acked && handled(history) {
                self.fault(*id, history, "was handled, against the plan");
            }
            for dead_letter in &its {
                if let Some(fault) = wrong(record, job, history, &dead_letter.envelope) {
                    self.fault(*id, history, &format!("is a dead letter, {fault}"));
                }
            }
            if its.len() > 1 && !matches!(its[0].envelope, Envelope::Unread) {
                match record.why_disturbed(history, u64::MAX) {
                    Some(why) => *self.dead_letters.entry(why.to_owned()).or_default() += 1,
                    None => self.fault(*id, history, "is a dead letter twice, without a reason"),
                }
            }
        }
    }
}

/// What is wrong with what a dead letter says.
fn wrong(record: &Record, job: &Job, history: &History, envelope: &Envelope) -> Option<String> {
    let (kind, attempts) = match envelope {
        Envelope::Unread => return None,
        Envelope::Wrong(why) => return Some(format!("whose envelope is wrong: {why}")),
        Envelope::Read { kind, attempts } => (kind.as_str(), *attempts),
    };
    let began = |line: &super::record::Line| {
        line.attempt == attempts && matches!(line.what, What::Start(_))
    };
    if !history.iter().any(began) {
        return Some(format!(
            "and says of attempt {attempts}, which nobody began"
        ));
    }
    let most = record.rules.max_attempts.unwrap_or(u64::MAX);
    // Isolated, and then begun by somebody who did not come to an end.
    let cut_off = || {
        let isolated = history
            .iter()
            .rposition(|line| line.what == What::Isolating);
        let alone = isolated.map_or(&[][..], |isolated| &history[isolated..]);
        alone.iter().enumerate().any(|(place, line)| {
            let What::Start(pid) = line.what else {
                return false;
            };
            let said = |other: &super::record::Line| {
                let by = matches!(other.what, What::Said(by, _) if by == pid);
                by && other.attempt == line.attempt
            };
            !alone[place..].iter().any(said)
        })
    };
    match (job.end, kind) {
        (_, "crash") if cut_off() => None,
        (_, "crash") => {
            Some("and says that its process ended, and none did over it alone".to_owned())
        }
        (End::Crashed, _) => Some(format!("and says {kind:?}")),
        (End::Rejected, "rejected") => None,
        (End::Rejected, _) | (_, "rejected") => Some(format!("and says {kind:?}")),
        _ if attempts < most => Some(format!("and was given up after {attempts} of {most}")),
        _ => None,
    }
}
