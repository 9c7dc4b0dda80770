//! Suspects: what may have ended its process runs alone, and is given up only once that is proven.

use crate::{
    Millis,
    ledger::{DeliveryId, Ledger, Wrong},
};

/// After how many deliveries a message is isolated, unless its route says otherwise.
const MAX_DELIVERIES: u32 = 20;

/// A call began: nothing runs beside a suspect.
pub(super) fn started(ledger: &mut Ledger, now: Millis, id: DeliveryId) {
    let (plan, delivery) = (ledger.plan_of(id), ledger.delivery(id));
    if !plan.queue.isolates() {
        return;
    }
    let Some(route) = ledger.routes.get(&plan.number) else {
        return;
    };
    let beside = route.open.iter().find(|other| {
        let other_delivery = ledger.delivery(**other);
        **other != id
            && (other_delivery.runs || other_delivery.consulting)
            && (delivery.is_suspect() || other_delivery.is_suspect())
    });
    if let Some(other) = beside {
        let text =
            format!("delivery {other} of its route runs, and one of them may end the process");
        ledger.accuse(Wrong::SuspectBeside, now, Some(id), text);
    }
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
