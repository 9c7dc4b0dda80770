//! Which deliveries are settled, and in how few frames: only AMQP settles several deliveries of a channel in one frame.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::atomic::Ordering,
};

use futures_util::FutureExt;
use lapin::{
    BasicProperties, Channel,
    options::{BasicAckOptions, BasicNackOptions},
};
use loafer_core::broker::{Settle, Settlement};

use super::{Receipt, ack_dedup::AckDedup, receive::ConsumerChannel};

/// How many of the last deliveries have an entry each, settled or not. The memory that a channel takes does not grow with what is settled behind a
/// delivery that takes long.
const RECENT: usize = 4096;

/// The deliveries of one channel from the first unsettled one on. Tags count up from 1, one by one.
#[derive(Debug, Default)]
pub(super) struct Acks {
    /// The unsettled deliveries that came before `entries`, with their properties.
    old: BTreeMap<u64, Box<BasicProperties>>,
    /// The tag before that of the first entry.
    before: u64,
    /// The properties of each delivery, which a copy needs. `None` means that it is settled.
    entries: VecDeque<Option<Box<BasicProperties>>>,
}

/// One frame to RabbitMQ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ack {
    tag: u64,
    /// Whether it settles all deliveries up to this one.
    multiple: bool,
}

impl Acks {
    /// Adds a delivery. Returns `false` if its tag is not the next one.
    #[must_use]
    pub(super) fn came(&mut self, tag: u64, properties: Box<BasicProperties>) -> bool {
        let next = tag == self.before + self.entries.len() as u64 + 1;
        if next {
            self.entries.push_back(Some(properties));
            if self.entries.len() > RECENT {
                self.before += 1;
                let oldest = self.entries.pop_front().flatten();
                self.old.extend(oldest.map(|oldest| (self.before, oldest)));
            }
        }
        next
    }

    /// Returns the properties of a delivery. `None` means that it is settled.
    pub(super) fn properties(&self, tag: u64) -> Option<&BasicProperties> {
        if tag <= self.before {
            return self.old.get(&tag).map(|properties| &**properties);
        }
        let at = usize::try_from(tag - self.before - 1).ok()?;
        self.entries.get(at)?.as_deref()
    }

    /// Returns how many deliveries have been settled.
    pub(super) fn settled_in_all(&self) -> u64 {
        let unsettled = self.old.len() + self.entries.iter().flatten().count();
        self.before + self.entries.len() as u64 - unsettled as u64
    }

    /// Marks a delivery that is settled in another way, for example released. Returns whether it was unsettled.
    pub(super) fn forget(&mut self, tag: u64) -> bool {
        let settled = self.settle(tag);
        self.advance();
        settled
    }

    /// Marks these deliveries as settled, and adds the frames that say so: one frame for all that have nothing unsettled before them, and one for each of
    /// the others. Deliveries that were settled before are left out.
    fn settled(&mut self, tags: &mut Vec<u64>, frames: &mut Vec<Ack>) {
        tags.sort_unstable();
        tags.retain(|tag| self.settle(*tag));
        let front = self.advance();
        let contiguous = tags.partition_point(|tag| *tag <= front);
        match contiguous {
            0 => {}
            // The last of these and no later one, since RabbitMQ does not know tags that were settled before.
            _ => frames.push(Ack {
                tag: tags[contiguous - 1],
                multiple: contiguous > 1,
            }),
        }
        let alone = tags[contiguous..].iter();
        frames.extend(alone.map(|&tag| Ack {
            tag,
            multiple: false,
        }));
    }

    /// Acks these deliveries in as few frames as possible. Returns whether the client took the frames.
    ///
    /// The first poll hands the frames to the client, under the lock of the acks: a frame that settles many deliveries must keep its order with frames
    /// that settle one of them. Waiting until they are written would cost a round trip to the client's thread and show nothing more: RabbitMQ confirms
    /// no acks, and redelivers what it did not read before a channel broke.
    pub(super) fn write(&mut self, channel: &Channel, mut tags: Vec<u64>) -> bool {
        let mut frames = Vec::new();
        self.settled(&mut tags, &mut frames);
        frames.iter().all(|&Ack { tag, multiple }| {
            let written = channel.basic_ack(tag, BasicAckOptions { multiple });
            !matches!(written.now_or_never(), Some(Err(_)))
        })
    }

    fn settle(&mut self, tag: u64) -> bool {
        if tag <= self.before {
            return self.old.remove(&tag).is_some();
        }
        let at = usize::try_from(tag - self.before - 1).ok();
        let entry = at.and_then(|at| self.entries.get_mut(at));
        entry.is_some_and(|entry| entry.take().is_some())
    }

    /// Removes settled deliveries from the front. Returns the tag up to which all are settled.
    fn advance(&mut self) -> u64 {
        while self.entries.front().is_some_and(Option::is_none) {
            self.entries.pop_front();
            self.before += 1;
        }
        match self.old.first_key_value() {
            Some((oldest, _)) => oldest - 1,
            None => self.before,
        }
    }
}

impl ConsumerChannel {
    /// Gives access to the state of the deliveries, under its lock.
    pub(super) fn acks<T>(&self, with: impl FnOnce(&mut Acks) -> T) -> T {
        with(&mut self.shared.buffer().acks)
    }

    /// Acks these deliveries. Returns whether the client took the frames.
    pub(super) fn ack(&self, tags: impl Iterator<Item = u64>) -> bool {
        self.write_acks(tags.collect(), |_| {})
    }

    /// Acks those messages of a batch that were handled, and remembers them. Returns whether the client took the frames.
    pub(super) fn ack_handled(&self, batch: &[Settle<Receipt>]) -> bool {
        let acks = batch.iter().filter(|entry| {
            matches!(entry.settlement, Settlement::Ack) && entry.receipt.epoch == self.epoch
        });
        let tags = acks.map(|entry| entry.receipt.tag).collect();
        self.write_acks(tags, |handled| handled.acked(self.epoch, batch))
    }

    fn write_acks(&self, tags: Vec<u64>, remember: impl FnOnce(&mut AckDedup)) -> bool {
        let Some(channel) = &self.channel else {
            return false;
        };
        self.shared.settled.store(true, Ordering::Relaxed);
        let mut buffer = self.shared.buffer();
        remember(&mut buffer.handled);
        buffer.acks.write(channel, tags)
    }

    /// Gives access to the messages that were handled, under the lock of the deliveries.
    pub(super) fn handled<T>(&self, with: impl FnOnce(&mut AckDedup) -> T) -> T {
        with(&mut self.shared.buffer().handled)
    }

    /// Releases a delivery: RabbitMQ redelivers it to any consumer.
    pub(super) fn release(&self, tag: u64) -> bool {
        self.nack(tag, true)
    }

    /// Gives a delivery up: RabbitMQ moves it to the dead letters of the queue.
    pub(super) fn give_up(&self, tag: u64) -> bool {
        self.shared.settled.store(true, Ordering::Relaxed);
        self.nack(tag, false)
    }

    fn nack(&self, tag: u64, requeue: bool) -> bool {
        let Some(channel) = &self.channel else {
            return false;
        };
        let options = BasicNackOptions {
            multiple: false,
            requeue,
        };
        self.acks(|acks| {
            acks.forget(tag) && {
                let written = channel.basic_nack(tag, options);
                !matches!(written.now_or_never(), Some(Err(_)))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn came(count: u64) -> Acks {
        let mut acks = Acks::default();
        assert!((1..=count).all(|tag| acks.came(tag, Box::default())));
        acks
    }

    fn frames(acks: &mut Acks, tags: &[u64]) -> Vec<(u64, bool)> {
        let mut frames = Vec::new();
        acks.settled(&mut tags.to_vec(), &mut frames);
        frames.iter().map(|ack| (ack.tag, ack.multiple)).collect()
    }

    #[test]
    fn what_nothing_unsettled_stands_before_is_one_frame() {
        let mut acks = came(5);
        assert_eq!(frames(&mut acks, &[3, 1, 2]), [(3, true)]);
        assert_eq!(frames(&mut acks, &[5, 4]), [(5, true)]);
        assert!(acks.entries.is_empty());
    }

    #[test]
    fn what_waits_for_an_earlier_one_is_settled_alone() {
        let mut acks = came(5);
        assert_eq!(frames(&mut acks, &[2, 4]), [(2, false), (4, false)]);
        assert_eq!(frames(&mut acks, &[1]), [(1, false)]);
        // 4 was settled before, and a frame up to it would name a tag that RabbitMQ no longer knows.
        assert_eq!(frames(&mut acks, &[3]), [(3, false)]);
        assert_eq!(frames(&mut acks, &[5]), [(5, false)]);
    }

    #[test]
    fn what_is_settled_behind_one_that_takes_long_takes_no_memory() {
        let mut acks = Acks::default();
        for tag in 1..=100_000 {
            assert!(acks.came(tag, Box::default()));
            if tag > 2 {
                assert_eq!(frames(&mut acks, &[tag]), [(tag, false)]);
            }
        }
        assert!(acks.entries.len() <= RECENT && acks.old.len() == 2);
        assert!(acks.properties(2).is_some() && acks.properties(3).is_none());
        assert_eq!(acks.settled_in_all(), 99_998);
        assert!(acks.forget(2) && !acks.forget(2));
        assert_eq!(frames(&mut acks, &[1]), [(1, false)]);
        assert_eq!(acks.settled_in_all(), 100_000);
        assert!(acks.came(100_001, Box::default()) && acks.came(100_002, Box::default()));
        let both = frames(&mut acks, &[100_001, 100_002]);
        assert_eq!(both, [(100_002, true)]);
    }

    #[test]
    fn nothing_is_settled_twice() {
        let mut acks = came(2);
        assert_eq!(frames(&mut acks, &[1]), [(1, false)]);
        assert_eq!(frames(&mut acks, &[1, 7]), []);
        assert!(acks.forget(2));
        assert!(!acks.forget(2));
    }
}
