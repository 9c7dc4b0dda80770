//! What may start: once, on a live lease, in its group's turn, within concurrency and capacity.

use super::{again, alone, stood_behind_failed};
use crate::{
    Millis,
    ledger::{Answer, Asked, DeliveryId, DeliveryRecord, Ledger, Reply, Stage, Wrong},
    scenario::{QueuePlan, Unhandled},
};

/// A receive returned with this delivery.
pub(super) fn handed(ledger: &mut Ledger, now: Millis, id: DeliveryId) {
    let plan = ledger.plan_of(id);
    let lease = plan.queue.lease;
    let most = plan.capacity() + plan.queue.settlers * plan.queue.settle_batch;
    let route = plan.number;
    let delivery = ledger.delivery_mut(id);
    delivery.handed = Some(now);
    delivery.believed = lease.map(|lease| now + lease - QueuePlan::margin(lease));
    if let Some(route) = ledger.routes.get_mut(&route) {
        route.open.push(id);
        route.stands = None;
    }
    // A message that failed may have been forgotten, and its lease left to expire.
    let Some(record) = ledger.routes.get(&route) else {
        return;
    };
    let counts = |id: &&DeliveryId| {
        let delivery = ledger.delivery(**id);
        // The app frees what it takes for lost, a little before the broker does.
        let lost = delivery.may_be_lost(now);
        let failed = lost || delivery.said().is_some_and(|said| said != Answer::Ack);
        !delivery.is_over(now)
            && !delivery.executed
            && !failed
            && !delivery.refused
            // It comes beside the others.
            && !delivery.given.isolated
            && delivery.dropped.is_none()
            && decodes(ledger, **id)
    };
    let held = record.open.iter().filter(counts).count();
    if held > most {
        ledger.accuse(
            Wrong::OverCapacity,
            now,
            Some(id),
            format!("{held} messages of the route are on lease, and it may hold {most}"),
        );
    }
}

/// Whether its payload can be decoded and a handler takes it: if not, it may be over without a word.
fn decodes(ledger: &Ledger, id: DeliveryId) -> bool {
    let (plan, made) = (ledger.plan_of(id), ledger.delivery(id).given);
    plan.decodes(made.message.index, made.nth) && plan.taker(made.message.index, made.nth) < 2
}

/// A call began with this delivery.
pub(super) fn started(ledger: &mut Ledger, now: Millis, id: DeliveryId, call: u32) {
    match ledger.stage {
        Stage::Stopping(since) | Stage::Cancelling(since) if now > since => ledger.accuse(
            Wrong::StartedDuringDrain,
            now,
            Some(id),
            "the app had been asked to stop",
        ),
        Stage::Over | Stage::Idle => {
            ledger.accuse(Wrong::RanAfterEnd, now, Some(id), "no app is running");
        }
        _ => {}
    }
    started_before(ledger, now, id);
    if ledger.delivery(id).given.due.is_some_and(|due| now < due) {
        ledger.accuse(
            Wrong::StartedEarly,
            now,
            Some(id),
            "the message says that it is due later",
        );
    }
    gated(ledger, now, id);
    if ledger.delivery(id).is_expired(now) {
        ledger.accuse(
            Wrong::StartedTooLate,
            now,
            Some(id),
            "its lease is over by the broker's clock: somebody else may have it",
        );
    }
    handled_before(ledger, now, id);
    in_turn(ledger, now, id, call);
    alone::started(ledger, now, id);
    again::step_back(ledger, id);

    let delivery = ledger.delivery_mut(id);
    (delivery.started, delivery.call, delivery.runs) = (Some(now), call, true);
    delivery.forget_call();
    delivery.behind = false;
    let number = delivery.given.message.route;
    let most = ledger.plan(number).concurrency;
    let Some(route) = ledger.routes.get_mut(&number) else {
        return;
    };
    *route.calls.entry(call).or_default() += 1;
    let calls = route.calls.len() + route.consulting;
    if calls > most {
        ledger.accuse(
            Wrong::TooManyCalls,
            now,
            Some(id),
            format!("{calls} calls of the route run, and its concurrency is {most}"),
        );
    }
}

/// Nothing starts of what leaves, and nothing on a route that is paused.
fn gated(ledger: &mut Ledger, now: Millis, id: DeliveryId) {
    let delivery = ledger.delivery(id);
    let (leaves, route) = (delivery.leaves, delivery.given.message.route);
    if leaves.is_some_and(|(since, _)| now > since) {
        let text = "the broker had said that it takes the lease back";
        ledger.accuse(Wrong::StartedLeaving, now, Some(id), text);
    }
    if is_paused(ledger, now, route) {
        let text = "its route is paused";
        ledger.accuse(Wrong::StartedPaused, now, Some(id), text);
    }
}

/// A receive began.
pub(super) fn receiving(ledger: &mut Ledger, now: Millis, route: usize) {
    if is_paused(ledger, now, route) {
        let text = format!("r{route} is paused");
        ledger.accuse(Wrong::ReceivedPaused, now, None, text);
    }
}

fn is_paused(ledger: &Ledger, now: Millis, route: usize) -> bool {
    let paused = ledger.routes.get(&route).and_then(|route| route.paused);
    paused.is_some_and(|since| now > since)
}

fn started_before(ledger: &mut Ledger, now: Millis, id: DeliveryId) {
    if !again::may_start_again(ledger, id) {
        ledger.accuse(
            Wrong::StartedTwice,
            now,
            Some(id),
            "it was started before as the same attempt, and stood behind no failed one of its batch",
        );
    }
}

/// Law 6, and: nothing runs again without a reason.
fn handled_before(ledger: &mut Ledger, now: Millis, id: DeliveryId) {
    let delivery = ledger.delivery(id);
    let own_ids = ledger.plan_of(id).queue.own_ids;
    let copy = delivery.given.copy;
    let handed = delivery.handed.unwrap_or(now);
    let duplicate = delivery.given.duplicate;
    let app = delivery.app;
    let Some(record) = ledger.messages.get(&delivery.given.message) else {
        return;
    };
    let acked = |id: &&DeliveryId| {
        let other = ledger.delivery(**id);
        let confirmed = other.confirmed.is_some_and(|at| at <= handed);
        other.asked == Some(Asked::Ack) && confirmed && other.app == app
    };
    // What left its queue for certain is forgotten: a duplicate may run.
    let confirmed = record.deliveries.iter().any(|id| acked(&id));
    let mut wrong = None;
    for other in record.deliveries.iter().filter(|other| **other != id) {
        let before = ledger.delivery(*other);
        // A copy whose confirmation was lost is a message of its own.
        let was_copied = before.executed || delivery.executed;
        let acked = acked_at(before).filter(|_| !stood_behind_failed(ledger, *other));
        if before.app != app || before.started.is_none() || before.given.copy != copy {
            continue;
        }
        if let Some(at) = acked {
            if own_ids && at < handed && !confirmed && !settled_otherwise(before) {
                let over = before.reply == Some(Reply::Lost)
                    && before.replied_at.is_some_and(|at| at < handed);
                wrong = Some(match over {
                    true => Wrong::HandledTwice,
                    false => Wrong::HandledDuringAck,
                });
            }
        } else if !duplicate
            && before.runs
            && before.is_live(now)
            && !before.given.duplicate
            && !was_copied
        {
            wrong = Some(Wrong::HandledTwice);
        }
    }
    if let Some(kind) = wrong {
        ledger.accuse(
            kind,
            now,
            Some(id),
            "an earlier delivery of this message was handled in this process",
        );
    }
}

/// Whether it was settled as something else than an ack: then the settlement is what is wrong.
fn settled_otherwise(delivery: &DeliveryRecord) -> bool {
    delivery.asked.is_some_and(|asked| asked != Asked::Ack)
}

/// Returns when user code answered ack.
fn acked_at(delivery: &DeliveryRecord) -> Option<Millis> {
    let (at, _) = delivery.decision.or(delivery.answer)?;
    (delivery.said() == Some(Answer::Ack)).then_some(at)
}

/// Groups: one at a time and, if the broker keeps order, in order.
fn in_turn(ledger: &mut Ledger, now: Millis, id: DeliveryId, call: u32) {
    let plan = ledger.plan_of(id);
    let key = ledger.delivery(id).given.message;
    let own = plan.messages[key.index].group;
    if !plan.has_groups() || own.is_none() {
        return;
    }
    let ordered = plan.queue.is_ordered();
    let group = |index: usize| plan.messages[index].group;
    let open = ledger.routes.get(&key.route).map(|route| &route.open);
    let beside = open.into_iter().flatten().find(|other| {
        let delivery = ledger.delivery(**other);
        (delivery.runs || delivery.consulting)
            && **other != id
            && delivery.call != call
            && group(delivery.given.message.index) == own
    });
    let published_at = |index: usize| (plan.messages[index].at, index);
    let before = ledger.messages.range(
        crate::ledger::MessageKey { index: 0, ..key }..crate::ledger::MessageKey {
            index: usize::MAX,
            ..key
        },
    );
    let earlier = before.into_iter().find(|(other, record)| {
        ordered
            && group(other.index) == own
            && published_at(other.index) < published_at(key.index)
            && !record.left
            && !record.deliveries.iter().any(|id| {
                let delivery = ledger.delivery(*id);
                let same_call = delivery.runs && delivery.call == call;
                let ignored = plan.unmatched == Unhandled::Ignore
                    && plan.is_unmatched(other.index, delivery.given.nth);
                let acked = ignored || delivery.said() == Some(Answer::Ack);
                delivery.app == ledger.app && (same_call || acked)
            })
    });
    let beside = beside.map(|other| format!("delivery {other} of its group runs"));
    let earlier = earlier.map(|(other, record)| {
        let undecodable = plan.batch.is_some()
            && record.deliveries.last().is_some_and(|id| {
                let last = ledger.delivery(*id);
                last.started.is_none() && !plan.decodes(other.index, last.given.nth)
            });
        let kind = match undecodable {
            true => Wrong::RanBesideUndecodable,
            false => Wrong::OutOfOrder,
        };
        (
            kind,
            format!("message {} of its group is not over", other.index),
        )
    });
    if let Some(text) = beside {
        ledger.accuse(Wrong::GroupAtOnce, now, Some(id), text);
    }
    if let Some((kind, text)) = earlier {
        ledger.accuse(kind, now, Some(id), text);
    }
}
