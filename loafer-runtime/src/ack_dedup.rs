//! The ack dedup: messages that were handled, and whose ack is not confirmed.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::sync::locked;
use loafer_core::message::{Message, MessageId};

/// How many messages are remembered. The oldest are forgotten first.
const CAPACITY: usize = 10_000;

/// Messages that were handled and whose ack is not confirmed, by the ids that their broker assigned. When one is redelivered, it is acked
/// without calling the handler.
pub(crate) struct AckDedup {
    /// Whether the broker assigns ids. Another message could have an id that its sender set, and would be lost.
    own_ids: bool,
    /// Whether there are any: almost never if acks are answered at once. Read on every receive.
    any: AtomicBool,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// Messages whose acks are on their way, and how many acks: a message may have been delivered twice.
    acking: HashMap<MessageId, u32>,
    /// Messages whose acks failed or are late. They stay known once an ack has succeeded: a redelivery may be on its way already.
    late: HashSet<MessageId>,
    /// The order in which those of `late` came.
    order: VecDeque<MessageId>,
}

impl AckDedup {
    pub(crate) fn new(own_ids: bool) -> Self {
        Self {
            own_ids,
            any: AtomicBool::new(false),
            known: Mutex::default(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        !self.any.load(Ordering::Relaxed)
    }

    /// Remembers a message whose ack failed, or is late.
    pub(crate) fn remember(&self, message: &Message) {
        self.change(|known| {
            if known.late.insert(message.id().clone()) {
                known.order.push_back(message.id().clone());
                if known.order.len() > CAPACITY
                    && let Some(oldest) = known.order.pop_front()
                {
                    known.late.remove(&oldest);
                }
            }
        });
    }

    /// Remembers messages while their acks are on their way.
    pub(crate) fn begin<'m>(&self, messages: impl Iterator<Item = &'m Message>) {
        self.change(|known| {
            for message in messages {
                *known.acking.entry(message.id().clone()).or_default() += 1;
            }
        });
    }

    /// Called when there is an answer to their acks: those that failed are to be remembered before.
    pub(crate) fn end<'m>(&self, messages: impl Iterator<Item = &'m Message>) {
        self.change(|known| {
            for message in messages {
                if let Some(acks) = known.acking.get_mut(message.id()) {
                    *acks -= 1;
                    if *acks == 0 {
                        known.acking.remove(message.id());
                    }
                }
            }
        });
    }

    fn change(&self, change: impl FnOnce(&mut Known)) {
        if self.own_ids {
            let mut known = locked(&self.known);
            change(&mut known);
            let any = !known.acking.is_empty() || !known.late.is_empty();
            self.any.store(any, Ordering::Relaxed);
        }
    }

    /// Whether this message was handled before.
    pub(crate) fn contains(&self, message: &Message) -> bool {
        let known = locked(&self.known);
        known.acking.contains_key(message.id()) || known.late.contains(message.id())
    }
}
