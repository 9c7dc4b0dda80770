//! Making exchanges and queues. Every declaration can be repeated: what exists in the same form is left alone.

use lapin::{
    ExchangeKind,
    options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions},
    types::FieldTable,
};
use loafer_core::Error;

use crate::client::{Link, answered, close, timed};

/// Declares a durable exchange, and returns RabbitMQ's answer. `queue` is the queue or exchange that errors of the connection name.
pub(super) async fn exchange(
    link: &Link,
    name: &str,
    kind: ExchangeKind,
    queue: &str,
) -> Result<lapin::Result<()>, Error> {
    let channel = link.channel(DECLARING_EXCHANGE, queue).await?;
    let options = ExchangeDeclareOptions {
        durable: true,
        ..ExchangeDeclareOptions::default()
    };
    let declared = channel.exchange_declare(name.into(), kind, options, FieldTable::default());
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

/// Binds a queue to an exchange.
pub(super) async fn bind(link: &Link, queue: &str, exchange: &str, key: &str) -> Result<(), Error> {
    let what = "binding";
    let channel = link.channel(what, queue).await?;
    let bound = channel.queue_bind(
        queue.into(),
        exchange.into(),
        key.into(),
        QueueBindOptions::default(),
        FieldTable::default(),
    );
    answered(what, queue, bound).await?;
    close(&channel).await;
    Ok(())
}
