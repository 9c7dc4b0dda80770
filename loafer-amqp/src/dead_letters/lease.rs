//! Letters on lease: what one channel holds.

use std::{collections::HashSet, sync::Arc};

use lapin::{
    BasicProperties, Channel,
    message::{BasicGetMessage, Delivery as Got},
    options::{BasicAckOptions, BasicGetOptions, BasicNackOptions, BasicQosOptions},
};
use loafer_core::{Delivery, Error};

use super::{Lease, LetterReceipt, native};
use crate::{
    client::{Link, answered},
    error::refused,
    message,
    topology::Plan,
};

/// What one channel holds. With the channel all of it goes back.
#[derive(Default)]
pub(super) struct Held {
    epoch: u64,
    channel: Option<Channel>,
    /// The ids of what is held. In a queue of several services one event may have died twice: each has an id of its own.
    ids: HashSet<String>,
}

impl Held {
    /// The channel; another one where it is gone, and with it all that was held.
    async fn channel(&mut self, link: &Link, letters: &str) -> Result<Channel, Error> {
        if let Some(channel) = self
            .channel
            .as_ref()
            .filter(|known| known.status().connected())
        {
            return Ok(channel.clone());
        }
        let channel = link.channel("leasing dead letters", letters).await?;
        self.epoch += 1;
        self.ids.clear();
        Ok(self.channel.insert(channel).clone())
    }

    pub(super) async fn lease(
        &mut self,
        link: &Link,
        plan: &Plan,
        letters: &str,
        max: usize,
        into: &mut Vec<Delivery<LetterReceipt>>,
    ) -> Result<(), Error> {
        let channel = self.channel(link, letters).await?;
        for _ in 0..max {
            let got = channel.basic_get(letters.into(), BasicGetOptions::default());
            let Some(got) = answered("leasing dead letters", letters, got).await? else {
                break;
            };
            into.push(self.leased(plan, got));
        }
        Ok(())
    }

    fn leased(&mut self, plan: &Plan, got: BasicGetMessage) -> Delivery<LetterReceipt> {
        let Got {
            delivery_tag: tag,
            routing_key,
            properties,
            data,
            ..
        } = got.delivery;
        let read = |properties: &BasicProperties, data| {
            message::received(routing_key.as_str(), false, properties, data)
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
            receipt: LetterReceipt(Arc::new(lease)),
        }
    }

    /// This id, or the same with a number where it is held already.
    fn free(&mut self, id: &str) -> String {
        let mut free = id.to_owned();
        let mut number = 1;
        while !self.ids.insert(free.clone()) {
            number += 1;
            // What AMQP carries, with room for the number.
            free = format!("{}~{number}", &id[..id.floor_char_boundary(240)]);
        }
        free
    }

    /// The channel a lease came on; none where it is gone, and the letter with it back in its queue.
    fn channel_of(&self, lease: &LetterReceipt) -> Option<&Channel> {
        let channel = self.channel.as_ref()?;
        (lease.0.epoch == self.epoch && channel.status().connected()).then_some(channel)
    }

    pub(super) async fn give_back(
        &mut self,
        letters: &str,
        leases: &[LetterReceipt],
    ) -> Result<(), Error> {
        let what = "giving back dead letters";
        let options = BasicNackOptions {
            multiple: false,
            requeue: true,
        };
        for lease in leases {
            // Without the channel they are back already.
            if let Some(channel) = self.channel_of(lease) {
                answered(what, letters, channel.basic_nack(lease.0.tag, options)).await?;
            }
        }
        self.ids.clear();
        self.heard(what, letters).await
    }

    /// Deletes letters; says of each whether RabbitMQ was told.
    pub(super) async fn delete(
        &mut self,
        letters: &str,
        leases: &[&LetterReceipt],
    ) -> Vec<Result<(), Error>> {
        let what = "deleting a dead letter";
        let mut told = Vec::with_capacity(leases.len());
        for lease in leases {
            told.push(match self.channel_of(lease) {
                Some(channel) => {
                    let acked = channel.basic_ack(lease.0.tag, BasicAckOptions::default());
                    answered(what, letters, acked).await
                }
                None => Err(refused(what, letters, "the channel that held it is gone")),
            });
        }
        if let Err(error) = self.heard(what, letters).await {
            let unheard = || refused(what, letters, error.to_string());
            told.iter_mut().for_each(|told| *told = Err(unheard()));
        }
        told
    }

    /// Waits until RabbitMQ has read what was written: neither ack nor nack is answered, and this process may end right after.
    async fn heard(&self, what: &'static str, letters: &str) -> Result<(), Error> {
        let Some(channel) = self
            .channel
            .as_ref()
            .filter(|known| known.status().connected())
        else {
            return Ok(());
        };
        let asked = channel.basic_qos(0, BasicQosOptions::default());
        answered(what, letters, asked).await
    }
}
