//! How calls end: not for nothing, and in time.

use crate::{
    Millis,
    ledger::{Answer, DeliveryId, Ledger, Stage, Wrong},
};

/// The call was dropped before it answered.
pub(super) fn dropped(ledger: &mut Ledger, now: Millis, id: DeliveryId) {
    end(ledger, now, id);
    ledger.delivery_mut(id).dropped = Some(now);
    let delivery = ledger.delivery(id);
    let timeout = ledger.plan_of(id).timeout;
    let timed_out = delivery
        .started
        .zip(timeout)
        .is_some_and(|(started, timeout)| started + timeout <= now);
    let answered = delivery.answer.is_some();
    let drained = match ledger.stage {
        Stage::Stopping(since) => since + ledger.scenario.drain <= now,
        Stage::Cancelling(_) | Stage::Over | Stage::Idle => true,
        Stage::Running => false,
    };
    if !(timed_out || answered || drained || delivery.may_be_lost(now)) {
        ledger.accuse(
            Wrong::CancelledUnasked,
            now,
            Some(id),
            "its handler was dropped, and neither its timeout nor its lease nor the app was over",
        );
    }
}

/// The call is over.
pub(super) fn left(ledger: &mut Ledger, now: Millis, id: DeliveryId) {
    end(ledger, now, id);
}

fn end(ledger: &mut Ledger, now: Millis, id: DeliveryId) {
    let plan = ledger.plan_of(id);
    let (route, lease) = (plan.number, plan.queue.lease);
    let delivery = ledger.delivery_mut(id);
    if !std::mem::take(&mut delivery.runs) {
        return;
    }
    let (call, until) = (delivery.call, delivery.until);
    if let Some(route) = ledger.routes.get_mut(&route)
        && let Some(messages) = route.calls.get_mut(&call)
    {
        *messages -= 1;
        if *messages == 0 {
            route.calls.remove(&call);
        }
    }
    let single = ledger.plan_of(id).batch.is_none();
    // The renewer looks twelve times a lease.
    if let (Some(lease), Some(until), true) = (lease, until, single)
        && now > until + lease / 12 + 2_000
    {
        let over = (now - until) / 1_000;
        ledger.accuse(
            Wrong::RanTooLong,
            now,
            Some(id),
            format!("its lease was over for {over} s by the broker's clock"),
        );
    }
}

/// `on_error` was asked.
pub(super) fn consulted(ledger: &mut Ledger, id: DeliveryId) {
    let delivery = ledger.delivery_mut(id);
    (delivery.consulted, delivery.consulting) = (true, true);
    let route = delivery.given.message.route;
    if delivery.answer.is_none() {
        // A payload that does not decode, or a timeout.
        let at = delivery.dropped.or(delivery.handed).unwrap_or_default();
        delivery.answer = Some((at, Answer::Failed));
    }
    if let Some(route) = ledger.routes.get_mut(&route) {
        route.consulting += 1;
    }
}

/// `on_error` is done.
pub(super) fn no_longer_consulting(ledger: &mut Ledger, id: DeliveryId) {
    let delivery = ledger.delivery_mut(id);
    if !std::mem::take(&mut delivery.consulting) {
        return;
    }
    let route = delivery.given.message.route;
    if let Some(route) = ledger.routes.get_mut(&route) {
        route.consulting = route.consulting.saturating_sub(1);
    }
}
