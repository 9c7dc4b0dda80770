//! What is there: exchanges and queues, looked for without touching them. It takes no right.

use lapin::{
    ExchangeKind,
    options::{ExchangeDeclareOptions, QueueDeclareOptions},
    types::FieldTable,
};
use loafer_core::Error;

use crate::{
    client::{Link, timed},
    error::{self, refused},
    topology::close,
};

/// Makes sure of an exchange; `remedy` says what to do where it is not there.
pub(crate) async fn exchange_exists(
    link: &Link,
    name: &str,
    queue: &str,
    remedy: &str,
) -> Result<(), Error> {
    let what = "looking for the exchange";
    let channel = link.channel(what, queue).await?;
    let options = ExchangeDeclareOptions {
        passive: true,
        ..ExchangeDeclareOptions::default()
    };
    let found = channel.exchange_declare(
        name.into(),
        ExchangeKind::Topic,
        options,
        FieldTable::default(),
    );
    match timed(what, name, found).await? {
        Ok(()) => {
            close(&channel).await;
            Ok(())
        }
        Err(failed) if error::code(&failed) == Some(error::NOT_FOUND) => Err(refused(
            "opening",
            queue,
            format!("the exchange `{name}` does not exist: {remedy}"),
        )),
        Err(failed) => Err(error::unreachable(what, name, failed)),
    }
}

/// What is told of a queue without touching it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    /// Those that are ready.
    pub(crate) messages: u32,
    pub(crate) consumers: u32,
}

/// Looks for a queue.
pub(crate) async fn find(link: &Link, queue: &str) -> Result<Option<Found>, Error> {
    let what = "looking for the queue";
    let channel = link.channel(what, queue).await?;
    let options = QueueDeclareOptions {
        passive: true,
        ..QueueDeclareOptions::default()
    };
    let found = channel.queue_declare(queue.into(), options, FieldTable::default());
    match timed(what, queue, found).await? {
        Ok(found) => {
            close(&channel).await;
            Ok(Some(Found {
                messages: found.message_count(),
                consumers: found.consumer_count(),
            }))
        }
        Err(failed) if error::code(&failed) == Some(error::NOT_FOUND) => Ok(None),
        Err(failed) => Err(error::unreachable(what, queue, failed)),
    }
}
