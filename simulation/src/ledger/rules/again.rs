//! What is tried in place: an ordered group stays while its failed head waits, and what can't be sent stays by itself.

use super::{
    settlements::{Said, least, said},
    stood_behind_failed,
};
use crate::{
    Millis,
    ledger::{Answer, Asked, DeliveryId, DeliveryRecord, Ledger, MessageKey, Reply, Stage, Wrong},
    scenario::RoutePlan,
};

/// How long a message waits whose retry has no delay and can't be sent.
const INSTEAD: Millis = 30_000;

/// How long ago a head has failed lately.
const LATELY: Millis = 2_500;

/// How long a settlement that was decided on may be on its way.
const ON_ITS_WAY: Millis = 60_000;

/// A message is tried as another attempt than before, by the same delivery.
pub(super) fn tried(ledger: &mut Ledger, now: Millis, id: DeliveryId, attempt: u32) {
    if let Err((kind, text)) = may_be_tried(ledger, now, id, attempt) {
        ledger.accuse(kind, now, Some(id), text);
    }
    step_back(ledger, id);
    ledger.delivery_mut(id).try_again(attempt);
}

fn may_be_tried(
    ledger: &Ledger,
    now: Millis,
    id: DeliveryId,
    attempt: u32,
) -> Result<(), (Wrong, String)> {
    let (plan, delivery, said) = (ledger.plan_of(id), ledger.delivery(id), said(ledger, id));
    let before = delivery.attempt;
    let wrong = |kind, text: String| Err((kind, text));
    if !plan.queue.is_ordered() && !delivery.refused {
        let text =
            format!("it is attempt {before} by its broker, and is tried as attempt {attempt}");
        return wrong(Wrong::WrongAttempt, text);
    }
    let seen = is_seen(plan, delivery);
    if attempt <= before || (seen && attempt > before + 1) {
        let text = format!("attempt {before} was the last, and it is tried as attempt {attempt}");
        return wrong(Wrong::WrongAttempt, text);
    }
    if plan.most_attempts().is_some_and(|most| attempt > most) && !delivery.gave_up {
        let text = format!("attempt {before} was its last, and it was not given up");
        return wrong(Wrong::TriedTooOften, text);
    }
    if seen && !said.failed() && !said.is_rejected() && !delivery.gave_up {
        let text = "it is tried again in place, and did not fail".to_owned();
        return wrong(Wrong::TriedUnasked, text);
    }
    let due = match seen {
        true => due(&said, delivery),
        false => delivery.handed.map(|handed| {
            let backoffs = (delivery.given.attempt..attempt).map(|it| plan.least_backoff(it));
            handed + backoffs.sum::<Millis>()
        }),
    };
    match due.filter(|due| now < *due) {
        Some(due) => {
            let text = format!(
                "it is tried again {} ms before its delay is over",
                due - now
            );
            wrong(Wrong::TriedTooSoon, text)
        }
        None => Ok(()),
    }
}

/// Whether user code has had the last attempt. What can't be decoded, or has no handler, is tried without a word.
fn is_seen(plan: &RoutePlan, delivery: &DeliveryRecord) -> bool {
    let (index, nth) = (delivery.given.message.index, delivery.given.nth);
    delivery.consulted
        || delivery.spoke
        || (plan.decodes(index, nth) && !plan.is_unmatched(index, nth))
}

/// Returns when the next attempt of a message that failed is due, at the earliest. `None` means that it has not failed, or that nobody saw it.
pub(super) fn due(said: &Said<'_>, delivery: &DeliveryRecord) -> Option<Millis> {
    let failed_at = delivery.done_at(said.plan.on_error).or(delivery.dropped)?;
    (said.failed() || said.is_rejected())
        .then(|| failed_at.max(delivery.replied_at.unwrap_or_default()) + least(said, delivery))
}

/// Whether a message waits here although its next attempt is due: the failed head of an ordered group, or one whose copy was refused.
pub(super) fn is_due(ledger: &Ledger, now: Millis, id: DeliveryId) -> bool {
    let (plan, delivery, said) = (ledger.plan_of(id), ledger.delivery(id), said(ledger, id));
    let idle = !delivery.runs && !delivery.consulting && delivery.settling.is_none();
    let kept = match delivery.asked {
        None => plan.queue.is_ordered() && !is_over(ledger, id),
        Some(Asked::Retry(after)) if delivery.reply == Some(Reply::Refused) => {
            let after = after.unwrap_or(INSTEAD);
            return idle && delivery.replied_at.is_some_and(|at| at + after <= now);
        }
        _ => false,
    };
    let jitter = plan.backoff.filter(|backoff| backoff.jitter);
    let longest = jitter.map_or(0, |backoff| backoff.most.max(backoff.initial));
    idle && kept && due(&said, delivery).is_some_and(|due| due + longest <= now)
}

/// Whether a failed message is not tried again: it is rejected, or was on its last attempt.
pub(super) fn is_over(ledger: &Ledger, id: DeliveryId) -> bool {
    let said = said(ledger, id);
    said.is_rejected() || said.used_up
}

/// Called before a message runs again: what stood behind it in its batch runs after it.
pub(super) fn step_back(ledger: &mut Ledger, id: DeliveryId) {
    let (plan, head) = (ledger.plan_of(id), ledger.delivery(id));
    if plan.batch.is_none() || !plan.queue.is_ordered() || head.started.is_none() {
        return;
    }
    let call = head.call;
    let group = plan.messages[head.given.message.index].group;
    let after = ledger.deliveries.iter().enumerate().skip(id as usize + 1);
    let behind: Vec<_> = after
        .filter(|(_, other)| {
            other.call == call && plan.messages[other.given.message.index].group == group
        })
        .map(|(other, _)| other as DeliveryId)
        .collect();
    for other in behind {
        ledger.delivery_mut(other).behind = true;
    }
}

/// Whether a failed message may be released: its wait is over and it has not started again, or no copy of it can be made.
pub(super) fn has_waited(ledger: &Ledger, now: Millis, id: DeliveryId) -> bool {
    let (plan, delivery) = (ledger.plan_of(id), ledger.delivery(id));
    if delivery.runs || delivery.consulting {
        return false;
    }
    let ordered = plan.queue.is_ordered();
    let waited = due(&said(ledger, id), delivery).is_none_or(|due| due <= now);
    delivery.refused || (ordered && waited)
}

/// Whether an ordered group is given back, although its failed head waits and there is room for it.
pub(super) fn is_given_back(ledger: &Ledger, now: Millis, id: DeliveryId) -> bool {
    let plan = ledger.plan_of(id);
    let paused = ledger
        .routes
        .get(&plan.number)
        .is_some_and(|it| it.paused.is_some());
    if !plan.queue.is_ordered() || ledger.stage != Stage::Running || ledger.once || paused {
        return false;
    }
    let group = |delivery: &DeliveryRecord| plan.messages[delivery.given.message.index].group;
    let own = group(ledger.delivery(id));
    let of_group = |key: &MessageKey| plan.messages[key.index].group == own;
    let of_route = ledger.deliveries.iter().filter(|other| {
        other.given.message.route == plan.number
            && other.app == ledger.app
            && other.handed.is_some()
    });
    // Somebody else may have the head, or will: the leases of the group are over, or leave.
    let disturbed = of_route.clone().any(|other| {
        let lately = other.until.is_none_or(|until| until + ON_ITS_WAY > now);
        let hung = other.renewed_late.is_some_and(|at| at + ON_ITS_WAY > now);
        let lost = other.leaves.is_some() || !is_ours(other, now);
        of_group(&other.given.message) && (hung || (lately && lost))
    });
    if own.is_none() || disturbed {
        return false;
    }
    // What was given back or has left lately took capacity when that was decided on.
    let counted = of_route.filter(|other| {
        let gone = other.first_settled.or(other.leaves.map(|(_, cut)| cut));
        let lately = gone.is_some_and(|at| at + ON_ITS_WAY > now);
        !other.is_over(now) || lately
    });
    let counted: Vec<_> = counted.collect();
    let waits = |head: &&&DeliveryRecord| {
        head.again
            || head.dropped.is_some()
            || !is_seen(plan, head)
            || head.said().is_some_and(|said| said != Answer::Ack)
    };
    // Groups that were failing when this was decided on may have been handled since: all that was leased lately counts.
    // Of a head that failed longer ago, the ledger does not hear whether it is still here.
    let lately = counted.iter().filter(waits).any(|head| {
        let failed_at = head.done_at(plan.on_error).or(head.dropped);
        group(head) == own && failed_at.is_some_and(|at| at + LATELY > now)
    });
    lately && counted.len() <= plan.capacity() / 2
}

/// Whether the lease is neither lost nor taken for lost.
fn is_ours(delivery: &DeliveryRecord, now: Millis) -> bool {
    !delivery.may_be_lost(now) && delivery.ended.is_none()
}

/// Whether one delivery may start twice: only what stood in its batch behind a failed one of its group.
pub(super) fn may_start_again(ledger: &Ledger, id: DeliveryId) -> bool {
    let delivery = ledger.delivery(id);
    delivery.started.is_none() || (!delivery.runs && stood_behind_failed(ledger, id))
}
