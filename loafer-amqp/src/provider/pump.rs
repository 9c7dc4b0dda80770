//! The pump: reads what RabbitMQ pushes into a buffer. Only a broker that pushes needs one.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use futures_util::{FutureExt, StreamExt};
use lapin::{BasicProperties, Consumer};
use loafer_core::{broker::Delivery, message::Message};
use tokio::sync::{Notify, watch};

use super::{Receipt, acks::Acks};
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
}

impl Arrivals {
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
            alive: Arc::default(),
            end: watch::Sender::new(None),
        }
    }
}

/// A delivery that was read and is not stored yet, with the properties that a copy needs.
struct Read {
    tag: u64,
    properties: Box<BasicProperties>,
    message: Message,
}

/// Reads what RabbitMQ pushes until the channel is lost. So the loss is noticed even while the route asks for nothing. `section` is the one of
/// `loafer.toml` for the broker instance.
pub(super) async fn pump(
    mut consumer: Consumer,
    epoch: u64,
    shared: Arc<Arrivals>,
    section: String,
) {
    let mut end = EndOnDrop {
        shared,
        epoch,
        cause: "what reads from RabbitMQ ended".to_owned(),
    };
    let mut row = Vec::with_capacity(ROW);
    let mut topics = Topics::default();
    let counted = end.shared.counted;
    // The consumer reports its end once. A read after that would wait for ever.
    let mut over = false;
    while !over {
        let mut next = consumer.next().await;
        loop {
            match next {
                Some(Ok(delivery)) => row.push(read(delivery, counted, &mut topics)),
                Some(Err(error)) => {
                    end.cause = end_of_consumer(&error, &section);
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
        let stored = store(&mut row, epoch, &mut end.shared.buffer());
        end.shared.arrived.notify_one();
        if let Err(cause) = stored {
            end.cause = cause;
            return;
        }
    }
}

fn read(delivery: lapin::message::Delivery, counted: bool, topics: &mut Topics) -> Read {
    let arrival = Arrival {
        exchange: delivery.exchange.as_str(),
        redelivered: delivery.redelivered,
        counted,
        ours: false,
    };
    let topic = topics.shared(delivery.routing_key.as_str());
    let message = received(topic, arrival, &delivery.properties, delivery.data);
    Read {
        tag: delivery.delivery_tag,
        properties: Box::new(delivery.properties),
        message,
    }
}

/// Stores what was read.
fn store(row: &mut Vec<Read>, epoch: u64, buffer: &mut Buffer) -> Result<(), String> {
    for Read {
        tag,
        properties,
        message,
    } in row.drain(..)
    {
        if !buffer.acks.came(tag, properties) {
            return Err(format!(
                "RabbitMQ's delivery {tag} came out of its turn: none of this channel can be settled"
            ));
        }
        buffer.ready.push_back(Delivery {
            receipt: Receipt { epoch, tag },
            message,
        });
    }
    Ok(())
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
