//! Sending letters away: to their source, or to another queue.

use std::{
    collections::{BTreeMap, HashSet},
    ops::ControlFlow,
};

use super::{BATCH, Held, Letter};
use crate::{
    Bulk, DeadLetter, DeadLetterQueue, Delivery, Destination, Error, MessageId, Progress, Watch,
};

/// Which letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selected {
    /// Every one.
    All,
    /// Those with these ids.
    Ids(Vec<MessageId>),
}

/// What became of letters that were to be sent.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Sent {
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
    /// What whoever asked should know, as that the broker could not move them by itself.
    pub notes: Vec<String>,
}

pub(super) async fn send<Q: DeadLetterQueue>(
    queue: &Q,
    which: &Selected,
    to: &Destination,
    count: Option<u64>,
    watch: Watch<'_>,
) -> Result<Sent, Error> {
    let mut sending = Sending {
        queue,
        to,
        sent: Sent::default(),
        held: Held::of(queue),
        done: HashSet::new(),
    };
    let (wanted, of) = match which {
        Selected::Ids(ids) => {
            sending.sent.missing = ids.clone();
            sending.sent.missing.dedup();
            (true, Some(ids.len() as u64))
        }
        Selected::All => {
            let Bulk {
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
    let Sending { mut sent, held, .. } = sending;
    if let Err(error) = held.give_back().await {
        sent.notes
            .push(format!("letters stay on lease for a while: {error}"));
    }
    match worked {
        // What was sent is more than nothing: it is told, and the error with it.
        Err(error) if sent.sent > 0 => sent.notes.push(error.to_string()),
        worked => worked?,
    }
    Ok(sent)
}

struct Sending<'q, Q: DeadLetterQueue> {
    queue: &'q Q,
    to: &'q Destination,
    sent: Sent,
    /// What is not sent.
    held: Held<'q, Q>,
    /// What is: one that fails again meanwhile is not sent again.
    done: HashSet<String>,
}

impl<Q: DeadLetterQueue> Sending<'_, Q> {
    /// Leases and sends until there is nothing more, or all that were `wanted` are found.
    async fn work(&mut self, wanted: bool, of: Option<u64>, watch: Watch<'_>) -> Result<(), Error> {
        let mut leased = Vec::new();
        while !(wanted && self.sent.missing.is_empty()) {
            if watch(Progress::new(self.sent.sent, of)) == ControlFlow::Break(()) {
                self.sent.stopped = true;
                break;
            }
            let answer = self.queue.lease(BATCH, &mut leased).await;
            // What came before is held: it could not be sent, or is not to be.
            leased.retain(|delivery| self.held.keep(delivery));
            let letters: Vec<_> = leased
                .iter()
                .filter_map(|delivery| self.chosen(wanted, delivery))
                .collect();
            let goes_on = self.send(&letters).await && !leased.is_empty();
            leased.clear();
            answer?;
            if !goes_on {
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
            !from.is_some_and(|from| self.done.contains(from))
        };
        if !is_wanted {
            return None;
        }
        let letter = Letter::new(message.clone(), self.queue.origin(message));
        let message = match self.to {
            Destination::Queue(_) => letter.message,
            Destination::Source if !letter.origin.elsewhere => letter.again(),
            Destination::Source => {
                self.leave(&letter, wanted);
                return None;
            }
        };
        let receipt = delivery.receipt.clone();
        Some(Delivery { receipt, message })
    }

    /// Does not send what came from another queue.
    fn leave(&mut self, letter: &Letter, wanted: bool) {
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
