//! Sending letters away: to their source, or to another queue.

use std::{
    collections::{BTreeMap, HashSet},
    ops::ControlFlow,
    time::SystemTime,
};

use super::{BATCH, DeadLetterMessage, Held};
use loafer_core::{
    Error,
    broker::{
        BrokerMove, DeadLetter, DeadLetterQueue, Delivery, Destination, Progress, ProgressFn,
    },
    message::MessageId,
};

/// Which letters.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Selection {
    /// Every one.
    All,
    /// Those with these ids.
    Ids(Vec<MessageId>),
}

/// What became of letters that were to be sent.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct MoveResult {
    /// How many are where they should be, about, where the broker moved them.
    pub sent: u64,
    /// Those that are not, and why.
    pub failed: Vec<(MessageId, Error)>,
    /// The ids that were asked for and not found.
    pub missing: Vec<MessageId>,
    /// Letters left where they are, since they came from these other queues.
    pub left: BTreeMap<String, u64>,
    /// Whether it was stopped before the end.
    pub stopped: bool,
    /// Why it broke off before the end: what is left stays where it is.
    pub error: Option<Error>,
    /// Why letters could not be given back: they come back at the end of their leases.
    pub not_given_back: Option<Error>,
    /// What whoever asked should know, as that the broker could not move them by itself.
    pub notes: Vec<String>,
}

pub(super) async fn send<Q: DeadLetterQueue>(
    queue: &Q,
    which: &Selection,
    to: &Destination,
    count: Option<u64>,
    watch: ProgressFn<'_>,
) -> Result<MoveResult, Error> {
    let mut sending = Sending {
        queue,
        to,
        sent: MoveResult::default(),
        held: Held::of(queue),
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
            let BrokerMove {
                moved,
                stopped,
                note,
            } = queue.move_all(to, watch).await?;
            (sending.sent.sent, sending.sent.stopped) = (moved, stopped);
            sending.sent.notes.extend(note);
            (false, count)
        }
    };
    let worked = if sending.sent.stopped {
        Ok(())
    } else {
        sending.work(wanted, of, watch).await
    };
    let Sending {
        mut sent,
        held,
        late,
        ..
    } = sending;
    if late > 0 {
        sent.notes.push(format!(
            "{late} left: sent there, or failed again, after this began; run it once more for them"
        ));
    }
    sent.not_given_back = held.give_back().await.err();
    match worked {
        // What was done is told, and the error with it.
        Err(error) if sent.sent > 0 || !sent.failed.is_empty() => sent.error = Some(error),
        worked => worked?,
    }
    Ok(sent)
}

struct Sending<'q, Q: DeadLetterQueue> {
    queue: &'q Q,
    to: &'q Destination,
    sent: MoveResult,
    /// What is not sent.
    held: Held<'q, Q>,
    /// What is: one that fails again meanwhile is not sent again.
    done: HashSet<String>,
    /// What was sent later is left when all are asked for: else a queue that fills as fast as it is emptied has no end.
    began: SystemTime,
    /// How many were left for that.
    late: u64,
}

impl<Q: DeadLetterQueue> Sending<'_, Q> {
    /// Leases and sends until there is nothing more, or all that were `wanted` are found.
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
            let answer = self.queue.lease(BATCH, &mut leased).await;
            let came = leased.len();
            // What came before is held: it could not be sent, or is not to be.
            leased.retain(|delivery| self.held.keep(delivery));
            let (known, late) = (came > leased.len(), self.late);
            let letters: Vec<_> = leased
                .iter()
                .filter_map(|delivery| self.chosen(wanted, delivery))
                .collect();
            let goes_on = self.send(&letters).await;
            let all_late = self.late - late == leased.len() as u64;
            leased.clear();
            answer?;
            // The first leases are over, and it begins anew.
            if known && all_late {
                self.sent.error = Some(Error::Config(
                    "letters that were left came a second time, and others behind them may not have been seen: run it again, or \
                     name letters by their ids"
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

    /// The copy of a letter, if it is to be sent.
    fn chosen(
        &mut self,
        wanted: bool,
        delivery: &Delivery<Q::Receipt>,
    ) -> Option<Delivery<Q::Receipt>> {
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
        let letter = DeadLetterMessage::new(message.clone(), self.queue.origin(message));
        let message = match self.to {
            Destination::Queue(_) => letter.message,
            Destination::Source if !letter.origin.from_other_queue => letter.again(),
            Destination::Source => {
                self.leave(&letter, wanted);
                return None;
            }
        };
        let receipt = delivery.receipt.clone();
        Some(Delivery { receipt, message })
    }

    /// Does not send what came from another queue.
    fn leave(&mut self, letter: &DeadLetterMessage, wanted: bool) {
        let from = letter.origin.queue.as_deref().unwrap_or("another queue");
        if wanted {
            let fault = Error::Config(format!(
                "it came from `{from}`, which this route does not consume: move it there"
            ));
            self.sent.failed.push((letter.message.id().clone(), fault));
        } else {
            *self.sent.left.entry(from.to_owned()).or_default() += 1;
        }
    }

    /// Sends these; says whether it is worth going on.
    async fn send(&mut self, letters: &[Delivery<Q::Receipt>]) -> bool {
        if letters.is_empty() {
            return true;
        }
        let mut answers = Vec::with_capacity(letters.len());
        self.queue.send(self.to, letters, &mut answers).await;
        let mut some = false;
        for (letter, answer) in letters.iter().zip(answers) {
            let id = letter.message.id();
            match answer {
                Ok(()) => {
                    some = true;
                    self.sent.sent += 1;
                    self.held.leases.remove(id);
                    self.done.insert(id.to_string());
                }
                Err(error) => self.sent.failed.push((id.clone(), error)),
            }
        }
        some
    }
}

#[cfg(test)]
mod tests;
