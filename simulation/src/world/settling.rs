//! Settlement calls: what is asked, what happens, and what is answered.

use std::{sync::Arc, time::Duration};

use loafer_core::broker::{Settle, Settled, Settlement};
use tokio::time::sleep;

use super::{
    State, World,
    provider::QueueProvider,
    weather::{Call, Fate},
};
use crate::{
    Millis,
    dice::Dice,
    ledger::{Asked, DeliveryId, Event, Reply},
    scenario::{Fault, Kind},
};

/// A settlement call in flight. If the engine drops it, the request may arrive all the same.
struct InFlight<'p> {
    provider: &'p QueueProvider,
    entries: Vec<(DeliveryId, Asked)>,
    fate: Fate,
    /// What the broker answered. `None` means that the request has not arrived.
    reply: Option<Vec<Reply>>,
    answered: bool,
}

/// Settles a batch.
pub(super) async fn settle(
    provider: &QueueProvider,
    batch: &[Settle<DeliveryId>],
    answers: &mut Vec<Settled>,
) {
    let entries: Vec<_> = batch
        .iter()
        .map(|entry| (entry.receipt, asked(&provider.world, &entry.settlement)))
        .collect();
    for (entry, (id, asked)) in batch.iter().zip(&entries) {
        // What can't be decoded, or has no handler, is tried without a call.
        if matches!(asked, Asked::DeadLetter | Asked::Retry(_)) {
            provider.world.tried(*id, entry.message.attempt());
        }
        provider.world.record(Event::Settling(*id, *asked));
    }
    let fate = provider
        .world
        .fate(provider.route, Call::Settle, provider.world.now());
    let (before, after) = (fate.before, fate.after);
    let mut call = InFlight {
        provider,
        entries,
        fate,
        reply: None,
        answered: false,
    };
    if before > 0 {
        sleep(Duration::from_millis(before)).await;
    }
    call.arrive();
    if after > 0 {
        sleep(Duration::from_millis(after)).await;
    }
    call.answer(answers);
}

fn asked(world: &World, settlement: &Settlement) -> Asked {
    match settlement {
        Settlement::Ack => Asked::Ack,
        Settlement::Retry { after } => Asked::Retry(after.map(|after| {
            // A broker counts in its own units, and rounds up.
            after.as_nanos().div_ceil(1_000_000) as Millis
        })),
        Settlement::DeadLetter(letter) if letter.kind == "crash" => Asked::GiveUp,
        Settlement::DeadLetter(_) => Asked::DeadLetter,
        Settlement::Release => Asked::Release,
        Settlement::Isolate => Asked::Isolate,
        Settlement::Defer { until } => Asked::Defer(world.due(*until)),
    }
}

impl InFlight<'_> {
    /// The request arrives, unless it is lost: the broker carries it out.
    fn arrive(&mut self) {
        let (world, route) = (&self.provider.world, self.provider.route);
        let now = world.now();
        let mut reply = Vec::with_capacity(self.entries.len());
        let dice = &mut self.fate.dice;
        let unlucky = dice.below(self.entries.len() as u64) as usize;
        for (at, (id, asked)) in self.entries.iter().enumerate() {
            let (key, ..) = world.delivery(*id);
            let stuck = world.is_stuck(route, key.index, *asked, now);
            let refused = world.is_refused(route, key.index, *asked, now);
            let mut guard = world.lock();
            let State {
                ledger,
                queues,
                faults,
                ..
            } = &mut *guard;
            let Some(queue) = queues.get_mut(&route) else {
                continue;
            };
            faults[Fault::StuckEntries as usize] += u64::from(stuck);
            if stuck || self.fate.request_lost || (self.fate.partly && dice.chance(400)) {
                reply.push(Reply::Failed);
                continue;
            }
            if refused {
                faults[Fault::RefusedCopies as usize] += 1;
                reply.push(Reply::Refused);
                continue;
            }
            if self.fate.revoked && at == unlucky {
                queue.revoke(ledger, now, *id);
            }
            let missing =
                !queue.plan.dead_letters && world.scenario.is_active(Fault::NoDeadLetters, now);
            let done = queue.settle(ledger, now, *id, *asked, !missing);
            faults[Fault::NoDeadLetters as usize] += u64::from(done == Reply::NoTarget);
            // Of a copy that was made, the original may be left.
            let leaves = matches!(asked, Asked::Ack | Asked::Defer(_));
            let may_come_again = queue.plan.kind == Kind::Standard && leaves;
            if may_come_again && world.scenario.is_active(Fault::Duplicates, now) {
                let again = &mut Dice::of(world.scenario.seed, &[6, u64::from(*id)]);
                if again.chance(world.scenario.rate / 4) {
                    queue.duplicate(key.index, now + again.below(10_000));
                    faults[Fault::Duplicates as usize] += 1;
                }
            }
            reply.push(done);
        }
        self.reply = Some(reply);
        world.arrived(route);
    }

    /// The answer arrives.
    fn answer(&mut self, answers: &mut Vec<Settled>) {
        self.answered = true;
        let mut reply = self.reply.take().unwrap_or_default();
        if self.fate.answer_lost {
            reply.fill(Reply::Failed);
        }
        if self.fate.short {
            reply.truncate(reply.len() / 2);
        }
        let error = Arc::new(self.provider.unreachable("settle"));
        let refusal = Arc::new(self.provider.refused());
        for (at, (id, _)) in self.entries.iter().enumerate() {
            let reply = reply.get(at).copied().unwrap_or(Reply::Nothing);
            self.provider.world.record(Event::SettleReplied(*id, reply));
            match reply {
                Reply::Done => answers.push(Settled::Done),
                Reply::Lost => answers.push(Settled::Lost),
                Reply::NoTarget => answers.push(Settled::NoDeadLetterTarget),
                Reply::Refused => answers.push(Settled::Failed(refusal.clone())),
                Reply::Failed => answers.push(Settled::Failed(error.clone())),
                Reply::Nothing => {}
            }
        }
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        if self.answered {
            return;
        }
        if self.reply.is_none() && self.fate.dice.chance(500) {
            self.arrive();
        }
        for (id, _) in &self.entries {
            self.provider
                .world
                .record(Event::SettleReplied(*id, Reply::Nothing));
        }
    }
}
