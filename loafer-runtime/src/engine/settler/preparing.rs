//! From what was said of messages to what is sent.

use std::mem;

use super::Settler;
use crate::engine::{Fate, Job};
use loafer_core::{
    broker::{Provider, Settle, Settlement},
    message::Message,
};

impl<P: Provider> Settler<'_, P> {
    /// Makes a batch of what was taken. What needs no call is over here.
    pub(super) fn prepare(&mut self) {
        let shared = self.shared;
        self.acks_only = true;
        let mut table = shared.table();
        let now = table.now();
        let mut taken = mem::take(&mut self.taken);
        for Job { key, message, fate } in taken.drain(..) {
            // From here on the keeper does not know it: a renewal would undo a retry delay.
            let Some(lease) = table.remove(key) else {
                continue;
            };
            // The watcher may not have heard yet that it is lost.
            let lost = lease.lost || !shared.provider.is_live(&lease.receipt);
            if lost || now >= lease.leased_until {
                self.too_late(message, &fate);
                continue;
            }
            let (receipt, end) = (lease.receipt, lease.leased_until);
            if matches!(fate, Fate::Ack) {
                // With nothing left to choose, it is written where it stays.
                self.batch.push(Settle {
                    receipt,
                    message,
                    settlement: Settlement::Ack,
                });
                self.ends.push(end);
            } else if let Some(settlement) = self.settlement(&message, fate) {
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
    fn too_late(&mut self, message: Message, fate: &Fate) {
        let acked = matches!(fate, Fate::Ack);
        self.shared.settled_too_late(&message, acked);
        self.counted = true;
        self.counts.lost += 1;
        if self.fenced && !acked {
            self.judged.push((message, false));
        }
    }

    /// What is sent for a message that is not acked, if anything is.
    #[cold]
    fn settlement(&mut self, message: &Message, fate: Fate) -> Option<Settlement> {
        let forgotten = matches!(fate, Fate::Forget);
        let settlement = (!forgotten).then(|| self.shared.settlement(message, fate));
        let retried = matches!(settlement, Some(Settlement::Retry { .. }));
        if self.fenced && (forgotten || retried) {
            self.judged.push((message.clone(), false));
        }
        self.counted |= forgotten;
        self.counts.lost += u64::from(forgotten);
        // The end of its lease brings it back.
        let leases = self.shared.capabilities.lease.is_some();
        if leases && matches!(settlement, Some(Settlement::Retry { after: None })) {
            self.counted = true;
            self.counts.retried += 1;
            return None;
        }
        settlement
    }
}
