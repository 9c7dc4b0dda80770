//! Leases that the broker takes back on notice: which they are, and what becomes of them after the fence.

use std::time::Duration;

use loafer_core::broker::{Leaving, Notice};
use tokio::time::timeout;

use super::{State, World};
use crate::{
    Millis, dice,
    ledger::{DeliveryId, Event, Stage, Why},
    scenario::Fault,
};

/// One leaving in progress.
#[derive(Debug)]
pub(super) struct Leave {
    /// Says which messages it takes. 0 means all.
    salt: u64,
    /// Their leases.
    ids: Vec<DeliveryId>,
    /// When it ends, and how much time it was given.
    until: Millis,
    within: Millis,
}

impl Leave {
    /// Whether it takes the message with this key: its group, or its own number.
    pub(super) fn takes(&self, key: u64) -> bool {
        self.salt == 0 || !dice::mix(self.salt, &[key]).is_multiple_of(3)
    }
}

impl World {
    /// Takes leases back within this time. Returns after the fence.
    pub async fn leave(&self, route: usize, within: Millis, salt: u64) {
        let now = self.now();
        let app = self.ledger(|ledger| ledger.app);
        let (leaving, fenced) = Leaving::new(Duration::from_millis(within));
        {
            let mut guard = self.lock();
            let State {
                ledger,
                queues,
                faults,
                ..
            } = &mut *guard;
            let Some(queue) = queues.get_mut(&route).filter(|queue| queue.is_open) else {
                return;
            };
            faults[Fault::Leavings as usize] += 1;
            let mut leave = Leave {
                salt,
                ids: Vec::new(),
                until: now + within,
                within,
            };
            for id in 0..ledger.deliveries.len() as DeliveryId {
                let delivery = ledger.delivery(id);
                let key = queue.key(delivery.given.message.index);
                let own = delivery.given.message.route == route && delivery.app == app;
                // The app does not know yet that a lease was revoked: for it, the lease leaves too.
                let unseen = delivery.ended == Some(Why::Revoked) && delivery.reply.is_none();
                if !own || (delivery.is_over(now) && !unseen) {
                    continue;
                }
                let takes = leave.takes(key);
                if takes {
                    leave.ids.push(id);
                }
                // The provider can't say which leaving takes a lease: the earliest end holds for all.
                if takes || delivery.leaves.is_some() {
                    ledger.record(now, Event::Leaves(id, now + within, within));
                    for before in &queue.leaves {
                        ledger.record(now, Event::Leaves(id, before.until, before.within));
                    }
                }
            }
            queue.leaves.push(leave);
        }
        self.say(route, Notice::Leaving(leaving));
        let in_time = timeout(Duration::from_millis(within + 1), fenced).await;
        let now = self.now();
        let mut guard = self.lock();
        let State { ledger, queues, .. } = &mut *guard;
        let runs = ledger.app == app && ledger.stage < Stage::Cancelling(0);
        if in_time.is_err() && runs {
            ledger.accuse_fence(now, route);
        }
        if let Some(queue) = queues.get_mut(&route)
            && let Some(at) = queue.leaves.iter().position(|leave| leave.salt == salt)
        {
            for id in queue.leaves.swap_remove(at).ids {
                queue.end(ledger, now, id, Why::Left);
            }
        }
        drop(guard);
        self.arrived(route);
    }
}
