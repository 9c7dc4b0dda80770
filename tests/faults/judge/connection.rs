//! What holds where a delivery is its connection's: attempts, copies, and the excuses for what came twice.

use super::{
    Verdict,
    record::{Line, Place, Record, Trouble, What},
};

/// In milliseconds, how long an ack may take through the broker: it hands acks on to the queue a few at a time, and forgets those
/// that wait when their connection ends.
const HANDED_ON: u64 = 2_000;
/// In milliseconds: the broker's clock and ours are rounded each for itself.
const ROUNDED: u64 = 5;
/// In milliseconds, what the handler asks for that says `later`.
const LATER: u64 = 1_500;

impl Verdict {
    /// Whether this line is one that may follow those before it.
    pub(super) fn judge_attempts(
        &mut self,
        record: &Record,
        id: u64,
        history: &[Line],
        place: usize,
    ) {
        let line = &history[place];
        let until = &history[..=place];
        match line.what {
            What::Given => {
                if let Some(fault) = unasked(&history[..place], line) {
                    // The end of a connection brings a delivery again, and costs no attempt.
                    let again = was_given(&history[..place], line);
                    let why = record.why_disturbed(until, line.at);
                    match why.filter(|_| again) {
                        Some(why) => *self.returned.entry(why.to_owned()).or_default() += 1,
                        None => self.fault(id, history, &fault),
                    }
                }
            }
            What::Copying(ms) => {
                self.retries += 1;
                let fault = untimely(record, &history[..place], line.attempt, ms);
                if let Some(fault) = fault {
                    self.fault(id, history, &fault);
                }
            }
            What::Isolating => self.isolated += 1,
            What::Start(_) => {
                let number = line.attempt;
                let given = |other: &Line| other.what == What::Given && other.attempt == number;
                if !until.iter().any(given) {
                    let fault = format!("was handled as attempt {number}, which nobody was given");
                    return self.fault(id, history, &fault);
                }
                if record.rules.max_attempts.is_some_and(|most| number > most) {
                    self.fault(id, history, &format!("was handled as attempt {number}"));
                }
            }
            _ => {}
        }
    }
}

/// Whether this attempt was given to somebody before, and not isolated since: an isolated copy is given once more.
fn was_given(before: &[Line], line: &Line) -> bool {
    let of_it = before.iter().rev();
    let mut of_it = of_it.filter(|other| other.attempt == line.attempt);
    let last = of_it.find(|other| matches!(other.what, What::Given | What::Isolating));
    last.is_some_and(|last| last.what == What::Given)
}

/// Whether an ack of this attempt, like each before it, has an isolated copy of its own.
pub(super) fn is_isolated(before: &[Line], attempt: u64) -> bool {
    let count = |what: &What| {
        let same = |line: &&Line| line.attempt == attempt && line.what == *what;
        before.iter().filter(same).count()
    };
    count(&What::Isolated) > count(&What::Deleting)
}

/// What is wrong with a delivery, unless something gave it back.
fn unasked(before: &[Line], line: &Line) -> Option<String> {
    let number = line.attempt;
    let given = before.iter().filter(|line| line.what == What::Given);
    let last = given.map(|line| line.attempt).max().unwrap_or(0);
    if number > last + 1 {
        return Some(format!("was given as attempt {number} after {last}"));
    }
    if was_given(before, line) {
        return Some(format!(
            "was given again as attempt {number}, and nobody asked for that"
        ));
    }
    if number == 1 {
        return None;
    }
    let copies = before.iter().filter(|line| line.attempt == number);
    let due = copies.filter_map(|line| match line.what {
        What::Copying(ms) => Some(line.at + ms),
        _ => None,
    });
    match due.min() {
        None => Some("was given again, and nobody asked for that".to_owned()),
        Some(due) if line.at + ROUNDED < due => {
            let early = due - line.at;
            Some(format!("was given again {early} ms early"))
        }
        Some(_) => None,
    }
}

/// What is wrong with a copy for this attempt that waits for so long.
fn untimely(record: &Record, before: &[Line], attempt: u64, ms: u64) -> Option<String> {
    if record.rules.max_attempts.is_some_and(|most| attempt > most) {
        return Some(format!("was put off for attempt {attempt}"));
    }
    let said = before.iter().rfind(|line| {
        let failed = match &line.what {
            What::Said(_, word) => word != "true",
            What::Left(_) => true,
            _ => false,
        };
        failed && line.attempt + 1 == attempt
    });
    match said.map(|line| &line.what) {
        None => Some(format!(
            "was put off for attempt {attempt}, and none before it had failed"
        )),
        Some(What::Said(_, word)) if word == "later" && ms < LATER => Some(format!(
            "was put off for {ms} ms, and its handler wanted {LATER}"
        )),
        _ => None,
    }
}

impl Record {
    /// What, before this moment, may have brought a message twice: the end of a connection on which it was given and not settled yet, or
    /// on which it was sent and not confirmed yet. None: nothing did.
    pub(super) fn why_disturbed(&self, history: &[Line], before: u64) -> Option<&'static str> {
        let lost = |line: &Line| {
            let acked = history.iter().filter(|other| {
                let of_it = other.attempt == line.attempt && other.at >= line.at;
                of_it && other.what == What::Deleting
            });
            let acked = acked.map(|ack| ack.at + HANDED_ON).min();
            let until = acked.unwrap_or(before).min(before);
            self.ended(line, "closed", until)
        };
        let given = history.iter().filter(|line| line.what == What::Given);
        if let Some(trouble) = given.filter_map(lost).next() {
            return Some(match trouble.place {
                Place::Everywhere => "server down",
                _ if self.killed_at(trouble) => "consumer killed",
                _ => "connection ended",
            });
        }
        if let Some(why) = self.why_carried_twice(history, before) {
            return Some(why);
        }
        // Sent again, since nobody said that it had come.
        let sent = |line: &&Line| {
            matches!(
                line.what,
                What::Published | What::Copying(_) | What::Isolating | What::Burying
            )
        };
        history.iter().filter(sent).find_map(|line| {
            let same =
                |what: &What| std::mem::discriminant(what) == std::mem::discriminant(&line.what);
            let mut again = history.iter().filter(|other| {
                other.at >= line.at
                    && !std::ptr::eq(*other, line)
                    && same(&other.what)
                    && other.attempt == line.attempt
            });
            let again = again.next()?;
            self.ended(line, "dropped", again.at)
                .map(|_| "sent again, since its confirm was lost")
        })
    }

    /// What, before this moment, made two copies of one that was due: the connection of whoever published it to its queue ended before its ack was handed
    /// on, so that it was carried on again; or before its confirm came, so that it waited again. None: nothing did.
    fn why_carried_twice(&self, history: &[Line], before: u64) -> Option<&'static str> {
        let carrying = history.iter().enumerate();
        let mut carrying = carrying.filter(|(_, line)| line.what == What::Carrying);
        carrying.find_map(|(place, line)| {
            let later = || {
                let later = history[place + 1..].iter();
                later.filter(|other| other.attempt == line.attempt)
            };
            let acked = later().find(|other| other.what == What::Carried);
            let until = acked.map_or(before, |ack| before.min(ack.at + HANDED_ON));
            let again = later().any(|other| other.what == What::Carrying);
            if again && self.ended(line, "closed", until).is_some() {
                return Some("carried on again, since its ack was lost");
            }
            let waits = later().find(|other| matches!(other.what, What::Copying(_)))?;
            self.ended(line, "dropped", waits.at)
                .map(|_| "waited again, since its confirm was lost")
        })
    }

    /// What ended the connection of a line, between then and `until`.
    fn ended(&self, line: &Line, word: &str, until: u64) -> Option<&Trouble> {
        let proxy = line.proxy.as_ref()?;
        self.troubles.iter().find(|trouble| {
            let meets = match &trouble.place {
                Place::Proxy(name) => name == proxy && trouble.word == word,
                Place::Everywhere => trouble.word == "down",
                Place::Process(_) => false,
            };
            meets && trouble.from <= until && trouble.to >= line.at
        })
    }

    /// Whether a connection ended because its consumer was killed.
    fn killed_at(&self, trouble: &Trouble) -> bool {
        self.killed.iter().any(|(pid, at)| {
            let of_it = self.processes.get(pid);
            let of_it = of_it.is_some_and(|name| trouble.place == Place::Proxy(name.clone()));
            of_it && at.abs_diff(trouble.from) < 200
        })
    }
}
