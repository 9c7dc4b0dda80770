//! The excuses where deliveries are leases: what, of all that went wrong, explains that a message came twice.

use super::{
    Hold, is_true,
    record::{Line, Place, Record, Trouble, What},
};

/// In milliseconds, the longest way from a handler's `true` to its ack: the settler's linger, and time to send it.
const ACK: u64 = 2_500;
/// In milliseconds, the longest way from an ack that was refused to the next try.
const AGAIN: u64 = 700;
/// In milliseconds, how old a lease is before it needs a renewal, which may be refused as well.
const FRESH: u64 = 1_200;
/// In milliseconds, what a lease survives of a machine that runs nobody: its renewals begin that early.
const BUSY: u64 = 300;

impl Record {
    /// Why a message came again in line `start` after it was handled in line `said`; none: there is no reason.
    pub(super) fn why_again(&self, history: &[Line], said: usize, start: usize) -> Option<&str> {
        if self.rules.hold == Hold::Connection {
            return self.why_disturbed(&history[..start], history[start].at);
        }
        self.why_unacked(history, said, start).or_else(|| {
            // Or it was given before, and found its handler late.
            self.why_at_once(history, start, start)
        })
    }

    /// Why the server had no ack of what was said, or not in time.
    fn why_unacked(&self, history: &[Line], said: usize, start: usize) -> Option<&str> {
        let (line, again) = (&history[said], &history[start]);
        let What::Said(pid, _) = line.what else {
            return None;
        };
        let acks = |what: What| {
            let lines = history[said..start].iter();
            lines.filter(move |other| other.attempt == line.attempt && other.what == what)
        };
        let since = given(history, line);
        // An ack that was confirmed may have been too late, but not unsent.
        if let Some(deleted) = acks(What::Deleted).next() {
            return self.why_lost(pid, since, deleted.at, &[]);
        }
        let sent = acks(What::Deleting).next();
        let latest = sent.map_or(line.at + ACK, |_| again.at);
        if self.killed.get(&pid).is_some_and(|at| *at <= latest) {
            return Some("consumer killed before its ack");
        }
        if acks(What::Broken).next().is_some() {
            return Some("ack without an answer");
        }
        let Some(refused) = acks(What::Refused).next() else {
            return self.why_lost(pid, since, latest.min(again.at), &[]);
        };
        if acks(What::Deleting).nth(1).is_some() {
            return Some("ack refused to the end of its lease");
        }
        // Refused once, it is to be tried again, where the lease lasts for that.
        let fresh = refused.at < since + FRESH;
        let (since, none): (_, &[&str]) = if fresh {
            (refused.at, &["refuse"])
        } else {
            (since, &[])
        };
        self.why_lost(pid, since, refused.at + AGAIN, none)
    }

    /// Why two were at a message, since lines `first` and `second`; none: there is no reason.
    pub(super) fn why_at_once(
        &self,
        history: &[Line],
        first: usize,
        second: usize,
    ) -> Option<&str> {
        let at = history[second].at;
        if self.rules.hold == Hold::Connection {
            return self.why_disturbed(&history[..second], at);
        }
        [first, second].into_iter().find_map(|start| {
            let line = &history[start];
            let What::Start(pid) = line.what else {
                return None;
            };
            self.why_lost(pid, given(history, line), at, &[])
        })
    }

    /// Why an ack was sent when another had the message; none: there is no reason.
    pub(super) fn why_late(&self, history: &[Line], ack: &Line) -> Option<&str> {
        if self.rules.hold == Hold::Connection {
            return self.why_disturbed(history, ack.at);
        }
        let mut of_it = history.iter().filter(|line| line.attempt == ack.attempt);
        let said = of_it
            .clone()
            .find(|line| matches!(line.what, What::Said(..)));
        // Acked without its handler, it was handled before by the same process.
        let by = said.or_else(|| history.iter().rfind(|line| is_true(&line.what)));
        let What::Said(pid, _) = by?.what else {
            return None;
        };
        let broken = |line: &Line| line.what == What::Broken && line.at <= ack.at;
        if of_it.any(broken) {
            return Some("tried again, since there was no answer");
        }
        let since = given(history, ack);
        // Stopped while it was given or while the ack was sent, nobody could know; else the lease had to be looked at.
        let stopped = |trouble: &&Trouble| {
            let between = since < trouble.from && said.is_some_and(|said| said.at > trouble.from);
            trouble.word == "stopped" && between
        };
        let early: Vec<_> = self.troubles(pid, since, ack.at).filter(stopped).collect();
        let none: &[&str] = if early.is_empty() { &[] } else { &["stopped"] };
        self.why_lost(pid, since, ack.at, none)
    }

    /// Why this process lost a lease between two moments; `none` are no reasons.
    fn why_lost(&self, pid: u32, since: u64, before: u64, none: &[&str]) -> Option<&str> {
        let mut troubles = self
            .troubles(pid, since, before)
            .filter(|trouble| !none.contains(&trouble.word.as_str()));
        let busy = |word: &str| matches!(word, "frozen" | "sluggish");
        if let Some(trouble) = troubles.clone().find(|trouble| !busy(&trouble.word)) {
            return Some(match trouble.word.as_str() {
                "stopped" => "lease lost: consumer stopped",
                "down" => "lease lost: server down",
                _ => "lease lost: connection in trouble",
            });
        }
        let lost = troubles.try_fold(0, |lost, trouble| {
            let lost = lost + trouble.to - trouble.from;
            (lost < BUSY).then_some(lost)
        });
        lost.is_none().then_some("lease lost: machine too busy")
    }

    /// What troubled this process between two moments.
    fn troubles(
        &self,
        pid: u32,
        since: u64,
        before: u64,
    ) -> impl Iterator<Item = &Trouble> + Clone {
        let proxy = self.processes.get(&pid);
        self.troubles.iter().filter(move |trouble| {
            let meets = match &trouble.place {
                Place::Process(other) => *other == pid,
                Place::Proxy(name) => Some(name) == proxy,
                Place::Everywhere => true,
            };
            meets && trouble.from <= before && trouble.to >= since
        })
    }

    pub(super) fn is_over(&self, pid: u32, at: u64) -> bool {
        self.killed.get(&pid).is_some_and(|killed| *killed <= at) || self.ended.contains_key(&pid)
    }
}

/// When the server gave the attempt that this line is of.
fn given(history: &[Line], line: &Line) -> u64 {
    let given = |other: &&Line| other.attempt == line.attempt && other.what == What::Given;
    history.iter().find(given).map_or(line.at, |given| given.at)
}
