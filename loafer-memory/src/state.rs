//! What a queue in memory holds: visible, delayed, on lease.

use std::collections::BTreeMap;

use tokio::time::Instant;

use super::{MemoryReceipt, shelf::Shelf};
use loafer_core::{broker::Delivery, message::Message};

/// What a queue holds.
pub(super) struct State {
    /// Visible; the attempt counts the receives so far.
    pub(super) ready: Shelf,
    /// Not visible yet: sent with a delay, or to be retried after one.
    pub(super) delayed: BTreeMap<(Instant, u64), Delayed>,
    /// On lease, by receipt.
    pub(super) leased: Vec<Option<Leased>>,
    free: Vec<u32>,
    in_flight: usize,
    /// No lease ends before this: most receives need not look.
    pub(super) earliest: Option<Instant>,
    /// Tells receipts and delayed messages apart.
    serial: u64,
}

pub(super) struct Leased {
    pub(super) message: Message,
    pub(super) until: Instant,
    pub(super) serial: u64,
}

/// A message that is not visible yet.
pub(super) struct Delayed {
    pub(super) message: Message,
    /// It was on lease before: its group waits for it.
    received: bool,
}

impl State {
    pub(super) fn new(fifo: bool) -> Self {
        Self {
            ready: Shelf::new(fifo),
            delayed: BTreeMap::new(),
            leased: Vec::new(),
            free: Vec::new(),
            in_flight: 0,
            earliest: None,
            serial: 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ready.is_empty() && self.delayed.is_empty() && self.in_flight == 0
    }

    pub(super) fn delay(&mut self, message: Message, until: Instant, received: bool) {
        self.serial += 1;
        let delayed = Delayed { message, received };
        self.delayed.insert((until, self.serial), delayed);
    }

    #[inline]
    pub(super) fn lease(&mut self, message: Message, until: Instant) -> Delivery<MemoryReceipt> {
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

    /// What this receipt holds, while its lease lasts.
    pub(super) fn leased_mut(&mut self, receipt: &MemoryReceipt) -> Option<&mut Leased> {
        let leased = self.leased.get_mut(receipt.index as usize)?.as_mut();
        leased.filter(|leased| leased.serial == receipt.serial)
    }

    #[inline]
    pub(super) fn take(&mut self, receipt: &MemoryReceipt) -> Option<Message> {
        let place = self.leased.get_mut(receipt.index as usize)?;
        if place.as_ref()?.serial != receipt.serial {
            return None;
        }
        let leased = place.take()?;
        self.free.push(receipt.index);
        self.in_flight -= 1;
        if self.in_flight == 0 {
            self.earliest = None;
        }
        Some(leased.message)
    }

    /// Makes visible what is due.
    pub(super) fn surface(&mut self, now: Instant) {
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

    /// Takes back all that is on lease; says how much it was.
    pub(super) fn expire(&mut self) -> usize {
        let now = Instant::now();
        let expired = self.in_flight;
        for leased in self.leased.iter_mut().flatten() {
            leased.until = now;
        }
        self.earliest = Some(now);
        self.surface_expired(now);
        expired
    }

    /// Takes back what was leased for too long.
    pub(super) fn surface_expired(&mut self, now: Instant) {
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
