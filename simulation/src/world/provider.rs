//! The provider of one queue: calls that take their time, and go wrong.

use std::{future::pending, sync::Arc, time::Duration};

use loafer_core::{
    Error,
    broker::{
        Capabilities, Delivery, DueTime, Finding, Isolated, Notice, Open, Provider, Renewed,
        Settle, Settled,
    },
    message::Message,
    policy::Policy,
};
use tokio::time::{sleep, timeout_at};

use super::{State, World, weather::Call};
use crate::{
    Millis,
    dice::Dice,
    ledger::{DeliveryId, Event, Given, Reply},
    scenario::{Fault, Kind},
};

/// The provider of one queue.
#[derive(Debug)]
pub struct QueueProvider {
    pub(super) world: Arc<World>,
    pub(super) route: usize,
    /// The app that it is of.
    app: u32,
}

impl QueueProvider {
    pub(super) fn new(world: Arc<World>, route: usize) -> Self {
        let app = world.ledger(|ledger| ledger.app);
        Self { world, route, app }
    }

    /// Whether its process was killed.
    fn is_dead(&self) -> bool {
        self.world.is_dead(self.app)
    }

    /// Waits for ever, if its process was killed.
    pub(super) async fn lives(&self) {
        if self.is_dead() {
            pending::<()>().await;
        }
    }

    /// Leases what there is. Returns also when something happens next.
    fn take(&self, most: usize, shuffle: Option<u64>) -> (Vec<DeliveryId>, Option<Millis>) {
        let now = self.world.now();
        let mut guard = self.world.lock();
        let State { ledger, queues, .. } = &mut *guard;
        let Some(queue) = queues.get_mut(&self.route) else {
            return (Vec::new(), None);
        };
        queue.tick(ledger, now);
        let taken = queue.take(ledger, now, most, shuffle);
        let duplicates = queue.plan.kind == Kind::Standard;
        let due = queue.next_due(ledger);
        let indexes: Vec<usize> = taken
            .iter()
            .map(|id| ledger.delivery(*id).given.message.index)
            .collect();
        if duplicates && self.world.scenario.is_active(Fault::Duplicates, now) {
            for (id, index) in taken.iter().zip(indexes) {
                let dice = &mut Dice::of(self.world.scenario.seed, &[5, u64::from(*id)]);
                if dice.chance(self.world.scenario.rate / 2) {
                    queue.duplicate(index, now + dice.below(20_000));
                    guard.faults[Fault::Duplicates as usize] += 1;
                    break;
                }
            }
        }
        (taken, due)
    }

    fn message(&self, id: DeliveryId) -> Message {
        let (key, nth, _) = self.world.delivery(id);
        let plan = self.world.plan(key.route);
        let planned = &plan.messages[key.index];
        let Given {
            attempt,
            deliveries,
            due,
            copy,
            ..
        } = self.world.ledger(|ledger| ledger.delivery(id).given);
        let payload = match plan.decodes(key.index, nth) {
            true => format!("[{},{id}]", key.index),
            false => format!("undecodable {} {id}", key.index),
        };
        let name = match plan.queue.own_ids {
            true => format!("m{}-{}-{copy}", key.route, key.index),
            // Two messages share an id: senders choose as they like.
            false => format!("s{}-{}", key.route, key.index / 2),
        };
        let message = Message::with_id(name, payload)
            .with_attempt(attempt)
            .with_deliveries(deliveries);
        let message = match due {
            Some(due) => message.with_header(DueTime::HEADER, self.world.due_header(due)),
            None => message,
        };
        let message = match planned.group {
            Some(group) => message.with_group(format!("g{group}")),
            None => message,
        };
        match plan.choice {
            true => message.with_header(
                "taker",
                ["a", "b", "c"][plan.taker(key.index, nth).min(2) as usize],
            ),
            false => message,
        }
    }

    pub(super) fn unreachable(&self, what: &'static str) -> Error {
        Error::Unreachable {
            what,
            queue: format!("r{}", self.route),
            cause: "simulated".to_owned(),
            source: None,
        }
    }

    pub(super) fn refused(&self) -> Error {
        Error::Refused {
            what: "settle",
            queue: format!("r{}", self.route),
            cause: "simulated".to_owned(),
            source: None,
        }
    }

    /// Returns when somebody can connect again.
    fn down(&self) -> Option<Millis> {
        let now = self.world.now();
        let state = self.world.lock();
        let until = state.queues.get(&self.route)?.down_until;
        until.checked_sub(now).filter(|left| *left > 0)
    }

    async fn long_poll(
        &self,
        max: usize,
        wait: Duration,
        into: &mut Vec<Delivery<DeliveryId>>,
    ) -> Result<(), Error> {
        let began = self.world.now();
        let fate = self.world.fate(self.route, Call::Receive, began);
        let deadline = began + wait.as_millis() as Millis;
        if let Some(left) = self.down() {
            sleep(Duration::from_millis(left.min(500))).await;
            return Err(self.unreachable("receive"));
        }
        if fate.request_lost {
            sleep(Duration::from_millis(fate.before + 10)).await;
            return Err(self.unreachable("receive"));
        }
        if fate.empty {
            let hangs = fate.dice.clone().chance(200);
            let extra = if hangs { 5_000 } else { 0 };
            let until = if fate.dice.clone().chance(500) {
                began + 50
            } else {
                deadline + extra
            };
            tokio::time::sleep_until(self.world.moment(until)).await;
            return Ok(());
        }
        if fate.before > 0 {
            sleep(Duration::from_millis(fate.before)).await;
        }
        loop {
            let arrived = self
                .world
                .signals
                .get(&self.route)
                .map(|it| it.arrived.notified());
            self.lives().await;
            let (taken, due) = self.take(max, fate.shuffle);
            if !taken.is_empty() {
                // A pushed message has arrived already, and a lease has a margin for the way of its answer.
                if fate.after > 0 && self.world.plan(self.route).queue.lease.is_some() {
                    sleep(Duration::from_millis(fate.after)).await;
                }
                for id in taken {
                    self.world.record(Event::Handed(id));
                    let message = self.message(id);
                    into.push(Delivery {
                        receipt: id,
                        message,
                    });
                }
                return Ok(());
            }
            let now = self.world.now();
            if now >= deadline {
                return Ok(());
            }
            if self.down().is_some() {
                return Err(self.unreachable("receive"));
            }
            let until = due.map_or(deadline, |due| due.clamp(now + 1, deadline));
            if let Some(arrived) = arrived {
                _ = timeout_at(self.world.moment(until), arrived).await;
            }
        }
    }

    /// Renews leases, and says what each was answered.
    fn renew_now(&self, leases: &[DeliveryId], by: Millis, revoked: bool) -> Vec<Reply> {
        let now = self.world.now();
        let mut guard = self.world.lock();
        let State { ledger, queues, .. } = &mut *guard;
        let Some(queue) = queues.get_mut(&self.route) else {
            return Vec::new();
        };
        let mut reply = Vec::with_capacity(leases.len());
        for (at, id) in leases.iter().enumerate() {
            if revoked && at == 0 {
                queue.revoke(ledger, now, *id);
            }
            reply.push(queue.renew(ledger, now, *id, by));
        }
        drop(guard);
        if revoked {
            self.world.arrived(self.route);
        }
        reply
    }
}

/// A receive in flight.
struct InFlight<'p>(&'p QueueProvider, bool);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        let Self(provider, well) = self;
        if !provider.is_dead() {
            let received = Event::Received(provider.route, *well);
            provider.world.record(received);
        }
    }
}

impl Provider for QueueProvider {
    type Receipt = DeliveryId;

    async fn open(&self, _: Open) -> Result<(), Error> {
        self.world.open(self.route, true);
        Ok(())
    }

    async fn check(&self, _: &Policy) -> Vec<Finding> {
        Vec::new()
    }

    async fn receive(
        &self,
        max: usize,
        wait: Duration,
        into: &mut Vec<Delivery<DeliveryId>>,
    ) -> Result<(), Error> {
        self.lives().await;
        self.world.record(Event::Receiving(self.route));
        let mut in_flight = InFlight(self, true);
        let answer = self.long_poll(max, wait, into).await;
        in_flight.1 = answer.is_ok();
        answer
    }

    async fn receive_isolated(&self) -> Result<Option<Isolated<DeliveryId>>, Error> {
        self.lives().await;
        let latency = self.world.plan(self.route).queue.latency;
        if latency > 0 {
            sleep(Duration::from_millis(latency)).await;
            self.lives().await;
        }
        if self.down().is_some() {
            return Err(self.unreachable("receive_isolated"));
        }
        let now = self.world.now();
        let taken = {
            let mut guard = self.world.lock();
            let State { ledger, queues, .. } = &mut *guard;
            let queue = queues.get_mut(&self.route);
            queue.and_then(|queue| queue.take_isolated(ledger, now))
        };
        Ok(taken.map(|(receipt, crashed)| {
            self.world.record(Event::Handed(receipt));
            let message = self.message(receipt);
            Isolated {
                delivery: Delivery { receipt, message },
                crashed,
            }
        }))
    }

    async fn settle(&self, batch: &[Settle<DeliveryId>], answers: &mut Vec<Settled>) {
        self.lives().await;
        super::settling::settle(self, batch, answers).await;
    }

    async fn renew(&self, leases: &[DeliveryId], by: Duration, answers: &mut Vec<Renewed>) {
        self.lives().await;
        let by = by.as_millis() as Millis;
        for id in leases {
            self.world.record(Event::Renewing(*id, by));
        }
        let fate = self.world.fate(self.route, Call::Renew, self.world.now());
        if fate.before > 0 {
            sleep(Duration::from_millis(fate.before)).await;
        }
        self.lives().await;
        let mut reply = match fate.request_lost {
            true => vec![Reply::Failed; leases.len()],
            false => self.renew_now(leases, by, fate.revoked),
        };
        if fate.after > 0 {
            sleep(Duration::from_millis(fate.after)).await;
        }
        if fate.answer_lost {
            reply.fill(Reply::Failed);
        }
        if fate.short {
            reply.truncate(leases.len() / 2);
        }
        let error = Arc::new(self.unreachable("renew"));
        for (id, reply) in leases.iter().zip(&reply) {
            self.world.record(Event::RenewReplied(*id, *reply));
            answers.push(match reply {
                Reply::Done => Renewed::Done,
                Reply::Lost => Renewed::Lost,
                _ => Renewed::Failed(error.clone()),
            });
        }
    }

    fn capabilities(&self) -> Capabilities {
        self.world.plan(self.route).queue.capabilities()
    }

    fn set_capacity(&self, messages: usize) {
        if self.is_dead() {
            return;
        }
        let mut state = self.world.lock();
        if let Some(queue) = state.queues.get_mut(&self.route) {
            queue.capacity = messages;
        }
    }

    async fn notice(&self) -> Notice {
        self.world.heard(self.route, self.app).await
    }

    fn is_leaving(&self, lease: &DeliveryId) -> bool {
        let state = self.world.lock();
        state.ledger.delivery(*lease).leaves.is_some()
    }

    fn is_live(&self, lease: &DeliveryId) -> bool {
        let state = self.world.lock();
        !state.ledger.delivery(*lease).is_known_to_be_lost()
    }

    async fn close(&self) {
        if self.is_dead() {
            return;
        }
        self.world.open(self.route, false);
        if self.world.plan(self.route).queue.kind == Kind::Pushed {
            let now = self.world.now();
            let mut guard = self.world.lock();
            let State { ledger, queues, .. } = &mut *guard;
            if let Some(queue) = queues.get_mut(&self.route) {
                queue.disconnect(ledger, now, 0);
            }
        }
    }
}
