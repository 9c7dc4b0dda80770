//! Ordered groups: the messages of one group run one at a time and in order, beside those of other groups.

use std::{
    collections::{HashMap, VecDeque},
    mem,
};

use super::{Call, Job, Phase, Scheduler, State};
use crate::engine::Disposition;
use crate::engine::leases::table::Key;
use loafer_core::{
    broker::Capabilities,
    message::Message,
    policy::{GroupBy, Policy},
};

/// How a route keeps its groups in order.
#[derive(Clone, Debug)]
pub(in crate::engine) struct Grouping {
    by: GroupBy,
    /// Whether the broker blocks a group until its failed message is settled. If so, what waits behind a failure is released, and
    /// redelivered after it.
    fenced: bool,
}

impl Grouping {
    /// Returns `None` if messages have no groups.
    pub(in crate::engine) fn of(policy: &Policy, capabilities: &Capabilities) -> Option<Self> {
        let (by, fenced) = match (capabilities.ordered, &policy.group_by) {
            (true, _) => (GroupBy::GROUP, true),
            (false, Some(by)) => (by.clone(), false),
            (false, None) => return None,
        };
        Some(Self { by, fenced })
    }
}

/// The groups that have leased messages.
pub(super) struct Groups {
    grouping: Grouping,
    groups: HashMap<Box<str>, Group>,
}

/// A group that has a message that is ready, running, or failed and not settled.
struct Group {
    /// How many such messages it has.
    out: usize,
    /// The messages that came after them, in order.
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

    /// Lets the first message of each group through. The others wait for it.
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

    /// Takes in messages that a worker brings: a message that is over makes way for the next of its group. In a fenced group, the settler
    /// decides about a message that failed.
    fn take_back(
        &mut self,
        outcomes: &VecDeque<Job>,
        ready: &mut VecDeque<Job>,
        released: &mut Vec<Job>,
    ) {
        for Job {
            message,
            disposition,
            ..
        } in outcomes
        {
            match disposition {
                Disposition::Ack => self.advance(message, ready),
                _ if !self.grouping.fenced => self.advance(message, ready),
                Disposition::Release => released.extend(self.step_back(message)),
                _ => {}
            }
        }
    }

    /// Ends a message: the next of its group may run.
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

    /// Ends a message that stood behind a failed one in a batch. Returns what waits behind it: all of it is released. The group stays
    /// blocked until the failed message is judged.
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

    /// Ends a message that is redelivered. Returns what waits behind it, which must not run before it.
    fn fence(&mut self, message: &Message) -> VecDeque<Job> {
        let group = self.grouping.by.of(message);
        let members = group.and_then(|group| self.groups.remove(group));
        members.map(|members| members.waiting).unwrap_or_default()
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
        members.out += 1;
        Some(next)
    }

    fn members_of<'m>(&mut self, message: &'m Message) -> Option<(&'m str, &mut Group)> {
        let group = self.grouping.by.of(message)?;
        Some((group, self.groups.get_mut(group)?))
    }

    /// Takes out a waiting message whose lease is lost and, in a fenced group, what waits behind it.
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

    /// Takes out everything that waits, each group in order.
    fn clear(&mut self) -> impl Iterator<Item = Job> {
        mem::take(&mut self.groups)
            .into_values()
            .flat_map(|members| members.waiting)
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
        let Some(groups) = &mut self.groups else {
            return;
        };
        let mut released = Vec::new();
        groups.take_back(outcomes, &mut self.ready, &mut released);
        self.release(released);
    }

    /// Returns how many messages a batch can have, up to `most`: those that are ready, and those that wait behind them.
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

    /// Takes a batch: messages that are ready and, if these are too few, messages that wait behind them, each group in order.
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

    /// Sets aside what waits in groups.
    pub(super) fn clear_groups(&mut self) {
        if let Some(groups) = &mut self.groups {
            let waiting: Vec<_> = groups.clear().collect();
            self.set_aside(waiting);
        }
    }

    /// Takes out a message that waits in a group.
    pub(super) fn lose_in_group(&mut self, key: Key) -> Option<Job> {
        let (lost, behind) = self.groups.as_mut()?.lose(key)?;
        self.release(behind);
        Some(lost)
    }

    /// Called when a ready message is lost, and so redelivered.
    pub(super) fn lost_head(&mut self, message: &Message) {
        if self.groups.is_some() {
            self.judge(message, false);
        }
    }

    /// Whether no message waits for another of its group.
    pub(super) fn groups_are_empty(&self) -> bool {
        self.groups.as_ref().is_none_or(Groups::is_empty)
    }

    /// Ends a message of a group that has left the queue, or is redelivered.
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
    /// Whether a group waits for how its failed messages end.
    pub(in crate::engine) fn is_fenced(&self) -> bool {
        self.limits
            .grouping
            .as_ref()
            .is_some_and(|grouping| grouping.fenced)
    }

    /// Called when a failed message of a fenced group has left the queue as a dead letter, or is redelivered.
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
