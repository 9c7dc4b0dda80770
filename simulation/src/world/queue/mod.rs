//! One queue: its messages, and what is on lease. It follows the broker's own rules; what goes wrong is decided elsewhere.

mod endings;

use std::collections::BTreeSet;

use crate::{
    Millis,
    ledger::{Asked, DeliveryId, Event, Given, Ledger, MessageKey, Reply, Why},
    scenario::{Kind, QueuePlan, RoutePlan},
};

use super::leaving::Leave;

/// Where a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Unpublished,
    Visible,
    Delayed(Millis),
    Leased,
    Gone,
}

#[derive(Debug)]
struct Item {
    group: Option<u64>,
    place: Place,
    /// Its place among the published, the first of which is 1.
    order: u32,
    deliveries: u32,
    /// Deliveries that cost no attempt, where the broker can tell.
    spared: u32,
    retries: u32,
    /// The deliveries of the messages that it was copied from: a standard queue counts those of a copy from the start.
    copied: u32,
    /// The deliveries before its last retry or deferral: a broker that pushes counts those of a copy from the start.
    retried: u32,
    /// Whether it is handed over alone, and whether it was and nothing has come of it yet.
    apart: bool,
    alone: bool,
    /// When it is due, as it says itself. `None` means that it does not say.
    due: Option<Millis>,
    /// Its last delivery that is no duplicate.
    lease: Option<DeliveryId>,
}

/// A queue.
#[derive(Debug)]
pub(super) struct Queue {
    pub(super) plan: QueuePlan,
    route: usize,
    items: Vec<Item>,
    published: u32,
    /// Messages that are delivered twice, and when.
    duplicates: Vec<(Millis, usize)>,
    /// How many messages the route may hold, if the broker pushes.
    pub(super) capacity: usize,
    /// Until when nobody can connect.
    pub(super) down_until: Millis,
    /// Whether a provider has it open, and hears what the broker says.
    pub(super) is_open: bool,
    /// The leavings in progress.
    pub(super) leaves: Vec<Leave>,
    /// How many calls of each kind there were: receives, settlements, renewals.
    pub(super) calls: [u64; 3],
}

impl Queue {
    pub(super) fn new(plan: &RoutePlan) -> Self {
        let item = |group| Item {
            group,
            place: Place::Unpublished,
            order: 0,
            deliveries: 0,
            spared: 0,
            retries: 0,
            copied: 0,
            retried: 0,
            apart: false,
            alone: false,
            due: None,
            lease: None,
        };
        Self {
            plan: plan.queue.clone(),
            route: plan.number,
            items: plan.messages.iter().map(|it| item(it.group)).collect(),
            published: 0,
            duplicates: Vec::new(),
            capacity: usize::MAX,
            down_until: 0,
            is_open: false,
            leaves: Vec::new(),
            calls: [0; 3],
        }
    }

    pub(super) fn publish(&mut self, now: Millis, index: usize, delay: Millis) {
        self.published += 1;
        let stay = self.plan.stay(delay);
        let item = &mut self.items[index];
        item.order = self.published;
        item.due = (stay < delay).then_some(now + delay);
        item.place = match delay {
            0 => Place::Visible,
            _ => Place::Delayed(now + stay),
        };
    }

    /// Lets the time pass: leases expire, delays end.
    pub(super) fn tick(&mut self, ledger: &mut Ledger, now: Millis) {
        for item in &mut self.items {
            match item.place {
                Place::Leased => {
                    let lease = item.lease.filter(|id| ledger.delivery(*id).is_expired(now));
                    if let Some(id) = lease {
                        item.place = Place::Visible;
                        ledger.record(now, Event::LeaseEnded(id, Why::Expired));
                    }
                }
                Place::Delayed(until) if until <= now => item.place = Place::Visible,
                _ => {}
            }
        }
    }

    /// Returns when something happens next by itself.
    pub(super) fn next_due(&self, ledger: &Ledger) -> Option<Millis> {
        let items = self.items.iter().filter_map(|item| match item.place {
            Place::Leased => ledger.delivery(item.lease?).until,
            Place::Delayed(until) => Some(until),
            _ => None,
        });
        items.chain(self.duplicates.iter().map(|(at, _)| *at)).min()
    }

    /// Returns how many messages a receive could bring, and zero if the broker pushes no more.
    pub(super) fn receivable(&self) -> usize {
        let blocked = self.blocked();
        let free = |index: &usize| self.is_free(*index, &blocked);
        (0..self.items.len()).filter(free).count().min(self.room())
    }

    /// Returns the groups that wait for a message in flight or delayed.
    fn blocked(&self) -> BTreeSet<u64> {
        if !self.plan.is_ordered() {
            return BTreeSet::new();
        }
        let away = |item: &&Item| matches!(item.place, Place::Leased | Place::Delayed(_));
        let items = self.items.iter().filter(away);
        items.filter_map(|item| item.group).collect()
    }

    /// Whether a message can be delivered: none is that leaves.
    fn is_free(&self, index: usize, blocked: &BTreeSet<u64>) -> bool {
        let item = &self.items[index];
        let leaves = self.leaves.iter().any(|it| it.takes(self.key(index)));
        item.place == Place::Visible
            && !item.apart
            && !leaves
            && item.group.is_none_or(|group| !blocked.contains(&group))
    }

    /// Returns what messages leave together by.
    pub(super) fn key(&self, index: usize) -> u64 {
        self.items[index].group.unwrap_or(1_000 + index as u64)
    }

    fn room(&self) -> usize {
        if self.plan.kind != Kind::Pushed {
            return usize::MAX;
        }
        let leased = self.items.iter().filter(|item| item.place == Place::Leased);
        self.capacity.saturating_sub(leased.count())
    }

    /// Leases up to `most` messages, in order, or in the order that `shuffle` gives.
    pub(super) fn take(
        &mut self,
        ledger: &mut Ledger,
        now: Millis,
        most: usize,
        shuffle: Option<u64>,
    ) -> Vec<DeliveryId> {
        let most = most.min(self.room());
        let mut taken = Vec::new();
        while taken.len() < most
            && let Some(at) = self.duplicates.iter().position(|(at, _)| *at <= now)
        {
            let (_, index) = self.duplicates.remove(at);
            taken.push(self.deliver(ledger, now, index, true));
        }
        let blocked = self.blocked();
        self.redrive(ledger, now, &blocked);
        let free = |index: &usize| self.is_free(*index, &blocked);
        let mut visible: Vec<usize> = (0..self.items.len()).filter(free).collect();
        match shuffle {
            Some(salt) if !self.plan.is_ordered() => {
                visible.sort_by_key(|index| crate::dice::mix(salt, &[*index as u64]));
            }
            _ => visible.sort_by_key(|index| self.items[*index].order),
        }
        for index in visible.into_iter().take(most - taken.len()) {
            taken.push(self.deliver(ledger, now, index, false));
        }
        taken
    }

    fn deliver(
        &mut self,
        ledger: &mut Ledger,
        now: Millis,
        index: usize,
        duplicate: bool,
    ) -> DeliveryId {
        let id = ledger.deliveries.len() as DeliveryId;
        let item = &mut self.items[index];
        item.deliveries += 1;
        let attempt = match self.plan.kind {
            Kind::Pushed | Kind::Memory => item.retries + 1,
            Kind::Standard | Kind::Fifo => item.deliveries - item.copied,
        };
        let deliveries = match self.plan.kind {
            Kind::Pushed => item.retries + item.deliveries - item.retried,
            Kind::Memory => item.deliveries - item.spared,
            Kind::Standard | Kind::Fifo => attempt,
        };
        let made = Given {
            message: MessageKey {
                route: self.route,
                index,
            },
            nth: item.deliveries,
            attempt,
            deliveries,
            isolated: item.apart,
            until: self.plan.lease.map(|lease| now + lease),
            duplicate,
            copy: item.copied,
            due: item.due,
        };
        if !duplicate {
            (item.place, item.lease) = (Place::Leased, Some(id));
        }
        ledger.record(now, Event::Delivered(id, made));
        id
    }

    /// Moves messages to the dead letters that were received too often.
    fn redrive(&mut self, ledger: &mut Ledger, now: Millis, blocked: &BTreeSet<u64>) {
        let Some(most) = self.plan.max_receives else {
            return;
        };
        for index in 0..self.items.len() {
            let item = &self.items[index];
            if item.deliveries - item.copied >= most && self.is_free(index, blocked) {
                self.items[index].place = Place::Gone;
                let message = MessageKey {
                    route: self.route,
                    index,
                };
                ledger.record(now, Event::Redriven(message));
            }
        }
    }

    /// Leases a message that is handed over alone. Returns also whether it was before, and nothing came of it.
    pub(super) fn take_isolated(
        &mut self,
        ledger: &mut Ledger,
        now: Millis,
    ) -> Option<(DeliveryId, bool)> {
        self.tick(ledger, now);
        let mut items = self.items.iter();
        let index = items.position(|item| item.apart && item.place == Place::Visible)?;
        let id = self.deliver(ledger, now, index, false);
        let crashed = std::mem::replace(&mut self.items[index].alone, true);
        Some((id, crashed))
    }

    /// Delivers a message once more at this moment, whatever becomes of it.
    pub(super) fn duplicate(&mut self, index: usize, at: Millis) {
        self.duplicates.push((at, index));
    }

    /// Carries a settlement out.
    pub(super) fn settle(
        &mut self,
        ledger: &mut Ledger,
        now: Millis,
        id: DeliveryId,
        asked: Asked,
        has_target: bool,
    ) -> Reply {
        self.tick(ledger, now);
        let delivery = ledger.delivery(id);
        let (index, duplicate) = (delivery.given.message.index, delivery.given.duplicate);
        if !delivery.is_live(now) {
            return Reply::Lost;
        }
        if matches!(asked, Asked::DeadLetter | Asked::GiveUp) && !has_target {
            return Reply::NoTarget;
        }
        let plan = &self.plan;
        let item = &mut self.items[index];
        let leaves = matches!(asked, Asked::Ack | Asked::DeadLetter | Asked::GiveUp);
        if item.place == Place::Gone {
            return if leaves || duplicate {
                Reply::Done
            } else {
                Reply::Lost
            };
        }
        if !leaves && (duplicate || item.lease != Some(id)) {
            return Reply::Done;
        }
        let first = item.place == Place::Leased;
        match asked {
            Asked::Ack | Asked::DeadLetter | Asked::GiveUp => item.place = Place::Gone,
            Asked::Retry(after) => {
                let after = after.unwrap_or(100);
                let stay = plan.stay_of_retry(after);
                item.place = Place::Delayed(now + stay);
                item.due = (stay < after).then_some(now + after);
                item.retries += u32::from(first);
                item.retried = item.deliveries;
                item.apart = false;
            }
            Asked::Defer(until) => {
                item.place = Place::Delayed(now + plan.stay(until.saturating_sub(now)));
                item.due = Some(until);
                if plan.kind == Kind::Standard {
                    item.copied = item.deliveries;
                }
                item.retried = item.deliveries;
                item.apart = false;
            }
            Asked::Isolate => {
                item.place = Place::Visible;
                item.apart = true;
            }
            Asked::Release => {
                item.place = Place::Visible;
                item.spared += u32::from(first);
            }
        }
        item.alone = false;
        ledger.record(now, Event::Settled(id, asked));
        Reply::Done
    }

    /// Makes a lease end this long from now. A message whose retry is delayed by the same receipt is then due at that moment.
    pub(super) fn renew(
        &mut self,
        ledger: &mut Ledger,
        now: Millis,
        id: DeliveryId,
        by: Millis,
    ) -> Reply {
        self.tick(ledger, now);
        let delivery = ledger.delivery(id);
        let (index, duplicate) = (delivery.given.message.index, delivery.given.duplicate);
        if !delivery.is_live(now) {
            return Reply::Lost;
        }
        let item = &mut self.items[index];
        match item.place {
            _ if duplicate => {}
            Place::Delayed(_) if item.lease == Some(id) => item.place = Place::Delayed(now + by),
            Place::Leased if item.lease == Some(id) => {}
            _ => return Reply::Lost,
        }
        ledger.record(now, Event::Renewed(id, now + by));
        Reply::Done
    }
}
