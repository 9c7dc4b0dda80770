//! What of a queue is visible, in the order in which it goes out.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    time::Duration,
};

use tokio::time::Instant;

use crate::clock::after;
use loafer_core::message::{DeduplicationId, Message, MessageId};

/// For how long a deduplication id is remembered (SQS FIFO: five minutes).
const DEDUPLICATED: Duration = Duration::from_secs(300);

/// What of a queue is visible, in the order in which it goes out.
pub(super) enum Shelf {
    /// First come, first served, more or less.
    Standard(VecDeque<Message>),
    /// Each group in order, and none of it while another one of it is out.
    Fifo(Box<Fifo>),
}

impl Shelf {
    pub(super) fn new(fifo: bool) -> Self {
        if fifo {
            Self::Fifo(Box::default())
        } else {
            Self::Standard(VecDeque::new())
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Standard(ready) => ready.is_empty(),
            Self::Fifo(fifo) => fifo.ready.is_empty(),
        }
    }

    pub(super) fn iter(&self) -> Box<dyn Iterator<Item = &Message> + '_> {
        match self {
            Self::Standard(ready) => Box::new(ready.iter()),
            Self::Fifo(fifo) => Box::new(fifo.ready.values()),
        }
    }

    /// A message that was never received.
    #[inline]
    pub(super) fn add(&mut self, message: Message) {
        match self {
            Self::Standard(ready) => ready.push_back(message),
            Self::Fifo(fifo) => fifo.add(message),
        }
    }

    /// A message that was on lease, ahead of the others or behind them where the order is free.
    pub(super) fn put_back(&mut self, message: Message, ahead: bool) {
        match self {
            Self::Standard(ready) if ahead => ready.push_front(message),
            Self::Standard(ready) => ready.push_back(message),
            Self::Fifo(fifo) => fifo.put_back(message),
        }
    }

    /// A receive begins: what is out before it keeps its group back.
    pub(super) fn begin(&mut self) {
        if let Self::Fifo(fifo) = self {
            fifo.round += 1;
            fifo.from = 0;
        }
    }

    /// The next message of this receive.
    #[inline]
    pub(super) fn next(&mut self) -> Option<Message> {
        match self {
            Self::Standard(ready) => ready.pop_front(),
            Self::Fifo(fifo) => fifo.next(),
        }
    }

    /// A message that was on lease has left the queue.
    #[inline]
    pub(super) fn gone(&mut self, message: &Message) {
        if let Self::Fifo(fifo) = self {
            fifo.gone(message);
        }
    }

    /// Whether a message sent with this id is to be left out, since another one came with it; remembers it.
    pub(super) fn is_duplicate(&mut self, id: &DeduplicationId) -> bool {
        match self {
            Self::Standard(_) => false,
            Self::Fifo(fifo) => fifo.is_duplicate(id),
        }
    }
}

/// Messages in order, and which groups are held back.
#[derive(Default)]
pub(super) struct Fifo {
    /// By their place in the queue.
    ready: BTreeMap<u64, Message>,
    /// The places of messages that are out.
    places: HashMap<MessageId, u64>,
    last: u64,
    /// How many of a group are out, and since which receive.
    out: HashMap<String, (usize, u64)>,
    /// The number of the running receive, and how far it has come.
    round: u64,
    from: u64,
    /// The deduplication ids of the last minutes, and how long they count.
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
        match self.places.remove(message.id()) {
            Some(place) => _ = self.ready.insert(place, message),
            None => self.add(message),
        }
    }

    #[inline(never)]
    fn next(&mut self) -> Option<Message> {
        let free = |message: &Message| {
            let held = message.group().and_then(|group| self.out.get(group));
            held.is_none_or(|(_, since)| *since == self.round)
        };
        let mut waiting = self.ready.range(self.from..);
        let place = waiting.find_map(|(place, message)| free(message).then_some(*place))?;
        let message = self.ready.remove(&place)?;
        self.from = place;
        self.places.insert(message.id().clone(), place);
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
        self.places.remove(message.id());
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
