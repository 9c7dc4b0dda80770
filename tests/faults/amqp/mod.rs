//! RabbitMQ in a run: a broker of its own that keeps its data, whose deliveries last as long as their connection.

mod connection;
mod frame;
mod open;
mod wire;

use std::{collections::HashMap, path::Path, time::Duration};

use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties,
    options::{BasicGetOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable, ShortString},
};
use loafer::{
    Amqp, Message, Outgoing,
    amqp::{AmqpPublisher, Declare, Options},
    broker::{Broker as _, DeadLetter, Level, Open, Provider as _, Publisher as _, Source, Topic},
    message::MessageId,
};
use loafer_test_servers::{Management, RabbitMq};
use tokio::{
    process::Command,
    sync::Mutex,
    time::{Instant, sleep},
};

use self::{open::Open as Unsettled, wire::Frames};
use crate::{
    broker::{Broker, Sender},
    job::Job,
    judge::{DeadMessage, Envelope, Hold, Rules},
    ledger::Ledger,
};

const QUEUE: &str = "faults";
/// The attempt after which a message is given up. Kills cost attempts too, and seldom so many.
const MAX_ATTEMPTS: u64 = 8;
/// Few, so that both messages that end their process and others that were there each time are isolated within a run.
const MAX_DELIVERIES: u64 = 5;
/// Longer than consumers need to make their queues, and a restart of the broker before them.
const DEADLINE: Duration = Duration::from_secs(120);

/// RabbitMQ.
pub(crate) struct OnAmqp {
    server: Mutex<loafer_test_servers::Broker>,
    port: u16,
    management: Management,
    ledger: Ledger,
}

/// Publishes by Loafer's own publisher.
pub(crate) struct Publishing {
    publisher: AmqpPublisher,
    topic: Topic,
}

impl OnAmqp {
    pub(crate) async fn start(rabbit: &RabbitMq, folder: &Path, ledger: &Ledger) -> Self {
        let server = rabbit.start(folder).await;
        Self {
            port: server.port(),
            management: server.management().clone(),
            server: Mutex::new(server),
            ledger: ledger.clone(),
        }
    }

    /// Waits until a consumer has made a queue.
    async fn there(&self, queue: &str) {
        let deadline = Instant::now() + DEADLINE;
        while self.management.queue(queue).await.is_none() {
            assert!(Instant::now() < deadline, "no consumer makes `{queue}`");
            sleep(Duration::from_millis(100)).await;
        }
    }

    async fn channel(&self) -> (Connection, Channel) {
        let properties = ConnectionProperties::default();
        let connection = Connection::connect(&url(self.port), properties).await;
        let connection = connection.unwrap();
        let channel = connection.create_channel().await.unwrap();
        (connection, channel)
    }
}

fn url(port: u16) -> String {
    format!("amqp://guest:guest@127.0.0.1:{port}/%2f")
}

fn dead_letter_queue() -> String {
    format!("{QUEUE}.dead")
}

impl Broker for OnAmqp {
    const RULES: Rules = Rules {
        hold: Hold::Connection,
        max_attempts: Some(MAX_ATTEMPTS),
    };
    const BATCH: u64 = 50;
    type Wire = Frames;
    type Sender = Publishing;

    fn port(&self) -> u16 {
        self.port
    }

    fn wire(&self, name: &str) -> Frames {
        Frames::new(name)
    }

    fn tell(&self, proxy: u16, consumer: &mut Command) {
        consumer.args(["--provider", "amqp"]).envs([
            ("AMQP_URL", url(proxy)),
            ("LOAFER_APP", QUEUE.to_owned()),
            ("LOAFER_ROUTES__RECORDED__QUEUE", QUEUE.to_owned()),
            (
                "LOAFER_ROUTES__RECORDED__MAX_ATTEMPTS",
                MAX_ATTEMPTS.to_string(),
            ),
            (
                "LOAFER_ROUTES__RECORDED__MAX_DELIVERIES",
                MAX_DELIVERIES.to_string(),
            ),
            // Two delays, so that what is given up is so within the run.
            ("LOAFER_ROUTES__RECORDED__BACKOFF__INITIAL", "1s".to_owned()),
            ("LOAFER_ROUTES__RECORDED__BACKOFF__MAX", "2s".to_owned()),
        ]);
    }

    /// The queue, and all delay queues: one that is declared just before a kill stays broken.
    async fn prepared(&self) {
        self.there(QUEUE).await;
        let amqp = Amqp::new(url(self.port));
        let mut source = Source::new("recorded", QUEUE);
        source.consumer = Some(QUEUE.to_owned());
        // With `verify`, `check --create` makes what the first retries would make.
        let options = Options::new().exchange("").declare(Declare::Verify);
        let provider = amqp.provider(&source, &options).unwrap();
        provider.open(Open::Create).await.unwrap();
        let found = provider.check(&source.policy).await;
        let problem = found.iter().find(|found| found.level == Level::Problem);
        assert!(problem.is_none(), "{problem:?}");
        amqp.close().await;
        self.server.lock().await.settled().await;
    }

    fn sender(&self, proxy: u16) -> Publishing {
        let amqp = Amqp::new(url(proxy));
        Publishing {
            publisher: amqp.publisher(),
            topic: amqp.queue_topic(QUEUE),
        }
    }

    async fn kill_for(&self, time: Duration) {
        let mut server = self.server.lock().await;
        self.ledger.write("trouble server down");
        server.kill().await;
        sleep(time).await;
        server.restart().await;
        self.ledger.write("over server");
    }

    /// Those in the queues but that of the dead letters, and deliveries that are not settled. RabbitMQ's own counts of these lag behind, by
    /// seconds once it was killed.
    async fn depth(&self) -> u64 {
        let ledger = self.ledger.read();
        let open = ledger.lines().fold(Unsettled::default(), Unsettled::with);
        let mut depth = open.count();
        let (_connection, channel) = self.channel().await;
        for queue in self.management.queues().await {
            if queue != dead_letter_queue() {
                let passive = QueueDeclareOptions {
                    passive: true,
                    ..QueueDeclareOptions::default()
                };
                let none = FieldTable::default();
                let told = channel.queue_declare(queue.into(), passive, none).await;
                depth += u64::from(told.unwrap().message_count());
            }
        }
        depth
    }

    async fn dead_letters(&self) -> Vec<DeadMessage> {
        let (_connection, channel) = self.channel().await;
        let mut found = Vec::new();
        let options = BasicGetOptions::default;
        // None is given back: each is seen once.
        while let Some(dead_letter) = channel
            .basic_get(ShortString::from(dead_letter_queue()), options())
            .await
            .unwrap()
        {
            let body: serde_json::Value = serde_json::from_slice(&dead_letter.data).unwrap();
            found.push(DeadMessage {
                id: body["id"].as_u64().unwrap(),
                envelope: envelope(&dead_letter.properties),
            });
        }
        found
    }
}

/// What a dead letter says of itself, read as anybody would who has no Loafer.
fn envelope(properties: &BasicProperties) -> Envelope {
    let headers = properties.headers().as_ref();
    let header = headers.and_then(|headers| headers.inner().get(DeadLetter::HEADER));
    let Some(AMQPValue::LongString(header)) = header else {
        return Envelope::Wrong("it has none".to_owned());
    };
    let read = serde_json::from_slice::<DeadLetter>(header.as_bytes());
    let envelope = match read {
        Ok(envelope) => envelope,
        Err(error) => return Envelope::Wrong(error.to_string()),
    };
    let id = properties.message_id().as_ref().map(ShortString::as_str);
    let of = Some(&*envelope.message_id);
    if (&*envelope.route, &*envelope.queue, of) != ("recorded", QUEUE, id) {
        return Envelope::Wrong(format!(
            "it is of another message than {id:?}: {envelope:?}"
        ));
    }
    Envelope::Read {
        kind: envelope.kind,
        attempts: envelope.attempts.into(),
    }
}

impl Sender for Publishing {
    async fn send(&self, jobs: &HashMap<u64, Job>) -> Vec<u64> {
        let outgoing = |(id, job): (&u64, &Job)| {
            Outgoing::new(Message::with_id(MessageId::new(), job.body(*id)))
        };
        let batch: Vec<_> = jobs.iter().map(outgoing).collect();
        let mut answers = Vec::with_capacity(batch.len());
        self.publisher
            .publish(&self.topic, &batch, &mut answers)
            .await;
        let answered = jobs.keys().zip(answers);
        let confirmed = answered.filter(|(_, answer)| answer.is_ok());
        confirmed.map(|(id, _)| *id).collect()
    }
}
