//! Ordered groups: the messages of one group run one at a time and in order, beside those of other groups.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    mem,
};

use super::{Call, Job, Key, Phase, Scheduler, State, Transition, reached};
use crate::limits::Grouping;
use loafer_core::{broker::Settlement, message::Message};

/// The groups that have leased messages.
pub(crate) struct Groups {
    grouping: Grouping,
    pub(crate) groups: HashMap<Box<str>, Group>,
}

/// A group that has a message that is ready, running, or failed and not settled.
pub(crate) struct Group {
    /// The keys of such messages: one, or those of one batch. It is never empty. A message that is not among them is an earlier one, and
    /// decides nothing.
    out: Vec<Key>,
    /// Whether one of them is redelivered, so that what waited behind them was released. What has come since is redelivered, too.
    released: bool,
    /// The messages that came after them, in order.
    pub(crate) waiting: VecDeque<Job>,
}

impl Groups {
    pub(super) fn new(grouping: Grouping) -> Self {
        Self {
            grouping,
            groups: HashMap::new(),
        }
    }

    /// Returns how many messages wait.
    #[cfg(debug_assertions)]
    pub(super) fn waiting(&self) -> usize {
        let groups = self.groups.values();
        groups.map(|members| members.waiting.len()).sum()
    }

    /// Returns the messages that wait.
    pub(super) fn waiting_keys(&self) -> impl Iterator<Item = Key> {
        let groups = self.groups.values();
        groups.flat_map(|members| members.waiting.iter().map(|job| job.key))
    }

    /// Lets the first message of each group through. The others wait for it.
    fn admit(&mut self, jobs: &mut VecDeque<Job>, ready: &mut VecDeque<Job>) {
        for job in jobs.drain(..) {
            let Some(group) = self.grouping.by.of(&job.message) else {
                ready.push_back(job);
                continue;
            };
            if let Some(members) = self.groups.get_mut(group) {
                reached(Transition::GroupWaits);
                members.waiting.push_back(job);
            } else {
                let members = Group {
                    out: vec![job.key],
                    released: false,
                    waiting: VecDeque::new(),
                };
                self.groups.insert(group.into(), members);
                ready.push_back(job);
            }
        }
    }

    /// Takes in a message that a worker brings: if it is over, it makes way for the next of its group. In a fenced group, the settler
    /// decides about a message that failed. Returns what is settled without a start: released or, if the message was redelivered meanwhile,
    /// acked.
    fn take_back(&mut self, job: &Job, ready: &mut VecDeque<Job>) -> VecDeque<Job> {
        match job.settlement {
            _ if job.is_acked() => {
                let mut settled = self.redelivered(&job.message);
                settled.append(&mut self.end(job.key, &job.message, true, ready));
                settled
            }
            _ if !self.grouping.fenced => self.end(job.key, &job.message, true, ready),
            // It stood behind a failed one in a batch.
            Some(Settlement::Release) => {
                reached(Transition::GroupStepsBack);
                self.end(job.key, &job.message, false, ready)
            }
            _ => VecDeque::new(),
        }
    }

    /// Takes out the redeliveries of a message that is handled, which wait behind it in its group. They are acked.
    fn redelivered(&mut self, handled: &Message) -> VecDeque<Job> {
        let own_ids = self.grouping.own_ids;
        let members = self.members_of(handled).map(|(_, members)| members);
        let Some(members) = members.filter(|members| own_ids && !members.waiting.is_empty()) else {
            return VecDeque::new();
        };
        let waiting = mem::take(&mut members.waiting).into_iter();
        let is_again = |job: &Job| job.message.id() == handled.id();
        let (again, others): (VecDeque<_>, _) = waiting.partition(is_again);
        members.waiting = others;
        let acked = |job: Job| job.done(Some(Settlement::Ack));
        again.into_iter().map(acked).collect()
    }

    /// Ends a message that is out. If it has `left` the queue, the next of its group becomes ready; otherwise it is redelivered, and what
    /// waits behind it is released. The group stays blocked while others of the same batch are out.
    fn end(
        &mut self,
        key: Key,
        message: &Message,
        left: bool,
        ready: &mut VecDeque<Job>,
    ) -> VecDeque<Job> {
        let mut released = VecDeque::new();
        let Some((group, members)) = self.members_of(message) else {
            return released;
        };
        let Some(at) = members.out.iter().position(|out| *out == key) else {
            return released;
        };
        members.out.remove(at);
        if !left && !mem::replace(&mut members.released, true) {
            reached(Transition::GroupReleased);
            released = mem::take(&mut members.waiting);
        }
        if !members.out.is_empty() {
            return released;
        }
        if let Some(next) = members.waiting.pop_front() {
            reached(Transition::GroupAdvances);
            members.out.push(next.key);
            members.released = false;
            ready.push_back(next);
        } else {
            reached(Transition::GroupEnds);
            self.groups.remove(group);
        }
        released
    }

    /// Returns how many messages wait behind this one. They may run with it, in one batch.
    fn behind(&self, head: &Job) -> usize {
        let group = self.grouping.by.of(&head.message);
        let members = group.and_then(|group| self.groups.get(group));
        members.map_or(0, |members| members.waiting.len())
    }

    /// Takes the next message of the group, to run in the same batch.
    fn follow(&mut self, head: &Message) -> Option<Job> {
        let (_, members) = self.members_of(head)?;
        let next = members.waiting.pop_front()?;
        reached(Transition::GroupFollows);
        members.out.push(next.key);
        Some(next)
    }

    fn members_of<'m>(&mut self, message: &'m Message) -> Option<(&'m str, &mut Group)> {
        let group = self.grouping.by.of(message)?;
        Some((group, self.groups.get_mut(group)?))
    }

    /// Takes out waiting messages. Returns what is released: in a fenced group, all that waits behind them.
    fn take(&mut self, keys: &HashSet<Key>, taken: &mut Vec<Job>) -> Vec<Job> {
        let mut released = Vec::new();
        let mut groups: Vec<_> = self.groups.values_mut().collect();
        groups.sort_unstable_by(|a, b| a.out.cmp(&b.out));
        for members in groups {
            let is_taken = |job: &Job| keys.contains(&job.key);
            let Some(first) = members.waiting.iter().position(is_taken) else {
                continue;
            };
            for job in members.waiting.split_off(first) {
                if is_taken(&job) {
                    taken.push(job);
                } else if self.grouping.fenced {
                    released.push(job);
                } else {
                    members.waiting.push_back(job);
                }
            }
        }
        released
    }

    /// Takes out everything that waits, each group in order. The order of the groups does not depend on how they are hashed, so that a
    /// simulation can repeat it.
    fn clear(&mut self) -> impl Iterator<Item = Job> {
        let mut groups: Vec<_> = mem::take(&mut self.groups).into_values().collect();
        groups.sort_unstable_by(|a, b| a.out.cmp(&b.out));
        groups.into_iter().flat_map(|members| members.waiting)
    }
}

impl State {
    /// Puts received messages where workers find them, or behind the running message of their group.
    pub(super) fn admit(&mut self, jobs: &mut VecDeque<Job>) {
        match &mut self.groups {
            Some(groups) => groups.admit(jobs, &mut self.ready),
            None if self.ready.is_empty() => mem::swap(&mut self.ready, jobs),
            None => self.ready.append(jobs),
        }
    }

    /// Takes in what a worker brings, before settlers get it.
    pub(super) fn pass_groups(&mut self, outcomes: &VecDeque<Job>) {
        if let Some(groups) = &mut self.groups {
            for job in outcomes {
                self.done.extend(groups.take_back(job, &mut self.ready));
            }
        }
    }

    /// Returns how many messages a call can have, up to `most`: those that are ready and, for a batch, those that wait behind them.
    pub(crate) fn at_hand(&self, most: usize, batch: bool) -> usize {
        let mut count = self.ready.len();
        let (Some(groups), true) = (&self.groups, batch && count < most) else {
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

    /// Adds to a batch messages that wait behind those that it has, each group in order.
    pub(super) fn fill_up(&mut self, most: usize, batch: &mut VecDeque<Job>) {
        let Some(groups) = &mut self.groups else {
            return;
        };
        for head in 0..batch.len() {
            while batch.len() < most
                && let Some(next) = groups.follow(&batch[head].message)
            {
                batch.push_back(next);
            }
        }
    }

    /// Sets aside what waits in groups.
    pub(super) fn clear_groups(&mut self) {
        if let Some(groups) = &mut self.groups {
            let waiting: Vec<_> = groups.clear().collect();
            self.set_aside(waiting);
        }
    }

    /// Takes out messages that wait in groups.
    pub(super) fn take_from_groups(&mut self, keys: &HashSet<Key>) -> Vec<Job> {
        let mut taken = Vec::new();
        if let Some(groups) = &mut self.groups {
            self.done.extend(groups.take(keys, &mut taken));
        }
        taken
    }

    /// Whether no message waits for another of its group.
    pub(super) fn groups_are_empty(&self) -> bool {
        self.groups
            .as_ref()
            .is_none_or(|groups| groups.groups.is_empty())
    }

    /// Ends a message of a group that has left the queue, or is redelivered.
    pub(super) fn judge(&mut self, key: Key, message: &Message, left: bool) {
        if let Some(groups) = &mut self.groups {
            let left = left || !groups.grouping.fenced;
            let released = groups.end(key, message, left, &mut self.ready);
            self.done.extend(released);
        }
    }
}

impl Scheduler {
    /// Whether a group waits for how its failed messages end.
    pub(crate) fn is_fenced(&self) -> bool {
        let grouping = self.limits.grouping.as_ref();
        grouping.is_some_and(|grouping| grouping.fenced)
    }

    /// Called when a failed message of a fenced group has left the queue as a dead letter, or is redelivered.
    pub(crate) fn judged(&self, key: Key, message: &Message, left: bool) -> Call {
        let mut state = self.lock();
        if state.phase >= Phase::Draining {
            return Call::Nobody;
        }
        state.judge(key, message, left);
        let due = state.due(&self.limits, true);
        let call = state.call(&self.limits);
        drop(state);
        due.wake();
        call
    }
}
