//! The ack dedup: messages that were handled and could not be acked.

use std::{
    collections::{HashSet, VecDeque},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use loafer_core::message::MessageId;

/// How many messages are remembered. The oldest are forgotten first.
const CAPACITY: usize = 10_000;

/// Messages that were handled and could not be acked, by the ids that their broker assigned. When one is redelivered, it is acked without
/// calling the handler.
#[derive(Default)]
pub(in crate::engine) struct AckDedup {
    /// How many ids there are: almost always 0. Read on every receive.
    len: AtomicUsize,
    ids: Mutex<(HashSet<MessageId>, VecDeque<MessageId>)>,
}

impl AckDedup {
    pub(in crate::engine) fn is_empty(&self) -> bool {
        self.len.load(Ordering::Relaxed) == 0
    }

    pub(in crate::engine) fn remember(&self, id: MessageId) {
        let mut guard = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        let (known, order) = &mut *guard;
        if known.insert(id.clone()) {
            order.push_back(id);
            if order.len() > CAPACITY
                && let Some(oldest) = order.pop_front()
            {
                known.remove(&oldest);
            }
        }
        self.len.store(known.len(), Ordering::Relaxed);
    }

    /// Whether this message was handled before. It stays remembered until its ack is confirmed.
    pub(in crate::engine) fn contains(&self, id: &MessageId) -> bool {
        self.ids
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .0
            .contains(id)
    }

    pub(in crate::engine) fn forget(&self, id: &MessageId) {
        let mut guard = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        let (known, order) = &mut *guard;
        if known.remove(id) {
            order.retain(|other| other != id);
        }
        self.len.store(known.len(), Ordering::Relaxed);
    }
}
