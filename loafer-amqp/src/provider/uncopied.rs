//! Copies that can't be made, for now or for good. Only RabbitMQ retries and dead-letters by copies.

use std::sync::Arc;

use lapin::types::{AMQPValue, FieldTable};
use loafer_core::{
    Error,
    broker::{DeadLetter, Settle, Settled, Settlement},
};

use super::{AmqpProvider, Receipt, receive::ConsumerChannel, settle::Copy};
use crate::{
    error::{self, refused},
    options::Declare,
    outgoing::{frame, growth},
    publisher::channels::Unsent,
};

/// What copying is called in errors.
const COPYING: &str = "copying a message";

impl Copy {
    /// Makes sure that the headers fit into a frame, with what RabbitMQ adds to them on the way. An envelope leaves out its reason if that helps. The
    /// error says what they take.
    pub(super) fn fit(&mut self, settlement: &Settlement, frame_max: usize) -> Result<(), String> {
        let added = growth(self.routing_key.len());
        let takes = frame(&self.properties) + added;
        if takes <= frame_max {
            return Ok(());
        }
        if let Settlement::DeadLetter(dead) = settlement {
            self.shorten(dead);
            if frame(&self.properties) + added <= frame_max {
                return Ok(());
            }
        }
        Err(format!(
            "its headers would take {takes} bytes in `{}`, {added} of them for what RabbitMQ adds, and its `frame_max` is {frame_max}: send less in headers, or raise \
             `frame_max` in rabbitmq.conf",
            self.routing_key
        ))
    }

    fn shorten(&mut self, dead: &DeadLetter) {
        let mut short = dead.clone();
        short.reason = None;
        let mut headers = FieldTable::default();
        for (name, value) in self.properties.headers().iter().flatten() {
            headers.insert(name.clone(), value.clone());
        }
        let envelope = AMQPValue::LongString(short.to_header().into());
        headers.insert(DeadLetter::HEADER.into(), envelope);
        self.properties = self.properties.clone().with_headers(headers);
    }
}

impl AmqpProvider {
    /// Returns the answer for a message whose copy was published and not confirmed.
    #[cold]
    pub(super) fn not_copied(
        &self,
        consumer: &ConsumerChannel,
        entry: &Settle<Receipt>,
        copy: &Copy,
        unsent: Unsent,
    ) -> Settled {
        let to = &copy.routing_key;
        match (unsent, copy.delay) {
            (
                Unsent::Unroutable | Unsent::Closed(error::NOT_FOUND | error::ACCESS_REFUSED, _),
                None,
            ) => Settled::NoDeadLetterTarget,
            (Unsent::Unroutable, Some(_)) if self.plan.declare == Declare::Off => {
                let cause = format!(
                    "its delay queue `{to}` does not exist, and `declare = \"off\"` forbids making it: run `check --create`, or make it by hand"
                );
                self.never_copied(consumer, entry, copy, &cause)
            }
            (Unsent::Unroutable, Some(_)) => {
                // The next try declares it again.
                self.delay_queues().clear();
                self.not_now(
                    entry,
                    copy,
                    "its delay queue is gone and will be made again",
                )
            }
            (Unsent::Closed(_, cause), _) => {
                let remedy = match error::max_message_size(&cause) {
                    Some(_) => {
                        "raise `max_message_size` of RabbitMQ, or let large payloads be kept elsewhere"
                    }
                    None => "mend what it names",
                };
                let bytes = entry.message.payload().len();
                let cause =
                    format!("its copy to `{to}`, with {bytes} bytes of payload: {cause}: {remedy}");
                self.never_copied(consumer, entry, copy, &cause)
            }
            (Unsent::Refused(cause) | Unsent::Unknown(cause), _) => {
                self.not_now(entry, copy, &cause)
            }
        }
    }

    /// Returns the answer for a message whose copy RabbitMQ takes never, as it is. If RabbitMQ itself moves rejected messages to the dead letters, it does
    /// so without a copy of ours.
    #[cold]
    pub(super) fn never_copied(
        &self,
        consumer: &ConsumerChannel,
        entry: &Settle<Receipt>,
        copy: &Copy,
        cause: &str,
    ) -> Settled {
        let (route, queue, message_id) = (&self.plan.route, &self.plan.queue, entry.message.id());
        let tag = entry.receipt.tag;
        if copy.delay.is_some() || !self.plan.moves_rejected() || !self.can_be_moved(consumer, tag)
        {
            return failed(refused(
                COPYING,
                queue,
                format!("message {message_id}: {cause}"),
            ));
        }
        if !consumer.give_up(tag) {
            return Settled::Lost;
        }
        let to = &copy.routing_key;
        tracing::warn!(%route, %queue, %message_id, to, cause, "dead-lettered by RabbitMQ itself, without an envelope that says why: no copy of it can be made");
        Settled::Done
    }

    /// Returns whether the headers of a message stay within a frame when RabbitMQ moves it. Otherwise nobody could read it from where it went.
    fn can_be_moved(&self, consumer: &ConsumerChannel, tag: u64) -> bool {
        let takes = consumer.acks(|acks| acks.properties(tag).map(frame));
        let names = [
            &self.plan.queue,
            &self.plan.exchange,
            &self.plan.dead_letter.routing_key,
        ];
        let longest = names.into_iter().map(String::len).max().unwrap_or_default();
        takes.is_some_and(|takes| takes + growth(longest) <= self.channels.link.frame_max())
    }

    /// Returns the answer for a message whose copy waits for RabbitMQ to have memory or disk again.
    pub(super) fn blocked(&self, entry: &Settle<Receipt>, copy: &Copy) -> Settled {
        self.not_now(
            entry,
            copy,
            "RabbitMQ is short of memory or disk and takes no messages",
        )
    }

    fn not_now(&self, entry: &Settle<Receipt>, copy: &Copy, cause: &str) -> Settled {
        failed(Error::Unreachable {
            what: COPYING,
            queue: self.plan.queue.clone(),
            cause: format!(
                "message {}: its copy to `{}` was not confirmed: {cause}",
                entry.message.id(),
                copy.routing_key
            ),
            source: None,
        })
    }
}

pub(super) fn failed(error: Error) -> Settled {
    Settled::Failed(Arc::new(error))
}
