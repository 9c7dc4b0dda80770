//! What exists: exchanges and queues, looked for without changing them. Looking takes no right; asking whether a queue may be consumed does.

use lapin::{
    ExchangeKind, Queue,
    options::{BasicConsumeOptions, ExchangeDeclareOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable},
};
use loafer_core::Error;

use crate::{
    client::{Link, close, timed},
    error::{self, ACCESS_REFUSED, NOT_FOUND, RESOURCE_LOCKED},
    options::STREAM,
};

/// What consuming is called in errors.
const CONSUMING: &str = "consuming";

/// How RabbitMQ's answer ends if the queue is a stream, from 3.10 to 4.3.
const STREAM_QUEUE: &str = "of queue type rabbit_stream_queue";

/// Returns whether an exchange exists. `queue` is the queue or exchange that errors of the connection name.
pub(crate) async fn exchange(link: &Link, name: &str, queue: &str) -> Result<bool, Error> {
    let what = "looking for the exchange";
    let channel = link.channel(what, queue).await?;
    let options = ExchangeDeclareOptions {
        passive: true,
        ..ExchangeDeclareOptions::default()
    };
    let arguments = FieldTable::default();
    let found = channel.exchange_declare(name.into(), ExchangeKind::Topic, options, arguments);
    match timed(what, name, found).await? {
        Ok(()) => {
            close(&channel).await;
            Ok(true)
        }
        Err(failed) if error::code(&failed) == Some(NOT_FOUND) => Ok(false),
        Err(failed) => Err(error::unreachable(what, name, failed)),
    }
}

/// What RabbitMQ says of a queue that exists.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    /// The messages that are ready.
    pub(crate) messages: u32,
    pub(crate) consumers: u32,
}

/// Looks for a queue. `None` means that it does not exist.
pub(crate) async fn queue(link: &Link, name: &str) -> Result<Option<Found>, Error> {
    match passive(link, name).await? {
        Ok(found) => Ok(Some(Found {
            messages: found.message_count(),
            consumers: found.consumer_count(),
        })),
        Err(failed) if error::code(&failed) == Some(NOT_FOUND) => Ok(None),
        Err(failed) => Err(error::unreachable(LOOKING, name, failed)),
    }
}

/// Returns whether a queue exists, even if only its owner may use it.
pub(crate) async fn queue_exists(link: &Link, name: &str) -> Result<bool, Error> {
    match passive(link, name).await? {
        Ok(_) => Ok(true),
        Err(failed) if error::code(&failed) == Some(RESOURCE_LOCKED) => Ok(true),
        Err(failed) if error::code(&failed) == Some(NOT_FOUND) => Ok(false),
        Err(failed) => Err(error::unreachable(LOOKING, name, failed)),
    }
}

/// What looking for a queue is called in errors.
const LOOKING: &str = "looking for the queue";

/// Declares a queue passively, which only asks for it.
async fn passive(link: &Link, name: &str) -> Result<lapin::Result<Queue>, Error> {
    let channel = link.channel(LOOKING, name).await?;
    let options = QueueDeclareOptions {
        passive: true,
        ..QueueDeclareOptions::default()
    };
    let asked = channel.queue_declare(name.into(), options, FieldTable::default());
    let answer = timed(LOOKING, name, asked).await?;
    if answer.is_ok() {
        close(&channel).await;
    }
    Ok(answer)
}

/// Makes sure that a queue may be consumed, without consuming it: it asks for an invalid consumer, and RabbitMQ refuses it only after it has looked at
/// the rights. A queue that does not exist is no error here, and a stream is one.
pub(crate) async fn may_consume(link: &Link, queue: &str) -> Result<(), Error> {
    let channel = link.channel(CONSUMING, queue).await?;
    let mut arguments = FieldTable::default();
    let invalid = AMQPValue::LongString("only asking".into());
    arguments.insert("x-priority".into(), invalid);
    let options = BasicConsumeOptions::default();
    let asked = channel.basic_consume(queue.into(), "".into(), options, arguments);
    match timed(CONSUMING, queue, asked).await? {
        Err(failed) if error::code(&failed) == Some(ACCESS_REFUSED) => {
            Err(error::unreachable(CONSUMING, queue, failed))
        }
        // The queue type tells which arguments its consumers may have.
        Err(failed) if error::cause(&failed).ends_with(STREAM_QUEUE) => {
            Err(error::refused(CONSUMING, queue, STREAM))
        }
        Err(_) => Ok(()),
        Ok(_) => {
            close(&channel).await;
            Ok(())
        }
    }
}
