//! The messages of a queue that are handed over alone.

use loafer_core::{
    broker::{Delivery, Isolated},
    message::Message,
};
use tokio::time::Instant;

use crate::{counts, receipt::MemoryReceipt};

/// The index in the receipts of isolated messages. No other receipt has it.
pub(crate) const ISOLATED: u32 = u32::MAX;

/// The messages of a queue that are handed over alone, in the order in which they were isolated.
#[derive(Default)]
pub(crate) struct IsolatedStore {
    entries: Vec<Entry>,
}

/// An isolated message.
struct Entry {
    message: Message,
    /// Whether its last delivery from here ended without a settlement.
    crashed: bool,
    /// The serial of its receipt, and when its lease ends. `None` while it is not on lease.
    lease: Option<(u64, Instant)>,
}

impl IsolatedStore {
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn messages(&self) -> impl Iterator<Item = &Message> {
        self.entries.iter().map(|entry| &entry.message)
    }

    /// Returns how many are on lease at this moment.
    pub(crate) fn in_flight(&self, now: Instant) -> usize {
        let leases = self.entries.iter().filter_map(|entry| entry.lease);
        leases.filter(|(_, until)| *until > now).count()
    }

    /// Adds a message that was on lease in the queue.
    pub(crate) fn add(&mut self, message: Message) {
        self.entries.push(Entry {
            message,
            crashed: false,
            lease: None,
        });
    }

    /// Leases the first one that is not on lease, under this serial.
    pub(crate) fn lease(
        &mut self,
        serial: u64,
        now: Instant,
        until: Instant,
    ) -> Option<Isolated<MemoryReceipt>> {
        self.surface_expired(now);
        let entry = self.entries.iter_mut().find(|it| it.lease.is_none())?;
        let (stored, message) = counts::delivered(entry.message.clone());
        (entry.message, entry.lease) = (stored, Some((serial, until)));
        let receipt = MemoryReceipt {
            index: ISOLATED,
            serial,
        };
        Some(Isolated {
            delivery: Delivery { receipt, message },
            crashed: entry.crashed,
        })
    }

    /// Returns when this lease ends, to change it. `None` means that it has ended.
    pub(crate) fn until_mut(&mut self, serial: u64) -> Option<&mut Instant> {
        let mut leases = self.entries.iter_mut().flat_map(|it| &mut it.lease);
        let (_, until) = leases.find(|(known, _)| *known == serial)?;
        Some(until)
    }

    /// Takes the message of this lease out. `None` means that the lease has ended before.
    #[cold]
    pub(crate) fn take(&mut self, serial: u64) -> Option<Message> {
        let at = self.position(serial)?;
        Some(self.entries.remove(at).message)
    }

    /// Ends a lease whose message stays isolated, since nobody tried it. `None` means that the lease has ended before.
    pub(crate) fn release(&mut self, serial: u64) -> Option<()> {
        let at = self.position(serial)?;
        let entry = &mut self.entries[at];
        entry.message = counts::untried(entry.message.clone());
        (entry.lease, entry.crashed) = (None, false);
        Some(())
    }

    /// Ends the leases that are over at this moment. Their messages count as crashed.
    pub(crate) fn surface_expired(&mut self, now: Instant) {
        for entry in &mut self.entries {
            if entry.lease.is_some_and(|(_, until)| until <= now) {
                (entry.lease, entry.crashed) = (None, true);
            }
        }
    }

    /// Ends every lease, as if it had expired. Returns how many there were.
    pub(crate) fn expire(&mut self) -> usize {
        let leased = self.entries.iter_mut().filter(|it| it.lease.is_some());
        leased
            .map(|entry| (entry.lease, entry.crashed) = (None, true))
            .count()
    }

    fn position(&self, serial: u64) -> Option<usize> {
        let of = |entry: &Entry| entry.lease.is_some_and(|(known, _)| known == serial);
        self.entries.iter().position(of)
    }
}
