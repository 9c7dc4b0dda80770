//! RabbitMQ for the tests, and a plain client beside Loafer's.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test binary uses a part of it"
)]

use std::time::Duration;

use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties, ExchangeKind,
    message::BasicGetMessage,
    options::{
        BasicAckOptions, BasicGetOptions, BasicPublishOptions, BasicRejectOptions,
        ConfirmSelectOptions, ExchangeDeclareOptions, ExchangeDeleteOptions, QueueBindOptions,
        QueueDeclareOptions, QueueDeleteOptions,
    },
    types::{AMQPValue, FieldTable},
};
use loafer_amqp::{Amqp, Options};
use loafer_core::message::MessageId;
use loafer_runtime::program::{App, Manager, ManagerBuilder, RouteOptions};
use tokio::time::{Instant, sleep};

/// Longer than anything here takes, on a machine that is also building.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// The server that the tests were given, or the end of the test that calls.
#[macro_export]
macro_rules! rabbit {
    ($test:literal) => {
        match $crate::support::Rabbit::given($test).await {
            Some(rabbit) => rabbit,
            None => return,
        }
    };
}

/// RabbitMQ, by a client of its own.
pub struct Rabbit {
    pub url: String,
    connection: Connection,
}

/// Options of a route on this queue, of which RabbitMQ gets these.
pub fn on_queue(queue: &str, options: Options) -> RouteOptions {
    RouteOptions::new()
        .queue(queue)
        .broker_options::<Amqp>(options)
}

/// Options of a route on this queue, which is bound to nothing.
pub fn unbound(queue: &str) -> RouteOptions {
    on_queue(queue, Options::new().exchange(""))
}

/// A name that nobody else has.
pub fn unique(name: &str) -> String {
    format!("{name}-{}", MessageId::new())
}

impl Rabbit {
    pub async fn given(test: &str) -> Option<Self> {
        let Ok(url) = std::env::var("LOAFER_TEST_RABBITMQ") else {
            eprintln!("skipped: {test}: set LOAFER_TEST_RABBITMQ, or run cargo xtask test");
            return None;
        };
        Some(Self::at(url).await)
    }

    /// The one at this address.
    pub async fn at(url: String) -> Self {
        let properties = ConnectionProperties::default();
        let connection = Connection::connect(&url, properties).await.unwrap();
        Self { url, connection }
    }

    pub fn amqp(&self) -> Amqp {
        Amqp::new(&self.url)
    }

    /// A manager under construction, on this server.
    pub fn manager(&self) -> ManagerBuilder {
        Manager::builder().app(App::new().broker(self.amqp()))
    }

    pub async fn channel(&self) -> Channel {
        self.connection.create_channel().await.unwrap()
    }

    /// Publishes to an exchange, and waits until that is confirmed.
    pub async fn publish(&self, exchange: &str, key: &str, body: &str, as_is: BasicProperties) {
        let channel = self.channel().await;
        let confirm = ConfirmSelectOptions::default();
        channel.confirm_select(confirm).await.unwrap();
        let options = BasicPublishOptions {
            mandatory: true,
            ..BasicPublishOptions::default()
        };
        let published =
            channel.basic_publish(exchange.into(), key.into(), options, body.as_bytes(), as_is);
        let confirmed = published.await.unwrap().await.unwrap();
        assert!(
            confirmed.take_message().is_none(),
            "no queue took `{key}` from `{exchange}`"
        );
    }

    /// Publishes messages to an exchange, each under an id of its own, and waits until all are confirmed.
    pub async fn publish_all(&self, exchange: &str, key: &str, bodies: &[impl AsRef<[u8]>]) {
        let channel = self.channel().await;
        let confirm = ConfirmSelectOptions::default();
        channel.confirm_select(confirm).await.unwrap();
        let mut confirms = Vec::new();
        for body in bodies {
            let id = MessageId::new().to_string();
            let properties = BasicProperties::default().with_message_id(id.into());
            let options = BasicPublishOptions::default();
            let published = channel.basic_publish(
                exchange.into(),
                key.into(),
                options,
                body.as_ref(),
                properties,
            );
            confirms.push(published.await.unwrap());
        }
        for confirm in confirms {
            confirm.await.unwrap();
        }
        channel.close(200, "OK".into()).await.unwrap();
    }

    /// Makes a queue with these arguments.
    pub async fn declare(&self, queue: &str, arguments: &[(&str, AMQPValue)]) {
        let mut table = FieldTable::default();
        for (name, value) in arguments {
            table.insert((*name).into(), value.clone());
        }
        let options = QueueDeclareOptions {
            durable: true,
            ..QueueDeclareOptions::default()
        };
        let channel = self.channel().await;
        channel
            .queue_declare(queue.into(), options, table)
            .await
            .unwrap();
    }

    pub async fn declare_exchange(&self, exchange: &str) {
        let options = ExchangeDeclareOptions {
            durable: true,
            ..ExchangeDeclareOptions::default()
        };
        let none = FieldTable::default();
        let channel = self.channel().await;
        channel
            .exchange_declare(exchange.into(), ExchangeKind::Topic, options, none)
            .await
            .unwrap();
    }

    pub async fn bind(&self, queue: &str, exchange: &str, key: &str) {
        let (options, none) = (QueueBindOptions::default(), FieldTable::default());
        let channel = self.channel().await;
        channel
            .queue_bind(queue.into(), exchange.into(), key.into(), options, none)
            .await
            .unwrap();
    }

    /// Messages that are ready, and consumers; none where there is no such queue.
    pub async fn counts(&self, queue: &str) -> Option<(u32, u32)> {
        let options = QueueDeclareOptions {
            passive: true,
            ..QueueDeclareOptions::default()
        };
        let none = FieldTable::default();
        let channel = self.channel().await;
        let found = channel.queue_declare(queue.into(), options, none).await;
        let found = found.ok()?;
        Some((found.message_count(), found.consumer_count()))
    }

    /// Messages that are ready.
    pub async fn depth(&self, queue: &str) -> u32 {
        self.counts(queue).await.map_or(0, |(ready, _)| ready)
    }

    /// Waits until a queue has this many messages ready.
    pub async fn depth_is(&self, queue: &str, messages: u32) {
        let what = format!("{messages} messages in `{queue}`");
        eventually(&what, async || self.depth(queue).await == messages).await;
    }

    pub async fn get(&self, queue: &str) -> Option<BasicGetMessage> {
        let channel = self.channel().await;
        let got = channel.basic_get(queue.into(), BasicGetOptions::default());
        let got = got.await.unwrap()?;
        channel
            .basic_ack(got.delivery.delivery_tag, BasicAckOptions::default())
            .await
            .unwrap();
        Some(got)
    }

    /// Takes a message off a queue and rejects it: RabbitMQ itself dead-letters it then.
    pub async fn reject(&self, queue: &str) {
        let channel = self.channel().await;
        let got = channel.basic_get(queue.into(), BasicGetOptions::default());
        let tag = got.await.unwrap().unwrap().delivery.delivery_tag;
        channel
            .basic_reject(tag, BasicRejectOptions { requeue: false })
            .await
            .unwrap();
    }

    pub async fn delete(&self, queue: &str) {
        let channel = self.channel().await;
        channel
            .queue_delete(queue.into(), QueueDeleteOptions::default())
            .await
            .unwrap();
    }

    pub async fn delete_exchange(&self, exchange: &str) {
        let channel = self.channel().await;
        channel
            .exchange_delete(exchange.into(), ExchangeDeleteOptions::default())
            .await
            .unwrap();
    }

    /// Deletes a route's queues.
    pub async fn clean(&self, queue: &str) {
        for of in ["", ".dead", ".isolated"] {
            self.delete(&format!("{queue}{of}")).await;
        }
    }
}

/// Waits until this holds.
pub async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let give_up = Instant::now() + DEADLINE;
    while !holds().await {
        assert!(Instant::now() < give_up, "after {DEADLINE:?}: no {what}");
        sleep(Duration::from_millis(50)).await;
    }
}
