//! What the publisher makes before it publishes: exchanges and delay queues. Only RabbitMQ's publisher needs them.
//!
//! It makes them once a connection, since another connection may lead to a broker that has none of them.

use std::{
    collections::HashSet,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use lapin::{ExchangeKind, types::FieldTable};
use loafer_core::Error;

use super::{arguments, find, levels, make};
use crate::{
    client::{Link, config::ExchangeType},
    error::{self, ACCESS_REFUSED, PRECONDITION_FAILED, cause, code, refused},
    names,
};

/// How many delay queues for routing keys are made on one connection. They stay on RabbitMQ, and a routing key may come from the data of a message: whoever
/// sends that could have any number of queues made.
const MOST_DELAYED_KEYS: usize = 1_000;

/// Something that is made if it is missing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Required {
    /// An exchange.
    Exchange(String, ExchangeType),
    /// The delay queue for this routing key on an exchange. Each key has its own: when the time of a message is over and no queue takes it, RabbitMQ
    /// keeps it until one does, and the messages behind it in the same queue are held up.
    DelayTo {
        exchange: String,
        key: String,
        delay: Duration,
    },
    /// The delay queue for a queue, in which its retries wait, too.
    DelayFor { queue: String, delay: Duration },
    /// What is behind the delay levels.
    Due,
    /// A delay level. Those below it must be there already.
    Level(u32),
    /// The way from the delay levels to a delay queue.
    DueTo(String),
}

/// What was made already.
#[derive(Debug, Default)]
pub(crate) struct Made {
    known: Mutex<Known>,
    /// Held while something is made, so that nobody else makes it as well.
    making: tokio::sync::Mutex<()>,
}

/// What was made on the connection of this epoch. On another connection it counts for nothing.
#[derive(Debug, Default)]
struct Known {
    epoch: u64,
    required: HashSet<Required>,
}

impl Known {
    /// Fails if too many delay queues for routing keys were made on the connection of this epoch for one more.
    fn has_room(&self, epoch: u64, required: &Required) -> Result<(), Error> {
        let Required::DelayTo { key, .. } = required else {
            return Ok(());
        };
        let is_delayed_key = |of: &&Required| matches!(of, Required::DelayTo { .. });
        let made = self.required.iter().filter(is_delayed_key).count();
        if self.epoch != epoch || made < MOST_DELAYED_KEYS {
            return Ok(());
        }
        Err(refused(
            "publish",
            key,
            format!(
                "a delay needs a queue for each routing key and delay, and {MOST_DELAYED_KEYS} of them were made on this connection: \
                 publish what is delayed under few routing keys, and put what varies into a header or the payload"
            ),
        ))
    }
}

impl Made {
    /// Makes what was not made on this connection.
    pub(crate) async fn ensure(&self, link: &Link, required: &Required) -> Result<(), Error> {
        if self.knows(link, required) {
            return Ok(());
        }
        let _making = self.making.lock().await;
        if self.knows(link, required) {
            return Ok(());
        }
        self.known().has_room(link.epoch(), required)?;
        required.make(link).await?;
        let mut known = self.known();
        if known.epoch != link.epoch() {
            known.epoch = link.epoch();
            known.required.clear();
        }
        known.required.insert(required.clone());
        Ok(())
    }

    /// Forgets something that turned out to be missing: it is made again before its next use.
    pub(crate) fn forget(&self, required: &Required) {
        self.known().required.remove(required);
    }

    fn knows(&self, link: &Link, required: &Required) -> bool {
        let known = self.known();
        known.epoch == link.epoch() && known.required.contains(required)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Required {
    /// Makes it if it is missing. One that exists in another form is left as it is, and so is one that we may not make.
    pub(crate) async fn make(&self, link: &Link) -> Result<(), Error> {
        match self {
            Self::Exchange(name, of) => {
                exchange(link, name, of.kind(), FieldTable::default()).await
            }
            Self::DelayTo {
                exchange,
                key,
                delay,
            } => {
                exchange_exists(link, exchange).await?;
                let name = names::delay_queue_to(exchange, key, *delay);
                delay_queue(link, &name, *delay, (exchange, Some(key))).await
            }
            Self::DelayFor { queue, delay } => {
                if !find::queue_exists(link, queue).await? {
                    let cause = "it does not exist, so that a delayed message would be lost: make it, or name another";
                    return Err(refused("publish", queue, cause));
                }
                let name = names::delay_queue(queue, *delay);
                delay_queue(link, &name, *delay, ("", Some(queue))).await
            }
            Self::Due => {
                let (none, lost) = (FieldTable::default(), levels::LOST);
                exchange(link, lost, ExchangeKind::Fanout, none).await?;
                let made = make::queue(link, DECLARING, lost, arguments::keeping()).await?;
                tolerated(DECLARING, lost, made)?;
                tolerated(make::BINDING, lost, make::bind(link, lost, lost, "").await?)?;
                let alternate = arguments::alternate(lost);
                exchange(link, levels::DUE, ExchangeKind::Topic, alternate).await
            }
            Self::Level(level) => {
                let (name, behind) = (levels::name(*level), levels::behind(*level));
                exchange(link, &name, ExchangeKind::Topic, FieldTable::default()).await?;
                delay_queue(link, &name, levels::wait(*level), (&behind, None)).await?;
                let waits = levels::pattern(*level, true);
                let bound = make::bind(link, &name, &name, &waits).await?;
                tolerated(make::BINDING, &name, bound)?;
                let passes = levels::pattern(*level, false);
                let bound = make::bind_exchange(link, &behind, &name, &passes).await?;
                tolerated(make::BINDING, &name, bound)
            }
            Self::DueTo(queue) => {
                let key = levels::pattern_of(queue);
                let bound = make::bind(link, queue, levels::DUE, &key).await?;
                tolerated(make::BINDING, queue, bound)
            }
        }
    }
}

/// What declaring a queue is called in errors.
const DECLARING: &str = "declaring the queue";

async fn exchange(
    link: &Link,
    name: &str,
    kind: ExchangeKind,
    arguments: FieldTable,
) -> Result<(), Error> {
    let answer = make::exchange(link, name, kind, arguments, name).await?;
    tolerated(make::DECLARING_EXCHANGE, name, answer)
}

/// Fails if an exchange does not exist and is not ours to make: what waits for it would be lost.
async fn exchange_exists(link: &Link, name: &str) -> Result<(), Error> {
    match find::exchange(link, name, name).await? {
        true => Ok(()),
        false => Err(refused(
            "looking for the exchange",
            name,
            format!(
                "the exchange `{name}` does not exist, so that a delayed message would be lost: make it, or have it made under [{}.exchanges] in loafer.toml",
                link.identity().section()
            ),
        )),
    }
}

async fn delay_queue(
    link: &Link,
    name: &str,
    delay: Duration,
    (exchange, key): (&str, Option<&str>),
) -> Result<(), Error> {
    let arguments = arguments::delay(delay, exchange, key);
    let answer = make::queue(link, DECLARING, name, arguments).await?;
    tolerated(DECLARING, name, answer)
}

/// Judges a declaration. What exists in another form is used as it is: whoever made it had a reason. So is what we may not make: publishing shows
/// whether it exists.
fn tolerated(what: &'static str, name: &str, answer: lapin::Result<()>) -> Result<(), Error> {
    match answer {
        Err(failed) if matches!(code(&failed), Some(PRECONDITION_FAILED | ACCESS_REFUSED)) => {
            let cause = cause(&failed);
            tracing::debug!(name, cause, "not declared: used as it is");
            Ok(())
        }
        answer => answer.map_err(|failed| error::unreachable(what, name, failed)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delayed(key: usize) -> Required {
        Required::DelayTo {
            exchange: "event".to_owned(),
            key: key.to_string(),
            delay: Duration::from_secs(1),
        }
    }

    #[test]
    fn routing_keys_of_data_make_a_bounded_number_of_queues() {
        let mut known = Known {
            epoch: 1,
            required: (1..MOST_DELAYED_KEYS).map(delayed).collect(),
        };
        let one_more = delayed(MOST_DELAYED_KEYS);
        assert!(known.has_room(1, &one_more).is_ok());
        known.required.insert(one_more);
        let error = known.has_room(1, &delayed(0)).unwrap_err().to_string();
        assert!(error.contains("under few routing keys"), "{error}");
        assert!(known.has_room(2, &delayed(0)).is_ok(), "another connection");
        assert!(known.has_room(1, &Required::Level(1)).is_ok());
    }
}
