//! Receiving: one consumer on one channel, from its beginning to its loss.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use lapin::{
    Channel,
    options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions},
    types::FieldTable,
};
use loafer_core::{Error, broker::Delivery};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep, timeout, timeout_at},
};

use super::{
    Receipt,
    ack_dedup::AckDedup,
    prefetch::{LOOK, Prefetch, SpeedWatch},
    pump::{Arrivals, Pump},
};
use crate::{
    client::{ANSWER, Link, answered, close, timed},
    error,
    topology::Plan,
};

/// How long RabbitMQ may take to hand acks on to a quorum queue: at least, at most, and in confirms. It stores both alike, so that slow confirms tell of
/// slow acks.
const HANDED_ON: Duration = Duration::from_millis(300);
const HANDED_ON_AT_MOST: Duration = Duration::from_secs(2);
const HANDED_ON_IN_CONFIRMS: u32 = 3;

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
    pub(super) shared: Arc<Arrivals>,
    /// Locked while a consumer begins or ends, so that none begins, and nothing is released, before the last one has ended.
    consumer: tokio::sync::Mutex<ActiveConsumer>,
    /// How fast messages are settled.
    speed: SpeedWatch,
}

/// The consumer that runs.
#[derive(Default)]
struct ActiveConsumer {
    /// RabbitMQ's tag of the consumer.
    tag: String,
    /// Reads what RabbitMQ pushes. `None` once it has ended and was waited for.
    pump: Option<JoinHandle<()>>,
}

impl ActiveConsumer {
    /// Waits until the pump of a consumer that has ended has stored all that came before its end. If it is dropped, the next one waits on.
    async fn read_up(&mut self) {
        if let Some(pump) = &mut self.pump
            && timeout(ANSWER, &mut *pump).await.is_err()
        {
            pump.abort();
        }
        self.pump = None;
    }
}

impl ConsumerChannel {
    /// Opens a channel and begins to consume. `handled` is what was handled on the channels before.
    pub(super) async fn begin(
        link: &Link,
        plan: &Plan,
        (epoch, alive): (u64, &Arc<AtomicU64>),
        prefetch: usize,
        handled: AckDedup,
    ) -> Result<Self, Error> {
        let (what, queue) = ("consuming", plan.queue.as_str());
        let channel = link.channel(what, queue).await?;
        let mut consumer = Self::none(queue, AckDedup::default());
        consumer.epoch = epoch;
        consumer.section = link.identity().section();
        consumer.shared = Arc::new(Arrivals {
            alive: alive.clone(),
            counted: plan.counts(),
            ..Arrivals::after(handled)
        });
        consumer.set_prefetch(&channel, prefetch).await?;
        consumer.channel = Some(channel);
        alive.store(epoch, Ordering::Release);
        let mut active = consumer.consumer.lock().await;
        consumer.consume(&mut active, plan).await?;
        drop(active);
        Ok(consumer)
    }

    /// Sets how many messages RabbitMQ pushes to the next consumer before the first of them is settled.
    async fn set_prefetch(&self, channel: &Channel, prefetch: usize) -> Result<(), Error> {
        let most = u16::try_from(prefetch).unwrap_or(u16::MAX);
        let qos = channel.basic_qos(most, BasicQosOptions::default());
        answered("consuming", &self.queue, qos).await?;
        self.speed.set_prefetch(prefetch);
        Ok(())
    }

    /// Begins to consume, for the first time or after `end`.
    async fn consume(&self, active: &mut ActiveConsumer, plan: &Plan) -> Result<(), Error> {
        let (what, queue) = ("consuming", self.queue.as_str());
        let Some(channel) = &self.channel else {
            return Ok(());
        };
        active.read_up().await;
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
        let pump = Pump {
            channel: channel.clone(),
            epoch: self.epoch,
            shared: self.shared.clone(),
            section: self.section.clone(),
            route: plan.route.clone(),
            queue: self.queue.clone(),
            delays: plan.delays.clone(),
        };
        let reading = tokio::spawn(pump.run(consumer));
        *active = ActiveConsumer {
            tag,
            pump: Some(reading),
        };
        Ok(())
    }

    /// Consumes again after `cancel`.
    pub(super) async fn resume(&self, plan: &Plan) -> Result<(), Error> {
        let mut active = self.consumer.lock().await;
        match self.is_canceled() {
            true => self.consume(&mut active, plan).await,
            false => Ok(()),
        }
    }

    /// Looks at the speed if it is time to, and lets another consumer with another prefetch take the place of the one that runs if that is due: RabbitMQ
    /// applies a prefetch to new consumers only. Deliveries that are not settled are untouched; what RabbitMQ is pushing at that moment returns to the
    /// queue, which counts a delivery and no attempt.
    pub(super) async fn follow(
        &self,
        plan: &Plan,
        prefetch: &Prefetch,
        now: Instant,
    ) -> Result<(), Error> {
        if !self.speed.is_due(now) {
            return Ok(());
        }
        let bounds = prefetch.bounds();
        self.handled(|handled| handled.allow(*bounds.end()));
        let settled = self.acks(|acks| acks.settled_in_all());
        match self.speed.look(now, settled, &bounds) {
            Some(wanted) => self.change(plan, wanted).await,
            None => Ok(()),
        }
    }

    #[cold]
    async fn change(&self, plan: &Plan, prefetch: usize) -> Result<(), Error> {
        let Some(channel) = &self.channel else {
            return Ok(());
        };
        let mut active = self.consumer.lock().await;
        let runs = !self.is_canceled();
        tracing::debug!(queue = self.queue, prefetch, "the prefetch changes");
        if runs {
            self.end(&mut active).await;
        }
        self.set_prefetch(channel, prefetch).await?;
        match runs {
            true => self.consume(&mut active, plan).await,
            false => Ok(()),
        }
    }

    /// Returns a consumer that could not begin, which counts as lost. `handled` is for the next one.
    pub(super) fn none(queue: &str, handled: AckDedup) -> Self {
        let shared = Arrivals::after(handled);
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
            consumer: tokio::sync::Mutex::default(),
            speed: SpeedWatch::new(Instant::now()),
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
            self.look();
            // `self` owns the sender, so waiting can't fail.
            if let Ok(Ok(cause)) = timeout(LOOK, end.wait_for(Option::is_some)).await {
                return cause.clone().unwrap_or_default();
            }
        }
    }

    /// Notices that the channel is lost after `cancel`, when no pump reads from it.
    fn look(&self) {
        let channel = self.channel.as_ref().filter(|_| self.is_canceled());
        if channel.is_some_and(|channel| !channel.status().connected()) {
            self.shared.lost(self.epoch, "the channel was closed");
        }
    }

    /// Takes up to `max` messages that were pushed. Waits for the first, but not beyond `until`. Returns whether there were any.
    pub(super) async fn receive(
        &self,
        max: usize,
        until: Instant,
        into: &mut Vec<Delivery<Receipt>>,
    ) -> Result<bool, Error> {
        loop {
            let arrived = self.shared.arrived.notified();
            {
                let mut buffer = self.shared.buffer();
                let count = buffer.ready.len().min(max);
                into.extend(buffer.ready.drain(..count));
                if count > 0 {
                    return Ok(true);
                }
            }
            if let Some(cause) = self.shared.end.borrow().clone() {
                return Err(lost(&self.queue, cause));
            }
            if timeout_at(until, arrived).await.is_err() {
                return Ok(false);
            }
        }
    }

    /// Ends the consumer, and releases what was pushed and not taken. Settling goes on.
    pub(super) async fn cancel(&self) {
        let mut active = self.consumer.lock().await;
        self.end(&mut active).await;
        let untaken: Vec<_> = self.shared.buffer().ready.drain(..).collect();
        for delivery in untaken {
            self.release(delivery.receipt.tag);
        }
    }

    /// Ends the consumer. What was pushed stays in the buffer.
    async fn end(&self, active: &mut ActiveConsumer) {
        let Some(channel) = &self.channel else {
            return;
        };
        if !self.shared.canceled.swap(true, Ordering::AcqRel) {
            let tag = active.tag.as_str().into();
            let canceled = channel.basic_cancel(tag, BasicCancelOptions::default());
            if let Err(error) = answered("ending the consumer", &self.queue, canceled).await {
                tracing::debug!(queue = self.queue, %error, "the consumer was not ended in time: it ends with its channel");
            }
        }
        active.read_up().await;
    }

    /// Waits until RabbitMQ has handed on the acks. Its last confirms took `confirmed_in`.
    ///
    /// RabbitMQ hands acks on to a quorum queue a few at a time, and drops those that still wait when their channel is closed. No answer of RabbitMQ's
    /// tells when all are handed on.
    pub(super) async fn handed_on(&self, confirmed_in: Duration) {
        let handed_on = confirmed_in * HANDED_ON_IN_CONFIRMS;
        sleep(handed_on.clamp(HANDED_ON, HANDED_ON_AT_MOST)).await;
    }

    /// Closes the channel once RabbitMQ has read all that was written on it. Its last confirms took `confirmed_in`.
    pub(super) async fn close(&self, confirmed_in: Duration) {
        self.cancel().await;
        if let Some(channel) = &self.channel {
            if self.shared.settled.load(Ordering::Relaxed) {
                self.handed_on(confirmed_in).await;
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
        let active = self.consumer.get_mut();
        active.pump.iter().for_each(JoinHandle::abort);
    }
}
