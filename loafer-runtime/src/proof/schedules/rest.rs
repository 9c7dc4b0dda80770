//! What must hold after each step, and what must hold whenever no task is woken: nobody who waits could act.

use super::{
    broker::{Receiving, Settler},
    model::{End, Model},
    worker::{Stage, Worker},
};
use crate::scheduler::{Phase, State};

impl Model<'_> {
    /// Checks the scheduler against what the tasks have.
    pub(super) fn check(&self, is_at_rest: bool) {
        // To take the lock checks the invariants of the state itself.
        let state = self.scheduler.lock();
        self.ledger.check(&state);
        let workers = self.workers.iter();
        let has = |it: &Worker| it.jobs.len() + it.outcomes.len() + it.asking.len();
        let running: usize = workers.map(has).sum();
        assert_eq!(state.running, running, "running messages");
        let settling: usize = self.settlers.iter().map(|it| it.trying.len()).sum();
        assert_eq!(state.settling, settling, "messages of first tries");
        let stalled: usize = self.beside.iter().map(|(_, jobs)| jobs.len()).sum();
        assert_eq!(state.stalled, stalled, "messages beside settlers");
        let asked: Vec<_> = self.receivers.iter().filter_map(|it| it.asked()).collect();
        assert_eq!(state.receiving, asked.len(), "receives in flight");
        assert_eq!(
            state.reserved,
            asked.iter().sum::<usize>(),
            "reserved capacity"
        );
        if is_at_rest {
            if self.end != End::Over {
                self.check_receivers(&state);
                self.check_settlers(&state);
                self.check_supervisor(&state);
                assert!(!state.may_fetch(), "nobody asks for isolated messages");
                if let Some((due, _)) = state.held.first_key_value() {
                    let waits = self.keeper.timer.deadline() <= due.0;
                    assert!(waits, "nobody waits for what is held");
                }
            }
            self.check_workers(&state);
        }
    }

    fn check_receivers(&self, state: &State) {
        let is_closed = state.phase > Phase::Open;
        for receiver in &self.receivers {
            match receiver.stage {
                Receiving::Permit => {
                    assert!(!is_closed, "a receiver does not know of the end");
                    let may = state.may_receive(&self.scheduler.limits);
                    assert!(!may, "a receiver waits while a receive is due");
                }
                Receiving::InFlight { knows, .. } => {
                    assert_eq!(knows, is_closed, "a receive in flight knows of the end");
                }
                Receiving::Ended => assert!(is_closed, "a receiver has ended"),
            }
        }
    }

    fn check_settlers(&self, state: &State) {
        let limits = &self.scheduler.limits;
        let is_free = |settler: &&Settler| !settler.is_trying();
        let mut free = self.settlers.iter().filter(is_free).peekable();
        if free.peek().is_none() {
            return;
        }
        assert!(
            !state.is_due(limits),
            "a settler waits while a batch is due"
        );
        // A worker that runs through messages comes back for a settler.
        if state.done.is_empty() || self.is_calling() {
            return;
        }
        let end = state.lingering.map(|since| since + limits.linger);
        let mut ends = free
            .filter(|it| it.is_lingering())
            .map(|it| it.linger.deadline());
        let lingers = end.is_some_and(|end| ends.any(|deadline| deadline <= end));
        assert!(lingers, "no settler lingers for a batch that is not full");
    }

    fn check_supervisor(&self, state: &State) {
        let is_empty = state.leased == 0;
        let is_over = match (self.end, state.phase) {
            (_, Phase::Open) => false,
            (End::Awaited, Phase::Cancelled) => true,
            (End::Awaited, _) => is_empty && state.receiving == 0,
            (_, _) => is_empty,
        };
        assert!(!is_over, "nobody sees that the route has ended");
    }

    fn check_workers(&self, state: &State) {
        let concurrency = self.scheduler.limits.concurrency;
        let mut lingers = false;
        for worker in &self.workers {
            lingers |= worker.is_lingering;
            if worker.is_lingering {
                let is_full = state.at_hand(worker.most, true) >= worker.most;
                assert!(
                    !is_full || state.is_apart(),
                    "a batch window is open, and the batch is full"
                );
                assert_eq!(state.phase, Phase::Open, "a batch window is open");
            }
            let waits = matches!(worker.stage, Stage::Waiting | Stage::Asking);
            let is_cancelled = worker.cancelled.load(std::sync::atomic::Ordering::Relaxed);
            assert!(
                !(waits && is_cancelled),
                "a worker does not see that it is cancelled"
            );
            assert!(worker.outcomes.is_empty(), "a worker keeps what is done");
        }
        // A worker that was called is woken until it comes. Then it works, waits, or keeps a batch window open.
        assert_eq!(state.called, lingers, "a call that no worker answers");
        if state.may_start(&self.scheduler.limits) && !state.called && !self.is_calling() {
            let may_hire = self.workers.len() < concurrency;
            assert!(
                !may_hire && state.idle.is_empty(),
                "messages are ready, and nobody is called"
            );
        }
        if state.phase >= Phase::Draining {
            let is_idle = |worker: &Worker| worker.stage == Stage::Idle;
            assert!(
                !self.workers.iter().any(is_idle),
                "a worker does not know of the end"
            );
        }
    }

    fn is_calling(&self) -> bool {
        let calls = |worker: &Worker| worker.stage == Stage::Calling;
        self.workers.iter().any(calls)
    }

    /// Called after lost leases were told again: calls that wait with nothing else are cancelled.
    pub(super) fn check_that_lost_calls_are_over(&self) {
        let still = (0..self.workers.len()).find(|number| self.is_lost(*number));
        assert_eq!(
            still, None,
            "this worker waits, and has lost all of its leases"
        );
    }
}
