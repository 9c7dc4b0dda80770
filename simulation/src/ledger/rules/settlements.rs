//! What may be settled: what user code said, once, and while the lease lives.

use super::{again, alone, message, stood_behind_failed};
use crate::{
    Millis,
    ledger::{Answer, Asked, DeliveryId, DeliveryRecord, Ledger, Reply, Why, Wrong},
    scenario::{RoutePlan, Unhandled},
};

/// A settlement began.
pub(super) fn settling(ledger: &mut Ledger, now: Millis, id: DeliveryId, asked: Asked) {
    if let Err((kind, text)) = timely(ledger.delivery(id), now) {
        ledger.accuse(kind, now, Some(id), text);
    }
    if let Err((kind, text)) = permitted(ledger, now, id, asked) {
        ledger.accuse(kind, now, Some(id), text);
    }
    let delivery = ledger.delivery_mut(id);
    delivery.first_settled.get_or_insert(now);
    delivery.taken = Some(now);
    (delivery.settling, delivery.asked) = (Some(asked), Some(asked));
    delivery.gave_up |= matches!(asked, Asked::DeadLetter | Asked::GiveUp);
}

/// The broker carried a settlement out.
pub(super) fn settled(ledger: &mut Ledger, now: Millis, id: DeliveryId, asked: Asked) {
    ledger.delivery_mut(id).executed = true;
    let key = ledger.delivery(id).given.message;
    let queue = &ledger.plan(key.route).queue;
    let due = match asked {
        Asked::Retry(after) => after.map(|after| now + queue.stay_of_retry(after)),
        Asked::Defer(until) => Some(now + queue.stay(until.saturating_sub(now))),
        Asked::Ack | Asked::DeadLetter | Asked::GiveUp | Asked::Release | Asked::Isolate => None,
    };
    let record = message(ledger, key);
    match asked {
        Asked::Ack | Asked::DeadLetter | Asked::GiveUp => record.left = true,
        Asked::Retry(_) | Asked::Defer(_) | Asked::Release | Asked::Isolate => record.due = due,
    }
}

/// A settlement was answered.
pub(super) fn reply(ledger: &mut Ledger, now: Millis, id: DeliveryId, reply: Reply) {
    let delivery = ledger.delivery_mut(id);
    (delivery.settling, delivery.reply) = (None, Some(reply));
    delivery.replied_at = Some(now);
    delivery.refused |= reply == Reply::Refused;
    if reply == Reply::Done {
        delivery.confirmed = Some(now);
    }
}

/// A renewal began.
pub(super) fn renewing(ledger: &mut Ledger, now: Millis, id: DeliveryId, by: Millis) {
    let delivery = ledger.delivery(id);
    if delivery.is_expired(now) {
        ledger.accuse(
            Wrong::RenewedTooLate,
            now,
            Some(id),
            "its lease is over by the broker's clock: somebody else may have it",
        );
    }
    ledger.delivery_mut(id).renewing = Some((now, by));
}

type Judged = Result<(), (Wrong, String)>;

fn against(kind: Wrong, text: &str) -> Judged {
    Err((kind, text.to_owned()))
}

/// One settlement at a time, none after the last one, and none after the lease.
fn timely(delivery: &DeliveryRecord, now: Millis) -> Judged {
    match delivery.reply {
        _ if delivery.settling.is_some() => against(
            Wrong::SettledAtOnce,
            "another settlement of its receipt is in flight",
        ),
        Some(Reply::Done | Reply::Lost) => against(
            Wrong::SettledTwice,
            "its last settlement was answered for good",
        ),
        _ if delivery.ended == Some(Why::Disconnected) => against(
            Wrong::SettledDisconnected,
            "its connection is lost, and the provider says so",
        ),
        _ if delivery.ended == Some(Why::Left) => against(
            Wrong::SettledAfterFence,
            "the broker has taken it back, and the app had said that it settles nothing",
        ),
        _ if delivery.is_expired(now) => against(
            Wrong::SettledTooLate,
            "its lease is over by the broker's clock: somebody else may have it",
        ),
        _ => Ok(()),
    }
}

/// What user code said, and what follows from it.
pub(super) struct Said<'p> {
    pub(super) plan: &'p RoutePlan,
    answer: Option<Answer>,
    timed_out: bool,
    decodes: bool,
    /// Whether no handler takes it.
    unmatched: bool,
    pub(super) used_up: bool,
}

impl Said<'_> {
    pub(super) fn failed(&self) -> bool {
        match self.answer {
            Some(answer) => !matches!(answer, Answer::Ack | Answer::Reject),
            None => {
                self.timed_out
                    || !self.decodes
                    || (self.unmatched && self.plan.unmatched == Unhandled::Retry)
            }
        }
    }

    pub(super) fn is_rejected(&self) -> bool {
        match self.answer {
            Some(Answer::Reject) => true,
            Some(answer) => answer.is_failure() && !self.decodes && self.plan.rejects_undecodable,
            None => {
                (!self.decodes && self.plan.rejects_undecodable)
                    || (self.unmatched && self.plan.unmatched == Unhandled::Reject)
            }
        }
    }
}

pub(super) fn said(ledger: &Ledger, id: DeliveryId) -> Said<'_> {
    let (delivery, plan) = (ledger.delivery(id), ledger.plan_of(id));
    let (index, nth) = (delivery.given.message.index, delivery.given.nth);
    let timed_out = match (delivery.started, delivery.dropped, plan.timeout) {
        (Some(started), Some(dropped), Some(timeout)) => dropped >= started + timeout,
        _ => false,
    };
    let unmatched = plan.is_unmatched(index, nth);
    Said {
        plan,
        answer: delivery.said(),
        timed_out,
        // What no handler takes, or what a layer answered for, is not decoded.
        decodes: unmatched || delivery.spoke || plan.decodes(index, nth),
        unmatched,
        used_up: plan
            .most_attempts()
            .is_some_and(|most| delivery.attempt >= most),
    }
}

/// Law 1: a settlement is what user code said.
fn permitted(ledger: &Ledger, now: Millis, id: DeliveryId, asked: Asked) -> Judged {
    let delivery = ledger.delivery(id);
    let said = said(ledger, id);
    let was_asked = delivery.asked;
    let repeated = asked == Asked::Ack && handled_by_another(ledger, id);
    // What leaves is given back, early or not.
    let leaves = asked == Asked::Release && delivery.leaves.is_some();
    // What can't be put off is kept until it is due.
    let kept = delivery.refused && !matches!(asked, Asked::Defer(_));
    if delivery.is_early() != matches!(asked, Asked::Defer(_)) && !repeated && !leaves && !kept {
        return against(
            Wrong::DeferredWrongly,
            "what is early is put off unstarted, and nothing else is",
        );
    }
    let gives_back = matches!(asked, Asked::Release | Asked::Retry(_));
    if gives_back && was_asked.is_none() && again::is_given_back(ledger, now, id) {
        return against(
            Wrong::GroupGivenBack,
            "the failed head of its group waits, and there is room for the group",
        );
    }
    match asked {
        Asked::Ack if said.answer == Some(Answer::Ack) => Ok(()),
        Asked::Ack if said.unmatched && said.plan.unmatched == Unhandled::Ignore => Ok(()),
        Asked::Ack if handled_by_another(ledger, id) => Ok(()),
        Asked::Ack => against(Wrong::AckUnanswered, "nobody answered that it is done"),
        Asked::Defer(until) if delivery.given.due == Some(until) => Ok(()),
        Asked::Defer(_) => against(
            Wrong::DeferredWrongly,
            "it is put off until another moment than it is due",
        ),
        Asked::Release if delivery.started.is_none() && !delivery.consulted => Ok(()),
        Asked::Release if stood_behind_failed(ledger, id) => Ok(()),
        Asked::Release if was_asked == Some(asked) => Ok(()),
        Asked::Release if again::has_waited(ledger, now, id) => Ok(()),
        Asked::Release => against(Wrong::ReleaseOfTried, "a handler has had it"),
        Asked::Isolate if alone::may_be_isolated(ledger, id) => Ok(()),
        Asked::Isolate => against(
            Wrong::IsolatedUnasked,
            "it was not delivered too often without an outcome",
        ),
        Asked::GiveUp if alone::is_proven(ledger, id) => Ok(()),
        Asked::GiveUp => against(
            Wrong::CrashUnproven,
            "it was not handed over alone before, or that came to an end",
        ),
        Asked::DeadLetter if said.is_rejected() => Ok(()),
        Asked::DeadLetter if said.used_up && said.failed() => Ok(()),
        Asked::DeadLetter => against(
            Wrong::DeadLetterUnanswered,
            "it was neither rejected nor on its last attempt",
        ),
        Asked::Retry(after) => {
            let rejected = said.is_rejected() || (said.used_up && said.failed());
            let gave_up = delivery.gave_up || was_asked == Some(asked);
            if said.answer.is_none() && delivery.dropped.is_some() && !said.timed_out {
                return against(
                    Wrong::SettledAfterCancel,
                    "its handler was cancelled: nothing may be sent",
                );
            }
            let may = match rejected {
                true => gave_up,
                false => said.failed() || delivery.gave_up,
            };
            if !may && !is_a_retry(was_asked) {
                return against(Wrong::RetryUnanswered, "it should be settled otherwise");
            }
            long_enough(&said, delivery, now, after)
        }
    }
}

fn is_a_retry(asked: Option<Asked>) -> bool {
    matches!(asked, Some(Asked::Retry(_)))
}

/// Whether another delivery of the message was acked in this process: the broker's own id tells.
fn handled_by_another(ledger: &Ledger, id: DeliveryId) -> bool {
    let delivery = ledger.delivery(id);
    let others = ledger.messages.get(&delivery.given.message);
    let others = others.map_or(&[][..], |record| &record.deliveries);
    let plan = ledger.plan_of(id);
    plan.queue.own_ids
        && others.iter().any(|other| {
            let other = ledger.delivery(*other);
            let ignored = plan.unmatched == Unhandled::Ignore
                && plan.is_unmatched(other.given.message.index, other.given.nth);
            let same = other.app == delivery.app && other.given.copy == delivery.given.copy;
            same && (ignored || other.said() == Some(Answer::Ack))
        })
}

/// Returns how long the wait for the next attempt is at least.
pub(super) fn least(said: &Said<'_>, delivery: &DeliveryRecord) -> Millis {
    let least = match said.answer {
        Some(Answer::Retry(least)) if !said.used_up => least,
        _ => said.plan.least_backoff(delivery.attempt),
    };
    let longest = said.plan.queue.max_delay;
    longest.map_or(least, |most| least.min(most))
}

/// A retry waits at least as long as the handler or the backoff says. The head of an ordered group may have waited for a while already.
fn long_enough(
    said: &Said<'_>,
    delivery: &DeliveryRecord,
    now: Millis,
    after: Option<Millis>,
) -> Judged {
    let mut least = least(said, delivery);
    if said.plan.queue.is_ordered() {
        least = again::due(said, delivery).map_or(0, |due| due.saturating_sub(now));
    }
    // Delays are fractions of milliseconds in the engine.
    let repeated = delivery.asked == Some(Asked::Retry(after));
    if repeated || least == 0 || after.is_some_and(|after| after + 1 >= least) {
        return Ok(());
    }
    let text = format!("{least} ms were asked for, and the broker was told {after:?}");
    Err((Wrong::RetryTooShort, text))
}
