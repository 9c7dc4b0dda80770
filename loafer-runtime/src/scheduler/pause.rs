//! Pauses of a route: nothing is asked for and nothing starts. What is buffered is kept for a while.

use std::{
    collections::HashSet,
    task::{Context, Poll, Waker},
};

use super::{Call, Phase, Scheduler, State, Transition, reached};

/// Whether the provider may deliver messages, as far as it was told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Delivering {
    /// Receives may be in flight.
    #[default]
    On,
    /// A receiver is pausing it. No receive begins meanwhile.
    Pausing,
    /// It is paused, as the route is.
    Off,
}

impl Scheduler {
    /// Pauses the route, until it is resumed. A route that receives no more goes on to its end. Returns whether it was not paused yet.
    pub(crate) fn pause(&self) -> bool {
        let mut state = self.lock();
        if state.paused {
            return false;
        }
        reached(Transition::Paused);
        state.paused = true;
        state.pauses = state.pauses.wrapping_add(1);
        let wakers = state.receivers_to_pause();
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
        true
    }

    /// Resumes the route. Returns who works on what is buffered, or `None` if it was not paused.
    pub(crate) fn resume(&self) -> Option<Call> {
        let mut state = self.lock();
        if !state.paused {
            return None;
        }
        reached(Transition::Resumed);
        state.paused = false;
        if state.delivering == Delivering::Off {
            state.delivering = Delivering::On;
        }
        let watching = state.watching.take();
        let due = state.due(&self.limits, true);
        let call = state.call(&self.limits);
        drop(state);
        due.wake();
        watching.into_iter().for_each(Waker::wake);
        Some(call)
    }

    /// Called once the provider has paused the delivery of messages. Returns the number of the pause.
    pub(crate) fn delivery_paused(&self) -> u32 {
        let mut state = self.lock();
        // The route may have been resumed meanwhile. At its end it stays so.
        let asks = !state.paused && state.phase == Phase::Open;
        state.delivering = if asks {
            Delivering::On
        } else {
            Delivering::Off
        };
        let pause = state.pauses;
        let due = state.due(&self.limits, true);
        drop(state);
        due.wake();
        pause
    }

    /// Waits until the pause of this number is over, or the route receives no more.
    pub(crate) fn poll_resumed(&self, pause: u32, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if !state.is_paused() || state.pauses != pause {
            return Poll::Ready(());
        }
        state.watching.register(cx);
        Poll::Pending
    }

    /// Releases what has not started, if the route is still paused.
    pub(crate) fn release_buffer(&self) {
        let mut state = self.lock();
        if !state.is_paused() {
            return;
        }
        let groups = state.groups.iter();
        let waiting = groups.flat_map(|groups| groups.waiting_keys());
        let keys: HashSet<_> = state
            .ready
            .iter()
            .map(|job| job.key)
            .chain(waiting)
            .chain(state.suspects.iter().map(|job| job.key))
            .chain(state.held.values().map(|job| job.key))
            .collect();
        let (waiting, ready) = state.take_unstarted(&keys);
        state.released(ready, Transition::BufferReleased);
        state.released(waiting, Transition::BufferReleased);
        let due = state.due(&self.limits, true);
        drop(state);
        due.wake();
    }
}

impl State {
    /// Whether a pause holds up messages. One that receives no more handles or releases what it has.
    pub(crate) fn is_paused(&self) -> bool {
        self.paused && self.phase == Phase::Open
    }

    /// Whether it is time to pause the delivery of messages: none is asked for, and no receive is in flight.
    pub(crate) fn may_pause_delivery(&self) -> bool {
        (self.paused || self.phase > Phase::Open)
            && self.receiving == 0
            && self.delivering == Delivering::On
    }

    /// Returns the receivers that must see that the route is paused: those with a receive in flight, and one that may pause the delivery.
    fn receivers_to_pause(&mut self) -> Vec<Waker> {
        let mut wakers = self.watching.take();
        if self.may_pause_delivery() {
            wakers.extend(self.receivers.pop());
        }
        wakers
    }
}
