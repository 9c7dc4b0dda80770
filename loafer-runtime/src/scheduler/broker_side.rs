//! Receivers, settlers and the lease renewer at the scheduler: what comes from the broker, and what returns to it.

use std::{
    collections::{HashSet, VecDeque},
    future::Future,
    mem,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use tokio::time::{Instant, Sleep};

use super::{
    Call, Delivering, Job, Key, Limits, Phase, Scheduler, State, Sweep, Transition, reached,
};
use loafer_core::message::{Message, MessageId};

/// What a receiver may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Permit {
    /// Receive up to so many messages.
    Receive(usize),
    /// Pause the delivery of messages.
    Pause,
    /// End: the route receives no more.
    End,
}

/// What is known of a receive that has ended.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Came {
    /// Whether messages may have been delivered before.
    pub(crate) again: bool,
    /// Whether the route receives no more.
    pub(crate) last: bool,
}

/// Messages whose leases are lost and that no worker has.
#[derive(Default)]
pub(crate) struct LostJobs {
    /// They had not started. They have left the route.
    pub(crate) unstarted: Vec<Job>,
    /// They were acked, and wait for a settler that will find their leases lost.
    pub(crate) acked: Vec<Message>,
}

impl Scheduler {
    /// Waits until a receive is due, or until the delivery is to be paused, or until the route receives no more.
    pub(crate) fn poll_permit(&self, cx: &Context<'_>) -> Poll<Permit> {
        let mut state = self.lock();
        if state.may_pause_delivery() {
            reached(Transition::PausesDelivery);
            state.delivering = Delivering::Pausing;
            state.receivers.unregister(cx);
            return Poll::Ready(Permit::Pause);
        }
        if state.phase > Phase::Open {
            return Poll::Ready(Permit::End);
        }
        if !state.may_receive(&self.limits) {
            reached(Transition::NoRoom);
            state.receivers.register(cx);
            return Poll::Pending;
        }
        reached(Transition::Receive);
        state.receivers.unregister(cx);
        let asked = match state.crowded {
            true => 1,
            false => state.room(&self.limits).min(self.limits.ask).max(1),
        };
        state.reserved += asked;
        state.receiving += 1;
        let next = state.receiver_for(&self.limits);
        drop(state);
        next.into_iter().for_each(Waker::wake);
        Poll::Ready(Permit::Receive(asked))
    }

    /// Ends a receive that asked for `asked` messages. What it brought is leased from now on: messages for workers (`jobs`), and messages
    /// to settle at once (`settled`).
    pub(crate) fn received(
        &self,
        jobs: &mut VecDeque<Job>,
        settled: Vec<Job>,
        asked: usize,
        Came { again, last }: Came,
    ) -> Call {
        let count = jobs.len() + settled.len();
        let mut guard = self.lock();
        let state = &mut *guard;
        state.receiving -= 1;
        state.reserved -= asked;
        state.leased += count;
        let (brought, target) = match count {
            0 => (Transition::ReceivedNothing, 1),
            full if full >= asked => (Transition::ReceivedFull, state.target + 1),
            _ => (Transition::ReceivedPart, state.target.saturating_sub(1)),
        };
        reached(brought);
        state.target = target.clamp(1, self.limits.receivers);
        state.done.extend(settled);
        if state.phase >= Phase::Draining {
            state.set_aside(jobs.drain(..));
        } else {
            state.admit(jobs);
            if again {
                state.suspect(&self.limits);
            }
            state.release_leaving();
            if state.crowded || !state.held.is_empty() {
                state.make_room(&self.limits);
            }
            if self.limits.batch_window.is_some() && !state.ready.is_empty() {
                state.window_began.get_or_insert_with(Instant::now);
            }
        }
        if last && state.phase == Phase::Open {
            state.go_on_to(Phase::Finishing);
        }
        if state.phase > Phase::Open {
            let wakers = state.everybody();
            drop(guard);
            wakers.into_iter().for_each(Waker::wake);
            return self.lock().call(&self.limits);
        }
        let due = state.due(&self.limits, true);
        let call = state.call(&self.limits);
        drop(guard);
        due.wake();
        call
    }

    /// Waits until the route receives no more, or, if `or_paused`, until it is paused.
    pub(crate) fn poll_closed(&self, or_paused: bool, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if state.phase > Phase::Open || (or_paused && state.paused) {
            return Poll::Ready(());
        }
        state.watching.register(cx);
        Poll::Pending
    }

    /// Ends the receives in flight that did not return in time. A long poll that is dropped could still take what is released next, and
    /// keep it until its lease expires. So one message is released for each of them, and brings it back. If it did not, others consume the
    /// queue too, and the rest is released for them.
    pub(crate) fn wake_poll(&self, patience: Duration) {
        let mut state = self.lock();
        let at = match state.woken {
            None => state.unstarted.len().saturating_sub(state.receiving),
            Some(since) if since.elapsed() >= patience => 0,
            Some(_) => return,
        };
        if state.unstarted.is_empty() {
            return;
        }
        reached(Transition::PollWoken);
        state.woken = Some(Instant::now());
        state.release_from(at);
        let due = state.due(&self.limits, true);
        drop(state);
        due.wake();
    }

    /// Waits until a batch is due, and takes it into an empty buffer. Its messages make room for a receive already. Returns the sweep that
    /// they are taken in.
    pub(crate) fn poll_batch(
        &self,
        batch: &mut Vec<Job>,
        mut linger: Pin<&mut Sleep>,
        cx: &mut Context<'_>,
    ) -> Poll<Sweep> {
        loop {
            let mut state = self.lock();
            let overdue = state
                .lingering
                .is_some_and(|since| since + self.limits.linger <= Instant::now());
            if state.is_due(&self.limits) || overdue {
                reached(match overdue {
                    true => Transition::SettleAfterLinger,
                    false => Transition::Settle,
                });
                let take = state.done.len().min(self.limits.settle_batch);
                if take == state.done.len() {
                    mem::swap(&mut state.done, batch);
                } else {
                    batch.extend(state.done.drain(..take));
                }
                state.settling += take;
                state.lingering = None;
                state.settlers.unregister(cx);
                let sweep = state.sweep;
                let mut due = state.due(&self.limits, true);
                drop(state);
                // A receiver that shares the settler's task is polled right after it.
                due.receiver = due.receiver.filter(|waker| !waker.will_wake(cx.waker()));
                due.wake();
                return Poll::Ready(sweep);
            }
            state.settlers.register(cx);
            if state.done.is_empty() {
                return Poll::Pending;
            }
            let since = *state.lingering.get_or_insert_with(Instant::now);
            drop(state);
            linger.as_mut().reset(since + self.limits.linger);
            ready!(linger.as_mut().poll(cx));
        }
    }

    /// Called for messages that will take their time to be settled. They make no room until they are.
    pub(crate) fn stalled(&self, messages: usize) {
        if messages > 0 {
            reached(Transition::Stalled);
            let mut state = self.lock();
            state.settling -= messages;
            state.stalled += messages;
        }
    }

    /// Frees the capacity of settled messages, which were `stalled` or were not, and were taken in this sweep. Returns how many are still
    /// leased.
    pub(crate) fn freed(&self, messages: usize, stalled: bool, taken_in: Sweep) -> usize {
        let mut state = self.lock();
        if taken_in != state.sweep {
            state.unswept -= messages;
        }
        if stalled {
            reached(Transition::FreedLate);
            state.stalled -= messages;
        } else {
            reached(Transition::Freed);
            state.settling -= messages;
        }
        state.leased -= messages;
        let leased = state.leased;
        let due = state.due(&self.limits, true);
        let sweepers = state.sweepers.take();
        drop(state);
        due.wake();
        sweepers.into_iter().for_each(Waker::wake);
        leased
    }

    /// Takes back the messages of lost leases that no worker has. Cancels the handlers that run any of the others.
    pub(crate) fn lose(&self, keys: &HashSet<Key>) -> (LostJobs, Call) {
        let mut guard = self.lock();
        let state = &mut *guard;
        let mut lost = LostJobs::default();
        let (waiting, ready) = state.take_unstarted(keys);
        if !waiting.is_empty() {
            reached(Transition::LostInGroup);
        }
        if !ready.is_empty() {
            reached(Transition::LostReady);
        }
        lost.unstarted = waiting;
        lost.unstarted.extend(ready);
        state.leased -= lost.unstarted.len();
        let acked = state.done.iter().filter(|job| job.is_acked());
        lost.acked = acked
            .filter(|job| keys.contains(&job.key))
            .map(|job| job.message.clone())
            .collect();
        let cancelled = state.cancel(keys);
        let due = state.due(&self.limits, true);
        let call = state.call(&self.limits);
        drop(guard);
        due.wake();
        cancelled.into_iter().for_each(Waker::wake);
        (lost, call)
    }
}

impl Scheduler {
    /// Returns the messages that are acked and that no settler has taken yet.
    pub(crate) fn acked(&self) -> HashSet<MessageId> {
        let state = self.lock();
        let acked = state.done.iter().filter(|job| job.is_acked());
        acked.map(|job| job.message.id().clone()).collect()
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

impl State {
    /// Whether a receive is due: enough capacity is free to be worth one, or nothing is leased.
    pub(crate) fn may_receive(&self, limits: &Limits) -> bool {
        self.receiving < self.target
            && (self.room(limits) >= limits.worth || self.is_worth_it(limits))
            && self.phase == Phase::Open
            && !self.paused
            && self.delivering == Delivering::On
            && !(self.crowded && self.receiving > 0)
    }

    /// Whether a receive is worth its cost with less room than others want: nothing else is here, or groups that fail keep the rest for long.
    fn is_worth_it(&self, limits: &Limits) -> bool {
        self.taken() == 0 || (self.crowded && self.room(limits) > 0)
    }

    /// Returns how much capacity is free.
    fn room(&self, limits: &Limits) -> usize {
        limits.capacity.saturating_sub(self.taken())
    }

    /// Returns how much capacity is taken. What is being acked is handled: it makes room already, for the time of a call.
    fn taken(&self) -> usize {
        self.leased - self.settling - self.spared + self.reserved
    }

    /// Returns a receiver to wake, if a receive is due or the delivery is to be paused.
    #[inline]
    pub(super) fn receiver_for(&mut self, limits: &Limits) -> Option<Waker> {
        if self.may_receive(limits) || self.may_pause_delivery() {
            self.receivers.pop()
        } else {
            None
        }
    }

    /// Whether a batch is due: it is full, nothing that is here can join it, or the route closes.
    pub(crate) fn is_due(&self, limits: &Limits) -> bool {
        !self.done.is_empty()
            && (self.done.len() >= limits.settle_batch
                || (!limits.patient && self.ready.is_empty() && self.running == 0)
                || self.phase > Phase::Open)
    }

    /// Returns the settler to wake for what is done. With `linger`, also to wait for others to join it.
    pub(super) fn settler_for(&mut self, limits: &Limits, linger: bool) -> Option<Waker> {
        let begins = linger && self.lingering.is_none() && !self.done.is_empty();
        if self.is_due(limits) || begins {
            self.settlers.pop()
        } else {
            None
        }
    }
}
