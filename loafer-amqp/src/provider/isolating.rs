//! Isolating: copies of messages that may have ended their process, in a queue of their own, which is made for the first of them.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable},
};
use loafer_core::{
    Error,
    broker::{Settle, Settled},
};
use tokio::time::timeout;

use super::{
    AmqpProvider, Receipt,
    receive::ConsumerChannel,
    settle::{copy_of, said},
    uncopied::failed,
};
use crate::{
    client::ANSWER,
    error::{ACCESS_REFUSED, refused},
    names::{
        self,
        headers::{DELIVERIES, PROBE},
    },
    options::Declare,
    outgoing::{Entry, frame},
    publisher::channels::Unsent,
    topology::find,
};

/// What isolating a message is called in errors.
const ISOLATING: &str = "isolating a message";

impl AmqpProvider {
    /// Copies a message to the end of the isolated ones. `None` means that the copy is confirmed.
    pub(super) async fn isolate(
        &self,
        consumer: &ConsumerChannel,
        entry: &Settle<Receipt>,
    ) -> Option<Settled> {
        let tag = entry.receipt.tag;
        let Some(original) = consumer.acks(|acks| acks.properties(tag).cloned()) else {
            return Some(Settled::Lost);
        };
        let message = &entry.message;
        let mut said = said(message.attempt(), message.first_failed_at());
        let deliveries = AMQPValue::LongLongInt(message.deliveries().into());
        said.push((DELIVERIES, deliveries));
        let properties = copy_of(&original, message, said);
        let copied = self.isolated_copy(properties, message.payload().clone());
        let error = copied.await.err()?;
        if !error.is_transient() && !self.isolation.said.swap(true, Ordering::Relaxed) {
            let (route, queue, message_id) = (&self.plan.route, &self.plan.queue, message.id());
            tracing::error!(%route, %queue, %message_id, %error, "messages that end their process can't be isolated");
        }
        Some(failed(error))
    }

    async fn isolated_copy(
        &self,
        properties: BasicProperties,
        payload: Bytes,
    ) -> Result<(), Error> {
        let (queue, name) = (&self.plan.queue, names::isolated(&self.plan.queue));
        if frame(&properties) > self.channels.link.frame_max() {
            let cause = "its headers leave no room for those of a copy: shorten what its publisher puts into headers";
            return Err(refused(ISOLATING, queue, cause));
        }
        self.make_isolated_queue(&name).await?;
        let cause = match self.publish_to(&name, properties, payload).await {
            Ok(()) => return Ok(()),
            Err(Unsent::Unroutable) if self.plan.declare == Declare::Off => {
                let cause = format!(
                    "there is no queue `{name}`, and `declare` under [routes.{}.options] forbids making it: make it durable, without a delivery limit",
                    self.plan.route
                );
                return Err(refused(ISOLATING, queue, cause));
            }
            Err(Unsent::Closed(ACCESS_REFUSED, cause)) => {
                return Err(refused(ISOLATING, queue, cause));
            }
            Err(Unsent::Unroutable) => {
                // The next try makes it again.
                self.isolation.exists.store(false, Ordering::Relaxed);
                format!("the queue `{name}` is gone")
            }
            Err(Unsent::Refused(cause) | Unsent::Closed(_, cause) | Unsent::Unknown(cause)) => {
                format!("its copy to `{name}` was not confirmed: {cause}")
            }
        };
        Err(Error::Unreachable {
            what: ISOLATING,
            queue: queue.clone(),
            cause,
            source: None,
        })
    }

    /// Makes sure that the queue exists and may be read: otherwise the messages in it would never be handed over.
    async fn make_isolated_queue(&self, name: &str) -> Result<(), Error> {
        if self.isolation.exists.load(Ordering::Relaxed) {
            return Ok(());
        }
        if self.plan.declare != Declare::Off {
            self.plan.declare_isolated(&self.link).await?;
        }
        find::may_consume(&self.link, name).await?;
        self.isolation.exists.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Returns whether the queue exists. A passive declaration would be an error in RabbitMQ's log at each start without one. This message is returned
    /// if there is no queue, and expires there if there is one.
    pub(super) async fn isolated_queue_exists(&self) -> bool {
        if self.isolation.exists.load(Ordering::Relaxed) {
            return true;
        }
        if self.channels.link.is_blocked() {
            return false;
        }
        let name = names::isolated(&self.plan.queue);
        let mut headers = FieldTable::default();
        headers.insert(PROBE.into(), AMQPValue::Boolean(true));
        let probe = BasicProperties::default()
            .with_expiration("0".into())
            .with_headers(headers);
        let asked = self.publish_to(&name, probe, Bytes::new());
        let exists = matches!(timeout(ANSWER, asked).await, Ok(Ok(())));
        self.isolation.exists.store(exists, Ordering::Relaxed);
        exists
    }

    async fn publish_to(
        &self,
        queue: &str,
        properties: BasicProperties,
        payload: Bytes,
    ) -> Result<(), Unsent> {
        let entry = Entry {
            exchange: "".into(),
            routing_key: queue.into(),
            properties,
            payload,
            mandatory: true,
        };
        let mut sent = self
            .channels
            .publish(&self.plan.queue, &[entry].into())
            .await;
        sent.pop().unwrap_or(Ok(()))
    }
}
