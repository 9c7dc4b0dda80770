//! Suspects: what may have ended its process runs beside none but its like, and is given up only once that is proven.

use crate::{
    Millis,
    ledger::{DeliveryId, Ledger, Wrong},
};

/// After how many deliveries a message is isolated, unless its route says otherwise.
const MAX_DELIVERIES: u32 = 20;

/// After how many further deliveries without an outcome half as many suspects run at once.
const HALVES: u32 = 3;

/// A call began: nothing but suspects runs beside a suspect, and the fewer the more often they were delivered.
pub(super) fn started(ledger: &mut Ledger, now: Millis, id: DeliveryId) {
    let plan = ledger.plan_of(id);
    if !plan.queue.isolates() {
        return;
    }
    let Some(route) = ledger.routes.get(&plan.number) else {
        return;
    };
    let others = route.open.iter().filter(|other| {
        let other_delivery = ledger.delivery(**other);
        **other != id && (other_delivery.runs || other_delivery.consulting)
    });
    let others: Vec<DeliveryId> = others.copied().collect();
    let at_once = |id: DeliveryId| {
        let delivery = ledger.delivery(id);
        let untried = delivery.given.deliveries - delivery.attempt;
        match delivery.given.isolated && !delivery.again {
            true => 1,
            false => plan
                .concurrency
                .checked_shr(untried / HALVES)
                .unwrap_or(0)
                .max(1),
        }
    };
    let all = || others.iter().copied().chain([id]);
    let suspects = all().filter(|id| ledger.delivery(*id).is_suspect());
    let Some(most) = suspects.clone().map(at_once).min() else {
        return;
    };
    let mixed = suspects.count() <= others.len();
    if others.is_empty() || !mixed && others.len() < most {
        return;
    }
    let beside: Vec<String> = others.iter().map(ToString::to_string).collect();
    let text = format!(
        "of its route deliveries {} run, and one of them may end the process: it runs beside nothing but suspects, {most} at once",
        beside.join(", ")
    );
    ledger.accuse(Wrong::SuspectBeside, now, Some(id), text);
}

/// Whether a message may be isolated: it was delivered too often without an outcome, and nobody has had it.
pub(super) fn may_be_isolated(ledger: &Ledger, id: DeliveryId) -> bool {
    let (plan, delivery) = (ledger.plan_of(id), ledger.delivery(id));
    let most = plan.max_deliveries.unwrap_or(MAX_DELIVERIES);
    plan.queue.isolates()
        && !delivery.given.isolated
        && delivery.is_suspect()
        && delivery.given.deliveries > most
        && delivery.started.is_none()
        && !delivery.consulted
}

/// Whether it is proven that a message ended its process, or lost its lease, while it was handled alone.
pub(super) fn is_proven(ledger: &Ledger, id: DeliveryId) -> bool {
    let given = ledger.delivery(id).given;
    let before = ledger.messages.get(&given.message);
    let before = before.map_or(&[][..], |record| &record.deliveries);
    given.isolated
        && before.iter().filter(|other| **other < id).any(|other| {
            let other = ledger.delivery(*other);
            other.given.isolated && other.handed.is_some() && !other.executed
        })
}
