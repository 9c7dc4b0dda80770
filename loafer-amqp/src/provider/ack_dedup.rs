//! The ack dedup: messages that were handled, and whose acks RabbitMQ may not have read before their channel was lost. Only AMQP confirms no acks.
//!
//! RabbitMQ redelivers such a message under no id of its own. So it is known by the id of its event, or its message id, together with its payload.

use std::{
    collections::{HashSet, VecDeque},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    mem,
};

use loafer_core::{
    broker::{Settle, Settlement},
    message::Message,
};

use super::Receipt;

/// How many bytes at each end of a payload tell it from others.
const ENDS: usize = 32;

/// The messages that were acked last.
#[derive(Clone, Debug, Default)]
pub(super) struct AckDedup {
    /// How many are kept. RabbitMQ pushes no more than the prefetch before it has read acks, so no more acks can be lost.
    most: usize,
    /// The last ones, the oldest first. They are of this channel and of those before it.
    acked: VecDeque<u64>,
    /// Those of earlier channels that have not come again.
    lost: HashSet<u64>,
    /// How many came again and are not logged yet.
    pub(super) again: usize,
}

impl AckDedup {
    /// Returns what to go on with on the next channel, whose prefetch is never more than `most`.
    pub(super) fn next(&self, most: usize) -> Self {
        let mut lost = HashSet::with_capacity(self.acked.len());
        let alike: Vec<u64> = self
            .acked
            .iter()
            .copied()
            .filter(|id| !lost.insert(*id))
            .collect();
        // Their publisher gives several messages one id: another one of them may not have been handled.
        for id in alike {
            lost.remove(&id);
        }
        let mut next = Self {
            most: self.most,
            acked: self.acked.clone(),
            lost,
            again: 0,
        };
        next.allow(most);
        next
    }

    /// Keeps this many, or more if it was to keep more before.
    pub(super) fn allow(&mut self, most: usize) {
        self.most = self.most.max(most);
    }

    /// Remembers the messages of a batch that are acked: those of the channel of this epoch, and those whose channel is lost already.
    pub(super) fn acked(&mut self, epoch: u64, batch: &[Settle<Receipt>]) {
        for entry in batch {
            if matches!(entry.settlement, Settlement::Ack) {
                let id = identity(&entry.message);
                if entry.receipt.epoch != epoch {
                    self.lost.insert(id);
                }
                self.push(id);
            }
        }
    }

    fn push(&mut self, id: u64) {
        self.acked.push_back(id);
        if self.acked.len() > self.most {
            self.acked.pop_front();
        }
    }

    /// Returns whether a message that is redelivered was handled on an earlier channel. It is so once only: it is acked again then.
    #[cold]
    pub(super) fn comes_again(&mut self, message: &Message) -> bool {
        if self.lost.is_empty() {
            return false;
        }
        let id = identity(message);
        let again = self.lost.remove(&id);
        if again {
            self.again += 1;
            // That ack may be lost, too.
            if let Some(at) = self.acked.iter().position(|acked| *acked == id) {
                self.acked.remove(at);
            }
            self.push(id);
        }
        again
    }

    /// Returns how many came again since the last call.
    pub(super) fn take_again(&mut self) -> usize {
        mem::take(&mut self.again)
    }
}

/// Returns what tells a message from others. A message without an id got a random one when it came, and is never known again.
fn identity(message: &Message) -> u64 {
    let mut hasher = DefaultHasher::new();
    match message.event_id() {
        Some(id) => id.hash(&mut hasher),
        None => message.id().hash(&mut hasher),
    }
    let payload = &message.payload()[..];
    payload.len().hash(&mut hasher);
    hasher.write(&payload[..payload.len().min(ENDS)]);
    hasher.write(&payload[payload.len().saturating_sub(ENDS)..]);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use loafer_core::message::{EVENT_ID, Headers, MessageId};

    use super::*;

    fn message(id: &str, payload: &str) -> Message {
        Message::with_id(MessageId::from(id), payload.to_owned())
    }

    fn ack(epoch: u64, message: Message) -> Settle<Receipt> {
        Settle {
            receipt: Receipt { epoch, tag: 1 },
            message,
            settlement: Settlement::Ack,
        }
    }

    /// Returns what was acked on the first channel, whose prefetch was 3.
    fn acked(messages: impl IntoIterator<Item = Message>) -> AckDedup {
        let mut handled = AckDedup::default().next(3);
        for message in messages {
            handled.acked(1, &[ack(1, message)]);
        }
        handled
    }

    #[test]
    fn it_comes_again_once_on_a_later_channel() {
        let mut handled = acked([message("a", "1")]);
        assert!(
            !handled.comes_again(&message("a", "1")),
            "on its own channel"
        );
        let mut next = handled.next(3);
        assert!(next.comes_again(&message("a", "1")) && next.take_again() == 1);
        assert!(!next.comes_again(&message("a", "1")));
        assert!(next.next(3).comes_again(&message("a", "1")), "lost again");
    }

    #[test]
    fn the_last_are_kept_as_many_as_can_be_lost() {
        let numbers = || ["1", "2", "3", "4", "5"].map(|number| message(number, number));
        let mut next = acked(numbers()).next(1);
        let again = numbers().map(|message| next.comes_again(&message));
        assert_eq!(again, [false, false, true, true, true]);
    }

    #[test]
    fn another_payload_or_another_event_is_another_message() {
        let long = "x".repeat(2 * ENDS);
        let mut next = acked([message("a", &long)]).next(3);
        for other in [
            "",
            &long[1..],
            &format!("y{}", &long[1..]),
            &format!("{}y", &long[1..]),
        ] {
            assert!(!next.comes_again(&message("a", other)), "{other}");
        }
        let mut headers = Headers::new();
        headers.insert(EVENT_ID, "e");
        let event = |id| message(id, "1").with_headers(headers.clone());
        let mut next = acked([event("a")]).next(3);
        assert!(!next.comes_again(&message("a", "1")));
        assert!(next.comes_again(&event("b")), "its event has one id");
    }

    #[test]
    fn an_id_of_several_messages_tells_nothing() {
        let mut next = acked([message("a", "1"), message("b", "1"), message("a", "1")]).next(3);
        assert!(!next.comes_again(&message("a", "1")));
        assert!(next.comes_again(&message("b", "1")));
    }

    #[test]
    fn only_acks_are_remembered_those_that_came_too_late_at_once() {
        let mut next = acked([]).next(3);
        let late = ack(1, message("a", "1"));
        let mut retried = ack(2, message("b", "1"));
        retried.settlement = Settlement::Retry { after: None };
        next.acked(2, &[late, retried]);
        assert!(next.comes_again(&message("a", "1")));
        assert!(!next.next(3).comes_again(&message("b", "1")));
    }
}
