//! Suspects: messages that were delivered much more often than they were tried. One that ends its process takes others with it, so nothing else of
//! the route runs beside suspects, and the fewer of them run at once the more often they were delivered. Slow messages, too, are delivered again
//! and again where processes are killed or connections break: one at a time, they would hold up the route for as long as all of them take.

use std::{
    collections::VecDeque,
    mem,
    task::{Context, Poll},
};

use super::{Call, Job, Limits, Phase, Scheduler, State, Transition, reached};
use loafer_core::message::Message;

/// How many deliveries without an outcome make a suspect, and how many more halve the number of those that run at once.
const UNTRIED: u32 = 3;

/// Whether something runs alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Alone {
    #[default]
    Nothing,
    /// The broker is asked for an isolated message. Nothing runs.
    Fetching,
    /// Suspects run, at most this many at once.
    Suspects(usize),
}

/// Whether a message was delivered so often without an outcome that it may be what ends its process.
pub(crate) fn is_suspect(message: &Message) -> bool {
    untried(message) >= UNTRIED
}

/// Returns how many deliveries of a message had no outcome.
fn untried(message: &Message) -> u32 {
    message.deliveries() - message.attempt()
}

impl Scheduler {
    /// Waits until the broker is to be asked for an isolated message: some may be there, and nothing runs. Nothing is started until
    /// [`fetched`](Self::fetched) is called.
    pub(crate) fn poll_fetch(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if state.may_fetch() {
            reached(Transition::Fetches);
            state.alone = Alone::Fetching;
            state.fetcher.unregister(cx);
            return Poll::Ready(());
        }
        state.fetcher.register(cx);
        Poll::Pending
    }

    /// Takes in an isolated message: one that is done at once, or one that runs alone. `None` means that there is no more.
    pub(crate) fn fetched(&self, job: Option<Job>, is_done: bool) -> Call {
        let mut state = self.lock();
        state.alone = Alone::Nothing;
        state.isolated &= job.is_some();
        if let Some(job) = job {
            state.leased += 1;
            state.fetched = Some(job.key);
            if is_done {
                state.done.push(job);
            } else if state.phase >= Phase::Draining {
                state.set_aside([job]);
            } else {
                state.suspects.push_back(job);
            }
        }
        let due = state.due(&self.limits, true);
        let call = state.call(&self.limits);
        drop(state);
        due.wake();
        call
    }

    /// Called when the broker has isolated a message: it is fetched when nothing runs. If the route receives no more, its workers may have ended: the
    /// next run fetches it.
    pub(crate) fn isolated(&self) {
        let mut state = self.lock();
        state.isolated |= state.phase == Phase::Open;
        let due = state.due(&self.limits, true);
        drop(state);
        due.wake();
    }
}

impl State {
    /// Whether a suspect runs or waits to run, so that nothing else is started.
    pub(crate) fn is_apart(&self) -> bool {
        self.isolated || self.alone != Alone::Nothing || !self.suspects.is_empty()
    }

    /// Whether the broker is to be asked for an isolated message now.
    pub(crate) fn may_fetch(&self) -> bool {
        self.isolated
            && self.alone == Alone::Nothing
            && self.running == 0
            && self.suspects.is_empty()
            && self.phase < Phase::Draining
            && !self.is_paused()
    }

    /// Returns how many suspects may run at once if the next one starts. `None` means that it may not start: something else runs, or as many
    /// suspects as may.
    pub(super) fn admits_suspect(&self, limits: &Limits) -> Option<usize> {
        let next = self.suspects.front()?;
        let most = match self.fetched == Some(next.key) {
            true => 1,
            false => limits.suspects(untried(&next.message) / UNTRIED),
        };
        let most = match self.alone {
            Alone::Nothing if self.running == 0 => most,
            Alone::Suspects(others) => most.min(others),
            Alone::Nothing | Alone::Fetching => return None,
        };
        (self.running < most).then_some(most)
    }

    /// Takes a suspect, if one may start.
    pub(super) fn take_suspect(&mut self, limits: &Limits) -> Option<Job> {
        if self.is_paused() {
            return None;
        }
        let most = self.admits_suspect(limits)?;
        reached(match self.running {
            0 => Transition::RunsAlone,
            _ => Transition::RunsBesideSuspects,
        });
        self.alone = Alone::Suspects(most);
        self.running += 1;
        self.suspects.pop_front()
    }

    /// Called when nothing runs any more.
    pub(super) fn nothing_runs(&mut self) {
        if matches!(self.alone, Alone::Suspects(_)) {
            self.alone = Alone::Nothing;
        }
    }

    /// Looks for suspects among the messages that came, if there may be some.
    pub(super) fn suspect(&mut self, limits: &Limits) {
        if limits.isolates {
            self.pick_suspects();
        }
    }

    /// Moves the suspects out of what is ready. Some may still wait in groups.
    #[cold]
    pub(super) fn pick_suspects(&mut self) {
        let is_suspect = |job: &Job| is_suspect(&job.message);
        if self.ready.iter().any(is_suspect) {
            let (suspects, ready): (VecDeque<_>, _) =
                mem::take(&mut self.ready).into_iter().partition(is_suspect);
            self.ready = ready;
            self.suspects.extend(suspects);
        }
        let groups = self.groups.iter().flat_map(|groups| groups.groups.values());
        self.wary = groups
            .flat_map(|members| &members.waiting)
            .chain(self.held.values())
            .any(is_suspect);
    }
}
