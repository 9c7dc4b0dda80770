//! The ledger, read: what happened to each message, to each process, and around them.

use std::collections::{BTreeMap, HashMap};

use super::Rules;

/// What happened to a message, in order.
pub(super) type History = Vec<Line>;

/// One thing that happened to a message.
#[derive(Clone, Debug)]
pub(super) struct Line {
    /// In milliseconds.
    pub(super) at: u64,
    pub(super) attempt: u64,
    pub(super) what: What,
    /// Through which it went, if the ledger says so.
    pub(super) proxy: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// The server gave it to a consumer.
    Given,
    /// A handler of this process began.
    Start(u32),
    /// A handler of this process said so.
    Said(u32, String),
    /// A handler of this process was dropped.
    Left(u32),
    /// The server has its dead letter; of no attempt.
    Copied,
    /// Its ack was sent.
    Deleting,
    /// Its ack was confirmed.
    Deleted,
    /// Its ack was refused.
    Refused,
    /// Its ack got no answer.
    Broken,
    /// It was published.
    Published,
    /// The server confirmed that.
    Accepted,
    /// A copy for this attempt was sent, which waits for so many milliseconds.
    Copying(u64),
    /// The server has that copy.
    Waiting,
    /// That copy was given to somebody who carries it on, since its time was over.
    Due,
    /// It was published again, to its queue.
    Carrying,
    /// The ack of what was due was sent.
    Carried,
    /// A copy for this attempt was sent, to be handed over alone.
    Isolating,
    /// The server has that copy.
    Isolated,
    /// A copy for its dead letter was sent; of no attempt.
    Burying,
    /// No queue took it, or its copy; of no attempt.
    Returned,
}

/// Something that costs leases or answers, from when to when.
#[derive(Clone, Debug)]
pub(super) struct Trouble {
    /// A process, a proxy, or everybody.
    pub(super) place: Place,
    pub(super) word: String,
    pub(super) from: u64,
    pub(super) to: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Process(u32),
    Proxy(String),
    Everywhere,
}

/// All of it.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) rules: Rules,
    pub(super) messages: BTreeMap<u64, History>,
    /// The proxy of each process.
    pub(super) processes: HashMap<u32, String>,
    /// Killed by us, or by a message that ends processes, and when.
    pub(super) killed: HashMap<u32, u64>,
    /// Ended by themselves, and how.
    pub(super) ended: HashMap<u32, String>,
    pub(super) troubles: Vec<Trouble>,
}

impl Record {
    pub(super) fn read(rules: Rules, ledger: &str) -> Self {
        let mut record = Self {
            rules,
            messages: BTreeMap::new(),
            processes: HashMap::new(),
            killed: HashMap::new(),
            ended: HashMap::new(),
            troubles: Vec::new(),
        };
        for line in ledger.lines() {
            let read = line.split_once(' ').and_then(|(at, rest)| {
                let words: Vec<&str> = rest.split(' ').collect();
                record.add(at.parse().ok()?, &words)
            });
            read.unwrap_or_else(|| panic!("the ledger has a line that nobody writes: {line}"));
        }
        record
    }

    fn add(&mut self, at: u64, words: &[&str]) -> Option<()> {
        let number = |place: usize| words.get(place)?.parse::<u32>().ok();
        let what = match words[0] {
            "given" => What::Given,
            "start" => What::Start(number(3)?),
            "said" => What::Said(number(3)?, (*words.get(4)?).to_owned()),
            "left" => What::Left(number(3)?),
            "copied" => What::Copied,
            "deleting" => What::Deleting,
            "deleted" => What::Deleted,
            "refused" => What::Refused,
            "broken" => What::Broken,
            "published" => What::Published,
            "accepted" => What::Accepted,
            "copying" => What::Copying(number(3)?.into()),
            "waiting" => What::Waiting,
            "due" => What::Due,
            "carrying" => What::Carrying,
            "carried" => What::Carried,
            "isolating" => What::Isolating,
            "isolated" => What::Isolated,
            "burying" => What::Burying,
            "returned" => What::Returned,
            _ => return self.add_trouble(at, words),
        };
        let of_none = matches!(
            what,
            What::Copied | What::Published | What::Accepted | What::Burying | What::Returned
        );
        let attempt = match of_none {
            true => 0,
            false => number(2)?.into(),
        };
        let proxy = match what {
            What::Published | What::Burying => words.get(2),
            What::Given | What::Isolating | What::Due | What::Carrying => words.get(3),
            What::Copying(_) => words.get(4),
            _ => None,
        };
        let id = words.get(1)?.parse().ok()?;
        let line = Line {
            at,
            attempt,
            what,
            proxy: proxy.map(|name| (*name).to_owned()),
        };
        self.messages.entry(id).or_default().push(line);
        Some(())
    }

    fn add_trouble(&mut self, at: u64, words: &[&str]) -> Option<()> {
        let place = *words.get(1)?;
        let pid = place.parse();
        match (words[0], words.get(2)) {
            ("up", Some(name)) => _ = self.processes.insert(pid.ok()?, (*name).to_owned()),
            ("killed" | "dying", None) => _ = self.killed.insert(pid.ok()?, at),
            ("ended", Some(_)) => _ = self.ended.insert(pid.ok()?, words[2..].join(" ")),
            ("stopped", None) => self.begin(at, Place::Process(pid.ok()?), "stopped"),
            ("continued", None) => self.end(at, &Place::Process(pid.ok()?)),
            ("trouble", Some(word)) => self.begin(at, Place::named(place), word),
            ("over", None) => self.end(at, &Place::named(place)),
            (word @ ("closed" | "dropped"), None) => {
                self.begin(at, Place::named(place), word);
                self.end(at, &Place::named(place));
            }
            ("frozen", Some(ms)) => self.was(at, &Place::Process(pid.ok()?), "frozen", ms)?,
            ("sluggish", Some(ms)) => self.was(at, &Place::Everywhere, "sluggish", ms)?,
            _ => return None,
        }
        Some(())
    }

    fn begin(&mut self, at: u64, place: Place, word: &str) {
        self.troubles.push(Trouble {
            place,
            word: word.to_owned(),
            from: at,
            to: u64::MAX,
        });
    }

    fn end(&mut self, at: u64, place: &Place) {
        let open = |trouble: &&mut Trouble| trouble.place == *place && trouble.to == u64::MAX;
        if let Some(trouble) = self.troubles.iter_mut().rev().find(open) {
            trouble.to = at;
        }
    }

    /// Noticed when it was over.
    fn was(&mut self, at: u64, place: &Place, word: &str, ms: &str) -> Option<()> {
        let from = at.saturating_sub(ms.parse().ok()?);
        let known = |trouble: &Trouble| trouble.place == *place && trouble.to >= from;
        // One that was stopped notices it, too.
        if !self.troubles.iter().any(known) {
            self.begin(from, place.clone(), word);
            self.end(at, place);
        }
        Some(())
    }
}

impl Place {
    fn named(name: &str) -> Self {
        match name {
            "server" => Self::Everywhere,
            proxy => Self::Proxy(proxy.to_owned()),
        }
    }
}
