//! Providers by hand, on each version of RabbitMQ.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test binary uses a part of it"
)]

use std::time::Duration;

use loafer_amqp::{Amqp, AmqpProvider, Options, Receipt};
use loafer_core::broker::{
    Broker as _, Delivery, Open, Provider as _, Settle, Settled, Settlement, Source,
};
use loafer_test_servers::{RabbitMq, Version};
use tokio::time::{Instant, sleep};

use crate::support::{DEADLINE, Rabbit};

/// The server of this version that all tests share; none, and a word about it, where it does not run.
pub async fn given(version: Version, test: &str) -> Option<Rabbit> {
    let shared = RabbitMq::shared(version, test)?;
    Some(Rabbit::at(shared.url).await)
}

/// A provider of a queue that is bound to nothing.
pub async fn open(amqp: &Amqp, queue: &str) -> AmqpProvider {
    open_with(amqp, queue, Options::new().exchange("")).await
}

pub async fn open_with(amqp: &Amqp, queue: &str, options: Options) -> AmqpProvider {
    let source = Source::new("orders", queue);
    let provider = amqp.provider(&source, &options).unwrap();
    provider.open(Open::Existing).await.unwrap();
    provider
}

/// Takes this many messages.
pub async fn receive(provider: &AmqpProvider, messages: usize) -> Vec<Delivery<Receipt>> {
    let mut came = Vec::new();
    let give_up = Instant::now() + DEADLINE;
    while came.len() < messages {
        assert!(Instant::now() < give_up, "{} of {messages}", came.len());
        let wait = Duration::from_secs(1);
        let more = messages - came.len();
        if provider.receive(more, wait, &mut came).await.is_err() {
            sleep(Duration::from_millis(50)).await;
        }
    }
    came
}

pub async fn one(provider: &AmqpProvider) -> Delivery<Receipt> {
    receive(provider, 1).await.remove(0)
}

pub async fn settle(
    provider: &AmqpProvider,
    delivery: &Delivery<Receipt>,
    settlement: Settlement,
) -> Settled {
    let entry = Settle {
        receipt: delivery.receipt,
        message: delivery.message.clone(),
        settlement,
    };
    let mut answers = Vec::new();
    provider.settle(&[entry], &mut answers).await;
    answers.remove(0)
}

/// Settles a delivery, and makes sure that it is done.
pub async fn done(provider: &AmqpProvider, delivery: &Delivery<Receipt>, settlement: Settlement) {
    let settled = settle(provider, delivery, settlement).await;
    assert!(matches!(settled, Settled::Done), "{settled:?}");
}
