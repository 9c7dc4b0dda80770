//! Settling: acks in few frames, and retries and dead letters as copies that are confirmed before the ack.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use lapin::{
    BasicProperties,
    types::{AMQPValue, ShortString},
};
use loafer_core::{
    Error,
    broker::{DeadLetter, DueTime, Settle, Settled, Settlement, Step},
    message::Message,
};

use super::{AmqpProvider, Receipt, receive::ConsumerChannel, uncopied::failed};
use crate::{
    names::{
        self,
        headers::{ATTEMPT, FIRST_FAILED_AT, QUEUE},
    },
    options::Declare,
    outgoing::{Entry, copied},
    topology::retries,
};

/// The copy of a message, and where it goes.
pub(super) struct Copy {
    /// The index of the message in the batch.
    pub(super) at: usize,
    exchange: String,
    pub(super) routing_key: String,
    pub(super) properties: BasicProperties,
    /// The delay of the delay queue that it goes to. `None` means that it is a dead letter.
    pub(super) delay: Option<Duration>,
}

/// What a copy is for.
enum Purpose {
    /// It waits for this attempt. If it comes out of its delay queue before it is due, it is deferred.
    Delayed {
        attempt: u32,
        first_failed_at: Option<SystemTime>,
        step: Step,
        due: DueTime,
    },
    DeadLetter(Arc<DeadLetter>),
}

impl AmqpProvider {
    pub(super) async fn settle_all(&self, batch: &[Settle<Receipt>], answers: &mut Vec<Settled>) {
        let alone = self.isolation.epoch();
        if alone != 0 && batch.iter().any(|entry| entry.receipt.epoch == alone) {
            return self.settle_isolated(batch, answers).await;
        }
        let Some(consumer) = self.live() else {
            if let Some(lost) = &*self.current() {
                lost.handled(|handled| handled.acked(lost.epoch, batch));
            }
            answers.extend(batch.iter().map(|_| Settled::Lost));
            return;
        };
        if batch
            .iter()
            .all(|entry| matches!(entry.settlement, Settlement::Ack))
        {
            let live = |receipt: &Receipt| receipt.epoch == consumer.epoch;
            let acked = consumer.ack_handled(batch);
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
        self.settle_mixed(&consumer, batch, answers).await;
    }

    #[cold]
    pub(super) async fn settle_mixed(
        &self,
        consumer: &ConsumerChannel,
        batch: &[Settle<Receipt>],
        answers: &mut Vec<Settled>,
    ) {
        let mut said: Vec<Option<Settled>> = batch
            .iter()
            .map(|entry| (entry.receipt.epoch != consumer.epoch).then_some(Settled::Lost))
            .collect();
        let mut tags = Vec::new();
        let mut copies = Vec::new();
        let mut isolated = Vec::new();
        let now = Instant::now();
        for (at, entry) in batch.iter().enumerate() {
            if said[at].is_some() {
                continue;
            }
            match &entry.settlement {
                Settlement::Ack => {}
                Settlement::Isolate => isolated.push(at),
                // If RabbitMQ redelivered it, it would count as crashed.
                Settlement::Release if entry.receipt.epoch == self.isolation.epoch() => {
                    isolated.push(at);
                }
                Settlement::Release => {
                    // Otherwise RabbitMQ would redeliver the message to this consumer.
                    consumer.cancel().await;
                    let released = consumer.release(entry.receipt.tag);
                    said[at] = Some(if released {
                        Settled::Done
                    } else {
                        Settled::Lost
                    });
                }
                Settlement::Retry { after } => {
                    let after = after.unwrap_or_default();
                    let attempt = entry.message.attempt();
                    let first = (attempt == 1).then(SystemTime::now);
                    let purpose = Purpose::Delayed {
                        attempt: attempt.saturating_add(1),
                        first_failed_at: entry.message.first_failed_at().or(first),
                        step: self.plan.steps.step(after),
                        due: DueTime::after(after, now),
                    };
                    copies.push((at, purpose));
                }
                Settlement::Defer { until } => {
                    let purpose = Purpose::Delayed {
                        attempt: entry.message.attempt(),
                        first_failed_at: entry.message.first_failed_at(),
                        step: self.plan.steps.step(until.left(now)),
                        due: *until,
                    };
                    copies.push((at, purpose));
                }
                Settlement::DeadLetter(dead) => {
                    copies.push((at, Purpose::DeadLetter(dead.clone())));
                }
            }
        }
        // Before the copies, which may have to wait: RabbitMQ takes acks while it is short of memory, and needs them.
        let acked = consumer.ack_handled(batch);
        let copies = copies
            .into_iter()
            .filter_map(|(at, purpose)| self.copy(consumer, &batch[at], at, purpose));
        for (at, answer) in self.send_copies(consumer, batch, copies.collect()).await {
            match answer {
                None => tags.push(batch[at].receipt.tag),
                Some(answer) => said[at] = Some(answer),
            }
        }
        let mut acked = acked && consumer.ack(tags.drain(..));
        if !isolated.is_empty() {
            let may_run = self.nothing_runs_alone(consumer).await;
            for at in isolated {
                match self.isolate(consumer, &batch[at]).await {
                    None => tags.push(batch[at].receipt.tag),
                    Some(answer) => said[at] = Some(answer),
                }
            }
            acked = acked && consumer.ack(tags.into_iter());
            if may_run.is_some() {
                consumer.handed_on(self.channels.confirmed_in()).await;
            }
        }
        answers.extend(
            said.into_iter()
                .map(|answer| answer.unwrap_or(if acked { Settled::Done } else { Settled::Lost })),
        );
    }

    /// Makes the copy of a message. `None` means that the message is settled already.
    fn copy(
        &self,
        consumer: &ConsumerChannel,
        entry: &Settle<Receipt>,
        at: usize,
        purpose: Purpose,
    ) -> Option<Copy> {
        let original = consumer.acks(|acks| acks.properties(entry.receipt.tag).cloned())?;
        let message = &entry.message;
        let text = |text: String| AMQPValue::LongString(text.into());
        let (said, delay) = match purpose {
            Purpose::DeadLetter(dead) => (vec![(DeadLetter::HEADER, text(dead.to_header()))], None),
            Purpose::Delayed {
                attempt,
                first_failed_at,
                step,
                due,
            } => {
                let mut said = said(attempt, first_failed_at);
                said.push((QUEUE, text(self.plan.queue.clone())));
                if !step.left.is_zero() {
                    said.push((DueTime::HEADER, text(due.to_header())));
                }
                (said, Some(step.wait))
            }
        };
        let properties = copy_of(&original, message, said);
        let (exchange, routing_key) = match delay {
            Some(delay) => (String::new(), names::retry_queue(&self.plan.delays, delay)),
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
            delay,
        })
    }

    /// Publishes copies. Returns for each the index of its message in the batch, and what went wrong. `None` means that the copy is confirmed.
    async fn send_copies(
        &self,
        consumer: &ConsumerChannel,
        batch: &[Settle<Receipt>],
        copies: Vec<Copy>,
    ) -> Vec<(usize, Option<Settled>)> {
        let mut answered = Vec::with_capacity(copies.len());
        let mut ready = Vec::with_capacity(copies.len());
        let frame_max = self.channels.link.frame_max();
        for mut copy in copies {
            let entry = &batch[copy.at];
            if let Err(cause) = copy.fit(&entry.settlement, frame_max) {
                // Publishing it would break the connection, on which others publish, too.
                let answer = self.never_copied(consumer, entry, &copy, &cause);
                answered.push((copy.at, Some(answer)));
                continue;
            }
            match self.ready(copy.delay).await {
                Ok(()) => ready.push(copy),
                Err(error) => answered.push((copy.at, Some(failed(error)))),
            }
        }
        if ready.is_empty() {
            return answered;
        }
        if self.channels.link.is_blocked() {
            // It would wait until RabbitMQ has memory again. What to do meanwhile is for the engine to decide.
            let blocked = |copy: &Copy| self.blocked(&batch[copy.at], copy);
            answered.extend(ready.iter().map(|copy| (copy.at, Some(blocked(copy)))));
            return answered;
        }
        let entries = ready.iter().map(|copy| Entry {
            exchange: copy.exchange.as_str().into(),
            routing_key: copy.routing_key.as_str().into(),
            properties: copy.properties.clone(),
            payload: batch[copy.at].message.payload().clone(),
            mandatory: true,
        });
        let entries = entries.collect();
        let sent = self.channels.publish(&self.plan.queue, &entries).await;
        for (copy, sent) in ready.into_iter().zip(sent) {
            let unsent = sent.err();
            let answer =
                unsent.map(|unsent| self.not_copied(consumer, &batch[copy.at], &copy, unsent));
            answered.push((copy.at, answer));
        }
        answered
    }

    /// Makes sure that a delay queue exists.
    async fn ready(&self, delay: Option<Duration>) -> Result<(), Error> {
        let Some(delay) = delay.filter(|delay| !self.delay_queues().contains(delay)) else {
            return Ok(());
        };
        if self.plan.declare == Declare::Verify && self.delay_queues().is_empty() {
            self.plan.declare_way_back(&self.link).await?;
        }
        if self.plan.declare != Declare::Off {
            retries::make_retry_queue(&self.link, &self.plan.delays, delay).await?;
        }
        self.delay_queues().push(delay);
        Ok(())
    }
}

/// Returns what a copy says of its message: which attempt comes next, and when one failed first.
pub(super) fn said(
    attempt: u32,
    first_failed_at: Option<SystemTime>,
) -> Vec<(&'static str, AMQPValue)> {
    let attempt = AMQPValue::LongLongInt(attempt.into());
    let since = first_failed_at.and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok());
    let first = since.map(|since| (FIRST_FAILED_AT, AMQPValue::Timestamp(since.as_secs())));
    [(ATTEMPT, attempt)].into_iter().chain(first).collect()
}

/// Returns the properties of a copy, of which this is said.
pub(super) fn copy_of(
    original: &BasicProperties,
    message: &Message,
    said: Vec<(&str, AMQPValue)>,
) -> BasicProperties {
    let copy = copied(original, message.topic(), said);
    match original.message_id() {
        Some(_) => copy,
        // The copies of one message need one id.
        None => copy.with_message_id(ShortString::from(message.id().to_string())),
    }
}
