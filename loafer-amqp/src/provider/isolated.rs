//! Isolated messages: those that may have ended their process, each handed over while nothing else of the route runs. RabbitMQ marks no message where it
//! is, so they are in a queue of their own, which is made for the first of them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use lapin::{message::Delivery as Got, options::BasicGetOptions};
use loafer_core::{
    Error,
    broker::{Delivery, Isolated, Settle, Settled, Settlement},
};
use tokio::{
    sync::{Mutex, OwnedMutexGuard},
    time::{sleep, timeout},
};

use super::{
    AmqpProvider, Receipt,
    pump::Arrivals,
    receive::{ConsumerChannel, lost},
};
use crate::{
    client::{ANSWER, timed},
    error::{self, NOT_FOUND},
    message::{Arrival, received, returns},
    names::{self, headers::PROBE},
};

/// What getting an isolated message is called in errors.
const GETTING: &str = "getting an isolated message";

/// How many deliveries of an isolated message must have ended without a settlement for it to be what ends its process. A kill from outside, or a lost
/// connection, ends one like a crash does.
const GUILTY: u32 = 3;

/// How often to look whether a message is settled. The engine asks for the next one when no handler runs, and the last one is being settled then.
const SETTLING: Duration = Duration::from_millis(5);

/// What is known of the isolated messages.
#[derive(Default)]
pub(super) struct Isolation {
    /// Whether their queue is known to exist. Cleared when it turned out to be gone.
    pub(super) exists: AtomicBool,
    /// Whether it was said that messages can't be isolated.
    pub(super) said: AtomicBool,
    /// The epoch of the last channel that got them. 0 means none. It is an atomic because it is read for every batch that is settled.
    epoch: AtomicU64,
    /// Locked while one is got, so that there is one at most.
    held: Arc<Mutex<Held>>,
}

/// The channel that gets isolated messages, and what it got.
#[derive(Default)]
pub(super) struct Held {
    /// `None` before the first get and after `close`. It may be lost.
    channel: Option<Arc<ConsumerChannel>>,
    /// The last message that it got.
    last: Option<Isolated<Receipt>>,
    /// Whether `last` was handed over.
    taken: bool,
}

impl Held {
    /// Returns the channel. `None` means that it is lost.
    fn live(&self) -> Option<&Arc<ConsumerChannel>> {
        self.channel.as_ref().filter(|channel| channel.is_live())
    }

    /// Returns the message that is not settled.
    fn unsettled(&self) -> Option<(&Arc<ConsumerChannel>, &Isolated<Receipt>)> {
        let (channel, last) = (self.live()?, self.last.as_ref()?);
        let receipt = last.delivery.receipt;
        let held = receipt.epoch == channel.epoch
            && channel.acks(|acks| acks.properties(receipt.tag).is_some());
        held.then_some((channel, last))
    }

    /// Asks for a message, and keeps it.
    async fn get(&mut self, queue: &str, counted: bool) -> Result<lapin::Result<()>, Error> {
        let alone = self.channel.clone();
        let Some((alone, channel)) = alone
            .as_ref()
            .and_then(|of| Some((of, of.channel.as_ref()?)))
        else {
            return Ok(Ok(()));
        };
        loop {
            let asked = channel.basic_get(queue.into(), BasicGetOptions::default());
            let got = match timed(GETTING, queue, asked).await? {
                Ok(Some(got)) => got.delivery,
                Ok(None) => return Ok(Ok(())),
                Err(failed) => return Ok(Err(failed)),
            };
            let Got {
                delivery_tag: tag,
                redelivered,
                properties,
                routing_key,
                data,
                ..
            } = got;
            if !alone.acks(|acks| acks.came(tag, Box::new(properties.clone()))) {
                return Err(lost(queue, format!("delivery {tag} came out of its turn")));
            }
            let headers = properties.headers().as_ref();
            if headers.is_some_and(|headers| headers.contains_key(PROBE)) {
                alone.ack([tag].into_iter());
                continue;
            }
            let arrival = Arrival {
                exchange: "",
                delays: "",
                redelivered,
                counted,
                ours: true,
            };
            let receipt = Receipt {
                epoch: alone.epoch,
                tag,
            };
            // Nobody gets more than one at a time, and what is released is copied: what comes again was handed over and not settled. A queue that does
            // not count, which only others make for a route that isolates, tells of one such delivery and never of more.
            let crashed =
                redelivered && returns(arrival, headers).is_none_or(|lost| lost >= GUILTY);
            let message = received(routing_key.as_str(), arrival, &properties, data);
            self.taken = false;
            self.last = Some(Isolated {
                delivery: Delivery { receipt, message },
                crashed,
            });
            return Ok(Ok(()));
        }
    }
}

/// Asks for a message. Gives the channel up if that fails, since a late answer would be lost.
async fn got(
    mut held: OwnedMutexGuard<Held>,
    queue: String,
    counted: bool,
) -> (Result<lapin::Result<()>, Error>, OwnedMutexGuard<Held>) {
    let got = held.get(&queue, counted).await;
    if !matches!(got, Ok(Ok(()))) {
        held.channel = None;
    }
    (got, held)
}

impl Isolation {
    /// Returns the epoch of the channel that gets isolated messages. 0 means none.
    pub(super) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Returns whether this is the lease of an isolated message, and not lost.
    pub(super) fn is_live(&self, lease: &Receipt) -> bool {
        // If it is locked, somebody is at work on that channel.
        let live = || {
            self.held
                .try_lock()
                .map_or(true, |held| held.live().is_some())
        };
        lease.epoch == self.epoch() && live()
    }
}

impl AmqpProvider {
    /// Takes one isolated message.
    pub(super) async fn get_isolated(&self) -> Result<Option<Isolated<Receipt>>, Error> {
        if !self.isolated_queue_exists().await {
            return Ok(None);
        }
        let waited = timeout(ANSWER, self.last_settled()).await;
        let mut held = waited.map_err(|_| Error::Unreachable {
            what: GETTING,
            queue: self.plan.queue.clone(),
            cause: "the one before it can't be settled".to_owned(),
            source: None,
        })?;
        if held.unsettled().is_none() {
            self.open_alone(&mut held).await?;
            let (queue, counted) = (names::isolated(&self.plan.queue), self.plan.counts());
            // In a task of its own, so that a message that nobody waits for any more is known to `close`.
            let getting = got(held, queue, counted);
            let Ok((got, now)) = tokio::spawn(getting).await else {
                return Ok(None);
            };
            held = now;
            match got? {
                Ok(()) => {}
                Err(failed) if error::code(&failed) == Some(NOT_FOUND) => {
                    self.isolation.exists.store(false, Ordering::Relaxed);
                    return Ok(None);
                }
                Err(failed) => {
                    return Err(error::unreachable(GETTING, &self.plan.queue, failed));
                }
            }
        }
        if held.unsettled().is_none() {
            return Ok(None);
        }
        held.taken = true;
        Ok(held.last.clone())
    }

    /// Waits until the message that was handed over last is settled. With two unsettled ones, the crash of one would count as a crash of the other.
    async fn last_settled(&self) -> OwnedMutexGuard<Held> {
        loop {
            let held = self.isolation.held.clone().lock_owned().await;
            if !held.taken || held.unsettled().is_none() {
                return held;
            }
            drop(held);
            sleep(SETTLING).await;
        }
    }

    /// Waits until no isolated message is handed over, and lets none be while this is held. Whatever runs alone may end the process: a message of this
    /// channel that is copied then, and not yet acked, would be isolated twice. `None` means that the channel is the one that gets them.
    pub(super) async fn nothing_runs_alone(
        &self,
        consumer: &ConsumerChannel,
    ) -> Option<OwnedMutexGuard<Held>> {
        match consumer.epoch == self.isolation.epoch() {
            true => None,
            false => Some(self.last_settled().await),
        }
    }

    /// Opens the channel that gets isolated messages, unless it is open.
    async fn open_alone(&self, held: &mut Held) -> Result<(), Error> {
        if held.live().is_some() {
            return Ok(());
        }
        let queue = names::isolated(&self.plan.queue);
        let channel = self.link.channel(GETTING, &queue).await?;
        let epoch = self.epochs.fetch_add(1, Ordering::Relaxed) + 1;
        let shared = Arrivals {
            alive: Arc::new(AtomicU64::new(epoch)),
            ..Arrivals::default()
        };
        let alone = ConsumerChannel::without_consumer(epoch, &queue, Some(channel), shared);
        held.channel = Some(Arc::new(alone));
        self.isolation.epoch.store(epoch, Ordering::Release);
        Ok(())
    }

    /// Settles a batch with deliveries of the channel that gets isolated messages.
    #[cold]
    pub(super) async fn settle_isolated(
        &self,
        batch: &[Settle<Receipt>],
        answers: &mut Vec<Settled>,
    ) {
        let consumer = self.live();
        let alone = self.isolation.held.lock().await.live().cloned();
        for entry in batch {
            let channels = [&consumer, &alone].into_iter().flatten();
            let its = |channel: &&Arc<ConsumerChannel>| channel.epoch == entry.receipt.epoch;
            match channels.into_iter().find(its) {
                Some(channel) => {
                    let entry = std::slice::from_ref(entry);
                    self.settle_mixed(channel, entry, answers).await;
                }
                None => answers.push(Settled::Lost),
            }
        }
    }

    /// Releases the isolated message that is not settled, so that it does not count as crashed, and closes its channel.
    pub(super) async fn close_isolated(&self) {
        let mut held = self.isolation.held.lock().await;
        if let Some((channel, last)) = held.unsettled() {
            let delivery = last.delivery.clone();
            let release = Settle {
                receipt: delivery.receipt,
                message: delivery.message,
                settlement: Settlement::Release,
            };
            if let Ok(None) = timeout(ANSWER, self.isolate(channel, &release)).await {
                channel.ack([release.receipt.tag].into_iter());
            }
        }
        if let Some(channel) = held.channel.take() {
            channel.close(self.channels.confirmed_in()).await;
        }
    }
}
