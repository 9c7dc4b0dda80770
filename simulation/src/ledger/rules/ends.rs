//! How apps end: in time, with nothing left behind; and how runs end: with every message.

use super::prune;
use crate::{
    Millis,
    ledger::{Ledger, Reply, RouteRecord, Stage, Wrong},
};

/// How much longer than `drain` the end of an app may take.
const GRACE: Millis = 4_000;

/// What the simulation's own clock may add to it.
const SLACK: Millis = 200;

/// The app ended.
pub(super) fn over(ledger: &mut Ledger, now: Millis) {
    let deadline = match ledger.stage {
        Stage::Stopping(since) => Some(since + ledger.scenario.drain + GRACE),
        Stage::Cancelling(since) => Some(since + GRACE),
        _ => None,
    };
    if let Some(late) = deadline.and_then(|end| now.checked_sub(end + SLACK)) {
        ledger.accuse(
            Wrong::DrainTooLong,
            now,
            None,
            format!("the app ended {late} ms after the end of its time"),
        );
    }
    let of_app = |ledger: &Ledger, id: usize| ledger.deliveries[id].app == ledger.app;
    let running =
        (0..ledger.deliveries.len()).find(|id| ledger.deliveries[*id].runs && of_app(ledger, *id));
    if let Some(id) = running {
        let text = "its handler still runs, and its app has ended";
        ledger.accuse(Wrong::RanAfterEnd, now, Some(id as u32), text);
    }
    left_leased(ledger, now);
    ledger.stage = Stage::Over;
    prune(ledger, now);
}

/// The app's process was killed: nothing that it did goes on.
pub(super) fn killed(ledger: &mut Ledger) {
    ledger.stage = Stage::Over;
    let app = ledger.app;
    for delivery in ledger.deliveries.iter_mut().filter(|it| it.app == app) {
        (delivery.runs, delivery.consulting) = (false, false);
        delivery.settling = None;
    }
    for route in ledger.routes.values_mut() {
        *route = RouteRecord::default();
    }
}

/// What never ran is released, if the broker answers.
fn left_leased(ledger: &mut Ledger, now: Millis) {
    let since = match ledger.stage {
        Stage::Stopping(since) | Stage::Cancelling(since) => since,
        _ => now,
    };
    let troubled = |route: usize| {
        ledger.deliveries.iter().any(|delivery| {
            let of_route = delivery.given.message.route == route && delivery.app == ledger.app;
            let hangs = delivery.settling.is_some();
            let failed = matches!(delivery.reply, Some(reply) if reply != Reply::Done);
            let lately = delivery
                .first_settled
                .is_some_and(|at| at + 60_000 >= since);
            of_route && lately && (hangs || failed)
        })
    };
    let left = ledger.deliveries.iter().position(|delivery| {
        delivery.app == ledger.app
            && delivery.handed.is_some_and(|at| at < now)
            && delivery.started.is_none()
            && !delivery.consulted
            && delivery.answer.is_none()
            && delivery.first_settled.is_none()
            && delivery.is_live(now)
            && !delivery.may_be_lost(now)
            && !troubled(delivery.given.message.route)
    });
    let left = left.filter(|id| {
        let made = ledger.deliveries[*id].given;
        let (plan, index) = (ledger.plan(made.message.route), made.message.index);
        plan.decodes(index, made.nth) && plan.taker(index, made.nth) < 2
    });
    if let Some(id) = left {
        let text = "it never ran and was not released, and its app has ended";
        ledger.accuse(Wrong::LeftLeased, now, Some(id as u32), text);
    }
}

/// The run is over: every message must have left its queue.
pub(in crate::ledger) fn finish(ledger: &mut Ledger, now: Millis) {
    let mut unfinished = ledger.messages.iter().filter(|(_, record)| !record.left);
    let Some((key, record)) = unfinished.next() else {
        return;
    };
    let (key, last) = (*key, record.deliveries.last().copied());
    let others = unfinished.count();
    ledger.accuse(
        Wrong::NeverFinished,
        now,
        last,
        format!(
            "message {} of r{} and {others} others are still on their queues",
            key.index, key.route
        ),
    );
}
