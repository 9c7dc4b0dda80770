//! Quorum queues, made and counted.

use anyhow::Result;
use lapin::{
    Channel, Connection, ConnectionProperties,
    options::{QueueDeclareOptions, QueueDeleteOptions},
    types::{AMQPValue, FieldTable},
};

/// Makes queues.
#[derive(Debug)]
pub struct Queues {
    /// The connection of the channel, which ends with it.
    _connection: Connection,
    channel: Channel,
}

impl Queues {
    /// Connects.
    ///
    /// # Errors
    ///
    /// If there is no RabbitMQ at this address.
    pub async fn at(url: &str) -> Result<Self> {
        let connection = Connection::connect(url, ConnectionProperties::default()).await?;
        let channel = connection.create_channel().await?;
        Ok(Self {
            _connection: connection,
            channel,
        })
    }

    /// Makes an empty queue.
    ///
    /// # Errors
    ///
    /// If the server refuses.
    pub async fn make(&self, name: &str) -> Result<()> {
        let mut arguments = FieldTable::default();
        let quorum = AMQPValue::LongString("quorum".into());
        arguments.insert("x-queue-type".into(), quorum);
        let options = QueueDeclareOptions::durable();
        self.channel
            .queue_declare(name.into(), options, arguments)
            .await?;
        Ok(())
    }

    /// Removes a queue. Returns how many messages it had.
    ///
    /// # Errors
    ///
    /// If the server refuses.
    pub async fn remove(&self, name: &str) -> Result<usize> {
        let options = QueueDeleteOptions::default();
        let messages = self.channel.queue_delete(name.into(), options).await?;
        Ok(usize::try_from(messages)?)
    }

    /// Returns how many messages are ready to be delivered.
    ///
    /// # Errors
    ///
    /// If there is no such queue.
    pub async fn ready(&self, name: &str) -> Result<usize> {
        let options = QueueDeclareOptions {
            passive: true,
            ..QueueDeclareOptions::durable()
        };
        let told = self
            .channel
            .queue_declare(name.into(), options, FieldTable::default());
        Ok(usize::try_from(told.await?.message_count())?)
    }
}
