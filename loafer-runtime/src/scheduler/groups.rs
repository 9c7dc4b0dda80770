//! Ordered groups: the messages of one group run one at a time and in order, beside those of other groups.

mod heads;

use std::{
    collections::{HashMap, HashSet, VecDeque},
    mem,
};

use super::{Job, Key, Phase, State, Transition, is_suspect, reached};
use crate::limits::{Grouping, Limits};
use loafer_core::{broker::Settlement, message::Message};

/// The groups that have leased messages.
pub(crate) struct Groups {
    grouping: Grouping,
    pub(crate) groups: HashMap<Box<str>, Group>,
    /// How many groups are failing.
    failing: usize,
}

/// A group that has a message that is ready, running, or failed and not settled.
#[derive(Default)]
pub(crate) struct Group {
    /// The keys of such messages: one, or those of one batch. It is empty only while the head is held. A message that is not among them is an
    /// earlier one, and decides nothing.
    out: Vec<Key>,
    /// The key of the failed head that is held until its next attempt.
    held: Option<Key>,
    /// Whether its head has failed here, and was neither handled nor given up since.
    failing: bool,
    /// Whether one of those that are out is redelivered, so that what waited behind them was released. What has come since is redelivered, too.
    released: bool,
    /// How many of the next messages run one by one, because their batch failed.
    one_by_one: usize,
    /// How many of `waiting` came back from the batch that is out.
    back: usize,
    /// The messages that came after those that are out, in order.
    pub(crate) waiting: VecDeque<Job>,
}

impl Group {
    /// Lets the next message out, if one waits.
    fn advance(&mut self) -> Option<Job> {
        let next = self.waiting.pop_front()?;
        reached(Transition::GroupAdvances);
        self.out.push(next.key);
        (self.released, self.back) = (false, 0);
        Some(next)
    }
}

impl Groups {
    pub(super) fn new(grouping: Grouping) -> Self {
        Self {
            grouping,
            groups: HashMap::new(),
            failing: 0,
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
            let Some(group) = self.grouping.group_of(&job.message) else {
                ready.push_back(job);
                continue;
            };
            if let Some(members) = self.groups.get_mut(group) {
                reached(Transition::GroupWaits);
                members.waiting.push_back(job);
            } else {
                let members = Group {
                    out: vec![job.key],
                    ..Group::default()
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
            // The route receives no more: nothing is held.
            Some(Settlement::Retry { .. } | Settlement::Release) => {
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
        members.one_by_one = members.one_by_one.saturating_sub(1);
        let recovers = members.held.is_none() && mem::take(&mut members.failing);
        if !left && !mem::replace(&mut members.released, true) {
            reached(Transition::GroupReleased);
            released = mem::take(&mut members.waiting);
        }
        if members.out.is_empty() && members.held.is_none() {
            match members.advance() {
                Some(next) => ready.push_back(next),
                None => {
                    reached(Transition::GroupEnds);
                    self.groups.remove(group);
                }
            }
        }
        self.failing -= usize::from(recovers);
        released
    }

    /// Returns how many messages wait behind this one. They may run with it, in one batch.
    fn behind(&self, head: &Job) -> usize {
        let group = self.grouping.group_of(&head.message);
        let members = group.and_then(|group| self.groups.get(group));
        members.map_or(0, |members| match members.one_by_one {
            0 => members.waiting.len(),
            _ => 0,
        })
    }

    /// Takes the next message of the group, to run in the same batch. If it is `wary`, it takes no suspect.
    fn follow(&mut self, head: &Message, wary: bool) -> Option<Job> {
        let (_, members) = self.members_of(head)?;
        if members.one_by_one > 0 {
            return None;
        }
        let joins = |next: &mut Job| !wary || !is_suspect(&next.message);
        let next = members.waiting.pop_front_if(joins)?;
        reached(Transition::GroupFollows);
        members.out.push(next.key);
        Some(next)
    }

    fn members_of<'m>(&mut self, message: &'m Message) -> Option<(&'m str, &mut Group)> {
        let group = self.grouping.group_of(message)?;
        Some((group, self.groups.get_mut(group)?))
    }

    /// Takes out waiting messages. Returns what is released: in a fenced group, all that waits behind them.
    fn take(&mut self, keys: &HashSet<Key>, taken: &mut Vec<Job>) -> Vec<Job> {
        let mut released = Vec::new();
        let mut groups: Vec<_> = self.groups.values_mut().collect();
        groups.sort_unstable_by(|a, b| (&a.out, a.held).cmp(&(&b.out, b.held)));
        for members in groups {
            let is_taken = |job: &Job| keys.contains(&job.key);
            let Some(first) = members.waiting.iter().position(is_taken) else {
                continue;
            };
            members.back = members.back.min(first);
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
        self.failing = 0;
        let mut groups: Vec<_> = mem::take(&mut self.groups).into_values().collect();
        groups.sort_unstable_by(|a, b| (&a.out, a.held).cmp(&(&b.out, b.held)));
        groups.into_iter().flat_map(|members| members.waiting)
    }
}

impl State {
    /// Puts received messages where workers find them, or behind the running message of their group.
    #[inline]
    pub(super) fn admit(&mut self, jobs: &mut VecDeque<Job>) {
        match &mut self.groups {
            Some(groups) => groups.admit(jobs, &mut self.ready),
            None if self.ready.is_empty() => mem::swap(&mut self.ready, jobs),
            None => self.ready.append(jobs),
        }
    }

    /// Takes in what a worker brings, before settlers get it.
    pub(super) fn pass_groups(&mut self, outcomes: &mut VecDeque<Job>, limits: &Limits) {
        let Some(groups) = &self.groups else {
            return;
        };
        let holds = groups.grouping.fenced && self.phase == Phase::Open;
        if holds && !outcomes.iter().all(Job::is_acked) {
            return self.keep_failed(outcomes, limits);
        }
        for job in outcomes {
            self.pass_on(job);
        }
    }

    /// Takes in a message that a worker brings, before a settler gets it.
    pub(super) fn pass_on(&mut self, job: &Job) {
        if let Some(groups) = &mut self.groups {
            self.done.extend(groups.take_back(job, &mut self.ready));
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
                && let Some(next) = groups.follow(&batch[head].message, self.wary)
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
        let groups = self.groups.as_ref();
        groups.is_none_or(|groups| groups.groups.is_empty())
    }

    /// Ends a message of a group that has left the queue, or is redelivered.
    pub(super) fn judge(&mut self, key: Key, message: &Message, left: bool) {
        if let Some(groups) = &mut self.groups {
            let left = left || !groups.grouping.fenced;
            self.done
                .extend(groups.end(key, message, left, &mut self.ready));
        }
    }
}
