//! RabbitMQ under test.

use std::time::Duration;

use loafer::{
    Amqp,
    amqp::{Declare, Options},
    broker::{Broker as _, DelaySteps, Open, Provider as _, Source},
    outcome::BoxError,
};
use loafer_conformance::{BrokerProfile, BrokerUnderTest, Feature, Outage, QueueSpec, TestQueue};

use crate::line::Line;

/// Short enough that the delays of the cases take several stays.
const STEPS: DelaySteps = DelaySteps::new(&[Duration::from_secs(1), Duration::from_secs(3)]);

/// What the cases' queues are bound to.
const EXCHANGE: &str = "conformance";

#[derive(Clone, Copy)]
pub(crate) enum Version {
    /// What Debian 12 has.
    V3,
    V4,
    V43,
}

/// RabbitMQ on this machine.
pub(crate) struct OnAmqp {
    version: Version,
    url: String,
}

/// What RabbitMQ can't.
pub(crate) fn declares(version: Version) -> BrokerProfile {
    let name = match version {
        Version::V3 => "AMQP (RabbitMQ 3.10)",
        Version::V4 => "AMQP (RabbitMQ 4)",
        Version::V43 => "AMQP (RabbitMQ 4.3)",
    };
    BrokerProfile::new(name)
        .headers(100)
        .without(
            Feature::Leases,
            "a delivery is the consumer's until it is settled or its connection ends",
        )
        .without(
            Feature::Redrive,
            "Loafer counts attempts itself; the limit of a quorum queue is for consumers that die",
        )
        .without(Feature::Order, "no queue keeps groups in order")
        .without(Feature::Deduplication, "no queue tells duplicates")
        .without(Feature::Limits, "a queue takes what fits into memory")
        .scaled_down(5)
        .at_once(6)
}

impl OnAmqp {
    /// The server that the tests were given; none, and a word about it, where they were given none.
    pub(crate) fn at(version: Version) -> Option<Self> {
        let variable = match version {
            Version::V3 => "LOAFER_TEST_RABBITMQ",
            Version::V4 => "LOAFER_TEST_RABBITMQ_4",
            Version::V43 => "LOAFER_TEST_RABBITMQ_4_3",
        };
        let Ok(url) = std::env::var(variable) else {
            let name = declares(version).name().to_owned();
            eprintln!("skipped: conformance of {name}: set {variable}, or run cargo xtask test");
            return None;
        };
        Some(Self { version, url })
    }
}

impl BrokerUnderTest for OnAmqp {
    type Broker = Amqp;

    fn declares(&self) -> BrokerProfile {
        declares(self.version)
    }

    fn broker(&self) -> Amqp {
        Amqp::new(&self.url).exchange(EXCHANGE).delay_steps(STEPS)
    }

    fn options(&self, queue: &str) -> Options {
        // Both were made by `queue`: that of the dead letters in a form of its own.
        let declare = match queue.ends_with(".dead") {
            true => Declare::Off,
            false => Declare::Verify,
        };
        Options::new().exchange("").declare(declare)
    }

    async fn queue(&self, wanted: &QueueSpec) -> Result<TestQueue, BoxError> {
        let mut source = Source::new(&wanted.name, &wanted.name);
        let options = match &wanted.topic {
            Some(topic) => {
                source.topics = vec![topic.clone()];
                Options::new()
            }
            None => Options::new().exchange(""),
        };
        let broker = self.broker();
        let provider = broker.provider(&source, &options)?;
        provider.open(Open::Create).await?;
        provider.close().await;
        Ok(TestQueue {
            queue: wanted.name.clone(),
            topic: match &wanted.topic {
                Some(topic) => topic.as_str().into(),
                None => broker.queue_topic(&wanted.name),
            },
            dead_letters: Some(format!("{}.dead", wanted.name)),
        })
    }

    async fn outage(&self) -> Result<Outage<Amqp>, BoxError> {
        let (user, rest) = self.url.split_once('@').ok_or("no user in the address")?;
        let (address, vhost) = rest
            .split_once('/')
            .ok_or("no virtual host in the address")?;
        let line = Line::to(address).await;
        let broker = Amqp::new(format!("{user}@{}/{vhost}", line.address)).exchange(EXCHANGE);
        let switch = line.switch();
        Ok(Outage::new(broker, move |up| {
            switch(up);
            std::future::ready(())
        }))
    }
}
