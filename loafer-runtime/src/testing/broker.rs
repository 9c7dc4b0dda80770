//! The broker of a test: the one in memory, with a record of what it did, and with the faults that the test wants.

use std::{future::pending, slice, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    fake::Fakes,
    ledger::Ledger,
    plan::{Cut, Plan},
};
use crate::clock::after;
use loafer_core::{
    Error,
    broker::{
        Broker, Capabilities, Delivery, Finding, NoOptions, Open, Provider, PublishCapabilities,
        Publisher, Renewed, Replies, Settle, Settled, Settlement, Source, Topic, is_reply_queue,
    },
    message::{Message, MessageId, Outgoing},
    policy::Policy,
};
use loafer_memory::{Memory, MemoryProvider, MemoryPublisher, MemoryReceipt};

/// The broker of a test.
#[derive(Clone, Default)]
pub(super) struct TestBroker {
    pub(super) memory: Memory,
    pub(super) ledger: Ledger,
    pub(super) plan: Plan,
    pub(super) fakes: Fakes,
}

pub(super) struct TestProvider {
    inner: MemoryProvider,
    memory: Memory,
    route: String,
    queue: Arc<str>,
    ledger: Ledger,
    plan: Plan,
}

pub(super) struct TestPublisher {
    inner: MemoryPublisher,
    memory: Memory,
    fakes: Fakes,
    ledger: Ledger,
    plan: Plan,
}

impl Broker for TestBroker {
    type Provider = TestProvider;
    type Publisher = TestPublisher;
    type Options = NoOptions;
    // The program must not see a difference.
    const KIND: &'static str = Memory::KIND;
    const STANDS_IN: bool = Memory::STANDS_IN;

    fn provider(&self, source: &Source, options: &NoOptions) -> Result<TestProvider, Error> {
        Ok(TestProvider {
            inner: self.memory.provider(source, options)?,
            memory: self.memory.clone(),
            route: source.route.clone(),
            queue: source.queue.as_str().into(),
            ledger: self.ledger.clone(),
            plan: self.plan.clone(),
        })
    }

    fn publisher(&self) -> TestPublisher {
        TestPublisher {
            inner: self.memory.publisher(),
            memory: self.memory.clone(),
            fakes: self.fakes.clone(),
            ledger: self.ledger.clone(),
            plan: self.plan.clone(),
        }
    }

    fn replies(&self, app: Option<&str>) -> Result<impl Replies, Error> {
        self.memory.replies(app)
    }

    fn reply_topic(&self, address: &str) -> Result<Topic, Error> {
        self.memory.reply_topic(address)
    }
}

impl TestProvider {
    /// Does the test's faults to what was received.
    fn tamper(&self, received: &mut Vec<Delivery<MemoryReceipt>>, from: usize) {
        let ordered = self.inner.capabilities().ordered;
        let mut copies = Vec::new();
        let kept = received.split_off(from);
        self.plan.of(&self.queue, |of| {
            for delivery in kept {
                if let Some(delay) = of.delays.pop_front() {
                    self.inner.postpone(&delivery.receipt, delay);
                    continue;
                }
                if of.duplicates > 0 {
                    of.duplicates -= 1;
                    if ordered {
                        // No other message of its group may arrive while it is on lease: it is redelivered afterwards.
                        of.again.push(delivery.message.id().clone());
                    } else {
                        copies.push(delivery.message.clone());
                    }
                }
                received.push(delivery);
            }
            if of.reversed {
                reverse(&mut received[from..], ordered);
            }
        });
        self.memory.send(&self.queue, copies);
    }

    /// Settles one lease, or does what the test wants instead.
    async fn settle_one(&self, entry: &Settle<MemoryReceipt>) -> Settled {
        if self
            .plan
            .dies_of(Cut::Settlement(1), &self.route, entry.message.id())
        {
            return Settled::Lost;
        }
        if let Err(error) = self.plan.settle(&self.queue) {
            return Settled::Failed(Arc::new(error));
        }
        let forgotten = matches!(entry.settlement, Settlement::Ack)
            && self
                .plan
                .of(&self.queue, |of| of.forgets(entry.message.id()));
        if forgotten {
            // Its lease is left to expire. It was not a failure.
            return Settled::Done;
        }
        let mut answers = Vec::with_capacity(1);
        self.inner
            .settle(slice::from_ref(entry), &mut answers)
            .await;
        answers.pop().unwrap_or(Settled::Lost)
    }
}

/// Reverses the order. The messages of a group that is kept in order stay in it.
fn reverse(received: &mut [Delivery<MemoryReceipt>], ordered: bool) {
    received.reverse();
    if ordered {
        let mut groups: Vec<Option<Arc<str>>> = Vec::new();
        let group = |message: &Message| message.group().map(Arc::from);
        for delivery in received.iter() {
            let group = group(&delivery.message);
            if !groups.contains(&group) {
                groups.push(group);
            }
        }
        // Returns to the order of the queue, and then sorts by group: sorting keeps the order of equal elements.
        received.reverse();
        received.sort_by_key(|delivery| {
            let group = group(&delivery.message);
            groups.iter().position(|known| *known == group)
        });
    }
}

impl Provider for TestProvider {
    type Receipt = MemoryReceipt;

    async fn open(&self, mode: Open) -> Result<(), Error> {
        self.inner.open(mode).await
    }

    async fn check(&self, policy: &Policy) -> Vec<Finding> {
        self.inner.check(policy).await
    }

    async fn receive(
        &self,
        max: usize,
        wait: Duration,
        into: &mut Vec<Delivery<MemoryReceipt>>,
    ) -> Result<(), Error> {
        let (from, give_up) = (into.len(), after(wait));
        loop {
            let changed = self.plan.changed();
            if self.plan.is_dead() {
                return pending().await;
            }
            self.plan.receive(&self.queue)?;
            let left = give_up.saturating_duration_since(Instant::now());
            tokio::select! {
                biased;
                () = changed => continue,
                received = self.inner.receive(max, left, into) => received?,
            }
            self.tamper(into, from);
            for delivery in &into[from..] {
                self.ledger.delivered(&self.queue, &delivery.message);
            }
            if into.len() > from || Instant::now() >= give_up {
                return Ok(());
            }
        }
    }

    async fn settle(&self, batch: &[Settle<MemoryReceipt>], answers: &mut Vec<Settled>) {
        for entry in batch {
            let answer = self.settle_one(entry).await;
            self.ledger
                .settled(&self.queue, &entry.message, &entry.settlement, &answer);
            answers.push(answer);
        }
    }

    async fn renew(&self, leases: &[MemoryReceipt], by: Duration, answers: &mut Vec<Renewed>) {
        if self.plan.is_dead() {
            answers.extend(leases.iter().map(|_| Renewed::Lost));
            return;
        }
        match self.plan.renew(&self.queue).map_err(Arc::new) {
            Ok(()) => self.inner.renew(leases, by, answers).await,
            Err(error) => answers.extend(leases.iter().map(|_| Renewed::Failed(error.clone()))),
        }
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }
}

impl Publisher for TestPublisher {
    async fn publish(
        &self,
        topic: &Topic,
        batch: &[Outgoing],
        answers: &mut Vec<Result<MessageId, Error>>,
    ) {
        for outgoing in batch {
            if let Err(error) = self.plan.publish(topic.as_str()) {
                answers.push(Err(error));
                continue;
            }
            self.inner
                .publish(topic, slice::from_ref(outgoing), answers)
                .await;
            if let Some(Ok(id)) = answers.last() {
                let message = outgoing.message.clone().with_broker_id(id.clone());
                self.fakes.answer(topic.as_str(), &message, &self.memory);
                // A reply goes to a requester, and is asserted there.
                if !is_reply(topic.as_str()) {
                    self.ledger.published(topic.as_str(), message);
                }
            }
        }
    }

    fn capabilities(&self, topic: &Topic) -> PublishCapabilities {
        self.inner.capabilities(topic)
    }
}

/// Whether this is a topic of replies.
fn is_reply(topic: &str) -> bool {
    let queue = topic.split_once(':').map(|(_, queue)| queue);
    queue.is_some_and(is_reply_queue)
}
