//! Making exchanges and queues. Every declaration can be repeated: what exists in the same form is left alone.

use lapin::{
    ExchangeKind,
    options::{ExchangeBindOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions},
    types::FieldTable,
};
use loafer_core::Error;

use crate::client::{Link, close, timed};

/// Declares a durable exchange, and returns RabbitMQ's answer. `queue` is the queue or exchange that errors of the connection name.
pub(super) async fn exchange(
    link: &Link,
    name: &str,
    kind: ExchangeKind,
    arguments: FieldTable,
    queue: &str,
) -> Result<lapin::Result<()>, Error> {
    let channel = link.channel(DECLARING_EXCHANGE, queue).await?;
    let options = ExchangeDeclareOptions {
        durable: true,
        ..ExchangeDeclareOptions::default()
    };
    let declared = channel.exchange_declare(name.into(), kind, options, arguments);
    let answer = timed(DECLARING_EXCHANGE, name, declared).await?;
    if answer.is_ok() {
        close(&channel).await;
    }
    Ok(answer)
}

/// What declaring an exchange is called in errors.
pub(super) const DECLARING_EXCHANGE: &str = "declaring the exchange";

/// Declares a durable queue, and returns RabbitMQ's answer. `what` is what errors call it.
pub(super) async fn queue(
    link: &Link,
    what: &'static str,
    name: &str,
    arguments: FieldTable,
) -> Result<lapin::Result<()>, Error> {
    let channel = link.channel(what, name).await?;
    let options = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    let declared = channel.queue_declare(name.into(), options, arguments);
    let answer = timed(what, name, declared).await?;
    if answer.is_ok() {
        close(&channel).await;
    }
    Ok(answer.map(drop))
}

/// What binding is called in errors.
pub(super) const BINDING: &str = "binding";

/// Binds a queue to an exchange, and returns RabbitMQ's answer.
pub(super) async fn bind(
    link: &Link,
    queue: &str,
    exchange: &str,
    key: &str,
) -> Result<lapin::Result<()>, Error> {
    let channel = link.channel(BINDING, queue).await?;
    let bound = channel.queue_bind(
        queue.into(),
        exchange.into(),
        key.into(),
        QueueBindOptions::default(),
        FieldTable::default(),
    );
    let answer = timed(BINDING, queue, bound).await?;
    if answer.is_ok() {
        close(&channel).await;
    }
    Ok(answer)
}

/// Binds an exchange to the exchange before it, and returns RabbitMQ's answer.
pub(super) async fn bind_exchange(
    link: &Link,
    exchange: &str,
    to: &str,
    key: &str,
) -> Result<lapin::Result<()>, Error> {
    let channel = link.channel(BINDING, exchange).await?;
    let bound = channel.exchange_bind(
        exchange.into(),
        to.into(),
        key.into(),
        ExchangeBindOptions::default(),
        FieldTable::default(),
    );
    let answer = timed(BINDING, exchange, bound).await?;
    if answer.is_ok() {
        close(&channel).await;
    }
    Ok(answer)
}
