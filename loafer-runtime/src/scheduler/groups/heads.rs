//! Failed heads: a group waits for its head until it is tried again in place.

use std::{collections::VecDeque, mem};

use super::{Groups, Job, Key, Transition, reached};

impl Groups {
    /// Puts a message back that stood behind a failed one in a batch: it waits for it, in its old place. Returns it if it has no group here.
    pub(in crate::scheduler) fn step_back(
        &mut self,
        job: Job,
        ready: &mut VecDeque<Job>,
    ) -> Option<Job> {
        let Some((_, members)) = self.members_of(&job.message) else {
            return Some(job);
        };
        let out = members.out.iter().position(|out| *out == job.key);
        let Some(at) = out.filter(|_| !members.released) else {
            // The failed one before it was given back: so is it.
            self.end(job.key, &job.message, false, ready);
            return Some(job);
        };
        reached(Transition::GroupStepsBack);
        members.out.remove(at);
        let place = members.back.min(members.waiting.len());
        members.waiting.insert(place, job);
        members.back = place + 1;
        members.one_by_one = members.one_by_one.max(members.back + 1);
        if members.out.is_empty() && members.held.is_none() {
            ready.extend(members.advance());
        }
        None
    }

    /// Holds up a group until its failed head is tried again. The head was out as `known_as`. Returns whether it is the head of a group.
    pub(in crate::scheduler) fn hold(&mut self, head: &Job, known_as: Key) -> bool {
        let fenced = self.grouping.fenced;
        let members = self.members_of(&head.message).filter(|_| fenced);
        let Some((_, members)) = members else {
            return false;
        };
        let Some(at) = members.out.iter().position(|out| *out == known_as) else {
            return false;
        };
        members.out.remove(at);
        members.held = Some(head.key);
        if !mem::replace(&mut members.failing, true) {
            self.failing += 1;
        }
        true
    }

    /// Lets the held head of a group become ready. Returns whether it did: not if others of its batch are out. `None` means that it is not the held
    /// head of a group.
    pub(in crate::scheduler) fn let_go(&mut self, head: &Job) -> Option<bool> {
        let (_, members) = self.members_of(&head.message)?;
        members.held.filter(|held| *held == head.key)?;
        if members.out.is_empty() {
            members.held = None;
            members.out.push(head.key);
        }
        Some(members.held.is_none())
    }

    /// Ends the wait for a held head, which is redelivered. Returns what waits behind it. `None` means that it is not the held head of a group.
    pub(in crate::scheduler) fn give_up(&mut self, head: &Job) -> Option<VecDeque<Job>> {
        let (group, members) = self.members_of(&head.message)?;
        members.held.take_if(|held| *held == head.key)?;
        let behind = mem::take(&mut members.waiting);
        members.back = 0;
        members.failing = false;
        members.released = true;
        if members.out.is_empty() {
            self.groups.remove(group);
        }
        self.failing -= 1;
        Some(behind)
    }

    /// Returns how many messages wait in failing groups, their heads included.
    pub(in crate::scheduler) fn waiting_for_heads(&self) -> usize {
        if self.failing == 0 {
            return 0;
        }
        let failing = self.groups.values().filter(|members| members.failing);
        failing.map(|members| members.waiting.len() + 1).sum()
    }

    /// Returns what waits behind the held head of a group.
    pub(in crate::scheduler) fn waiting_behind(&self, head: &Job) -> Option<&VecDeque<Job>> {
        let members = self.groups.get(self.grouping.by.of(&head.message)?)?;
        (members.held == Some(head.key)).then_some(&members.waiting)
    }
}
