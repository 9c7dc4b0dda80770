//! Leasing: the dead letters that one channel holds.

use std::{collections::HashSet, sync::Arc};

use futures_util::future::join_all;
use lapin::{
    BasicProperties, Channel,
    message::{BasicGetMessage, Delivery as Got},
    options::{BasicAckOptions, BasicGetOptions, BasicNackOptions, BasicQosOptions},
};
use loafer_core::{Error, broker::Delivery};

use super::{DeadLetterReceipt, Lease, native};
use crate::{
    client::{Link, answered},
    error::refused,
    message::{Arrival, received},
    topology::Plan,
};

/// How many dead letters are asked for at once.
pub(super) const BATCH: usize = 100;

/// The dead letters that one channel holds. If the channel is lost, RabbitMQ has all of them back.
#[derive(Default)]
pub(super) struct Leased {
    /// The number of the channel, counted from 1.
    epoch: u64,
    /// `None` before the first lease. It may hold a channel that is lost.
    channel: Option<Channel>,
    /// The ids on lease. In a queue of several services one event may have been dead-lettered twice, and each copy needs an id of its own.
    ids: HashSet<String>,
    /// The tags that were acked, as long as nobody knows whether RabbitMQ has read that. A delete that is repeated asks only for that.
    acked: HashSet<u64>,
}

impl Leased {
    /// Returns the channel, or a new one if it is lost, and with it all leases.
    async fn channel(&mut self, link: &Link, queue: &str) -> Result<Channel, Error> {
        if let Some(channel) = self
            .channel
            .as_ref()
            .filter(|known| known.status().connected())
        {
            return Ok(channel.clone());
        }
        let channel = link.channel("leasing dead letters", queue).await?;
        self.epoch += 1;
        self.ids.clear();
        self.acked.clear();
        Ok(self.channel.insert(channel).clone())
    }

    pub(super) async fn lease(
        &mut self,
        link: &Link,
        plan: &Plan,
        queue: &str,
        max: usize,
        into: &mut Vec<Delivery<DeadLetterReceipt>>,
    ) -> Result<(), Error> {
        let channel = self.channel(link, queue).await?;
        // All are asked for before the first answer: a round trip for each would take hours for a million.
        let gets = (0..max.min(BATCH)).map(|_| {
            let got = channel.basic_get(queue.into(), BasicGetOptions::default());
            answered("leasing dead letters", queue, got)
        });
        let (mut came, mut failed) = (Vec::new(), Ok(()));
        for answer in join_all(gets).await {
            match answer {
                Ok(got) => came.extend(got),
                Err(error) => failed = failed.and(Err(error)),
            }
        }
        came.sort_unstable_by_key(|got| got.delivery_tag);
        into.extend(came.into_iter().map(|got| self.leased(plan, got)));
        failed
    }

    fn leased(&mut self, plan: &Plan, got: BasicGetMessage) -> Delivery<DeadLetterReceipt> {
        let Got {
            delivery_tag: tag,
            routing_key,
            properties,
            data,
            ..
        } = got.delivery;
        let arrival = Arrival {
            ours: true,
            ..Arrival::default()
        };
        let read = |properties: &BasicProperties, data| {
            received(routing_key.as_str(), arrival, properties, data)
        };
        let unnamed = properties.message_id().is_none();
        let marks = native::marked(read(&properties, Vec::new()), &properties);
        let id = self.free(&native::id(&marks, &data, plan, unnamed));
        let named = properties.clone().with_message_id(id.as_str().into());
        let lease = Lease {
            epoch: self.epoch,
            tag,
            unnamed,
            properties,
        };
        Delivery {
            message: native::marked(read(&named, data), &lease.properties),
            receipt: DeadLetterReceipt(Arc::new(lease)),
        }
    }

    /// Returns this id, with a number added if it is on lease already.
    fn free(&mut self, id: &str) -> String {
        let mut free = id.to_owned();
        let mut number = 1;
        while !self.ids.insert(free.clone()) {
            number += 1;
            // Leaves room for the number within what AMQP carries.
            free = format!("{}~{number}", &id[..id.floor_char_boundary(240)]);
        }
        free
    }

    /// Returns the channel of a lease. `None` means that it is lost, and the dead letter is back in its queue.
    fn channel_of(&self, lease: &DeadLetterReceipt) -> Option<&Channel> {
        let channel = self.channel.as_ref()?;
        (lease.0.epoch == self.epoch && channel.status().connected()).then_some(channel)
    }

    pub(super) async fn give_back(
        &mut self,
        queue: &str,
        leases: &[DeadLetterReceipt],
    ) -> Result<(), Error> {
        let what = "giving back dead letters";
        let options = BasicNackOptions {
            multiple: false,
            requeue: true,
        };
        for lease in leases {
            // If the channel is lost, they are back already.
            if let Some(channel) = self.channel_of(lease) {
                answered(what, queue, channel.basic_nack(lease.0.tag, options)).await?;
            }
        }
        self.ids.clear();
        self.written(what, queue).await
    }

    /// Deletes dead letters. Returns for each whether RabbitMQ has read the ack.
    pub(super) async fn delete(
        &mut self,
        queue: &str,
        leases: &[DeadLetterReceipt],
    ) -> Vec<Result<(), Error>> {
        let what = "deleting a dead letter";
        let mut answers = Vec::with_capacity(leases.len());
        for lease in leases {
            let tag = lease.0.tag;
            let answer = match self.channel_of(lease) {
                None => Err(refused(what, queue, "the channel that held it is gone")),
                // RabbitMQ closes a channel on which a tag is acked twice.
                Some(_) if self.acked.contains(&tag) => Ok(()),
                Some(channel) => {
                    let acked = channel.basic_ack(tag, BasicAckOptions::default());
                    answered(what, queue, acked).await
                }
            };
            if answer.is_ok() {
                self.acked.insert(tag);
            }
            answers.push(answer);
        }
        match self.written(what, queue).await {
            Ok(()) => self.acked.clear(),
            Err(error) => {
                let acked = answers.iter_mut().filter(|answer| answer.is_ok());
                acked.for_each(|answer| *answer = Err(error.clone()));
            }
        }
        answers
    }

    /// Waits until RabbitMQ has read what was written. It answers neither ack nor nack, and this process may end right after.
    async fn written(&self, what: &'static str, queue: &str) -> Result<(), Error> {
        let Some(channel) = self
            .channel
            .as_ref()
            .filter(|known| known.status().connected())
        else {
            return Ok(());
        };
        let asked = channel.basic_qos(0, BasicQosOptions::default());
        answered(what, queue, asked).await
    }
}
