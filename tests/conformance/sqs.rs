//! SQS on a local server, under test.

use std::{collections::HashMap, time::Duration};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_sqs::{
    config::{Credentials, SharedCredentialsProvider},
    types::QueueAttributeName as Name,
};
use loafer::{Sqs, broker::Broker as _, outcome::BoxError};
use loafer_conformance::{BrokerProfile, BrokerUnderTest, Feature, Outage, QueueSpec, TestQueue};

use crate::line::Line;

/// Largest message of SQS, in bytes (SQS quotas).
const LARGEST: usize = 1024 * 1024;
/// Short enough that the delays of the cases take several stays.
const STAY: Duration = Duration::from_secs(3);
/// Message attributes of SQS (SQS quotas).
const HEADERS: usize = 10;

#[derive(Clone, Copy)]
pub(crate) enum Server {
    Fauxqs,
    ElasticMq,
}

/// SQS on a local server.
pub(crate) struct OnSqs {
    server: Server,
    endpoint: String,
    config: SdkConfig,
}

/// What SQS can't, and what these servers can't that AWS can.
pub(crate) fn declares(server: Server) -> BrokerProfile {
    let name = match server {
        Server::Fauxqs => "SQS (fauxqs)",
        Server::ElasticMq => "SQS (ElasticMQ)",
    };
    let sqs = BrokerProfile::new(name)
        .largest(LARGEST)
        .headers(HEADERS)
        .without(
            Feature::Binary,
            "SQS carries text: encode it, as base64 say",
        )
        .without(Feature::Empty, "SQS refuses empty messages")
        .without(
            Feature::Tries,
            "SQS counts what it delivers, whether it was tried or not",
        )
        .without(Feature::Isolation, "SQS gives its messages to all")
        .scaled_down(5)
        .at_once(6);
    match server {
        Server::Fauxqs => sqs
            .without(
                Feature::StaleReceipts,
                "this server answers a stale receipt as a good one; SQS does not",
            )
            .without(
                Feature::Groups,
                "this server drops the group of a standard queue's message; SQS keeps it",
            )
            .without(
                Feature::Emoji,
                "this server refuses characters beyond U+FFFF; SQS takes them",
            ),
        Server::ElasticMq => sqs.without(
            Feature::Topics,
            "this server has no SNS; on AWS several queues can subscribe to a topic",
        ),
    }
}

fn config(endpoint: &str) -> SdkConfig {
    let credentials = Credentials::new("test", "test", None, None, "test");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new("us-east-1"))
        .endpoint_url(endpoint)
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build()
}

impl OnSqs {
    /// Returns the server that the environment names. `None` means that it names none: then a line says which variable does.
    pub(crate) fn at(server: Server) -> Option<Self> {
        let variable = match server {
            Server::Fauxqs => "LOAFER_TEST_FAUXQS",
            Server::ElasticMq => "LOAFER_TEST_ELASTICMQ",
        };
        let Ok(endpoint) = std::env::var(variable) else {
            let name = declares(server).name().to_owned();
            eprintln!("skipped: conformance of {name}: set {variable}, or run cargo xtask test");
            return None;
        };
        let config = config(&endpoint);
        Some(Self {
            server,
            endpoint,
            config,
        })
    }

    /// Makes a queue; returns its URL and its ARN.
    async fn make(
        &self,
        name: &str,
        attributes: impl IntoIterator<Item = (Name, String)>,
    ) -> Result<(String, String), BoxError> {
        let client = aws_sdk_sqs::Client::new(&self.config);
        let fifo = name
            .ends_with(".fifo")
            .then(|| (Name::FifoQueue, "true".to_owned()));
        let attributes: HashMap<_, _> = attributes.into_iter().chain(fifo).collect();
        let made = client
            .create_queue()
            .queue_name(name)
            .set_attributes((!attributes.is_empty()).then_some(attributes))
            .send()
            .await?;
        let url = made.queue_url.ok_or("no URL")?;
        let answer = client
            .get_queue_attributes()
            .queue_url(&url)
            .attribute_names(Name::QueueArn)
            .send()
            .await?;
        let arn = answer
            .attributes
            .and_then(|mut all| all.remove(&Name::QueueArn));
        Ok((url, arn.ok_or("no ARN")?))
    }

    /// Subscribes a queue to a topic, without the envelope.
    async fn subscribe(&self, topic: &str, queue: &str) -> Result<(), BoxError> {
        let client = aws_sdk_sns::Client::new(&self.config);
        let made = client.create_topic().name(topic).send().await?;
        client
            .subscribe()
            .set_topic_arn(made.topic_arn)
            .protocol("sqs")
            .endpoint(queue)
            .attributes("RawMessageDelivery", "true")
            .send()
            .await?;
        Ok(())
    }
}

impl BrokerUnderTest for OnSqs {
    type Broker = Sqs;

    fn declares(&self) -> BrokerProfile {
        declares(self.server)
    }

    fn broker(&self) -> Sqs {
        Sqs::with_config(self.config.clone()).with_longest_delay(STAY)
    }

    async fn queue(&self, wanted: &QueueSpec) -> Result<TestQueue, BoxError> {
        let suffix = if wanted.ordered { ".fifo" } else { "" };
        let (queue, dead_letters) = (
            format!("{}{suffix}", wanted.name),
            format!("{}-dlq{suffix}", wanted.name),
        );
        let (_, arn) = self.make(&dead_letters, []).await?;
        let redrive = serde_json::json!({
            "deadLetterTargetArn": arn,
            "maxReceiveCount": wanted.max_receives,
        });
        let attributes = [
            (Name::VisibilityTimeout, wanted.lease.as_secs().to_string()),
            (Name::RedrivePolicy, redrive.to_string()),
        ];
        let (_, arn) = self.make(&queue, attributes).await?;
        let topic = match &wanted.topic {
            Some(topic) => {
                self.subscribe(topic, &arn).await?;
                topic.as_str().into()
            }
            None => self.broker().queue_topic(&queue),
        };
        Ok(TestQueue {
            queue,
            topic,
            dead_letters: Some(dead_letters),
        })
    }

    async fn outage(&self) -> Result<Outage<Sqs>, BoxError> {
        let line = Line::to(self.endpoint.trim_start_matches("http://")).await;
        let broker = Sqs::with_config(config(&format!("http://{}", line.address)));
        let switch = line.switch();
        Ok(Outage::new(broker, move |up| {
            switch(up);
            std::future::ready(())
        }))
    }
}
