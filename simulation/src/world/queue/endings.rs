//! How leases end before their time: by a broker that takes them back, with their connection, or with their process.

use super::{Place, Queue};
use crate::{
    Millis,
    ledger::{DeliveryId, Event, Ledger, Why},
};

impl Queue {
    /// Takes a lease back without notice.
    pub(in crate::world) fn revoke(&mut self, ledger: &mut Ledger, now: Millis, id: DeliveryId) {
        self.end(ledger, now, id, Why::Revoked);
    }

    /// Ends a lease before its time.
    pub(in crate::world) fn end(
        &mut self,
        ledger: &mut Ledger,
        now: Millis,
        id: DeliveryId,
        why: Why,
    ) {
        let delivery = ledger.delivery(id);
        let index = delivery.given.message.index;
        if !delivery.is_live(now) {
            return;
        }
        let item = &mut self.items[index];
        if item.place == Place::Leased && item.lease == Some(id) {
            item.place = Place::Visible;
        }
        ledger.record(now, Event::LeaseEnded(id, why));
    }

    /// Ends the connection, and all leases with it, if leases do not expire by themselves.
    pub(in crate::world) fn disconnect(&mut self, ledger: &mut Ledger, now: Millis, down: Millis) {
        self.down_until = now + down;
        if self.plan.lease.is_none() {
            self.end_all(ledger, now, Why::Disconnected);
        }
    }

    /// Called when the app's process is killed: its leases end, if the broker notices.
    pub(in crate::world) fn kill(&mut self, ledger: &mut Ledger, now: Millis) {
        self.is_open = false;
        if self.plan.isolates() {
            self.end_all(ledger, now, Why::Killed);
        }
    }

    fn end_all(&mut self, ledger: &mut Ledger, now: Millis, why: Why) {
        for id in 0..ledger.deliveries.len() {
            let delivery = &ledger.deliveries[id];
            if delivery.given.message.route == self.route && delivery.ended.is_none() {
                ledger.record(now, Event::LeaseEnded(id as DeliveryId, why));
            }
        }
        for item in &mut self.items {
            if item.place == Place::Leased {
                item.place = Place::Visible;
            }
        }
    }
}
