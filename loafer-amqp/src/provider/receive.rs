//! Receiving: one consumer on one channel, from its beginning to its loss.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::FutureExt;
use lapin::{
    Channel,
    options::{
        BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions,
    },
    types::FieldTable,
};
use loafer_core::{Error, broker::Delivery};
use tokio::{
    task::JoinHandle,
    time::{sleep, timeout},
};

use super::{
    Receipt,
    acks::{Ack, Acks},
    pump::{Arrivals, pump},
};
use crate::{
    client::{ANSWER, Link, answered, close, timed},
    error,
    topology::Plan,
};

/// How long RabbitMQ may take to hand acks on to a quorum queue.
const HANDED_ON: Duration = Duration::from_millis(300);

/// How often a channel without a consumer is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// One consumer on one channel. It never recovers a lost channel: another consumer takes its place.
pub(super) struct ConsumerChannel {
    /// The number of this consumer. 0 means one that could not begin.
    pub(super) epoch: u64,
    queue: String,
    /// The section of `loafer.toml` for the broker instance, which errors name.
    section: String,
    /// `None` means that it could not begin.
    pub(super) channel: Option<Channel>,
    /// What the pump shares with it.
    shared: Arc<Arrivals>,
    /// Replaced each time consuming resumes.
    consumer: Mutex<ActiveConsumer>,
    /// Whether anything was acked, so that `close` waits for RabbitMQ to hand it on.
    settled: AtomicBool,
}

/// The consumer that runs.
#[derive(Default)]
struct ActiveConsumer {
    /// RabbitMQ's tag of the consumer.
    tag: String,
    /// Reads what RabbitMQ pushes. `None` once it was waited for.
    pump: Option<JoinHandle<()>>,
}

impl ConsumerChannel {
    /// Opens a channel and begins to consume.
    pub(super) async fn begin(
        link: &Link,
        plan: &Plan,
        (epoch, alive): (u64, &Arc<AtomicU64>),
        capacity: u16,
    ) -> Result<Self, Error> {
        let (what, queue) = ("consuming", plan.queue.as_str());
        let channel = link.channel(what, queue).await?;
        let qos = channel.basic_qos(capacity, BasicQosOptions::default());
        answered(what, queue, qos).await?;
        let consumer = Self {
            epoch,
            queue: queue.to_owned(),
            section: link.identity().section(),
            channel: Some(channel),
            shared: Arc::new(Arrivals {
                alive: alive.clone(),
                counted: plan.counts(),
                ..Arrivals::default()
            }),
            consumer: Mutex::default(),
            settled: AtomicBool::new(false),
        };
        alive.store(epoch, Ordering::Release);
        consumer.consume(plan).await?;
        Ok(consumer)
    }

    /// Begins to consume, for the first time or after `cancel`.
    async fn consume(&self, plan: &Plan) -> Result<(), Error> {
        let (what, queue) = ("consuming", self.queue.as_str());
        let Some(channel) = &self.channel else {
            return Ok(());
        };
        let consumed = channel.basic_consume(
            queue.into(),
            "".into(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        );
        let consumer = match timed(what, queue, consumed).await? {
            Ok(consumer) => consumer,
            Err(failed) if error::code(&failed) == Some(error::NOT_FOUND) => {
                return Err(plan.unknown(queue));
            }
            Err(failed) => return Err(error::unreachable(what, queue, failed)),
        };
        self.shared.canceled.store(false, Ordering::Release);
        let tag = consumer.tag().to_string();
        let reading = pump(
            consumer,
            self.epoch,
            self.shared.clone(),
            self.section.clone(),
        );
        let reading = tokio::spawn(reading);
        *self.consumer() = ActiveConsumer {
            tag,
            pump: Some(reading),
        };
        Ok(())
    }

    /// Consumes again after `cancel`.
    pub(super) async fn resume(&self, plan: &Plan) -> Result<(), Error> {
        match self.is_canceled() {
            true => self.consume(plan).await,
            false => Ok(()),
        }
    }

    fn consumer(&self) -> MutexGuard<'_, ActiveConsumer> {
        self.consumer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns a consumer that could not begin, which counts as lost.
    pub(super) fn none(queue: &str) -> Self {
        let shared = Arrivals::default();
        shared
            .end
            .send_replace(Some("it could not be begun".to_owned()));
        Self::without_consumer(0, queue, None, shared)
    }

    /// Returns a channel on which nothing is pushed.
    pub(super) fn without_consumer(
        epoch: u64,
        queue: &str,
        channel: Option<Channel>,
        shared: Arrivals,
    ) -> Self {
        shared.canceled.store(true, Ordering::Release);
        Self {
            epoch,
            queue: queue.to_owned(),
            section: String::new(),
            channel,
            shared: Arc::new(shared),
            consumer: Mutex::default(),
            settled: AtomicBool::new(false),
        }
    }

    /// Returns whether deliveries can be settled. The pump notices the end of the channel. After `cancel` there is no pump, so the client is asked, whose
    /// answer waits for a lock.
    pub(super) fn is_live(&self) -> bool {
        let alive = self.shared.alive.load(Ordering::Acquire) == self.epoch;
        let channel = self.channel.as_ref().filter(|_| alive);
        channel.is_some_and(|channel| !self.is_canceled() || channel.status().connected())
    }

    /// Returns whether `cancel` ended the consumer.
    pub(super) fn is_canceled(&self) -> bool {
        self.shared.canceled.load(Ordering::Acquire)
    }

    /// Waits until the channel is lost, and returns why.
    pub(super) async fn ended(&self) -> String {
        let mut end = self.shared.end.subscribe();
        loop {
            // `self` owns the sender, so waiting can't fail.
            if let Ok(Ok(cause)) = timeout(LOOK, end.wait_for(Option::is_some)).await {
                return cause.clone().unwrap_or_default();
            }
            self.look();
        }
    }

    /// Notices that the channel is lost after `cancel`, when no pump reads from it.
    fn look(&self) {
        let channel = self.channel.as_ref().filter(|_| self.is_canceled());
        if channel.is_some_and(|channel| !channel.status().connected()) {
            self.shared.lost(self.epoch, "the channel was closed");
        }
    }

    /// Takes up to `max` messages that were pushed. Waits for the first.
    pub(super) async fn receive(
        &self,
        max: usize,
        wait: Duration,
        into: &mut Vec<Delivery<Receipt>>,
    ) -> Result<(), Error> {
        let give_up = tokio::time::Instant::now() + wait;
        loop {
            let arrived = self.shared.arrived.notified();
            {
                let mut buffer = self.shared.buffer();
                let count = buffer.ready.len().min(max);
                into.extend(buffer.ready.drain(..count));
                if count > 0 {
                    return Ok(());
                }
            }
            if let Some(cause) = self.shared.end.borrow().clone() {
                return Err(lost(&self.queue, cause));
            }
            if tokio::time::timeout_at(give_up, arrived).await.is_err() {
                return Ok(());
            }
        }
    }

    /// Gives access to the state of the deliveries, under its lock.
    pub(super) fn acks<T>(&self, with: impl FnOnce(&mut Acks) -> T) -> T {
        with(&mut self.shared.buffer().acks)
    }

    /// Ends the consumer, and releases what was pushed and not taken. Settling goes on.
    pub(super) async fn cancel(&self) {
        if self.shared.canceled.swap(true, Ordering::AcqRel) {
            return;
        }
        let Some(channel) = &self.channel else {
            return;
        };
        let tag = self.consumer().tag.as_str().into();
        let canceled = channel.basic_cancel(tag, BasicCancelOptions::default());
        if let Err(error) = answered("ending the consumer", &self.queue, canceled).await {
            tracing::debug!(queue = self.queue, %error, "the consumer was not ended in time: it ends with its channel");
        }
        // The pump ends once it has stored all that came before the answer.
        let pump = self.consumer().pump.take();
        if let Some(mut pump) = pump
            && timeout(ANSWER, &mut pump).await.is_err()
        {
            pump.abort();
        }
        let untaken: Vec<_> = self.shared.buffer().ready.drain(..).collect();
        for delivery in untaken {
            self.release(delivery.receipt.tag);
        }
    }

    /// Acks these deliveries in as few frames as possible. Returns whether the client took the frames.
    ///
    /// The first poll hands the frames to the client, under the lock of the acks: a frame that settles many deliveries must keep its order with frames
    /// that settle one of them. Waiting until they are written would cost a round trip to the client's thread and show nothing more: RabbitMQ confirms
    /// no acks, and redelivers what it did not read before a channel broke.
    pub(super) fn ack(&self, tags: impl Iterator<Item = u64>) -> bool {
        let Some(channel) = &self.channel else {
            return false;
        };
        let (mut tags, mut frames) = (tags.collect(), Vec::new());
        self.settled.store(true, Ordering::Relaxed);
        self.acks(|acks| {
            acks.settled(&mut tags, &mut frames);
            frames.iter().all(|&Ack { tag, multiple }| {
                let written = channel.basic_ack(tag, BasicAckOptions { multiple });
                !matches!(written.now_or_never(), Some(Err(_)))
            })
        })
    }

    /// Releases a delivery: RabbitMQ redelivers it to any consumer.
    pub(super) fn release(&self, tag: u64) -> bool {
        let Some(channel) = &self.channel else {
            return false;
        };
        let options = BasicNackOptions {
            multiple: false,
            requeue: true,
        };
        self.acks(|acks| {
            acks.forget(tag) && {
                let written = channel.basic_nack(tag, options);
                !matches!(written.now_or_never(), Some(Err(_)))
            }
        })
    }

    /// Closes the channel once RabbitMQ has read all that was written on it.
    pub(super) async fn close(&self) {
        self.cancel().await;
        if let Some(channel) = &self.channel {
            if self.settled.load(Ordering::Relaxed) {
                // RabbitMQ hands acks on to a quorum queue a few at a time, and drops those that still wait when their channel is closed. No answer
                // of RabbitMQ's tells when all are handed on.
                sleep(HANDED_ON).await;
            }
            _ = timeout(ANSWER, close(channel)).await;
        }
    }
}

/// Returns the error of a consumer whose channel is lost.
pub(super) fn lost(queue: &str, cause: String) -> Error {
    Error::Unreachable {
        what: "consuming",
        queue: queue.to_owned(),
        cause,
        source: None,
    }
}

impl Drop for ConsumerChannel {
    fn drop(&mut self) {
        self.consumer().pump.iter().for_each(JoinHandle::abort);
    }
}
