//! Sending dead letters away: to their source, or to another queue.

use std::{
    collections::{BTreeMap, HashSet},
    ops::ControlFlow,
    time::SystemTime,
};

use super::{
    Leases,
    pace::Pace,
    transfer::{OnItsWay, target, transfer},
};
use loafer_core::{
    Error,
    broker::{
        BrokerMove, DeadLetter, DeadLetterInfo, DeadLetterQueue, Delivery, Destination, Origin,
        Progress, ProgressFn,
    },
    message::MessageId,
};

/// Which dead letters to send.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Selection {
    /// All of them.
    All,
    /// Those with these ids.
    Ids(Vec<MessageId>),
}

/// What became of dead letters that were to be sent.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct MoveResult {
    /// How many were sent. The number is approximate if the broker moved them by itself.
    pub sent: u64,
    /// Those that were not sent, and why.
    pub failed: Vec<(MessageId, Error)>,
    /// The ids that were asked for and not found.
    pub missing: Vec<MessageId>,
    /// How many were left where they are, by the queue they came from, which is not the route's.
    pub left: BTreeMap<String, u64>,
    /// Whether the operation was stopped before the end.
    pub stopped: bool,
    /// Why the operation broke off before the end. What is left stays where it is.
    pub error: Option<Error>,
    /// Why dead letters could not be released. They stay leased until their leases end.
    pub not_given_back: Option<Error>,
    /// What else to know, for example that the broker could not move them by itself. Each entry is a sentence.
    pub notes: Vec<String>,
}

pub(super) async fn send<Q: DeadLetterQueue>(
    queue: &Q,
    which: &Selection,
    to: &Destination,
    rate: Option<u32>,
    info: &DeadLetterInfo,
    watch: ProgressFn<'_>,
) -> Result<MoveResult, Error> {
    let can = queue.capabilities();
    let pace = Pace::new(rate, can.batch)?;
    let name = target(to, &info.source);
    if name == info.queue {
        return Err(Error::Config(format!(
            "`{name}` is the dead-letter queue itself: name another"
        )));
    }
    let possible = can.deletes || (can.moves && *which == Selection::All);
    if !possible {
        return Err(Error::Config(format!(
            "the broker of `{}` deletes no single dead letters{}",
            info.queue,
            if can.moves { ": send all of them" } else { "" }
        )));
    }
    let mut sending = Sending {
        queue,
        info,
        to,
        sent: MoveResult::default(),
        leases: Leases::of(queue),
        pace,
        done: HashSet::new(),
        began: SystemTime::now(),
        late: 0,
    };
    let (wanted, of) = match which {
        Selection::Ids(ids) => {
            sending.sent.missing = ids.clone();
            sending.sent.missing.dedup();
            (true, Some(ids.len() as u64))
        }
        Selection::All => {
            let moved = match (can.moves, rate.is_none() || can.rate) {
                (true, true) => queue.move_all(to, rate, watch).await?,
                (true, false) => BrokerMove {
                    note: Some("the broker moves them by itself at no rate but its own; copied one by one instead".to_owned()),
                    ..BrokerMove::default()
                },
                (false, _) => BrokerMove::default(),
            };
            (sending.sent.sent, sending.sent.stopped) = (moved.moved, moved.stopped);
            sending.sent.notes.extend(moved.note);
            (false, info.count)
        }
    };
    // What can't be deleted one by one is not copied one by one either.
    let worked = match can.deletes && !sending.sent.stopped {
        true => sending.work(wanted, of, watch).await,
        false => Ok(()),
    };
    let Sending {
        mut sent,
        leases,
        late,
        ..
    } = sending;
    if late > 0 {
        sent.notes.push(format!(
            "{late} left: sent there, or failed again, after this began; run it once more for them"
        ));
    }
    sent.not_given_back = leases.give_back().await.err();
    match worked {
        // What was done is reported together with the error.
        Err(error) if sent.sent > 0 || !sent.failed.is_empty() => sent.error = Some(error),
        worked => worked?,
    }
    Ok(sent)
}

struct Sending<'q, Q: DeadLetterQueue> {
    queue: &'q Q,
    info: &'q DeadLetterInfo,
    to: &'q Destination,
    sent: MoveResult,
    /// The leases of those that are not sent, or not yet.
    leases: Leases<'q, Q>,
    pace: Pace,
    /// The ids of those that are sent. One that fails again meanwhile is not sent a second time.
    done: HashSet<String>,
    /// When this began. If all are asked for, those sent later are left, since a queue that fills as fast as it is emptied would have no end.
    began: SystemTime,
    /// How many were left because they were sent later.
    late: u64,
}

impl<Q: DeadLetterQueue> Sending<'_, Q> {
    /// Leases and sends until there is nothing more, or until all ids are found if ids are `wanted`.
    async fn work(
        &mut self,
        wanted: bool,
        of: Option<u64>,
        watch: ProgressFn<'_>,
    ) -> Result<(), Error> {
        let mut leased = Vec::new();
        while !(wanted && self.sent.missing.is_empty()) {
            if watch(Progress::new(self.sent.sent, of)) == ControlFlow::Break(()) {
                self.sent.stopped = true;
                break;
            }
            self.pace.wait().await;
            let answer = self.queue.lease(self.pace.batch(), &mut leased).await;
            let came = leased.len();
            // Those that came before are leased already: they could not be sent, or must not be.
            leased.retain(|delivery| self.leases.keep(delivery));
            let (known, late) = (came > leased.len(), self.late);
            let chosen: Vec<_> = leased
                .iter()
                .filter_map(|delivery| self.chosen(wanted, delivery))
                .collect();
            let goes_on = self.send(chosen).await;
            let all_late = self.late - late == leased.len() as u64;
            leased.clear();
            answer?;
            // The first leases have ended, and the queue starts over.
            if known && all_late {
                self.sent.error = Some(Error::Config(
                    "dead letters that were left came a second time, and others behind them may not have been seen: run it again, or \
                     name dead letters by their ids"
                        .to_owned(),
                ));
                break;
            }
            if !goes_on || came == 0 {
                break;
            }
        }
        Ok(())
    }

    /// Returns a dead letter on its way. `None` means that it is not to be sent.
    fn chosen(
        &mut self,
        wanted: bool,
        delivery: &Delivery<Q::Receipt>,
    ) -> Option<OnItsWay<Q::Receipt>> {
        let message = &delivery.message;
        let is_wanted = if wanted {
            let before = self.sent.missing.len();
            self.sent.missing.retain(|id| id != message.id());
            self.sent.missing.len() < before
        } else {
            let from = message.headers().get(DeadLetter::RETRIED_FROM);
            let again = from.is_some_and(|from| self.done.contains(from));
            let is_late = again || message.sent_at().is_some_and(|sent| sent > self.began);
            self.late += u64::from(is_late);
            !is_late
        };
        if !is_wanted {
            return None;
        }
        let origin = self.queue.origin(message);
        if *self.to == Destination::Source && origin.from_other_queue {
            self.leave(message.id(), &origin, wanted);
            return None;
        }
        Some((delivery.receipt.clone(), self.queue.pack(delivery)))
    }

    /// Leaves a dead letter that came from another queue.
    fn leave(&mut self, id: &MessageId, origin: &Origin, wanted: bool) {
        let from = origin.queue.as_deref().unwrap_or("another queue");
        if wanted {
            let fault = Error::Config(format!(
                "it came from `{from}`, which this route does not consume: move it there"
            ));
            self.sent.failed.push((id.clone(), fault));
        } else {
            *self.sent.left.entry(from.to_owned()).or_default() += 1;
        }
    }

    /// Sends these. Returns whether it makes sense to go on: none sent means that the destination takes none.
    async fn send(&mut self, chosen: Vec<OnItsWay<Q::Receipt>>) -> bool {
        if chosen.is_empty() {
            return true;
        }
        self.pace.sent(chosen.len());
        let id = |(_, packed): &OnItsWay<Q::Receipt>| packed.message().id().clone();
        let ids: Vec<_> = chosen.iter().map(id).collect();
        let answers = transfer(self.queue, self.info, self.to, chosen).await;
        let mut some = false;
        for (id, answer) in ids.into_iter().zip(answers) {
            match answer {
                Ok(()) => {
                    some = true;
                    self.sent.sent += 1;
                    self.leases.forget(&id);
                    self.done.insert(id.to_string());
                }
                Err(error) => self.sent.failed.push((id, error)),
            }
        }
        some
    }
}

#[cfg(test)]
mod tests;
