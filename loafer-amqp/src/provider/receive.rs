//! One consumer on one channel, from its beginning to its loss.

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
use loafer_core::{Delivery, Error};
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
    client::{ANSWER, Link, answered},
    error,
    topology::{Plan, close},
};

/// How long the broker may take to hand acks on to the queue.
const HANDED_ON: Duration = Duration::from_millis(300);

/// One consumer on one channel. Once its channel is gone it stays so: another one takes its place.
pub(super) struct Consuming {
    pub(super) epoch: u64,
    queue: String,
    pub(super) channel: Option<Channel>,
    shared: Arc<Arrivals>,
    consumer: Mutex<Begun>,
    /// Whether something was settled of late.
    pub(super) settled: AtomicBool,
}

/// The consumer at work.
#[derive(Default)]
struct Begun {
    tag: String,
    pump: Option<JoinHandle<()>>,
}

impl Consuming {
    /// Opens a channel and begins to consume.
    pub(super) async fn begin(
        link: &Link,
        plan: &Plan,
        (epoch, alive): (u64, &Arc<AtomicU64>),
        places: u16,
    ) -> Result<Self, Error> {
        let (what, queue) = ("consuming", plan.queue.as_str());
        let channel = link.channel(what, queue).await?;
        let qos = channel.basic_qos(places, BasicQosOptions::default());
        answered(what, queue, qos).await?;
        let consuming = Self {
            epoch,
            queue: queue.to_owned(),
            channel: Some(channel),
            shared: Arc::new(Arrivals {
                alive: alive.clone(),
                ..Arrivals::default()
            }),
            consumer: Mutex::default(),
            settled: AtomicBool::new(false),
        };
        alive.store(epoch, Ordering::Release);
        consuming.consume(plan).await?;
        Ok(consuming)
    }

    /// Begins to consume, again where the consumer was ended from here.
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
        let consumer = match timeout(ANSWER, consumed).await {
            Ok(Ok(consumer)) => consumer,
            Ok(Err(failed)) if error::code(&failed) == Some(error::NOT_FOUND) => {
                return Err(Error::UnknownQueue {
                    queue: queue.to_owned(),
                    place: String::new(),
                    remedy: plan.remedy(),
                });
            }
            Ok(Err(failed)) => return Err(error::unreachable(what, queue, failed)),
            Err(_) => {
                return Err(Error::Timeout {
                    what,
                    queue: queue.to_owned(),
                    after: ANSWER,
                });
            }
        };
        self.shared.canceled.store(false, Ordering::Release);
        let tag = consumer.tag().to_string();
        let reading = tokio::spawn(pump(consumer, self.epoch, self.shared.clone()));
        *self.consumer() = Begun {
            tag,
            pump: Some(reading),
        };
        Ok(())
    }

    /// Consumes again, where that was ended from here.
    pub(super) async fn resume(&self, plan: &Plan) -> Result<(), Error> {
        match self.is_canceled() {
            true => self.consume(plan).await,
            false => Ok(()),
        }
    }

    fn consumer(&self) -> MutexGuard<'_, Begun> {
        self.consumer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nothing is consumed: the last try failed.
    pub(super) fn none(queue: &str) -> Self {
        let shared = Arrivals::default();
        shared
            .end
            .send_replace(Some("it could not be begun".to_owned()));
        Self {
            epoch: 0,
            queue: queue.to_owned(),
            channel: None,
            shared: Arc::new(shared),
            consumer: Mutex::default(),
            settled: AtomicBool::new(false),
        }
    }

    /// Whether what came can be settled. Who reads the channel tells its end; once reading was ended from here, the client is asked, whose answer
    /// waits for a lock.
    pub(super) fn is_live(&self) -> bool {
        let alive = self.shared.alive.load(Ordering::Acquire) == self.epoch;
        let channel = self.channel.as_ref().filter(|_| alive);
        channel.is_some_and(|channel| !self.is_canceled() || channel.status().connected())
    }

    /// Whether consuming was ended from here.
    pub(super) fn is_canceled(&self) -> bool {
        self.shared.canceled.load(Ordering::Acquire)
    }

    /// Waits until its channel is gone.
    pub(super) async fn ended(&self) {
        // The sender is here: it can't be gone.
        _ = self.shared.end.subscribe().wait_for(Option::is_some).await;
    }

    /// Takes what was pushed, up to `max`; waits for the first.
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
                return Err(Error::Unreachable {
                    what: "consuming",
                    queue: self.queue.clone(),
                    cause,
                    source: None,
                });
            }
            if tokio::time::timeout_at(give_up, arrived).await.is_err() {
                return Ok(());
            }
        }
    }

    /// Does something with what is known of the deliveries.
    pub(super) fn acks<T>(&self, with: impl FnOnce(&mut Acks) -> T) -> T {
        with(&mut self.shared.buffer().acks)
    }

    /// Stops consuming; what was pushed and not taken goes back at once. Settling goes on.
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
            tracing::debug!(queue = self.queue, %error, "the consumer was not ended in time: its channel's end will");
        }
        // What had come before the answer is stored by then.
        let pump = self.consumer().pump.take();
        if let Some(mut pump) = pump
            && timeout(ANSWER, &mut pump).await.is_err()
        {
            pump.abort();
        }
        let untaken: Vec<_> = self.shared.buffer().ready.drain(..).collect();
        for delivery in untaken {
            self.give_back(delivery.receipt.tag);
        }
    }

    /// Tells the broker that these are settled, in as few frames as can be; says whether it could be told.
    ///
    /// Frames are handed over, in the first poll, while nobody else settles: one that settles many must not overtake, nor be overtaken by, those
    /// that settle one of them. Waiting until they are written would cost the client's thread a round trip and tell nothing more: RabbitMQ
    /// confirms no acks, and a channel that breaks takes back what it did not read.
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

    /// Gives a delivery back: the broker delivers it again, to whoever consumes.
    pub(super) fn give_back(&self, tag: u64) -> bool {
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

    /// Ends the channel, once the broker has read all that was written on it.
    pub(super) async fn close(&self) {
        self.cancel().await;
        if let Some(channel) = &self.channel {
            if self.settled.load(Ordering::Relaxed) {
                // RabbitMQ hands acks on to a quorum queue a few at a time, and drops those that wait when their channel is closed: no answer of
                // its tells when they are through.
                sleep(HANDED_ON).await;
            }
            _ = timeout(ANSWER, close(channel)).await;
        }
    }
}

impl Drop for Consuming {
    fn drop(&mut self) {
        self.consumer().pump.iter().for_each(JoinHandle::abort);
    }
}
