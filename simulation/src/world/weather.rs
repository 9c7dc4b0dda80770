//! Which call goes wrong, and how: drawn from the seed, the queue and the number of the call, and bounded in time.

use super::{State, World};
use crate::{
    Millis,
    dice::Dice,
    ledger::Asked,
    scenario::{Fault, Kind},
};

/// A kind of call.
#[derive(Clone, Copy, Debug)]
pub(super) enum Call {
    Receive,
    Settle,
    Renew,
}

/// What happens to one call.
#[derive(Clone, Debug)]
pub(super) struct Fate {
    /// How long the request takes to arrive.
    pub(super) before: Millis,
    /// How long the answer takes.
    pub(super) after: Millis,
    /// Whether the request never arrives.
    pub(super) request_lost: bool,
    /// Whether the answer is an error although the call was carried out.
    pub(super) answer_lost: bool,
    /// Whether some entries fail.
    pub(super) partly: bool,
    /// Whether leases are taken back instead.
    pub(super) revoked: bool,
    /// Whether answers are missing.
    pub(super) short: bool,
    /// Whether a receive brings nothing.
    pub(super) empty: bool,
    /// Whether what is received is in another order, and in which one.
    pub(super) shuffle: Option<u64>,
    /// For further decisions about this call.
    pub(super) dice: Dice,
}

impl World {
    /// Decides about the next call of this kind.
    pub(super) fn fate(&self, route: usize, call: Call, now: Millis) -> Fate {
        let scenario = &self.scenario;
        let mut guard = self.lock();
        let State { queues, faults, .. } = &mut *guard;
        let mut fate = Fate {
            before: 0,
            after: 0,
            request_lost: false,
            answer_lost: false,
            partly: false,
            revoked: false,
            short: false,
            empty: false,
            shuffle: None,
            dice: Dice::of(scenario.seed, &[]),
        };
        let Some(queue) = queues.get_mut(&route) else {
            return fate;
        };
        let number = &mut queue.calls[call as usize];
        *number += 1;
        fate.dice = Dice::of(scenario.seed, &[3, route as u64, call as u64, *number]);
        let plan = &queue.plan;
        if plan.kind == Kind::Memory {
            return fate;
        }
        fate.before = fate.dice.below(plan.latency / 2 + 1);
        fate.after = fate.dice.below(plan.latency / 2 + 1);
        let rate = scenario.rate;
        let dice = &mut fate.dice;
        let mut strikes = |fault: Fault, rate: u64| {
            let strikes = dice.chance(rate) && scenario.is_active(fault, now);
            faults[fault as usize] += u64::from(strikes);
            strikes
        };
        let slow = strikes(Fault::SlowAnswers, rate);
        match call {
            Call::Receive => {
                fate.request_lost = strikes(Fault::FailingReceives, rate);
                fate.empty = !fate.request_lost && strikes(Fault::EmptyPolls, rate);
                if strikes(Fault::Reordering, 500) {
                    fate.shuffle = Some(*number);
                }
            }
            Call::Settle => {
                fate.request_lost = strikes(Fault::LostRequests, rate);
                fate.answer_lost = strikes(Fault::LostAnswers, rate);
                fate.partly = strikes(Fault::PartialFailures, 2 * rate);
                fate.revoked = plan.lease.is_some() && strikes(Fault::LostLeases, rate);
                fate.short = strikes(Fault::TooFewAnswers, rate);
            }
            Call::Renew => {
                fate.request_lost = strikes(Fault::FailingRenewals, 2 * rate);
                fate.answer_lost = strikes(Fault::LostAnswers, rate);
                fate.revoked = strikes(Fault::LostLeases, rate);
                fate.short = strikes(Fault::TooFewAnswers, rate);
                if strikes(Fault::HangingRenewals, rate) {
                    fate.after += fate.dice.between(3_000, 15_000);
                }
            }
        }
        if slow && !matches!(call, Call::Receive) {
            let late = fate.dice.below(plan.late);
            match fate.dice.chance(500) {
                true => fate.before += late,
                false => fate.after += late,
            }
        }
        fate
    }

    /// Whether the settlements of a message fail at this moment, except acks: for minutes, for some messages.
    pub(super) fn is_stuck(&self, route: usize, index: usize, asked: Asked, now: Millis) -> bool {
        let can_be = match asked {
            Asked::DeadLetter | Asked::GiveUp => true,
            Asked::Retry(_) => !self.plan(route).queue.dead_letters_only,
            _ => false,
        };
        if !can_be || !self.scenario.is_active(Fault::StuckEntries, now) {
            return false;
        }
        let dice = &mut Dice::of(self.scenario.seed, &[4, route as u64, index as u64]);
        let begins = match self.plan(route).queue.stuck_at_once {
            true => 0,
            false => dice.below(self.scenario.heal_at / 2),
        };
        let ends = begins + dice.between(60_000, 200_000);
        dice.chance(self.plan(route).queue.stuck) && (begins..ends).contains(&now)
    }

    /// Whether the copies of a message are refused at this moment, on a broker whose retries are copies.
    pub(super) fn is_refused(&self, route: usize, index: usize, asked: Asked, now: Millis) -> bool {
        let is_copy = !matches!(asked, Asked::Ack | Asked::Release);
        let copies = self.plan(route).queue.kind == Kind::Pushed;
        if !is_copy || !copies || !self.scenario.is_active(Fault::RefusedCopies, now) {
            return false;
        }
        let dice = &mut Dice::of(self.scenario.seed, &[14, route as u64, index as u64]);
        let begins = dice.below(self.scenario.heal_at / 4);
        let ends = begins + dice.between(10_000, 100_000);
        dice.chance(150) && (begins..ends).contains(&now)
    }
}
