//! What the publisher makes before it publishes: exchanges, and the queues in which delayed messages wait. Once a connection, since another
//! one may lead to a broker that has none of it.

use std::{
    collections::HashSet,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use lapin::{
    Channel, ExchangeKind,
    options::{ExchangeDeclareOptions, QueueDeclareOptions},
    types::FieldTable,
};
use loafer_core::Error;

use crate::{
    broker::ExchangeType,
    client::{Link, answered},
    error::{
        ACCESS_REFUSED, NOT_FOUND, PRECONDITION_FAILED, RESOURCE_LOCKED, cause, code, refused,
    },
    names,
    topology::{close, waiting},
};

/// Something that is made where it is missing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    /// An exchange.
    Exchange(String, ExchangeType),
    /// Where what is bound for this key on an exchange waits first. Each key has its own: RabbitMQ keeps what no queue takes when its time is
    /// over, until one does, and what waits behind it in the same queue is held up.
    DelayedTo(String, String, Duration),
    /// Where what is bound for a queue waits first: the queue its retries wait in as well.
    DelayedIn(String, Duration),
}

/// What was made on which connection.
#[derive(Debug, Default)]
pub(crate) struct Declared {
    known: Mutex<Known>,
    /// Held while something is made: the others need not make it as well.
    making: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Known {
    epoch: u64,
    places: HashSet<Place>,
}

impl Declared {
    /// Makes what is not known to be there.
    pub(crate) async fn ensure(&self, link: &Link, place: &Place) -> Result<(), Error> {
        if self.knows(link, place) {
            return Ok(());
        }
        let _making = self.making.lock().await;
        if self.knows(link, place) {
            return Ok(());
        }
        place.make(link).await?;
        let mut known = self.known();
        if known.epoch != link.epoch() {
            known.epoch = link.epoch();
            known.places.clear();
        }
        known.places.insert(place.clone());
        Ok(())
    }

    /// It is not there after all: it is made again before it is used again.
    pub(crate) fn forget(&self, place: &Place) {
        self.known().places.remove(place);
    }

    fn knows(&self, link: &Link, place: &Place) -> bool {
        let known = self.known();
        known.epoch == link.epoch() && known.places.contains(place)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    async fn make(&self, link: &Link) -> Result<(), Error> {
        match self {
            Self::Exchange(name, of) => exchange(link, name, *of).await,
            Self::DelayedTo(to, key, delay) => {
                exchange_exists(link, to).await?;
                let name = names::delayed(to, key, *delay);
                queue(link, &name, waiting(*delay, to, key)).await
            }
            Self::DelayedIn(to, delay) => {
                if !queue_exists(link, to).await? {
                    let cause = "it does not exist, so that a delayed message would be lost: make it, or name another";
                    return Err(refused("publish", to, cause));
                }
                let name = names::rung(to, *delay);
                queue(link, &name, waiting(*delay, "", to)).await
            }
        }
    }
}

async fn exchange(link: &Link, name: &str, of: ExchangeType) -> Result<(), Error> {
    let what = "declaring the exchange";
    let channel = link.channel(what, name).await?;
    let options = ExchangeDeclareOptions {
        durable: true,
        ..ExchangeDeclareOptions::default()
    };
    let declared = channel.exchange_declare(name.into(), of.kind(), options, FieldTable::default());
    made(&channel, what, name, declared).await
}

/// Makes sure of an exchange that is not ours to make: what waits for it would be lost.
async fn exchange_exists(link: &Link, name: &str) -> Result<(), Error> {
    let what = "looking for the exchange";
    let channel = link.channel(what, name).await?;
    let options = ExchangeDeclareOptions {
        passive: true,
        ..ExchangeDeclareOptions::default()
    };
    let arguments = FieldTable::default();
    let looked = channel.exchange_declare(name.into(), ExchangeKind::Topic, options, arguments);
    let there = async {
        match looked.await {
            Err(failed) if code(&failed) == Some(NOT_FOUND) => Ok(false),
            looked => looked.map(|()| true),
        }
    };
    if answered(what, name, there).await? {
        close(&channel).await;
        return Ok(());
    }
    Err(refused(
        what,
        name,
        format!(
            "the exchange `{name}` does not exist, so that a delayed message would be lost: make it, or have it made under [amqp.exchanges] in loafer.toml"
        ),
    ))
}

/// Whether a queue is there, if only for its owner.
async fn queue_exists(link: &Link, name: &str) -> Result<bool, Error> {
    let what = "looking for the queue";
    let channel = link.channel(what, name).await?;
    let options = QueueDeclareOptions {
        passive: true,
        ..QueueDeclareOptions::default()
    };
    let looked = channel.queue_declare(name.into(), options, FieldTable::default());
    let there = async {
        match looked.await {
            Err(failed) if code(&failed) == Some(NOT_FOUND) => Ok(false),
            Err(failed) if code(&failed) == Some(RESOURCE_LOCKED) => Ok(true),
            Err(failed) => Err(failed),
            Ok(_) => {
                close(&channel).await;
                Ok(true)
            }
        }
    };
    answered(what, name, there).await
}

async fn queue(link: &Link, name: &str, arguments: FieldTable) -> Result<(), Error> {
    let what = "declaring the queue";
    let channel = link.channel(what, name).await?;
    let options = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    let declared = channel.queue_declare(name.into(), options, arguments);
    made(&channel, what, name, declared).await
}

/// Waits for the answer. What is there in another form is used as it is: whoever made it knows why. So is what we may not make: publishing
/// will tell whether it is there.
async fn made<T>(
    channel: &Channel,
    what: &'static str,
    name: &str,
    declared: impl Future<Output = lapin::Result<T>>,
) -> Result<(), Error> {
    let declared = async {
        match declared.await {
            Ok(_) => Ok(true),
            Err(failed) if matches!(code(&failed), Some(PRECONDITION_FAILED | ACCESS_REFUSED)) => {
                let cause = cause(&failed);
                tracing::debug!(name, cause, "not declared: used as it is");
                Ok(false)
            }
            Err(failed) => Err(failed),
        }
    };
    if answered(what, name, declared).await? {
        close(channel).await;
    }
    Ok(())
}
