//! From the dispositions of messages to the settlements that are sent.

use std::mem;

use super::Settler;
use crate::engine::{Disposition, Job};
use loafer_core::{
    broker::{Provider, Settle, Settlement},
    message::Message,
};

impl<P: Provider> Settler<'_, P> {
    /// Makes a batch of what was taken. Messages for which nothing is sent end here.
    pub(super) fn prepare(&mut self) {
        let shared = self.shared;
        self.acks_only = true;
        let mut table = shared.table();
        let now = table.now();
        let mut taken = mem::take(&mut self.taken);
        for Job {
            key,
            message,
            disposition,
        } in taken.drain(..)
        {
            // From here on the lease renewer does not know it: a renewal would undo a retry delay.
            let Some(lease) = table.remove(key) else {
                continue;
            };
            // The connection monitor may not know yet that the lease is lost.
            let lost = lease.lost || !shared.provider.is_live(&lease.receipt);
            if lost || now >= lease.leased_until {
                self.too_late(message, &disposition);
                continue;
            }
            let (receipt, end) = (lease.receipt, lease.leased_until);
            if matches!(disposition, Disposition::Ack) {
                // Nothing is left to decide, so the entry is written where it stays.
                self.batch.push(Settle {
                    receipt,
                    message,
                    settlement: Settlement::Ack,
                });
                self.ends.push(end);
            } else if let Some(settlement) = self.settlement(&message, disposition) {
                self.acks_only = false;
                self.batch.push(Settle {
                    receipt,
                    message,
                    settlement,
                });
                self.ends.push(end);
            }
        }
        self.taken = taken;
    }

    #[cold]
    fn too_late(&mut self, message: Message, disposition: &Disposition) {
        let acked = matches!(disposition, Disposition::Ack);
        self.shared.settled_too_late(&message, acked);
        self.counted = true;
        self.counts.lost += 1;
        if self.fenced && !acked {
            self.judged.push((message, false));
        }
    }

    /// Returns what is sent for a message that is not acked. `None` if nothing is sent.
    #[cold]
    fn settlement(&mut self, message: &Message, disposition: Disposition) -> Option<Settlement> {
        let forgotten = matches!(disposition, Disposition::Forget);
        let settlement = (!forgotten).then(|| self.shared.settlement(message, disposition));
        let retried = matches!(settlement, Some(Settlement::Retry { .. }));
        if self.fenced && (forgotten || retried) {
            self.judged.push((message.clone(), false));
        }
        self.counted |= forgotten;
        self.counts.lost += u64::from(forgotten);
        // The broker redelivers it when its lease expires.
        let leases = self.shared.capabilities.lease.is_some();
        if leases && matches!(settlement, Some(Settlement::Retry { after: None })) {
            self.counted = true;
            self.counts.retried += 1;
            return None;
        }
        settlement
    }
}
