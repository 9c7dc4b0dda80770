//! Leaving: leases that the broker will take back, and the sweep of settlements that are in flight before their fence.

use std::{
    collections::{HashSet, VecDeque},
    mem,
    task::{Context, Poll, Waker},
};

use super::{Call, Job, Key, Scheduler, State, Transition, reached};

/// Whether a settler took its messages before or after the last sweep began: one of two values in turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sweep(bool);

impl Scheduler {
    /// Releases what leaves and has not started, and whatever of it comes back unstarted until everything [stays](Self::stay) again.
    pub(crate) fn leave(&self, keys: HashSet<Key>) -> Call {
        let mut state = self.lock();
        let (set_aside, unstarted) = mem::take(&mut state.unstarted)
            .into_iter()
            .partition(|job| keys.contains(&job.key));
        state.unstarted = unstarted;
        state.released(set_aside, Transition::LeftSetAside);
        state.leaving.extend(keys);
        state.release_leaving();
        let due = state.due(&self.limits, true);
        let call = state.call(&self.limits);
        drop(state);
        due.wake();
        call
    }

    /// Ends what [`leave`](Self::leave) began.
    pub(crate) fn stay(&self) {
        self.lock().leaving.clear();
    }

    /// Cancels the handlers that run nothing but these.
    pub(crate) fn cancel(&self, keys: &HashSet<Key>) {
        let cancelled = self.lock().cancel(keys);
        cancelled.into_iter().for_each(Waker::wake);
    }

    /// Registers a task that is woken whenever messages were settled.
    pub(crate) fn watch_settled(&self, cx: &Context<'_>) {
        self.lock().sweepers.register(cx);
    }

    /// Begins a sweep, if none is in progress, and returns when what settlers have now is settled. `begun` says that it has begun.
    pub(crate) fn poll_swept(&self, begun: &mut bool) -> Poll<()> {
        let mut state = self.lock();
        if !*begun && state.unswept == 0 {
            state.unswept = state.settling + state.stalled;
            state.sweep.0 = !state.sweep.0;
            *begun = true;
        }
        if *begun && state.unswept == 0 {
            reached(Transition::Swept);
            return Poll::Ready(());
        }
        reached(Transition::Unswept);
        Poll::Pending
    }
}

/// Takes these messages out of a queue.
fn take_out(queue: &mut VecDeque<Job>, keys: &HashSet<Key>) -> Vec<Job> {
    let mut taken = Vec::new();
    if queue.iter().any(|job| keys.contains(&job.key)) {
        for job in mem::take(queue) {
            match keys.contains(&job.key) {
                true => taken.push(job),
                false => queue.push_back(job),
            }
        }
    }
    taken
}

impl State {
    /// Cancels the handlers that run nothing but these. Returns whom to wake.
    pub(super) fn cancel(&mut self, keys: &HashSet<Key>) -> Vec<Waker> {
        let slots = self.slots.iter_mut();
        slots.filter_map(|slot| slot.lose(keys)).collect()
    }

    /// Takes out messages that have not started: those that wait in groups, and those that are ready. In a fenced group, all that waits
    /// behind them is released.
    pub(super) fn take_unstarted(&mut self, keys: &HashSet<Key>) -> (Vec<Job>, Vec<Job>) {
        // First: the end of one of them must make none ready that is among them, too.
        let waiting = self.take_from_groups(keys);
        let mut taken = take_out(&mut self.ready, keys);
        taken.extend(take_out(&mut self.suspects, keys));
        for job in &taken {
            self.judge(job.key, &job.message, false);
        }
        taken.extend(self.take_from_held(keys));
        (waiting, taken)
    }

    /// Releases what leaves and has not started.
    #[inline]
    pub(super) fn release_leaving(&mut self) {
        if !self.leaving.is_empty() {
            self.release_those_that_leave();
        }
    }

    #[cold]
    fn release_those_that_leave(&mut self) {
        let keys = mem::take(&mut self.leaving);
        let (waiting, ready) = self.take_unstarted(&keys);
        self.leaving = keys;
        self.released(waiting, Transition::LeftInGroup);
        self.released(ready, Transition::LeftReady);
    }

    /// Releases messages that have not started.
    pub(super) fn released(&mut self, jobs: Vec<Job>, by: Transition) {
        if !jobs.is_empty() {
            reached(by);
            self.done.extend(jobs);
        }
    }
}
