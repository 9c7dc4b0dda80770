//! Messages that are retried in place: they stay leased while they wait for their next attempt here.
//!
//! A failed head of an ordered group is held with everything behind it, because each message that is given back is one delivery older. So is a
//! message whose retry can't be sent.

use std::{
    collections::{HashSet, VecDeque},
    mem,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
    time::{Duration, SystemTime},
};

use loafer_core::broker::Settlement;
use tokio::time::{Instant, Sleep};

use super::{
    Call, Groups, Job, Key, Limits, Phase, Scheduler, State, Sweep, Transition, is_suspect, reached,
};
use crate::clock;

/// How soon it is looked again whether the rest of a batch is resolved, whose first message is due.
const AGAIN: Duration = Duration::from_millis(20);

/// When a held message is due, and which it is.
pub(super) type Due = (Instant, Key);

impl Job {
    /// Whether it failed and is tried again.
    fn is_retried(&self) -> bool {
        matches!(self.settlement, Some(Settlement::Retry { .. }))
    }
}

impl Scheduler {
    /// Holds a message that a settler could not retry, defer or dead-letter: it has failed if it is to be retried. Its group knows it by its key of
    /// before. Returns whether it is held: not if the route receives no more.
    pub(crate) fn hold(&self, job: Job, known_as: Key, after: Duration, taken_in: Sweep) -> bool {
        let mut state = self.lock();
        if state.phase > Phase::Open {
            return false;
        }
        reached(Transition::HeldUnsent);
        if taken_in != state.sweep {
            state.unswept -= 1;
        }
        state.stalled -= 1;
        state.hold((clock::after(after), job.key), job, known_as);
        state.make_room(&self.limits);
        let sweepers = state.sweepers.take();
        let due = state.due(&self.limits, true);
        drop(state);
        due.wake();
        sweepers.into_iter().for_each(Waker::wake);
        true
    }

    /// Waits until held messages are due, and makes them ready. Whoever calls it takes out before, in `look`, those whose leases are lost. Returns how
    /// many became ready.
    pub(crate) fn poll_held(
        &self,
        mut timer: Pin<&mut Sleep>,
        cx: &mut Context<'_>,
        look: impl Fn(),
    ) -> Poll<(usize, Call)> {
        loop {
            let now = Instant::now();
            if self.lock().is_due_again(now) {
                look();
            }
            let mut state = self.lock();
            let again = state.let_go(now);
            if again > 0 {
                let due = state.due(&self.limits, true);
                let call = state.call(&self.limits);
                drop(state);
                due.wake();
                return Poll::Ready((again, call));
            }
            state.keeper.register(cx);
            let next = state.held.first_key_value().map(|(due, _)| due.0);
            drop(state);
            let Some(next) = next else {
                return Poll::Pending;
            };
            timer.as_mut().reset(next);
            ready!(timer.as_mut().poll(cx));
        }
    }

    /// Hands back the held messages among these, and those that hold up any of these in their groups: their leases can't be renewed further.
    pub(crate) fn hand_back(&self, keys: &HashSet<Key>) {
        let mut state = self.lock();
        let old: Vec<Due> = state
            .held
            .iter()
            .filter(|(due, job)| {
                let mut behind = state.waiting_behind(job).into_iter().flatten();
                keys.contains(&due.1) || behind.any(|job| keys.contains(&job.key))
            })
            .map(|(due, _)| *due)
            .collect();
        if old.is_empty() {
            return;
        }
        old.into_iter().for_each(|due| state.give_back(due));
        let due = state.due(&self.limits, true);
        drop(state);
        due.wake();
    }

    /// Returns how many messages are held beyond the capacity, so that a broker that pushes must push as many more.
    pub(crate) fn spared(&self) -> usize {
        self.lock().spared
    }
}

impl State {
    /// Takes what failed in ordered groups out of what a worker brings: the failed messages are held, and those behind them wait for them.
    #[cold]
    pub(super) fn keep_failed(&mut self, outcomes: &mut VecDeque<Job>, limits: &Limits) {
        for job in mem::take(outcomes) {
            match job.settlement {
                Some(Settlement::Retry { after: Some(after) }) => {
                    reached(Transition::HeldInGroup);
                    let key = job.key;
                    self.hold((clock::after(after), key), job, key);
                }
                Some(Settlement::Release) => {
                    outcomes.extend(match &mut self.groups {
                        Some(groups) => groups.step_back(job, &mut self.ready),
                        None => Some(job),
                    });
                }
                _ => {
                    self.pass_on(&job);
                    outcomes.push_back(job);
                }
            }
        }
        self.release_leaving();
        self.make_room(limits);
    }

    fn hold(&mut self, due: Due, mut job: Job, known_as: Key) {
        if job.is_retried() && job.message.first_failed_at().is_none() {
            job.message = job.message.with_first_failed_at(SystemTime::now());
        }
        let in_group = self
            .groups
            .as_mut()
            .is_some_and(|groups| groups.hold(&job, known_as));
        if !in_group {
            self.spared += 1;
            self.wary |= is_suspect(&job.message);
        }
        self.held.insert(due, job);
        self.held_anew = true;
    }

    /// Whether a held message is due.
    fn is_due_again(&self, now: Instant) -> bool {
        let next = self.held.first_key_value();
        next.is_some_and(|(due, _)| due.0 <= now)
    }

    /// Makes those ready whose time has come. One that failed is ready as its next attempt. Returns how many they are.
    fn let_go(&mut self, now: Instant) -> usize {
        let mut again = 0;
        while let Some(entry) = self.held.first_entry() {
            if entry.key().0 > now {
                break;
            }
            let job = entry.remove();
            let groups = self.groups.as_mut();
            let of_group = groups.and_then(|groups| groups.let_go(&job));
            if of_group == Some(false) {
                self.held.insert((now + AGAIN, job.key), job);
                continue;
            }
            again += 1;
            reached(Transition::RetriedInPlace);
            let failed = u32::from(job.is_retried());
            let next = job.message.attempt().saturating_add(failed);
            let job = Job::new(job.key, job.message.with_attempt(next));
            if of_group.is_some() {
                self.ready.push_back(job);
            } else {
                self.spared -= 1;
                self.admit(&mut [job].into());
            }
        }
        again
    }

    /// Takes a held message out, and what waits behind it: both are given back, the head of a group for what is left of its wait.
    pub(super) fn take_held(&mut self, due: Due) -> Option<(Job, VecDeque<Job>)> {
        let job = self.held.remove(&due)?;
        let groups = self.groups.as_mut();
        match groups.and_then(|groups| groups.give_up(&job)) {
            Some(behind) => {
                let after = due.0.saturating_duration_since(Instant::now());
                let head = job.done(Some(Settlement::Retry { after: Some(after) }));
                Some((head, behind))
            }
            None => {
                self.spared -= 1;
                Some((job.done(Some(Settlement::Release)), VecDeque::new()))
            }
        }
    }

    fn give_back(&mut self, due: Due) {
        if let Some((head, behind)) = self.take_held(due) {
            reached(Transition::HeldGivenBack);
            self.done.extend(behind);
            self.done.push(head);
        }
    }

    /// Gives back everything that is held, because the route receives no more.
    pub(super) fn give_back_held(&mut self) {
        while let Some((due, _)) = self.held.first_key_value() {
            let due = *due;
            self.give_back(due);
        }
        self.crowded = false;
    }

    /// Sets aside what waits behind held messages, and gives these back.
    pub(super) fn set_aside_held(&mut self) {
        while let Some((due, _)) = self.held.first_key_value() {
            let due = *due;
            if let Some((head, behind)) = self.take_held(due) {
                self.done.push(head);
                self.set_aside(behind);
            }
        }
    }

    /// Takes out the held messages among these. What waits behind them is given back.
    pub(super) fn take_from_held(&mut self, keys: &HashSet<Key>) -> Vec<Job> {
        let dues = self.held.keys().filter(|due| keys.contains(&due.1));
        let dues: Vec<_> = dues.copied().collect();
        let mut taken = Vec::new();
        for due in dues {
            if let Some((head, behind)) = self.take_held(due) {
                taken.push(head);
                self.done.extend(behind);
            }
        }
        taken
    }

    /// Gives back groups while failing ones take more than half of the capacity, the one whose next try is furthest away first: those with
    /// nothing behind their heads, for nothing in them gets older; and the others where they leave no room for a receive. Even before that, only one message is asked
    /// for at a time: the head of another group, without what is behind it.
    pub(super) fn make_room(&mut self, limits: &Limits) {
        loop {
            let groups = self.groups.as_ref();
            let taken = groups.map_or(0, Groups::waiting_for_heads);
            self.crowded = taken > limits.capacity / 4;
            if taken <= limits.capacity / 2 {
                return;
            }
            let full = taken + limits.ask > limits.capacity;
            let heads = self.held.iter().filter_map(|(due, job)| {
                let alone = self.waiting_behind(job)?.is_empty();
                (alone || full).then_some((alone, *due))
            });
            let Some((_, due)) = heads.max() else {
                return;
            };
            self.give_back(due);
        }
    }

    /// Returns what waits behind the held head of a group.
    fn waiting_behind(&self, head: &Job) -> Option<&VecDeque<Job>> {
        self.groups.as_ref()?.waiting_behind(head)
    }
}
