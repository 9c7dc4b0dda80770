//! Quorum queues, made and counted.

use anyhow::Result;
use lapin::{
    Channel, Connection, ConnectionProperties,
    options::{QueueDeclareOptions, QueueDeleteOptions},
    types::{AMQPValue, FieldTable},
};

/// What makes queues.
#[derive(Debug)]
pub struct Queues {
    /// Of the channel; it ends with it.
    _connection: Connection,
    channel: Channel,
}

impl Queues {
    /// Connects.
    ///
    /// # Errors
    ///
    /// There is no RabbitMQ at this address.
    pub async fn at(url: &str) -> Result<Self> {
        let connection = Connection::connect(url, ConnectionProperties::default()).await?;
        let channel = connection.create_channel().await?;
        Ok(Self {
            _connection: connection,
            channel,
        })
    }

    /// Makes an empty one.
    ///
    /// # Errors
    ///
    /// The server refuses.
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

    /// Removes one, and gives how many messages it had.
    ///
    /// # Errors
    ///
    /// The server refuses.
    pub async fn remove(&self, name: &str) -> Result<usize> {
        let options = QueueDeleteOptions::default();
        let messages = self.channel.queue_delete(name.into(), options).await?;
        Ok(usize::try_from(messages)?)
    }

    /// How many messages are to be delivered.
    ///
    /// # Errors
    ///
    /// There is no such queue.
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
