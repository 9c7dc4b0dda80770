//! Killed processes: nothing that they do is seen any more, and their leases end as the broker has it.

use super::{State, World};
use crate::{
    ledger::{DeliveryId, Event},
    scenario::Fault,
};

impl World {
    /// Kills the process of the app that runs, with everything in it. If that is the work of the handler of a delivery, it must be of that process.
    pub fn kill(&self, by: Option<DeliveryId>) {
        let now = self.now();
        let mut guard = self.lock();
        let State {
            ledger,
            queues,
            killed,
            faults,
        } = &mut *guard;
        let is_own = by.is_none_or(|id| ledger.delivery(id).app > *killed);
        if !ledger.is_alive() || !is_own {
            return;
        }
        let fault = by.map_or(Fault::Kills, |_| Fault::Poisons);
        faults[fault as usize] += 1;
        *killed = ledger.app;
        ledger.record(now, Event::Killed);
        queues
            .values_mut()
            .for_each(|queue| queue.kill(ledger, now));
        drop(guard);
        self.scenario
            .routes
            .iter()
            .for_each(|plan| self.arrived(plan.number));
        self.died.notify_one();
    }

    /// Waits until the app's process is killed.
    pub async fn died(&self) {
        self.died.notified().await;
    }

    /// Whether this app was killed.
    pub(super) fn is_dead(&self, app: u32) -> bool {
        app <= self.lock().killed
    }

    /// Whether the handler of a delivery kills its process.
    pub fn is_poison(&self, id: DeliveryId) -> bool {
        let (key, ..) = self.delivery(id);
        self.plan(key.route).messages[key.index].poison
    }
}
