//! The pump: reads what RabbitMQ pushes into a buffer. Only a broker that pushes needs one.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use futures_util::{FutureExt, StreamExt};
use lapin::{BasicProperties, Channel, Consumer};
use loafer_core::{broker::Delivery, message::Message};
use tokio::{
    sync::{Notify, watch},
    time::sleep,
};

use super::{Receipt, ack_dedup::AckDedup, acks::Acks, prefetch::LOOK};
use crate::{
    error::end_of_consumer,
    message::{Arrival, received},
};

/// How many deliveries are read in a row before other tasks get their turn.
const ROW: usize = 64;

/// What RabbitMQ pushed. The pump fills it, and the consumer takes from it.
pub(super) struct Arrivals {
    pub(super) buffer: Mutex<Buffer>,
    /// Whether the queue counts deliveries.
    pub(super) counted: bool,
    /// Notified when deliveries were stored, and when the pump ends.
    pub(super) arrived: Notify,
    /// Whether the consumer was ended by us. Its deliveries can still be settled then.
    pub(super) canceled: AtomicBool,
    /// Whether anything was acked, so that `close` waits for RabbitMQ to hand it on.
    pub(super) settled: AtomicBool,
    /// Why no more deliveries come. `None` while the channel lives.
    pub(super) end: watch::Sender<Option<String>>,
    /// The epoch whose deliveries can be settled. It is an atomic because it is read for every message.
    pub(super) alive: Arc<AtomicU64>,
}

/// Deliveries, under one lock: what is in `ready` is also in `acks`.
#[derive(Default)]
pub(super) struct Buffer {
    /// Deliveries that nobody has taken.
    pub(super) ready: VecDeque<Delivery<Receipt>>,
    /// All deliveries that are not settled.
    pub(super) acks: Acks,
    /// What was acked last.
    pub(super) handled: AckDedup,
}

impl Arrivals {
    /// Returns those of a channel. `handled` is what was handled on the channels before.
    pub(super) fn after(handled: AckDedup) -> Self {
        let arrivals = Self::default();
        arrivals.buffer().handled = handled;
        arrivals
    }

    pub(super) fn buffer(&self) -> MutexGuard<'_, Buffer> {
        self.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records that the channel of this epoch is lost.
    pub(super) fn lost(&self, epoch: u64, cause: &str) {
        // The next consumer may have begun by now.
        _ = self
            .alive
            .compare_exchange(epoch, 0, Ordering::AcqRel, Ordering::Relaxed);
        self.end.send_replace(Some(cause.to_owned()));
    }
}

impl Default for Arrivals {
    fn default() -> Self {
        Self {
            buffer: Mutex::default(),
            counted: false,
            arrived: Notify::new(),
            canceled: AtomicBool::new(false),
            settled: AtomicBool::new(false),
            alive: Arc::default(),
            end: watch::Sender::new(None),
        }
    }
}

/// A delivery that was read and is not stored yet, with the properties that a copy needs.
struct Read {
    tag: u64,
    redelivered: bool,
    properties: Box<BasicProperties>,
    message: Message,
}

/// What reads, and for whom.
pub(super) struct Pump {
    pub(super) channel: Channel,
    pub(super) epoch: u64,
    pub(super) shared: Arc<Arrivals>,
    /// The section of `loafer.toml` for the broker instance.
    pub(super) section: String,
    pub(super) route: String,
    pub(super) queue: String,
    /// The exchange behind the service's delay queues.
    pub(super) delays: String,
}

impl Pump {
    /// Reads what RabbitMQ pushes until the channel is lost. So the loss is noticed even while the route asks for nothing.
    pub(super) async fn run(self, mut consumer: Consumer) {
        let mut end = EndOnDrop {
            shared: self.shared.clone(),
            epoch: self.epoch,
            cause: "what reads from RabbitMQ ended".to_owned(),
        };
        let mut row = Vec::with_capacity(ROW);
        let mut topics = Topics::default();
        let counted = self.shared.counted;
        // The consumer reports its end once. A read after that would wait for ever.
        let mut over = false;
        while !over {
            let mut next = consumer.next().await;
            loop {
                match next {
                    Some(Ok(delivery)) => row.push(self.read(delivery, counted, &mut topics)),
                    Some(Err(error)) => {
                        end.cause = end_of_consumer(&error, &self.section);
                        over = true;
                    }
                    None => {
                        "RabbitMQ ended the consumer: the queue was deleted, or its node left"
                            .clone_into(&mut end.cause);
                        over = true;
                    }
                }
                if over || row.len() == ROW {
                    break;
                }
                match consumer.next().now_or_never() {
                    Some(more) => next = more,
                    None => break,
                }
            }
            let stored = self.store(&mut row);
            self.shared.arrived.notify_one();
            if let Err(cause) = stored {
                end.cause = cause;
                return;
            }
        }
    }

    /// Stores what was read, and acks what was handled before.
    fn store(&self, row: &mut Vec<Read>) -> Result<(), String> {
        let buffer = &mut *self.shared.buffer();
        let (mut again, unlogged) = (Vec::new(), buffer.handled.again);
        for read in row.drain(..) {
            let (tag, epoch) = (read.tag, self.epoch);
            if !buffer.acks.came(tag, read.properties) {
                return Err(format!(
                    "RabbitMQ's delivery {tag} came out of its turn: none of this channel can be settled"
                ));
            }
            if read.redelivered && buffer.handled.comes_again(&read.message) {
                again.push(tag);
                continue;
            }
            buffer.ready.push_back(Delivery {
                receipt: Receipt { epoch, tag },
                message: read.message,
            });
        }
        if !again.is_empty() {
            self.shared.settled.store(true, Ordering::Relaxed);
            // If the client takes no more frames, the channel is lost, and they come again.
            buffer.acks.write(&self.channel, again);
            if unlogged == 0 {
                self.log_soon();
            }
        }
        Ok(())
    }

    fn read(&self, delivery: lapin::message::Delivery, counted: bool, topics: &mut Topics) -> Read {
        let arrival = Arrival {
            exchange: delivery.exchange.as_str(),
            delays: &self.delays,
            redelivered: delivery.redelivered,
            counted,
            ours: false,
        };
        let topic = topics.shared(delivery.routing_key.as_str());
        let message = received(topic, arrival, &delivery.properties, delivery.data);
        Read {
            tag: delivery.delivery_tag,
            redelivered: delivery.redelivered,
            properties: Box::new(delivery.properties),
            message,
        }
    }

    /// Logs how many messages had been handled before, once those of one loss have come.
    fn log_soon(&self) {
        let (shared, route, queue) = (self.shared.clone(), self.route.clone(), self.queue.clone());
        tokio::spawn(async move {
            sleep(LOOK).await;
            let messages = shared.buffer().handled.take_again();
            tracing::info!(%route, %queue, messages, "acked on redelivery: handled before, and the acks were lost with their connection");
        });
    }
}

/// The topic of the last delivery, shared with the next, which most often has the same.
#[derive(Default)]
struct Topics {
    last: Arc<str>,
}

impl Topics {
    fn shared(&mut self, topic: &str) -> Arc<str> {
        if *self.last != *topic {
            self.last = topic.into();
        }
        self.last.clone()
    }
}

/// Reports the end of reading, however it ends. It reports nothing if we ended it, since deliveries can still be settled then.
struct EndOnDrop {
    shared: Arc<Arrivals>,
    epoch: u64,
    cause: String,
}

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        if !self.shared.canceled.load(Ordering::Acquire) {
            self.shared.lost(self.epoch, &self.cause);
        }
        self.shared.arrived.notify_one();
    }
}
