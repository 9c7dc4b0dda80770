//! What does not happen although it should: a wakeup was lost, or something stands in the way.

use super::{Waiting, again, held, prune, stood_behind_failed};
use crate::{
    Millis,
    ledger::{Answer, Asked, DeliveryId, DeliveryRecord, Ledger, Reply, Stage, Wrong},
    scenario::RoutePlan,
};

/// How long something may not happen.
const PATIENCE: Millis = 60_000;

/// The longest pause of a receiver whose last receive failed.
const PAUSE: Millis = 31_000;

/// Looks at every route.
pub(in crate::ledger) fn watch(ledger: &mut Ledger, now: Millis, waiting: &Waiting) {
    prune(ledger, now);
    let scenario = ledger.scenario.clone();
    for plan in &scenario.routes {
        let paused = ledger
            .routes
            .get(&plan.number)
            .is_some_and(|it| it.paused.is_some());
        let open = ledger.stage == Stage::Running && !ledger.once && !paused;
        let waits = waiting.get(&plan.number).copied().unwrap_or_default();
        receives(ledger, now, plan, open && waits > 0);
        goes_on(ledger, now, plan, open && waits > 0);
        let deliveries = ledger.routes.get(&plan.number);
        let deliveries: Vec<DeliveryId> = deliveries.map_or_else(Vec::new, |it| it.open.clone());
        for id in deliveries {
            works(ledger, now, plan, id, open);
            settles(ledger, now, plan, id);
        }
    }
}

/// Messages wait, there is room: somebody receives.
fn receives(ledger: &mut Ledger, now: Millis, plan: &RoutePlan, wanted: bool) {
    let held = held(ledger, plan.number, now);
    let room = held + plan.ask() <= plan.capacity();
    let Some(route) = ledger.routes.get_mut(&plan.number) else {
        return;
    };
    let pauses = route.failed.is_some_and(|at| at + PAUSE > now);
    if !wanted || !room || route.receiving > 0 || pauses {
        route.starved = None;
        return;
    }
    let since = *route.starved.get_or_insert(now);
    if now - since >= PATIENCE {
        let number = plan.number;
        ledger.accuse(
            Wrong::StalledReceive,
            now,
            None,
            format!(
                "messages of r{number} wait, {held} are on lease of at most {}, and nobody has received for a minute",
                plan.capacity()
            ),
        );
    }
}

/// How long nothing of a route may go on. The longest call takes less.
const LONGEST: Millis = 180_000;

/// Messages wait at the broker: some of the route arrive, whatever became of others. Only what the broker can't be told holds them up.
fn goes_on(ledger: &mut Ledger, now: Millis, plan: &RoutePlan, wanted: bool) {
    let Some(route) = ledger.routes.get(&plan.number) else {
        return;
    };
    let untold = |id: &DeliveryId| {
        let delivery = ledger.delivery(*id);
        let gives_up = matches!(delivery.asked, Some(Asked::DeadLetter | Asked::GiveUp));
        let unanswered = delivery.settling.is_some() || delivery.reply == Some(Reply::Failed);
        !gives_up && delivery.asked.is_some() && unanswered
    };
    let pauses = route.failed.is_some_and(|at| at + PAUSE > now);
    let held_up = wanted && !pauses && !route.open.iter().any(untold);
    let Some(route) = ledger.routes.get_mut(&plan.number) else {
        return;
    };
    let looked = route.looked.replace(now).unwrap_or(now);
    if route.calls.len() + route.consulting >= plan.concurrency {
        // Long calls take their time: it does not count.
        route.stands = route.stands.map(|since| since + (now - looked));
    }
    if !held_up {
        route.stands = None;
    } else if now - *route.stands.get_or_insert(now) >= LONGEST {
        let number = plan.number;
        let text = format!("messages of r{number} wait, and none has arrived for minutes");
        ledger.accuse(Wrong::HeldUp, now, None, text);
    }
}

/// A message is here, a worker is free: it runs.
fn works(ledger: &mut Ledger, now: Millis, plan: &RoutePlan, id: DeliveryId, open: bool) {
    let Some(route) = ledger.routes.get(&plan.number) else {
        return;
    };
    let busy = route.calls.len() + route.consulting;
    let delivery = ledger.delivery(id);
    let group = plan.messages[delivery.given.message.index].group;
    // The head of an ordered group, or what can't be sent, whose next attempt is due.
    let again = again::is_due(ledger, now, id);
    let blocked = plan.has_groups()
        && group.is_some()
        && route.open.iter().any(|other| {
            let other_delivery = ledger.delivery(*other);
            *other != id
                && plan.messages[other_delivery.given.message.index].group == group
                && (!again || !plan.queue.is_ordered() || *other < id)
        });
    // Nothing runs beside what may end the process. A queue with leases is asked for isolated messages once more, when nothing runs; and any queue
    // after an isolation.
    let suspect = |other: &DeliveryId| {
        let other = ledger.delivery(*other);
        other.is_suspect() || other.asked == Some(Asked::Isolate)
    };
    let apart = plan.queue.isolates()
        && busy > 0
        && (plan.queue.lease.is_some() || route.open.iter().any(suspect));
    // What can't be decoded, or has no handler, is in no call: it may be judged already.
    let (index, nth) = (delivery.given.message.index, delivery.given.nth);
    let shows = plan.decodes(index, nth) && !plan.is_unmatched(index, nth);
    let waits = shows
        && (again
            || (delivery.started.is_none()
                && delivery.answer.is_none()
                && delivery.first_settled.is_none()))
        && delivery.is_live(now);
    // In an ordered batch, the answer about an earlier message decides about those behind it, too.
    let decided = ledger
        .delivery(id)
        .done_at(plan.on_error)
        .is_some_and(|done| {
            plan.queue.is_ordered()
                && kind_of_wait(ledger, id, done, Wrong::StalledWorker) == Wrong::HeldByNeighbour
        });
    let delivery = ledger.delivery_mut(id);
    if !open || !waits || blocked || apart || decided || busy >= plan.concurrency {
        delivery.ready_since = None;
        return;
    }
    let since = *delivery.ready_since.get_or_insert(now);
    if now - since >= PATIENCE {
        ledger.accuse(
            Wrong::StalledWorker,
            now,
            Some(id),
            format!(
                "it waits for a minute, and {busy} of {} calls run",
                plan.concurrency
            ),
        );
    }
}

/// User code is done with a message: it is settled.
fn settles(ledger: &mut Ledger, now: Millis, plan: &RoutePlan, id: DeliveryId) {
    let delivery = ledger.delivery(id);
    let Some(done) = delivery.done_at(plan.on_error) else {
        return;
    };
    let believed = delivery.believed.is_none_or(|until| until > now);
    let lost = delivery.late || delivery.renewal_lost || !believed;
    if lost || delivery.first_settled.is_some() || !delivery.is_live(now) {
        return;
    }
    if delivery.said() != Some(Answer::Ack) {
        // It is tried again in place: see `works`.
        let held = plan.queue.is_ordered()
            && (!again::is_over(ledger, id) || stood_behind_failed(ledger, id));
        if now - done >= PATIENCE && !held {
            let text = "it failed a minute ago, and is neither settled nor left to expire";
            let kind = kind_of_wait(ledger, id, done, Wrong::SettlementHeldUp);
            accuse_of_wait(ledger, plan, id, kind, now, text.to_owned());
        }
        return;
    }
    let bound = longest_wait(ledger, plan);
    if now - done > bound && !stood_behind_failed(ledger, id) {
        let kind = kind_of_wait(ledger, id, done, Wrong::AckHeldUp);
        let text = format!(
            "its handler answered {} ms ago, and no settlement has begun: {bound} ms are justified",
            now - done
        );
        accuse_of_wait(ledger, plan, id, kind, now, text);
    }
}

/// Accuses of a wait, unless `on_error` decides about an earlier message of an ordered batch: its answer decides about those behind it, too.
fn accuse_of_wait(
    ledger: &mut Ledger,
    plan: &RoutePlan,
    id: DeliveryId,
    kind: Wrong,
    now: Millis,
    text: String,
) {
    if kind != Wrong::HeldByNeighbour || !plan.queue.is_ordered() {
        ledger.accuse(kind, now, Some(id), text);
    }
}

/// Returns what a wait is called: another name, if `on_error` has had to decide about another message of the batch meanwhile.
fn kind_of_wait(ledger: &Ledger, id: DeliveryId, done: Millis, kind: Wrong) -> Wrong {
    let delivery = ledger.delivery(id);
    let route = delivery.given.message.route;
    let mut of_batch = ledger.deliveries.iter().filter(|other| {
        other.call == delivery.call && other.started.is_some() && other.given.message.route == route
    });
    let neighbour = |other: &DeliveryRecord| {
        other.consulting || other.decision.is_some_and(|(decided, _)| decided > done)
    };
    match of_batch.any(neighbour) || undecodable_neighbour(ledger, id, done) {
        true => Wrong::HeldByNeighbour,
        false => kind,
    }
}

/// Whether `on_error` has decided since about a message that was in no call, because it can't be decoded.
fn undecodable_neighbour(ledger: &Ledger, id: DeliveryId, done: Millis) -> bool {
    let plan = ledger.plan_of(id);
    let mut others = ledger.deliveries.iter();
    plan.batch.is_some()
        && others.any(|other| {
            other.started.is_none()
                && other.given.message.route == plan.number
                && (other.consulting || other.decision.is_some_and(|(at, _)| at > done))
        })
}

/// Returns how long an ack may wait for its first settlement: for others to join it, and for as many calls as there may be before it.
fn longest_wait(ledger: &Ledger, plan: &RoutePlan) -> Millis {
    let queue = &plan.queue;
    let rounds = plan
        .capacity()
        .div_ceil(queue.settle_batch * queue.settlers) as Millis;
    let late = match ledger.scenario.faults.iter().next() {
        Some(_) => queue.late,
        None => 0,
    };
    // What runs in a batch is judged only once the whole call is over.
    queue.linger + (late + 4 * queue.latency + 100) * (rounds + 1) + 5_000
}
