//! A server, listeners and a connection that can be cut, for the tests.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test binary uses a part of it"
)]

pub mod proxy;

use std::time::Duration;

use lapin::{
    Channel, Connection, ConnectionProperties, ExchangeKind,
    message::BasicGetMessage,
    options::{
        BasicGetOptions, ExchangeDeclareOptions, ExchangeDeleteOptions, QueueBindOptions,
        QueueDeclareOptions, QueueDeleteOptions,
    },
    types::FieldTable,
};
use loafer_amqp::Amqp;
use loafer_core::{
    Error,
    broker::{Broker, Publisher, Topic},
    message::{MessageId, Outgoing},
};

/// A local server; none, and a word about it, where its address is not set.
pub async fn server(variable: &str, test: &str) -> Option<Server> {
    match std::env::var(variable) {
        Ok(url) => Some(Server::new(url).await),
        Err(_) => {
            eprintln!("skipped: {test}: set {variable}, or run cargo xtask test");
            None
        }
    }
}

/// The server, or the end of the test that calls.
#[macro_export]
macro_rules! server {
    ($test:literal) => {
        match listener::server("LOAFER_TEST_RABBITMQ", $test).await {
            Some(server) => server,
            None => return,
        }
    };
}

pub struct Server {
    pub url: String,
    pub channel: Channel,
    _connection: Connection,
}

/// A name of the test's own.
pub fn own(name: &str) -> String {
    format!("{name}-{}", MessageId::new())
}

impl Server {
    async fn new(url: String) -> Self {
        let properties = ConnectionProperties::default();
        let connection = Connection::connect(&url, properties).await.unwrap();
        Self {
            channel: connection.create_channel().await.unwrap(),
            _connection: connection,
            url,
        }
    }

    pub fn amqp(&self) -> Amqp {
        Amqp::new(&self.url)
    }

    pub async fn exchange(&self, name: &str, kind: ExchangeKind) {
        let options = ExchangeDeclareOptions {
            durable: true,
            ..ExchangeDeclareOptions::default()
        };
        let declared =
            self.channel
                .exchange_declare(name.into(), kind, options, FieldTable::default());
        declared.await.unwrap();
    }

    pub async fn delete_exchange(&self, name: &str) {
        let options = ExchangeDeleteOptions::default();
        let deleted = self.channel.exchange_delete(name.into(), options);
        deleted.await.unwrap();
    }

    pub async fn delete_queue(&self, name: &str) {
        let options = QueueDeleteOptions::default();
        self.channel
            .queue_delete(name.into(), options)
            .await
            .unwrap();
    }

    /// A queue that goes with this connection.
    pub async fn queue(&self, arguments: FieldTable) -> String {
        let name = own("listener");
        let options = QueueDeclareOptions {
            exclusive: true,
            ..QueueDeclareOptions::default()
        };
        let declared = self
            .channel
            .queue_declare(name.as_str().into(), options, arguments);
        declared.await.unwrap();
        name
    }

    /// A queue that is bound by this key to this topic exchange, made where it is missing.
    pub async fn listen(&self, exchange: &str, key: &str) -> String {
        self.exchange(exchange, ExchangeKind::Topic).await;
        let queue = self.queue(FieldTable::default()).await;
        self.bind(&queue, exchange, key).await;
        queue
    }

    pub async fn bind(&self, queue: &str, exchange: &str, key: &str) {
        let bound = self.channel.queue_bind(
            queue.into(),
            exchange.into(),
            key.into(),
            QueueBindOptions::default(),
            FieldTable::default(),
        );
        bound.await.unwrap();
    }

    /// The next message of a queue, if there is one.
    pub async fn take(&self, queue: &str) -> Option<BasicGetMessage> {
        let options = BasicGetOptions { no_ack: true };
        let got = self.channel.basic_get(queue.into(), options);
        got.await.unwrap()
    }

    /// The next message of a queue, waited for.
    pub async fn next(&self, queue: &str) -> BasicGetMessage {
        let look = async {
            loop {
                match self.take(queue).await {
                    Some(message) => return message,
                    None => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            }
        };
        let received = tokio::time::timeout(Duration::from_secs(60), look);
        received.await.expect("a message")
    }

    /// All that is in a queue.
    pub async fn all(&self, queue: &str) -> Vec<BasicGetMessage> {
        let mut all = Vec::new();
        while let Some(message) = self.take(queue).await {
            all.push(message);
        }
        all
    }
}

/// What became of each message.
pub async fn publish_all(
    publisher: &impl Publisher,
    topic: impl Into<Topic>,
    batch: Vec<Outgoing>,
) -> Vec<Result<MessageId, Error>> {
    let mut answers = Vec::new();
    publisher.publish(&topic.into(), &batch, &mut answers).await;
    assert_eq!(answers.len(), batch.len());
    answers
}

pub async fn publish(
    publisher: &impl Publisher,
    topic: impl Into<Topic>,
    message: impl Into<Outgoing>,
) -> Result<MessageId, Error> {
    let answers = publish_all(publisher, topic, vec![message.into()]).await;
    answers.into_iter().next().unwrap()
}

/// A publisher of events on this exchange.
pub fn publisher(amqp: Amqp, exchange: &str) -> loafer_amqp::AmqpPublisher {
    amqp.exchange(exchange).publisher()
}

/// A header of a message that came, as text.
pub fn header(message: &BasicGetMessage, name: &str) -> Option<String> {
    let headers = message.delivery.properties.headers().as_ref()?;
    let value = headers.inner().get(name)?.as_long_string()?;
    Some(value.to_string())
}
