//! What a queue keeps under its lock: what is visible, delayed, on lease, or isolated.

use std::collections::BTreeMap;

use loafer_core::{
    broker::{Delivery, Depth, Isolated},
    message::Message,
};
use tokio::time::Instant;

use crate::{
    counts,
    isolated::{ISOLATED, IsolatedStore},
    receipt::MemoryReceipt,
    visible::VisibleStore,
};

/// What a queue keeps under its lock. Each message is in one of `ready`, `delayed`, `leased` and `isolated`.
pub(crate) struct State {
    /// The visible messages.
    pub(crate) ready: VisibleStore,
    /// The messages that become visible later, by that moment: sent with a delay, or retried after one.
    pub(crate) delayed: BTreeMap<(Instant, u64), Delayed>,
    /// The messages on lease, by the index of the receipt. Some indices are free.
    leased: Vec<Leased>,
    /// The messages that are handed over alone, on lease or not. In a FIFO queue the groups of all of them wait.
    isolated: IsolatedStore,
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
struct Leased {
    message: Option<Message>,
    until: Instant,
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
            isolated: IsolatedStore::default(),
            free: NONE,
            in_flight: 0,
            earliest: None,
            serial: 0,
        }
    }

    /// Returns whether the queue holds no message, what was sent since the last receive left out.
    pub(crate) fn is_empty(&self) -> bool {
        self.in_flight == 0
            && self.ready.is_empty()
            && self.delayed.is_empty()
            && self.isolated.is_empty()
    }

    /// Returns how much it holds at this moment. What is due counts as ready, although no receive has seen that yet.
    pub(crate) fn depth(&self, now: Instant) -> Depth {
        let later = self.delayed.keys().filter(|(due, _)| *due > now).count();
        let on_lease = |leased: &&Leased| leased.message.is_some() && leased.until > now;
        let in_flight = self.leased.iter().filter(on_lease).count() + self.isolated.in_flight(now);
        let sent = self.messages().filter_map(|message| message.id().made_at());
        let mut depth = Depth::default();
        depth.ready = Some((self.messages().count() - later - in_flight) as u64);
        depth.in_flight = Some(in_flight as u64);
        depth.delayed = Some(later as u64);
        depth.oldest = sent.min().and_then(|sent| sent.elapsed().ok());
        depth
    }

    /// Returns all messages: visible, delayed, in flight and isolated.
    pub(crate) fn messages(&self) -> impl Iterator<Item = &Message> {
        let delayed = self.delayed.values().map(|delayed| &delayed.message);
        let held = delayed.chain(self.leased());
        self.ready
            .iter()
            .chain(held)
            .chain(self.isolated.messages())
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
        let (message, delivered) = counts::delivered(message);
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

    /// Leases an isolated message that is not on lease. `None` means that there is none.
    pub(crate) fn lease_isolated(
        &mut self,
        now: Instant,
        until: Instant,
    ) -> Option<Isolated<MemoryReceipt>> {
        self.serial += 1;
        self.isolated.lease(self.serial, now, until)
    }

    /// Returns when the lease that this receipt names ends, to change it. `None` means that it has ended.
    pub(crate) fn until_mut(&mut self, receipt: &MemoryReceipt) -> Option<&mut Instant> {
        let Some(leased) = self.leased.get_mut(receipt.index as usize) else {
            return self.isolated.until_mut(receipt.serial);
        };
        (leased.serial == receipt.serial && leased.message.is_some()).then_some(&mut leased.until)
    }

    /// Notes that a message failed whose lease is left to expire. `None` means that the lease has ended before.
    pub(crate) fn lapse(&mut self, receipt: &MemoryReceipt) -> Option<()> {
        let until = *self.until_mut(receipt)?;
        match self.leased.get_mut(receipt.index as usize) {
            Some(leased) => leased.message = leased.message.take().map(counts::failed),
            // It goes back to the queue: it was tried, so it did not end its process.
            None => {
                let message = self.isolated.take(receipt.serial)?;
                self.delay(counts::failed(message), until, true);
            }
        }
        Some(())
    }

    /// Ends a lease so that the message is delivered at once. An isolated one stays isolated. `None` means that the lease has ended before.
    pub(crate) fn release(&mut self, receipt: &MemoryReceipt) -> Option<()> {
        if receipt.index == ISOLATED {
            return self.isolated.release(receipt.serial);
        }
        let message = self.take(receipt)?;
        self.ready.put_back(counts::untried(message), true);
        Some(())
    }

    /// Ends a lease so that the message is handed over alone. `None` means that the lease has ended before.
    pub(crate) fn isolate(&mut self, receipt: &MemoryReceipt) -> Option<()> {
        if receipt.index == ISOLATED {
            return self.release(receipt);
        }
        let message = self.take(receipt)?;
        self.isolated.add(counts::untried(message));
        Some(())
    }

    /// Ends a lease and returns its message. `None` means that it has ended before.
    #[inline]
    pub(crate) fn take(&mut self, receipt: &MemoryReceipt) -> Option<Message> {
        let Some(leased) = self.leased.get_mut(receipt.index as usize) else {
            return self.isolated.take(receipt.serial);
        };
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
        let expired = self.in_flight + self.isolated.expire();
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
