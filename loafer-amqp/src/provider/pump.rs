//! Reading what the broker pushes: into a buffer, as it comes.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use futures_util::{FutureExt, StreamExt};
use lapin::{BasicProperties, Consumer};
use loafer_core::{Delivery, Message};
use tokio::sync::{Notify, watch};

use super::{Receipt, acks::Acks};
use crate::{error::cause, message};

/// How many deliveries are read in a row before others get their turn.
const ROW: usize = 64;

/// What the broker pushed, and what is known of it.
pub(super) struct Arrivals {
    pub(super) buffer: Mutex<Buffer>,
    pub(super) arrived: Notify,
    /// The consumer was ended from here: what it brought can still be settled.
    pub(super) canceled: AtomicBool,
    /// Why there is no more to come, where its channel is gone.
    pub(super) end: watch::Sender<Option<String>>,
    /// The epoch whose deliveries can be settled: asked for every message.
    pub(super) alive: Arc<AtomicU64>,
}

#[derive(Default)]
pub(super) struct Buffer {
    pub(super) ready: VecDeque<Delivery<Receipt>>,
    pub(super) acks: Acks,
}

impl Arrivals {
    pub(super) fn buffer(&self) -> MutexGuard<'_, Buffer> {
        self.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Arrivals {
    fn default() -> Self {
        Self {
            buffer: Mutex::default(),
            arrived: Notify::new(),
            canceled: AtomicBool::new(false),
            alive: Arc::default(),
            end: watch::Sender::new(None),
        }
    }
}

/// What was read and not put away yet: its tag, and what a copy needs of it.
struct Read {
    tag: u64,
    properties: Box<BasicProperties>,
    message: Message,
}

/// Reads what the broker pushes, until the channel is gone: that is noticed even while the route asks for nothing.
pub(super) async fn pump(mut consumer: Consumer, epoch: u64, shared: Arc<Arrivals>) {
    let mut end = EndOnDrop {
        shared,
        epoch,
        cause: "what reads from RabbitMQ ended".to_owned(),
    };
    let mut row = Vec::with_capacity(ROW);
    let mut topics = Topics::default();
    // Its end is told once: after that it waits for ever.
    let mut over = false;
    while !over {
        let mut next = consumer.next().await;
        loop {
            match next {
                Some(Ok(delivery)) => row.push(read(delivery, &mut topics)),
                Some(Err(error)) => {
                    end.cause = cause(&error);
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

fn read(delivery: lapin::message::Delivery, topics: &mut Topics) -> Read {
    let message = message::received(
        topics.shared(delivery.routing_key.as_str()),
        delivery.redelivered,
        &delivery.properties,
        delivery.data,
    );
    Read {
        tag: delivery.delivery_tag,
        properties: Box::new(delivery.properties),
        message,
    }
}

/// Puts away what came.
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

/// The topic of the last delivery: most often it is that of the next, too.
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

/// However reading ends, it is told; but not where it was ended from here, and what came can still be settled.
struct EndOnDrop {
    shared: Arc<Arrivals>,
    epoch: u64,
    cause: String,
}

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        if !self.shared.canceled.load(Ordering::Acquire) {
            let (epoch, order) = (self.epoch, Ordering::AcqRel);
            // Another one may be alive by now.
            _ = self
                .shared
                .alive
                .compare_exchange(epoch, 0, order, Ordering::Relaxed);
            let cause = std::mem::take(&mut self.cause);
            self.shared.end.send_replace(Some(cause));
        }
        self.shared.arrived.notify_one();
    }
}
