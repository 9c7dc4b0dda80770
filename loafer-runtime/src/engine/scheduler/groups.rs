//! Groups: the messages of one group, one at a time and in order, beside those of other groups.

use std::{
    collections::{HashMap, VecDeque},
    mem,
};

use super::{Call, Job, Phase, Scheduler, State};
use crate::engine::Fate;
use crate::engine::leases::table::Key;
use loafer_core::{
    broker::Capabilities,
    message::Message,
    policy::{GroupBy, Policy},
};

/// How a route keeps its groups apart.
#[derive(Clone, Debug)]
pub(in crate::engine) struct Grouping {
    by: GroupBy,
    /// The broker holds the group until what failed of it is done: what waits behind a failure goes back, and comes again after it.
    fenced: bool,
}

impl Grouping {
    /// None where every message is on its own.
    pub(in crate::engine) fn of(policy: &Policy, capabilities: &Capabilities) -> Option<Self> {
        let (by, fenced) = match (capabilities.ordered, &policy.group_by) {
            (true, _) => (GroupBy::GROUP, true),
            (false, Some(by)) => (by.clone(), false),
            (false, None) => return None,
        };
        Some(Self { by, fenced })
    }
}

/// The groups that have messages on lease.
pub(super) struct Groups {
    grouping: Grouping,
    groups: HashMap<Box<str>, Group>,
}

/// A group that has a message ready, running, or failed and not settled.
struct Group {
    /// How many of those it has.
    out: usize,
    /// What came after them.
    waiting: VecDeque<Job>,
}

impl Groups {
    pub(super) fn new(grouping: Grouping) -> Self {
        Self {
            grouping,
            groups: HashMap::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Lets the first of each group through; the others wait for it.
    fn admit(&mut self, jobs: &mut VecDeque<Job>, ready: &mut VecDeque<Job>) {
        for job in jobs.drain(..) {
            let Some(group) = self.grouping.by.of(&job.message) else {
                ready.push_back(job);
                continue;
            };
            if let Some(members) = self.groups.get_mut(group) {
                members.waiting.push_back(job);
            } else {
                let members = Group {
                    out: 1,
                    waiting: VecDeque::new(),
                };
                self.groups.insert(group.into(), members);
                ready.push_back(job);
            }
        }
    }

    /// A worker brings messages back: what is over makes way for the next of its group. What failed in a fenced group is the settler's to judge.
    fn take_back(
        &mut self,
        outcomes: &VecDeque<Job>,
        ready: &mut VecDeque<Job>,
        released: &mut Vec<Job>,
    ) {
        for Job { message, fate, .. } in outcomes {
            match fate {
                Fate::Ack => self.advance(message, ready),
                _ if !self.grouping.fenced => self.advance(message, ready),
                Fate::Release => released.extend(self.step_back(message)),
                _ => {}
            }
        }
    }

    /// A message is over: the next of its group may run.
    fn advance(&mut self, message: &Message, ready: &mut VecDeque<Job>) {
        let Some((group, members)) = self.members_of(message) else {
            return;
        };
        members.out = members.out.saturating_sub(1);
        if members.out > 0 {
            return;
        }
        match members.waiting.pop_front() {
            Some(next) => {
                members.out = 1;
                ready.push_back(next);
            }
            None => _ = self.groups.remove(group),
        }
    }

    /// Of a batch, a message behind one that failed: it goes back, and so does what waits behind it. The failed one keeps the members until it is judged.
    fn step_back(&mut self, message: &Message) -> VecDeque<Job> {
        let Some((group, members)) = self.members_of(message) else {
            return VecDeque::new();
        };
        members.out = members.out.saturating_sub(1);
        let behind = mem::take(&mut members.waiting);
        if members.out == 0 {
            self.groups.remove(group);
        }
        behind
    }

    /// A message comes again: what waits behind it must not run before it.
    fn fence(&mut self, message: &Message) -> VecDeque<Job> {
        let group = self.grouping.by.of(message);
        let members = group.and_then(|group| self.groups.remove(group));
        members.map(|members| members.waiting).unwrap_or_default()
    }

    /// How many wait behind this one: they may run with it, in one batch.
    fn behind(&self, head: &Job) -> usize {
        let group = self.grouping.by.of(&head.message);
        let members = group.and_then(|group| self.groups.get(group));
        members.map_or(0, |members| members.waiting.len())
    }

    /// Takes the next of a group behind this one, to run with it.
    fn follow(&mut self, head: &Message) -> Option<Job> {
        let (_, members) = self.members_of(head)?;
        let next = members.waiting.pop_front()?;
        members.out += 1;
        Some(next)
    }

    fn members_of<'m>(&mut self, message: &'m Message) -> Option<(&'m str, &mut Group)> {
        let group = self.grouping.by.of(message)?;
        Some((group, self.groups.get_mut(group)?))
    }

    /// Takes out a waiting message whose lease is lost, and in a fenced group what waits behind it.
    fn lose(&mut self, key: Key) -> Option<(Job, VecDeque<Job>)> {
        for members in self.groups.values_mut() {
            let Some(at) = members.waiting.iter().position(|job| job.key == key) else {
                continue;
            };
            let mut behind = members.waiting.split_off(at);
            let lost = behind.pop_front()?;
            if !self.grouping.fenced {
                members.waiting.append(&mut behind);
            }
            return Some((lost, behind));
        }
        None
    }

    /// Everything that waits, each group in order.
    fn clear(&mut self) -> impl Iterator<Item = Job> {
        mem::take(&mut self.groups)
            .into_values()
            .flat_map(|members| members.waiting)
    }
}

impl State {
    /// Puts what was received where workers find it, or behind what runs of its group.
    pub(super) fn admit(&mut self, jobs: &mut VecDeque<Job>) {
        match &mut self.groups {
            Some(groups) => groups.admit(jobs, &mut self.ready),
            None if self.ready.is_empty() => mem::swap(&mut self.ready, jobs),
            None => self.ready.append(jobs),
        }
    }

    /// What a worker brings, before it is handed to the settlers.
    pub(super) fn pass_groups(&mut self, outcomes: &VecDeque<Job>) {
        let Some(groups) = &mut self.groups else {
            return;
        };
        let mut released = Vec::new();
        groups.take_back(outcomes, &mut self.ready, &mut released);
        self.release(released);
    }

    /// How many messages a batch can have, up to `most`: those that are ready, and what waits behind them.
    pub(super) fn at_hand(&self, most: usize) -> usize {
        let mut count = self.ready.len();
        let (Some(groups), true) = (&self.groups, count < most) else {
            return count.min(most);
        };
        for job in &self.ready {
            count += groups.behind(job);
            if count >= most {
                return most;
            }
        }
        count
    }

    /// Takes a batch: those that are ready, and where these are too few, what waits behind them, each group in its order.
    pub(super) fn take_batch(&mut self, most: usize, batch: &mut VecDeque<Job>) {
        let heads = most.min(self.ready.len());
        batch.extend(self.ready.drain(..heads));
        let Some(groups) = &mut self.groups else {
            return;
        };
        for head in 0..heads {
            while batch.len() < most
                && let Some(next) = groups.follow(&batch[head].message)
            {
                batch.push_back(next);
            }
        }
    }

    /// What waits in groups goes back.
    pub(super) fn clear_groups(&mut self) {
        if let Some(groups) = &mut self.groups {
            let waiting: Vec<_> = groups.clear().collect();
            self.set_aside(waiting);
        }
    }

    /// Takes out a message that waits in a members.
    pub(super) fn lose_in_group(&mut self, key: Key) -> Option<Job> {
        let (lost, behind) = self.groups.as_mut()?.lose(key)?;
        self.release(behind);
        Some(lost)
    }

    /// A message that was ready is lost: it comes again.
    pub(super) fn lost_head(&mut self, message: &Message) {
        if self.groups.is_some() {
            self.judge(message, false);
        }
    }

    /// Whether nobody waits for others of a group.
    pub(super) fn groups_are_empty(&self) -> bool {
        self.groups.as_ref().is_none_or(Groups::is_empty)
    }

    /// A message of a group has left the queue, or comes again.
    fn judge(&mut self, message: &Message, left: bool) {
        let Some(groups) = &mut self.groups else {
            return;
        };
        if left || !groups.grouping.fenced {
            groups.advance(message, &mut self.ready);
        } else {
            let behind = groups.fence(message);
            self.release(behind);
        }
    }

    fn release(&mut self, jobs: impl IntoIterator<Item = Job>) {
        self.done.extend(jobs);
    }
}

impl Scheduler {
    /// Whether a group waits for what became of its failed messages.
    pub(in crate::engine) fn is_fenced(&self) -> bool {
        self.limits
            .grouping
            .as_ref()
            .is_some_and(|grouping| grouping.fenced)
    }

    /// A failed message of a fenced group has left the queue, as a dead letter, or comes again.
    pub(in crate::engine) fn judged(&self, message: &Message, left: bool) -> Call {
        let mut state = self.lock();
        if state.phase >= Phase::Draining {
            return Call::Nobody;
        }
        state.judge(message, left);
        let settler = state.settler_for(&self.limits, true);
        let call = state.call(self.limits.concurrency);
        drop(state);
        settler.into_iter().for_each(std::task::Waker::wake);
        call
    }
}
