//! How a queue that is there differs from how a route would make it.

use lapin::{options::QueueDeclareOptions, types::FieldTable};
use loafer_core::QueueType;

use crate::{
    client::{Link, timed},
    error::{self, cause},
    topology::{Plan, close, table},
};

/// After how many looks RabbitMQ throws a dead letter away: never. `-1` says so only from RabbitMQ 4 on, and means "at the first" before; a number means
/// the same everywhere, and a queue is found as it was made after an upgrade.
const NEVER: i64 = i32::MAX as i64;

/// What a queue that is there is like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Likeness {
    /// As it would be made.
    Same,
    /// Not so, in RabbitMQ's words.
    Differs(String),
    /// That can't be seen, and why.
    Unseen(String),
}

impl Plan {
    /// What the route's queue is like. It must be there.
    pub(crate) async fn likeness(&self, link: &Link) -> Likeness {
        likeness(link, &self.queue, self.queue_arguments()).await
    }

    /// What the queue of its dead letters is like, where that is its own. It must be there.
    pub(crate) async fn dead_likeness(&self, link: &Link) -> Likeness {
        match &self.dead {
            Some(dead) => likeness(link, dead, dead_arguments()).await,
            None => Likeness::Unseen("others made it".to_owned()),
        }
    }
}

/// What the queue of the dead letters is declared with.
pub(crate) fn dead_arguments() -> FieldTable {
    table([
        ("x-queue-type", QueueType::Quorum.as_str().into()),
        ("x-delivery-limit", NEVER.into()),
    ])
}

/// RabbitMQ tells how a queue was declared to nobody but whoever declares it otherwise, one argument at a time: nothing is changed by it.
async fn likeness(link: &Link, queue: &str, arguments: FieldTable) -> Likeness {
    let channel = match link.channel("comparing", queue).await {
        Ok(channel) => channel,
        Err(error) => return Likeness::Unseen(error.to_string()),
    };
    let options = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    let declared = channel.queue_declare(queue.into(), options, arguments);
    let declared = match timed("comparing", queue, declared).await {
        Ok(declared) => declared,
        Err(error) => return Likeness::Unseen(error.to_string()),
    };
    match declared {
        Ok(_) => {
            close(&channel).await;
            Likeness::Same
        }
        Err(failed) if error::code(&failed) == Some(error::PRECONDITION_FAILED) => {
            Likeness::Differs(cause(&failed))
        }
        Err(failed) => Likeness::Unseen(cause(&failed)),
    }
}
