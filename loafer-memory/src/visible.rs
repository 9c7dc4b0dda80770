//! The visible messages of a queue, in the order in which they are delivered.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    time::Duration,
};

use loafer_core::message::{DeduplicationId, Message, MessageId};
use tokio::time::Instant;

use crate::clock::after;

/// How long a deduplication id is remembered: five minutes, as on SQS FIFO
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/FIFO-queues-exactly-once-processing.html>).
const DEDUPLICATED: Duration = Duration::from_secs(300);

/// The visible messages of a queue, in the order in which they are delivered.
pub(crate) enum VisibleStore {
    /// First in, first out, except for what was on lease before.
    Standard(VecDeque<Message>),
    /// Each group in order. While a message of a group is on lease, no other of that group is delivered.
    Fifo(Box<Fifo>),
}

impl VisibleStore {
    pub(crate) fn new(fifo: bool) -> Self {
        if fifo {
            Self::Fifo(Box::default())
        } else {
            Self::Standard(VecDeque::new())
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Standard(ready) => ready.is_empty(),
            Self::Fifo(fifo) => fifo.ready.is_empty(),
        }
    }

    pub(crate) fn iter(&self) -> Box<dyn Iterator<Item = &Message> + '_> {
        match self {
            Self::Standard(ready) => Box::new(ready.iter()),
            Self::Fifo(fifo) => Box::new(fifo.ready.values()),
        }
    }

    /// Adds a message that was never on lease.
    #[inline]
    pub(crate) fn add(&mut self, message: Message) {
        match self {
            Self::Standard(ready) => ready.push_back(message),
            Self::Fifo(fifo) => fifo.add(message),
        }
    }

    /// Adds a message that was on lease. Without groups it goes before all others if `ahead` is set, otherwise behind them. In a FIFO queue it
    /// goes to its old position.
    pub(crate) fn put_back(&mut self, message: Message, ahead: bool) {
        match self {
            Self::Standard(ready) if ahead => ready.push_front(message),
            Self::Standard(ready) => ready.push_back(message),
            Self::Fifo(fifo) => fifo.put_back(message),
        }
    }

    /// Begins a receive. Groups that have a message on lease from an earlier receive stay blocked in it.
    pub(crate) fn begin(&mut self) {
        if let Self::Fifo(fifo) = self {
            fifo.round += 1;
            fifo.from = 0;
        }
    }

    /// Takes the next message of this receive.
    #[inline]
    pub(crate) fn next(&mut self) -> Option<Message> {
        match self {
            Self::Standard(ready) => ready.pop_front(),
            Self::Fifo(fifo) => fifo.next(),
        }
    }

    /// Notes that a message which was on lease has left the queue. Returns whether others may be visible now: those of its group.
    #[inline]
    pub(crate) fn gone(&mut self, message: &Message) -> bool {
        match self {
            Self::Standard(_) => false,
            Self::Fifo(fifo) => {
                fifo.gone(message);
                true
            }
        }
    }

    /// Returns whether a message with this id was sent before, in the last five minutes. Remembers the id. Always `false` in a standard queue.
    pub(crate) fn is_duplicate(&mut self, id: &DeduplicationId) -> bool {
        match self {
            Self::Standard(_) => false,
            Self::Fifo(fifo) => fifo.is_duplicate(id),
        }
    }
}

/// Messages in order, and which groups are blocked.
#[derive(Default)]
pub(crate) struct Fifo {
    /// The visible messages, by their positions in the queue.
    ready: BTreeMap<u64, Message>,
    /// The positions of the messages on lease, so that each returns to its own.
    positions: HashMap<MessageId, u64>,
    /// The last position given.
    last: u64,
    /// How many messages of a group are on lease, and since which receive. A group without any is not in it.
    out: HashMap<String, (usize, u64)>,
    /// The number of the running receive. It may take several messages of one group.
    round: u64,
    /// The position from which the running receive looks further.
    from: u64,
    /// The deduplication ids of the last minutes, and until when each counts.
    seen: HashMap<DeduplicationId, Instant>,
}

impl Fifo {
    #[inline(never)]
    fn add(&mut self, message: Message) {
        self.last += 1;
        self.ready.insert(self.last, message);
    }

    #[inline(never)]
    fn put_back(&mut self, message: Message) {
        self.let_group_go(&message);
        match self.positions.remove(message.id()) {
            Some(position) => _ = self.ready.insert(position, message),
            None => self.add(message),
        }
    }

    #[inline(never)]
    fn next(&mut self) -> Option<Message> {
        let free = |message: &Message| {
            let out = message.group().and_then(|group| self.out.get(group));
            out.is_none_or(|(_, since)| *since == self.round)
        };
        let mut waiting = self.ready.range(self.from..);
        let position = waiting.find_map(|(at, message)| free(message).then_some(*at))?;
        let message = self.ready.remove(&position)?;
        self.from = position;
        self.positions.insert(message.id().clone(), position);
        if let Some(group) = message.group() {
            let round = self.round;
            let (out, _) = self.out.entry(group.to_owned()).or_insert((0, round));
            *out += 1;
        }
        Some(message)
    }

    #[inline(never)]
    fn gone(&mut self, message: &Message) {
        self.let_group_go(message);
        self.positions.remove(message.id());
    }

    fn let_group_go(&mut self, message: &Message) {
        let Some(group) = message.group() else { return };
        if let Some((out, _)) = self.out.get_mut(group) {
            *out = out.saturating_sub(1);
            if *out == 0 {
                self.out.remove(group);
            }
        }
    }

    fn is_duplicate(&mut self, id: &DeduplicationId) -> bool {
        let now = Instant::now();
        self.seen.retain(|_, until| *until > now);
        if self.seen.contains_key(id) {
            return true;
        }
        self.seen.insert(id.clone(), after(DEDUPLICATED));
        false
    }
}
