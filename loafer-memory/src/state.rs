//! What a queue keeps under its lock: what is visible, delayed, or on lease.

use std::collections::BTreeMap;

use loafer_core::{
    broker::{Delivery, Depth},
    message::Message,
};
use tokio::time::Instant;

use crate::{receipt::MemoryReceipt, visible::VisibleStore};

/// What a queue keeps under its lock. Each message is in one of `ready`, `delayed` and `leased`.
pub(crate) struct State {
    /// The visible messages. The attempt of each is the number of its receives so far.
    pub(crate) ready: VisibleStore,
    /// The messages that become visible later, by that moment: sent with a delay, or retried after one.
    pub(crate) delayed: BTreeMap<(Instant, u64), Delayed>,
    /// The messages on lease, by the index of the receipt. Some indices are free.
    leased: Vec<Leased>,
    /// The free index that is used next, or [`NONE`]. Each free index names the one after it.
    free: u32,
    /// How many messages are on lease.
    in_flight: usize,
    /// No lease ends before this moment, so that most receives need not look. `None` means that no lease ends.
    pub(crate) earliest: Option<Instant>,
    /// Tells receipts from one another, and delayed messages with the same moment.
    serial: u64,
}

/// An index of `leased`, with a message on lease if it is not free.
pub(crate) struct Leased {
    message: Option<Message>,
    pub(crate) until: Instant,
    /// The serial of the receipt. Another receipt of this index has another one.
    serial: u64,
    /// The next free index, or [`NONE`], while this one is free.
    next: u32,
}

/// Stands for no index.
const NONE: u32 = u32::MAX;

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
            free: NONE,
            in_flight: 0,
            earliest: None,
            serial: 0,
        }
    }

    /// Returns whether the queue holds no message, what was sent since the last receive left out.
    pub(crate) fn is_empty(&self) -> bool {
        self.ready.is_empty() && self.delayed.is_empty() && self.in_flight == 0
    }

    /// Returns how much it holds at this moment. What is due counts as ready, although no receive has seen that yet.
    pub(crate) fn depth(&self, now: Instant) -> Depth {
        let later = self.delayed.keys().filter(|(due, _)| *due > now).count();
        let on_lease = |leased: &&Leased| leased.message.is_some() && leased.until > now;
        let in_flight = self.leased.iter().filter(on_lease).count();
        let sent = self.messages().filter_map(|message| message.id().made_at());
        let mut depth = Depth::default();
        depth.ready = Some((self.messages().count() - later - in_flight) as u64);
        depth.in_flight = Some(in_flight as u64);
        depth.delayed = Some(later as u64);
        depth.oldest = sent.min().and_then(|sent| sent.elapsed().ok());
        depth
    }

    /// Returns all messages: visible, delayed and in flight.
    pub(crate) fn messages(&self) -> impl Iterator<Item = &Message> {
        let delayed = self.delayed.values().map(|delayed| &delayed.message);
        self.ready.iter().chain(delayed).chain(self.leased())
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
        let (index, serial) = (self.free, self.serial);
        let delivered = message.clone();
        let index = if let Some(entry) = self.leased.get_mut(index as usize) {
            self.free = entry.next;
            // One by one: to make a whole entry first would copy it, and drop the one before.
            entry.message = Some(message);
            entry.until = until;
            entry.serial = serial;
            index
        } else {
            self.leased.push(Leased {
                message: Some(message),
                until,
                serial,
                next: NONE,
            });
            (self.leased.len() - 1) as u32
        };
        self.in_flight += 1;
        Delivery {
            receipt: MemoryReceipt { index, serial },
            message: delivered,
        }
    }

    /// Returns the messages on lease.
    fn leased(&self) -> impl Iterator<Item = &Message> {
        self.leased.iter().flat_map(|leased| &leased.message)
    }

    /// Returns the lease that this receipt names. `None` means that it has ended.
    pub(crate) fn leased_mut(&mut self, receipt: &MemoryReceipt) -> Option<&mut Leased> {
        let leased = self.leased.get_mut(receipt.index as usize)?;
        (leased.serial == receipt.serial && leased.message.is_some()).then_some(leased)
    }

    /// Ends a lease and returns its message. `None` means that it has ended before.
    #[inline]
    pub(crate) fn take(&mut self, receipt: &MemoryReceipt) -> Option<Message> {
        let leased = self.leased.get_mut(receipt.index as usize)?;
        if leased.serial != receipt.serial {
            return None;
        }
        let message = leased.message.take()?;
        leased.next = self.free;
        self.free = receipt.index;
        self.in_flight -= 1;
        if self.in_flight == 0 {
            self.earliest = None;
        }
        Some(message)
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
        for leased in &mut self.leased {
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
        for (index, leased) in self.leased.iter_mut().enumerate() {
            let until = leased.until;
            if leased.message.is_some() && until > now {
                self.earliest = Some(self.earliest.map_or(until, |earliest| earliest.min(until)));
            } else if let Some(message) = leased.message.take() {
                leased.next = self.free;
                self.free = index as u32;
                self.in_flight -= 1;
                self.ready.put_back(message, false);
            }
        }
    }
}
