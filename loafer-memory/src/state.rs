//! What a queue keeps under its lock: what is visible, delayed, or on lease.

use std::collections::BTreeMap;

use loafer_core::{broker::Delivery, message::Message};
use tokio::time::Instant;

use crate::{receipt::MemoryReceipt, visible::VisibleStore};

/// What a queue keeps under its lock. Each message is in one of `ready`, `delayed` and `leased`.
pub(crate) struct State {
    /// The visible messages. The attempt of each is the number of its receives so far.
    pub(crate) ready: VisibleStore,
    /// The messages that become visible later, by that moment: sent with a delay, or retried after one.
    pub(crate) delayed: BTreeMap<(Instant, u64), Delayed>,
    /// The messages on lease, by the index of the receipt. `None` marks an index that is free.
    pub(crate) leased: Vec<Option<Leased>>,
    /// The free indices of `leased`.
    free: Vec<u32>,
    /// How many messages are on lease: the entries of `leased` that are `Some`.
    in_flight: usize,
    /// No lease ends before this moment, so that most receives need not look. `None` means that no lease ends.
    pub(crate) earliest: Option<Instant>,
    /// Tells receipts from one another, and delayed messages with the same moment.
    serial: u64,
}

/// A message on lease.
pub(crate) struct Leased {
    pub(crate) message: Message,
    pub(crate) until: Instant,
    /// The serial of the receipt. Another receipt of this index has another one.
    pub(crate) serial: u64,
}

/// A message that is not visible yet.
pub(crate) struct Delayed {
    pub(crate) message: Message,
    /// Whether it was on lease before. If it was, its group waits for it.
    received: bool,
}

impl State {
    pub(crate) fn new(fifo: bool) -> Self {
        Self {
            ready: VisibleStore::new(fifo),
            delayed: BTreeMap::new(),
            leased: Vec::new(),
            free: Vec::new(),
            in_flight: 0,
            earliest: None,
            serial: 0,
        }
    }

    /// Returns whether the queue holds no message, what was sent since the last receive left out.
    pub(crate) fn is_empty(&self) -> bool {
        self.ready.is_empty() && self.delayed.is_empty() && self.in_flight == 0
    }

    /// Keeps a message invisible until a moment.
    pub(crate) fn delay(&mut self, message: Message, until: Instant, received: bool) {
        self.serial += 1;
        let delayed = Delayed { message, received };
        self.delayed.insert((until, self.serial), delayed);
    }

    /// Puts a message on lease.
    #[inline]
    pub(crate) fn lease(&mut self, message: Message, until: Instant) -> Delivery<MemoryReceipt> {
        self.serial += 1;
        let serial = self.serial;
        let delivered = message.clone();
        let leased = Some(Leased {
            message,
            until,
            serial,
        });
        let index = match self.free.pop() {
            Some(index) => {
                self.leased[index as usize] = leased;
                index
            }
            None => {
                self.leased.push(leased);
                (self.leased.len() - 1) as u32
            }
        };
        self.in_flight += 1;
        Delivery {
            receipt: MemoryReceipt { index, serial },
            message: delivered,
        }
    }

    /// Returns the message that this receipt names. `None` means that its lease has ended.
    pub(crate) fn leased_mut(&mut self, receipt: &MemoryReceipt) -> Option<&mut Leased> {
        let leased = self.leased.get_mut(receipt.index as usize)?.as_mut();
        leased.filter(|leased| leased.serial == receipt.serial)
    }

    /// Ends a lease and returns its message. `None` means that it has ended before.
    #[inline]
    pub(crate) fn take(&mut self, receipt: &MemoryReceipt) -> Option<Message> {
        let entry = self.leased.get_mut(receipt.index as usize)?;
        if entry.as_ref()?.serial != receipt.serial {
            return None;
        }
        let leased = entry.take()?;
        self.free.push(receipt.index);
        self.in_flight -= 1;
        if self.in_flight == 0 {
            self.earliest = None;
        }
        Some(leased.message)
    }

    /// Makes visible what is due: delayed messages, and those whose leases have expired.
    pub(crate) fn surface(&mut self, now: Instant) {
        self.surface_expired(now);
        while let Some(entry) = self.delayed.first_entry()
            && entry.key().0 <= now
        {
            let Delayed { message, received } = entry.remove();
            if received {
                self.ready.put_back(message, false);
            } else {
                self.ready.add(message);
            }
        }
    }

    /// Ends every lease, as if it had expired. Returns how many there were.
    pub(crate) fn expire(&mut self) -> usize {
        let now = Instant::now();
        let expired = self.in_flight;
        for leased in self.leased.iter_mut().flatten() {
            leased.until = now;
        }
        self.earliest = Some(now);
        self.surface_expired(now);
        expired
    }

    /// Makes visible the messages whose leases have expired.
    pub(crate) fn surface_expired(&mut self, now: Instant) {
        if self.earliest.is_none_or(|earliest| earliest > now) {
            return;
        }
        self.earliest = None;
        for index in 0..self.leased.len() {
            match &self.leased[index] {
                Some(leased) if leased.until <= now => {
                    if let Some(leased) = self.leased[index].take() {
                        self.free.push(index as u32);
                        self.in_flight -= 1;
                        self.ready.put_back(leased.message, false);
                    }
                }
                Some(leased) => {
                    let until = leased.until;
                    self.earliest =
                        Some(self.earliest.map_or(until, |earliest| earliest.min(until)));
                }
                None => {}
            }
        }
    }
}
