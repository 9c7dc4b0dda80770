//! A provider of RabbitMQ without an engine: the tests receive and settle by themselves.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test binary uses a part of it"
)]

use std::{sync::Arc, time::Duration};

use loafer_amqp::{Amqp, AmqpProvider, Options, Receipt};
use loafer_core::{
    broker::{Broker, DeadLetter, Delivery, Open, Provider, Settle, Settled, Settlement, Source},
    policy::Policy,
};
use tokio::time::{Instant, timeout};

/// Longer than anything here takes, on a machine that is also building.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// One route's provider, open.
pub struct Direct {
    pub provider: AmqpProvider,
    pub queue: String,
}

impl Direct {
    pub async fn open(url: &str, queue: &str, options: Options) -> Self {
        Self::with(url, queue, options, |_| {}).await
    }

    /// Opens one whose policy is changed first.
    pub async fn with(
        url: &str,
        queue: &str,
        options: Options,
        change: impl FnOnce(&mut Policy),
    ) -> Self {
        let mut source = Source::new("direct", queue);
        change(&mut source.policy);
        let amqp = Amqp::new(url);
        let provider = amqp.provider(&source, &options.exchange("")).unwrap();
        provider.open(Open::Existing).await.unwrap();
        Self {
            provider,
            queue: queue.to_owned(),
        }
    }

    /// Receives this many messages.
    pub async fn receive(&self, messages: usize) -> Vec<Delivery<Receipt>> {
        let mut received = Vec::new();
        let all = async {
            while received.len() < messages {
                let (max, wait) = (messages - received.len(), Duration::from_secs(5));
                let answer = self.provider.receive(max, wait, &mut received).await;
                answer.unwrap();
            }
        };
        let in_time = timeout(DEADLINE, all).await;
        assert!(in_time.is_ok(), "{} of {messages} came", received.len());
        received
    }

    /// Receives at least one message, and what else is there.
    pub async fn receive_some(&self) -> Vec<Delivery<Receipt>> {
        let mut received = self.receive(1).await;
        let more = self.provider.receive(100, Duration::ZERO, &mut received);
        more.await.unwrap();
        received
    }

    /// Receives what comes within this time.
    pub async fn receive_for(&self, time: Duration) -> Vec<Delivery<Receipt>> {
        let mut received = Vec::new();
        let until = Instant::now() + time;
        while let Some(wait) = until.checked_duration_since(Instant::now()) {
            // A lost connection is a message that comes again.
            _ = self.provider.receive(1000, wait, &mut received).await;
        }
        received
    }

    /// Settles these, and returns the answers and how long they took.
    pub async fn settle(
        &self,
        deliveries: &[Delivery<Receipt>],
        settlement: &Settlement,
    ) -> (Vec<Settled>, Duration) {
        let settle = |delivery: &Delivery<Receipt>| Settle {
            receipt: delivery.receipt,
            message: delivery.message.clone(),
            settlement: settlement.clone(),
        };
        let batch: Vec<_> = deliveries.iter().map(settle).collect();
        let (mut answers, begun) = (Vec::new(), Instant::now());
        let settled = self.provider.settle(&batch, &mut answers);
        timeout(DEADLINE, settled).await.unwrap();
        (answers, begun.elapsed())
    }
}

pub fn retry() -> Settlement {
    Settlement::Retry {
        after: Some(Duration::from_secs(1)),
    }
}

pub fn dead_letter(queue: &str) -> Settlement {
    Settlement::DeadLetter(Arc::new(DeadLetter {
        event_id: "event".into(),
        message_id: "message".into(),
        correlation_id: None,
        route: "direct".into(),
        queue: queue.into(),
        topic: None,
        handler: "test".into(),
        attempts: 1,
        deliveries: 1,
        first_failed_at: None,
        failed_at: "2026-01-01T00:00:00Z".into(),
        kind: "rejected".into(),
        reason: Some("it is of no use".into()),
        retried_from: None,
    }))
}
