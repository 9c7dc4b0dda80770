//! The scripted broker as a provider.

use std::{future::pending, sync::Arc, time::Duration};

use loafer_core::{
    Error,
    broker::{
        Broker, Capabilities, Delivery, Finding, NoOptions, Notice, Open, Provider, Publisher,
        Renewed, Settle, Settled, Settlement, Source, Topic,
    },
    message::{Message, MessageId, Outgoing},
    policy::Policy,
};
use tokio::{
    task,
    time::{Instant, sleep, sleep_until},
};

use super::{Answer, Script, Scripted};

impl Scripted {
    /// When a receive is answered, and with what.
    fn answer(&self, max: usize, wait: Duration) -> (Instant, Vec<u64>) {
        let mut script = self.lock();
        let now = Instant::now();
        script.receives += 1;
        if let Some(takes) = script.flood {
            let first = 1_000_000 + u64::from(script.receives) * 1000;
            return (now + takes, (first..).take(max).collect());
        }
        if !script.queue.is_empty() {
            let most = max.min(script.queue.len());
            return (now, script.queue.drain(..most).collect());
        }
        let next = script.deliveries.front();
        if next.is_some_and(|(_, numbers)| numbers.len() <= max)
            && let Some((at, numbers)) = script.deliveries.pop_front()
        {
            return (at.max(now), numbers);
        }
        (now + wait, Vec::new())
    }

    /// When an outage ends a receive that would be answered at this moment.
    fn outage_until(&self, answer: Instant) -> Option<Instant> {
        let now = Instant::now();
        let script = self.lock();
        let outages = script.outages.iter();
        let mut cut = outages.filter(|outage| outage.start <= answer && now < outage.end);
        cut.next().map(|outage| outage.start.max(now))
    }

    /// Whether the receiver whose task this is fails.
    fn fails_always(&self) -> bool {
        let mut script = self.lock();
        script.received_at.push(Instant::now());
        let task = task::id();
        let known = script.receivers.iter().position(|id| *id == task);
        let number = known.unwrap_or(script.receivers.len());
        if known.is_none() {
            script.receivers.push(task);
        }
        script.half_fails && number % 2 == 1
    }
}

/// Counts a receive as long as it is in flight.
struct InFlight<'s>(&'s Scripted);

impl<'s> InFlight<'s> {
    fn begin(broker: &'s Scripted) -> Self {
        broker.lock().receiving += 1;
        Self(broker)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.lock().receiving -= 1;
    }
}

impl Script {
    fn delivery(&mut self, number: u64) -> Delivery<u64> {
        let attempt = self.delivered.entry(number).or_default();
        *attempt += 1;
        let attempt = *attempt;
        let id = self.senders_ids.get(&number);
        let id = id.map_or_else(|| number.to_string(), |id| (*id).to_owned());
        let group = self.groups.get(&number).copied().unwrap_or("g");
        Delivery {
            receipt: number,
            message: Message::with_id(id, number.to_string())
                .with_group(group)
                .with_attempt(attempt),
        }
    }

    fn settle(&mut self, entry: &Settle<u64>) -> Settled {
        let failed = || {
            Settled::Failed(Arc::new(Error::Unreachable {
                what: "settling",
                queue: "q".to_owned(),
                cause: "not now".to_owned(),
                source: None,
            }))
        };
        let payload = entry.receipt;
        let is_dead_letter = matches!(entry.settlement, Settlement::DeadLetter(_));
        if self.unsettled.contains(&payload) || (is_dead_letter && self.dead_letters_fail) {
            return failed();
        }
        if self.retries_refused && matches!(entry.settlement, Settlement::Retry { .. }) {
            return Settled::Failed(Arc::new(Error::Refused {
                what: "settling",
                queue: "q".to_owned(),
                cause: "too large".to_owned(),
                source: None,
            }));
        }
        let next = self.answers.iter().position(|(of, _)| *of == payload);
        match next.and_then(|at| self.answers.remove(at)) {
            Some((_, Answer::Failed)) => return failed(),
            Some((_, Answer::Lost)) => return Settled::Lost,
            None => {}
        }
        self.leased.0 = self.leased.0.saturating_sub(1);
        if matches!(entry.settlement, Settlement::Ack) {
            let payload = String::from_utf8_lossy(entry.message.payload()).into_owned();
            self.acked.push((payload, Instant::now()));
        } else {
            self.refusals.push(format!("{:?}", entry.settlement));
        }
        Settled::Done
    }
}

impl Broker for Scripted {
    type Provider = Self;
    type Publisher = Self;
    type Options = NoOptions;
    const KIND: &'static str = "scripted";

    fn provider(&self, _: &Source, _: &NoOptions) -> Result<Self, Error> {
        Ok(self.clone())
    }

    fn publisher(&self) -> Self {
        self.clone()
    }
}

impl Publisher for Scripted {
    async fn publish(
        &self,
        _: &Topic,
        batch: &[Outgoing],
        answers: &mut Vec<Result<MessageId, Error>>,
    ) {
        answers.extend(
            batch
                .iter()
                .map(|outgoing| Ok(outgoing.message.id().clone())),
        );
    }
}

impl Provider for Scripted {
    type Receipt = u64;

    async fn open(&self, _: Open) -> Result<(), Error> {
        Ok(())
    }

    async fn check(&self, _: &Policy) -> Vec<Finding> {
        Vec::new()
    }

    async fn receive(
        &self,
        max: usize,
        wait: Duration,
        into: &mut Vec<Delivery<u64>>,
    ) -> Result<(), Error> {
        let no_connection = || Err(Error::Start("no connection".to_owned()));
        if self.fails_always() {
            return no_connection();
        }
        let _in_flight = InFlight::begin(self);
        let (answer, numbers) = self.answer(max, wait);
        let outage = self.outage_until(answer);
        sleep_until(outage.unwrap_or(answer)).await;
        if outage.is_some() {
            return no_connection();
        }
        if numbers.is_empty() {
            return Ok(());
        }
        // An answer is read in several polls.
        tokio::task::yield_now().await;
        let mut script = self.lock();
        script.leased.0 += numbers.len();
        script.leased.1 = script.leased.1.max(script.leased.0);
        into.extend(numbers.into_iter().map(|number| script.delivery(number)));
        Ok(())
    }

    async fn settle(&self, batch: &[Settle<u64>], answers: &mut Vec<Settled>) {
        let (time, hangs) = {
            let mut script = self.lock();
            let now = Instant::now();
            let tried = batch.iter().map(|entry| (entry.receipt, now));
            script.tried.extend(tried);
            let mut receipts = batch.iter().map(|entry| entry.receipt);
            let hangs = receipts.any(|receipt| script.settlements_hang.contains(&receipt));
            (script.settlements_take, hangs)
        };
        if hangs {
            return pending().await;
        }
        sleep(time).await;
        let mut script = self.lock();
        script
            .settled
            .push(batch.iter().map(|entry| entry.receipt).collect());
        answers.extend(batch.iter().map(|entry| script.settle(entry)));
    }

    async fn renew(&self, leases: &[u64], _: Duration, answers: &mut Vec<Renewed>) {
        let (after, refused, hangs) = {
            let script = self.lock();
            let hangs = leases.iter().any(|of| script.renewals_hang.contains(of));
            let after = script.renewals_are_refused_after;
            (after, script.refused.clone(), hangs)
        };
        if hangs {
            return pending().await;
        }
        if let Some(after) = after {
            sleep(after).await;
        }
        answers.extend(leases.iter().map(|lease| {
            if after.is_some() && (refused.is_empty() || refused.contains(lease)) {
                Renewed::Lost
            } else {
                Renewed::Done
            }
        }));
    }

    fn capabilities(&self) -> Capabilities {
        let script = self.lock();
        let mut capabilities = Capabilities {
            receive_batch: 10,
            settle_batch: 10,
            receivers: 2,
            settlers: 2,
            linger: Duration::from_secs(1),
            lease: script
                .lease
                .or(Some(Duration::from_secs(30)))
                .filter(|_| !script.leaseless),
            lease_ceiling: script.ceiling,
            ordered: script.ordered,
            own_ids: script.senders_ids.is_empty(),
            backoff: script.backoff.clone(),
            max_attempts: script.max_attempts,
            ..Capabilities::default()
        };
        if let Some(change) = script.capabilities {
            change(&mut capabilities);
        }
        capabilities
    }

    fn set_capacity(&self, messages: usize) {
        let mut script = self.lock();
        let receives = script.receives;
        script.holds.push((messages, receives));
    }

    async fn notice(&self) -> Notice {
        loop {
            let notice = self.lock().notice.clone();
            let more = notice.notified();
            if let Some(next) = self.lock().notices.pop_front() {
                return next;
            }
            more.await;
        }
    }

    fn is_leaving(&self, lease: &u64) -> bool {
        !self.lock().stays.contains(lease)
    }

    async fn pause(&self) {
        let mut script = self.lock();
        script.pauses.push(Instant::now());
        assert_eq!(script.receiving, 0, "no receive is in flight");
    }

    fn is_live(&self, lease: &u64) -> bool {
        !self.lock().gone.contains(lease)
    }
}
