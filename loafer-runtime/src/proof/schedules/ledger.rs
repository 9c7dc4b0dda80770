//! Where each message is, and which messages of each group are out: told by what the tasks did, and held against the scheduler.

use std::collections::{BTreeMap, HashSet, VecDeque};

use loafer_core::{broker::Settlement, message::Message};

use crate::scheduler::{Job, Key, State};

/// Where a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The scheduler has it: ready, waiting, set aside or done.
    Scheduler,
    Worker(usize),
    /// A settler has it, for a first try of acks.
    Settler,
    /// It is settled beside its settler.
    Beside,
    /// It has left the route.
    Gone,
}

struct Entry {
    place: Place,
    is_started: bool,
    /// Whether it is tried again, because it failed in place or stood behind one that did.
    is_tried_again: bool,
    /// Whether a worker had it and handed it back. Its lease may have been lost meanwhile: this is told again.
    is_handed_back: bool,
    /// Whether its lease is in the lease table: until a settler takes it.
    is_in_table: bool,
    /// Whether its lease was lost while it was there.
    is_lost: bool,
}

/// One entry a message, in the order in which they were received. The number of an entry is that of its key.
#[derive(Default)]
pub(super) struct Ledger {
    entries: Vec<Entry>,
    /// Of each group, the messages that no other one may run beside.
    out: BTreeMap<String, Vec<Key>>,
    /// Of each group, the message that was started last.
    started: BTreeMap<String, Key>,
    /// Whether messages have groups, and whether a failed one blocks its group until it is judged.
    fenced: Option<bool>,
}

impl Ledger {
    pub(super) fn new(fenced: Option<bool>) -> Self {
        Self {
            fenced,
            ..Self::default()
        }
    }

    /// Makes a message that was received.
    pub(super) fn receive(&mut self, group: Option<&str>) -> Job {
        let key = Key::new(self.entries.len(), 0);
        self.entries.push(Entry {
            place: Place::Scheduler,
            is_started: false,
            is_tried_again: false,
            is_handed_back: false,
            is_in_table: true,
            is_lost: false,
        });
        let message = Message::with_id("m", "");
        Job::new(
            key,
            match group {
                Some(group) => message.with_group(group),
                None => message,
            },
        )
    }

    fn entry(&mut self, key: Key) -> &mut Entry {
        &mut self.entries[key.number()]
    }

    /// Moves a message. It must be where it comes from.
    pub(super) fn go(&mut self, key: Key, from: Place, to: Place) {
        let entry = self.entry(key);
        assert_eq!(entry.place, from, "where {key:?} is");
        entry.place = to;
    }

    /// A worker takes messages of which none of an earlier call is out. The calls of the workers `over` have returned: what stands behind failed
    /// messages there is given back.
    pub(super) fn take(&mut self, worker: usize, jobs: &VecDeque<Job>, over: &[usize]) {
        let taken: Vec<_> = jobs.iter().map(|job| job.key).collect();
        for job in jobs {
            self.go(job.key, Place::Scheduler, Place::Worker(worker));
            let entry = self.entry(job.key);
            let live = !entry.is_lost || entry.is_handed_back;
            assert!(live, "{:?} is given to a worker without its lease", job.key);
            if let Some(out) = self.out_of(&job.message) {
                out.retain(|out| *out != job.key);
                out.push(job.key);
                let mut others = out.clone();
                others.retain(|key| !taken.contains(key));
                others.retain(|key| match self.entry(*key).place {
                    Place::Worker(number) => !over.contains(&number),
                    _ => true,
                });
                assert_eq!(others, [], "are out, and {:?} of their group too", job.key);
            }
        }
    }

    /// A handler is called for a message.
    pub(super) fn start(&mut self, job: &Job) {
        let entry = self.entry(job.key);
        let again = std::mem::take(&mut entry.is_tried_again);
        assert!(again || !entry.is_started, "{:?} is started again", job.key);
        entry.is_started = true;
        if self.fenced.is_some()
            && let Some(group) = job.message.group()
            && let Some(last) = self.started.insert(group.to_owned(), job.key)
        {
            assert!(
                again || last < job.key,
                "{:?} is started after {last:?}",
                job.key
            );
        }
    }

    /// A worker brings back a message, or hands back one that it has not started.
    pub(super) fn bring(&mut self, worker: usize, job: &Job, is_handed_back: bool, is_open: bool) {
        self.go(job.key, Place::Worker(worker), Place::Scheduler);
        let fenced = self.fenced == Some(true);
        let again = matches!(
            job.settlement,
            Some(Settlement::Retry { after: Some(_) } | Settlement::Release)
        );
        let entry = self.entry(job.key);
        entry.is_handed_back |= is_handed_back || (fenced && again);
        entry.is_tried_again |= fenced && again && !is_handed_back;
        let waits = match job.settlement {
            None | Some(Settlement::DeadLetter(_)) => true,
            // It is held.
            Some(Settlement::Retry { after }) => is_open && after.is_some(),
            _ => false,
        };
        if is_handed_back || !fenced || !waits {
            self.judge(job.key, &job.message);
        }
    }

    /// It does not block its group any more.
    pub(super) fn judge(&mut self, key: Key, message: &Message) {
        if let Some(out) = self.out_of(message) {
            out.retain(|out| *out != key);
        }
    }

    /// Those that were held and are given back block their groups no more.
    pub(super) fn see_given_back(&mut self, state: &State) {
        for job in &state.done {
            if matches!(job.settlement, Some(Settlement::Retry { .. })) {
                self.judge(job.key, &job.message);
            }
        }
    }

    fn out_of(&mut self, message: &Message) -> Option<&mut Vec<Key>> {
        self.fenced?;
        Some(self.out.entry(message.group()?.to_owned()).or_default())
    }

    /// A settler takes a message. Returns whether its lease is still there.
    pub(super) fn settle(&mut self, key: Key) -> bool {
        self.go(key, Place::Scheduler, Place::Settler);
        let entry = self.entry(key);
        entry.is_in_table = false;
        !entry.is_lost
    }

    /// A settler holds a message in place: it is leased again.
    pub(super) fn hold(&mut self, key: Key) {
        self.go(key, Place::Beside, Place::Scheduler);
        let entry = self.entry(key);
        (entry.is_in_table, entry.is_tried_again) = (true, true);
    }

    /// Loses the leases that the choice falls on.
    pub(super) fn lose(&mut self, mut is_chosen: impl FnMut() -> bool) {
        let held = self.entries.iter_mut().filter(|entry| entry.is_in_table);
        held.for_each(|entry| entry.is_lost |= is_chosen());
    }

    /// Whether this lease was lost.
    pub(super) fn is_lost(&self, key: Key) -> bool {
        self.entries[key.number()].is_lost
    }

    /// Returns the lost leases that are in the table: they are told again and again.
    pub(super) fn lost(&self) -> HashSet<Key> {
        let entries = self.entries.iter().enumerate();
        entries
            .filter(|(_, entry)| entry.is_lost && entry.is_in_table)
            .map(|(number, _)| Key::new(number, 0))
            .collect()
    }

    /// A message has left the route, because its lease was lost before it was started.
    pub(super) fn drop_unstarted(&mut self, key: Key) {
        self.go(key, Place::Scheduler, Place::Gone);
        let entry = self.entry(key);
        let unstarted = !entry.is_started || entry.is_tried_again;
        assert!(entry.is_lost && unstarted, "{key:?} is dropped");
        entry.is_in_table = false;
    }

    /// Returns how many messages are in the route.
    pub(super) fn leased(&self) -> usize {
        let gone = |entry: &&Entry| entry.place != Place::Gone;
        self.entries.iter().filter(gone).count()
    }

    /// Holds the scheduler's queues against the ledger: each message that is there is there once, and no other is.
    pub(super) fn check(&self, state: &State) {
        let groups = state
            .groups
            .iter()
            .flat_map(|groups| groups.groups.values());
        let jobs = groups
            .flat_map(|group| &group.waiting)
            .chain(&state.ready)
            .chain(&state.suspects)
            .chain(state.held.values())
            .chain(&state.unstarted)
            .chain(&state.done);
        let mut found = vec![false; self.entries.len()];
        for job in jobs {
            let twice = std::mem::replace(&mut found[job.key.number()], true);
            assert!(!twice, "{:?} is there twice", job.key);
        }
        for (number, (entry, found)) in self.entries.iter().zip(found).enumerate() {
            let is_there = entry.place == Place::Scheduler;
            assert_eq!(found, is_there, "message {number}: the scheduler has it");
        }
        assert_eq!(state.leased, self.leased(), "leased messages");
    }
}
