//! The ack dedup: messages that were handled, and whose ack did not succeed at once.

use std::{
    collections::{HashSet, VecDeque},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use crate::sync::locked;
use loafer_core::message::{Message, MessageId};

/// How many messages are remembered. The oldest are forgotten first.
const CAPACITY: usize = 10_000;

/// Messages that were handled and whose ack failed or is late, by the ids that their broker assigned. When one is redelivered, it is acked
/// without calling the handler.
///
/// A message is remembered from the moment at which its ack may fail, so also while the ack is tried again. It stays remembered once the
/// ack has succeeded: a redelivery may be on its way already.
pub(crate) struct AckDedup {
    /// Whether the broker assigns ids. Another message could have an id that its sender set, and would be lost.
    own_ids: bool,
    /// How many ids there are: almost always 0. Read on every receive.
    len: AtomicUsize,
    ids: Mutex<(HashSet<MessageId>, VecDeque<MessageId>)>,
}

impl AckDedup {
    pub(crate) fn new(own_ids: bool) -> Self {
        Self {
            own_ids,
            len: AtomicUsize::new(0),
            ids: Mutex::default(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len.load(Ordering::Relaxed) == 0
    }

    /// Remembers a message that was handled.
    pub(crate) fn remember(&self, message: &Message) {
        if !self.own_ids {
            return;
        }
        let mut guard = locked(&self.ids);
        let (known, order) = &mut *guard;
        if known.insert(message.id().clone()) {
            order.push_back(message.id().clone());
            if order.len() > CAPACITY
                && let Some(oldest) = order.pop_front()
            {
                known.remove(&oldest);
            }
        }
        self.len.store(known.len(), Ordering::Relaxed);
    }

    /// Whether this message was handled before.
    pub(crate) fn contains(&self, message: &Message) -> bool {
        locked(&self.ids).0.contains(message.id())
    }
}
