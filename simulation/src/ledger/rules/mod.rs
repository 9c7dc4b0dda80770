//! The law, rule by rule.

mod again;
mod alone;
mod calls;
mod ends;
mod settlements;
mod stalls;
mod starts;

use std::collections::BTreeMap;

use super::{DeliveryRecord, Event, Ledger, MessageKey, Reply, Stage, Wrong};
use crate::{Millis, scenario::QueuePlan};

pub(super) use self::{ends::finish, stalls::watch};

/// Takes in an event, and accuses the run if it is against the law.
pub(super) fn judge(ledger: &mut Ledger, now: Millis, event: Event) {
    match event {
        Event::Began(app) => {
            (ledger.app, ledger.stage) = (app, Stage::Running);
            for route in ledger.routes.values_mut() {
                *route = super::RouteRecord::default();
            }
        }
        Event::Stopping if ledger.stage < Stage::Stopping(0) => ledger.stage = Stage::Stopping(now),
        Event::Cancelling => ledger.stage = Stage::Cancelling(now),
        Event::Stopping => {}
        Event::Killed => ends::killed(ledger),
        Event::Over => ends::over(ledger, now),
        Event::Published(key) => message(ledger, key).published = true,
        Event::Redriven(key) => message(ledger, key).left = true,
        Event::Delivered(id, made) => {
            debug_assert_eq!(id as usize, ledger.deliveries.len());
            ledger
                .deliveries
                .push(DeliveryRecord::new(made, ledger.app));
            delivered(ledger, now, id, made.message);
        }
        Event::Handed(id) => starts::handed(ledger, now, id),
        Event::Tried(id, attempt) => again::tried(ledger, now, id, attempt),
        Event::Started(id, call) => starts::started(ledger, now, id, call),
        Event::Answered(id, answer) => {
            let delivery = ledger.delivery_mut(id);
            (delivery.answer, delivery.spoke) = (Some((now, answer)), true);
            delivery.late = delivery.may_be_lost(now);
        }
        Event::Dropped(id) => calls::dropped(ledger, now, id),
        Event::Left(id) => calls::left(ledger, now, id),
        Event::Consulted(id) => calls::consulted(ledger, id),
        Event::Decided(id, answer) => {
            calls::no_longer_consulting(ledger, id);
            let delivery = ledger.delivery_mut(id);
            delivery.decision = Some((now, answer));
            delivery.late = delivery.may_be_lost(now);
        }
        Event::Undecided(id) => {
            calls::no_longer_consulting(ledger, id);
            // Its failure stands, unless the message's lease is lost.
            ledger.delivery_mut(id).decision = Some((now, super::Answer::Nack));
        }
        Event::Settling(id, asked) => settlements::settling(ledger, now, id, asked),
        Event::Settled(id, asked) => settlements::settled(ledger, now, id, asked),
        Event::SettleReplied(id, reply) => settlements::reply(ledger, now, id, reply),
        Event::Renewing(id, by) => settlements::renewing(ledger, now, id, by),
        Event::Renewed(id, until) => ledger.delivery_mut(id).until = Some(until),
        Event::RenewReplied(id, reply) => renewed(ledger, now, id, reply),
        Event::Leaves(id, until, within) => {
            let cut = until - QueuePlan::margin(within);
            let delivery = ledger.delivery_mut(id);
            let known = delivery.leaves.unwrap_or((now, cut));
            delivery.leaves = Some((known.0, known.1.min(cut)));
        }
        Event::Paused(route) => {
            if let Some(route) = ledger.routes.get_mut(&route) {
                route.paused.get_or_insert(now);
            }
        }
        Event::Resumed(route) => {
            if let Some(route) = ledger.routes.get_mut(&route) {
                route.paused = None;
            }
        }
        Event::LeaseEnded(id, why) => {
            ledger.delivery_mut(id).ended.get_or_insert(why);
        }
        Event::Receiving(route) => {
            starts::receiving(ledger, now, route);
            if let Some(route) = ledger.routes.get_mut(&route) {
                route.receiving += 1;
            }
        }
        Event::Received(route, well) => {
            if let Some(route) = ledger.routes.get_mut(&route) {
                route.receiving = route.receiving.saturating_sub(1);
                if !well {
                    route.failed = Some(now);
                }
            }
        }
    }
}

fn message(ledger: &mut Ledger, key: MessageKey) -> &mut super::MessageRecord {
    ledger.messages.entry(key).or_default()
}

fn delivered(ledger: &mut Ledger, now: Millis, id: u32, key: MessageKey) {
    let duplicate = ledger.delivery(id).given.duplicate;
    let record = message(ledger, key);
    record.deliveries.push(id);
    let due = match duplicate {
        true => None,
        false => record.due.take(),
    };
    if due.is_some_and(|due| now < due) {
        ledger.accuse(
            Wrong::DeliveredEarly,
            now,
            Some(id),
            "its last settlement asked for a longer delay: something that was sent later undid it",
        );
    }
}

fn renewed(ledger: &mut Ledger, now: Millis, id: u32, reply: Reply) {
    let delivery = ledger.delivery_mut(id);
    let Some((sent, by)) = delivery.renewing.take() else {
        return;
    };
    if now > sent + 1_000 {
        delivery.renewed_late = Some(now);
    }
    match reply {
        // An answer that comes after the lease was taken for lost changes nothing, nor does one that comes after a settlement, or while a settler waits
        // for it.
        Reply::Done
            if delivery.believed.is_none_or(|known| known > now)
                && delivery.answer.is_none()
                && delivery.taken.is_none_or(|taken| taken < sent) =>
        {
            let until = sent + by - QueuePlan::margin(by);
            delivery.believed = Some(delivery.believed.map_or(until, |known| known.max(until)));
        }
        Reply::Lost => delivery.renewal_lost = true,
        _ => {}
    }
}

/// Whether another message of its group, which stood before it in the same call, was not acked.
fn stood_behind_failed(ledger: &Ledger, id: u32) -> bool {
    let delivery = ledger.delivery(id);
    let plan = ledger.plan_of(id);
    if plan.batch.is_none() || !plan.queue.is_ordered() || delivery.started.is_none() {
        return false;
    }
    if delivery.behind {
        return true;
    }
    let group = |of: &DeliveryRecord| plan.messages[of.given.message.index].group;
    let own = group(delivery);
    own.is_some()
        && (0..id).rev().any(|other| {
            let other = ledger.delivery(other);
            other.given.message.route == delivery.given.message.route
                && group(other) == own
                && (other.call == delivery.call || other.started.is_none())
                && other.app == delivery.app
                && other.said() != Some(super::Answer::Ack)
        })
}

/// Returns how many messages an app may believe to have of a route: handed over, and neither settled nor lost by the broker's clock.
fn held(ledger: &Ledger, route: usize, now: Millis) -> usize {
    let Some(route) = ledger.routes.get(&route) else {
        return 0;
    };
    let open = route.open.iter();
    open.filter(|id| !ledger.delivery(**id).is_over(now))
        .count()
}

/// Forgets what is over, so that few deliveries are looked at.
fn prune(ledger: &mut Ledger, now: Millis) {
    let Ledger {
        routes, deliveries, ..
    } = ledger;
    for route in routes.values_mut() {
        route.open.retain(|id| {
            let delivery = &deliveries[*id as usize];
            let over = delivery.is_over(now) || delivery.is_known_to_be_lost();
            !over || delivery.runs || delivery.consulting || delivery.settling.is_some()
        });
    }
}

type Waiting = BTreeMap<usize, usize>;
