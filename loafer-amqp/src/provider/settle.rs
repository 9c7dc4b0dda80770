//! Settling: acks in few frames, retries and dead letters as copies that are confirmed first.

use std::{sync::Arc, time::Duration};

use lapin::{
    BasicProperties,
    types::{AMQPValue, ShortString},
};
use loafer_core::{DeadLetter, Declare, Error, Settle, Settled, Settlement};

use super::{AmqpProvider, Receipt, receive::Consuming};
use crate::{
    error::{self, refused},
    message::{ATTEMPT, copied},
    outgoing::frame,
    publisher::channels::{Parcel, Unsent},
    topology::delay,
};

/// Where the copy of a message goes.
struct Copy {
    /// Its place in the batch.
    at: usize,
    exchange: String,
    routing_key: String,
    properties: BasicProperties,
    /// The rung it waits on; none: a dead letter.
    rung: Option<Duration>,
}

impl AmqpProvider {
    pub(super) async fn settle_all(&self, batch: &[Settle<Receipt>], answers: &mut Vec<Settled>) {
        let Some(consuming) = self.live() else {
            answers.extend(batch.iter().map(|_| Settled::Lost));
            return;
        };
        if batch
            .iter()
            .all(|entry| matches!(entry.settlement, Settlement::Ack))
        {
            let tags = batch.iter().map(|entry| entry.receipt);
            let live = |receipt: &Receipt| receipt.epoch == consuming.epoch;
            let acked = consuming.ack(tags.filter(live).map(|receipt| receipt.tag));
            answers.extend(
                batch
                    .iter()
                    .map(|entry| match acked && live(&entry.receipt) {
                        true => Settled::Done,
                        false => Settled::Lost,
                    }),
            );
            return;
        }
        self.settle_mixed(&consuming, batch, answers).await;
    }

    #[cold]
    async fn settle_mixed(
        &self,
        consuming: &Consuming,
        batch: &[Settle<Receipt>],
        answers: &mut Vec<Settled>,
    ) {
        let mut said: Vec<Option<Settled>> = batch
            .iter()
            .map(|entry| (entry.receipt.epoch != consuming.epoch).then_some(Settled::Lost))
            .collect();
        let mut tags = Vec::new();
        let mut copies = Vec::new();
        for (at, entry) in batch.iter().enumerate() {
            if said[at].is_some() {
                continue;
            }
            match &entry.settlement {
                Settlement::Ack => tags.push(entry.receipt.tag),
                Settlement::Release => {
                    // Not back into our own hands.
                    consuming.cancel().await;
                    let given_back = consuming.give_back(entry.receipt.tag);
                    said[at] = Some(if given_back {
                        Settled::Done
                    } else {
                        Settled::Lost
                    });
                }
                Settlement::Retry { after } => {
                    let rung = delay::rung(after.unwrap_or_default());
                    copies.push((at, Some(rung), None));
                }
                Settlement::DeadLetter(letter) => copies.push((at, None, Some(letter.clone()))),
                _ => said[at] = Some(failed(self.unknown_settlement())),
            }
        }
        // Before the copies, which may have to wait: a broker that is short of memory takes acks, and needs them.
        let acked = consuming.ack(tags.drain(..));
        let copies = copies
            .into_iter()
            .filter_map(|(at, rung, letter)| self.copy(consuming, &batch[at], at, rung, letter));
        for (at, answer) in self.send_copies(consuming, batch, copies.collect()).await {
            match answer {
                None => tags.push(batch[at].receipt.tag),
                Some(answer) => said[at] = Some(answer),
            }
        }
        let acked = acked && consuming.ack(tags.into_iter());
        answers.extend(
            said.into_iter()
                .map(|answer| answer.unwrap_or(if acked { Settled::Done } else { Settled::Lost })),
        );
    }

    /// The copy of a message; none where it is settled already.
    fn copy(
        &self,
        consuming: &Consuming,
        entry: &Settle<Receipt>,
        at: usize,
        rung: Option<Duration>,
        letter: Option<Arc<DeadLetter>>,
    ) -> Option<Copy> {
        let original = consuming.acks(|acks| acks.properties(entry.receipt.tag).cloned())?;
        let message = &entry.message;
        let mut said = Vec::new();
        if let Some(letter) = letter {
            said.push((
                DeadLetter::HEADER,
                AMQPValue::LongString(letter.to_header().into()),
            ));
        } else {
            let next = i64::from(message.attempt()) + 1;
            said.push((ATTEMPT, AMQPValue::LongLongInt(next)));
        }
        let mut properties = copied(&original, message.topic(), said);
        if original.message_id().is_none() {
            // So that its attempts are known as those of one message.
            properties = properties.with_message_id(ShortString::from(message.id().to_string()));
        }
        let (exchange, routing_key) = match rung {
            Some(rung) => (String::new(), crate::names::rung(&self.plan.queue, rung)),
            None => {
                let target = &self.plan.dead_letter;
                (target.exchange.clone(), target.routing_key.clone())
            }
        };
        Some(Copy {
            at,
            exchange,
            routing_key,
            properties,
            rung,
        })
    }

    /// Sends copies, and says of each its place in the batch and what is wrong, if anything.
    async fn send_copies(
        &self,
        consuming: &Consuming,
        batch: &[Settle<Receipt>],
        copies: Vec<Copy>,
    ) -> Vec<(usize, Option<Settled>)> {
        let mut answered = Vec::with_capacity(copies.len());
        let mut ready = Vec::with_capacity(copies.len());
        let frame_max = self.shared.outlet.link.frame_max();
        for copy in copies {
            if frame(&copy.properties) > frame_max {
                // It would cost the connection, and with it what others publish.
                let answer = match copy.rung {
                    None => Settled::NoDeadLetterTarget,
                    Some(_) if consuming.give_back(batch[copy.at].receipt.tag) => Settled::Done,
                    Some(_) => Settled::Lost,
                };
                let (queue, message_id) = (&self.plan.queue, batch[copy.at].message.id());
                tracing::error!(%queue, %message_id, "its headers leave no room for what a copy says: it is delivered again as it is");
                answered.push((copy.at, Some(answer)));
                continue;
            }
            match self.ready(copy.rung).await {
                Ok(()) => ready.push(copy),
                Err(error) => answered.push((copy.at, Some(failed(error)))),
            }
        }
        if ready.is_empty() {
            return answered;
        }
        let parcels = ready.iter().map(|copy| Parcel {
            exchange: copy.exchange.as_str().into(),
            routing_key: copy.routing_key.as_str().into(),
            properties: copy.properties.clone(),
            payload: batch[copy.at].message.payload().clone(),
            mandatory: true,
        });
        let outlet = &self.shared.outlet;
        let sent = outlet.send(&self.plan.queue, &parcels.collect()).await;
        for (copy, sent) in ready.into_iter().zip(sent) {
            answered.push((
                copy.at,
                sent.err().map(|unsent| self.not_copied(&copy, unsent)),
            ));
        }
        answered
    }

    /// Makes sure of the queue in which a retry waits.
    async fn ready(&self, rung: Option<Duration>) -> Result<(), Error> {
        let Some(rung) = rung.filter(|rung| !self.rungs().contains(rung)) else {
            return Ok(());
        };
        if self.plan.declare != Declare::Off {
            self.plan.declare_rung(&self.shared.consuming, rung).await?;
        }
        self.rungs().push(rung);
        Ok(())
    }

    #[cold]
    fn not_copied(&self, copy: &Copy, unsent: Unsent) -> Settled {
        let queue = &self.plan.queue;
        let to = &copy.routing_key;
        match (unsent, copy.rung) {
            (
                Unsent::Unroutable | Unsent::Closed(error::NOT_FOUND | error::ACCESS_REFUSED, _),
                None,
            ) => Settled::NoDeadLetterTarget,
            (Unsent::Unroutable, Some(_)) => {
                // Declared again before the next try.
                self.rungs().clear();
                let cause = format!("its queue of retries `{to}` is gone");
                failed(refused("retrying a message", queue, cause))
            }
            (Unsent::Refused(cause) | Unsent::Closed(_, cause) | Unsent::Unknown(cause), _) => {
                failed(Error::Unreachable {
                    what: "copying a message",
                    queue: queue.clone(),
                    cause: format!("its copy to `{to}` was not confirmed: {cause}"),
                    source: None,
                })
            }
        }
    }

    #[cold]
    fn unknown_settlement(&self) -> Error {
        refused(
            "settling",
            &self.plan.queue,
            "this provider does not know the settlement",
        )
    }
}

fn failed(error: Error) -> Settled {
    Settled::Failed(Arc::new(error))
}
