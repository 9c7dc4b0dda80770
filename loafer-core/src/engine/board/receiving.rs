//! Receivers at the board: when to ask for more.

use std::{future::poll_fn, task::Poll};

use super::{Board, Desk, Limits, Phase, State, register, unregister};

impl Board {
    /// Waits until a receive is due; says how many messages to ask for, or nothing once the route is closed.
    pub(in crate::engine) async fn permit(&self) -> Option<usize> {
        poll_fn(|cx| {
            let mut state = self.lock();
            if state.phase > Phase::Open {
                return Poll::Ready(None);
            }
            if !state.may_receive(&self.limits) {
                register(&mut state.receivers, cx);
                return Poll::Pending;
            }
            unregister(&mut state.receivers, cx);
            state.reserved += self.limits.ask;
            state.receiving += 1;
            let next = if state.may_receive(&self.limits) { state.receivers.pop() } else { None };
            drop(state);
            next.into_iter().for_each(|waker| waker.wake());
            Poll::Ready(Some(self.limits.ask))
        })
        .await
    }

    /// A receive brought this many messages; they are held from now on.
    pub(in crate::engine) fn received(&self, count: usize) {
        let mut state = self.lock();
        state.reserved -= self.limits.ask;
        state.held += count;
        state.target = match count {
            0 => 1,
            full if full >= self.limits.ask => (state.target + 1).min(self.limits.receivers),
            _ => state.target.saturating_sub(1).max(1),
        };
    }

    /// A receive is over, and what it brought was offered.
    pub(in crate::engine) fn receive_ended(&self) {
        let mut state = self.lock();
        state.receiving -= 1;
        let mut wakers = Vec::new();
        if state.phase > Phase::Open {
            // Workers that waited for this receive may leave, and the supervisor may find everything settled.
            state.idle.clear();
            wakers.extend(state.desks.iter_mut().filter_map(Desk::leave));
            wakers.extend(state.supervisor.take());
        } else if state.may_receive(&self.limits) {
            wakers.extend(state.receivers.pop());
        }
        drop(state);
        wakers.into_iter().for_each(|waker| waker.wake());
    }
}

impl State {
    /// A receive is due when a whole batch of places is free, or nothing is held.
    pub(super) fn may_receive(&self, limits: &Limits) -> bool {
        let taken = self.held + self.reserved;
        self.phase == Phase::Open
            && self.receiving < self.target
            && (taken == 0 || limits.places.saturating_sub(taken) >= limits.ask)
    }
}
