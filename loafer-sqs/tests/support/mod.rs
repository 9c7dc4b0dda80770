//! Servers, queues and messages for the tests.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test binary uses a part of it"
)]

pub mod bucket;
pub mod fake;
pub mod log;

use std::{sync::Arc, time::Duration};

use aws_sdk_sqs::{
    config::{Credentials, Region, SharedCredentialsProvider},
    types::QueueAttributeName as Name,
};
use loafer_core::{
    broker::{
        Broker, DeadLetter, Delivery, NoOptions, Open, Provider, Publisher, Settle, Settled,
        Settlement, Source, Topic,
    },
    message::{MessageId, Outgoing},
};
use loafer_runtime::program::{App, Manager, ManagerBuilder};
use loafer_sqs::{Receipt, Sqs, SqsProvider};

/// A local server; none, and a word about it, where its address is not set.
pub fn server(variable: &str, test: &str) -> Option<Server> {
    match std::env::var(variable) {
        Ok(endpoint) => Some(Server { endpoint }),
        Err(_) => {
            eprintln!("skipped: {test}: set {variable}, or run cargo xtask test");
            None
        }
    }
}

/// The server under this variable, or the end of the test that calls.
#[macro_export]
macro_rules! server {
    ($variable:literal, $test:literal) => {
        match support::server($variable, $test) {
            Some(server) => server,
            None => return,
        }
    };
}

/// Tests of functions that take a [`Server`]: each against fauxqs, in a module `fauxqs`, and against ElasticMQ, in a module `elasticmq`.
#[macro_export]
macro_rules! on_both {
    ($($case:ident)*) => {
        mod fauxqs {
            use super::support;
            $(#[tokio::test]
            async fn $case() {
                if let Some(server) = support::server("LOAFER_TEST_FAUXQS", stringify!($case)) {
                    super::$case(server).await;
                }
            })*
        }
        mod elasticmq {
            use super::support;
            $(#[tokio::test]
            async fn $case() {
                if let Some(server) = support::server("LOAFER_TEST_ELASTICMQ", stringify!($case)) {
                    super::$case(server).await;
                }
            })*
        }
    };
}

pub struct Server {
    pub endpoint: String,
}

pub fn config(endpoint: &str) -> aws_config::SdkConfig {
    aws_config::SdkConfig::builder()
        .behavior_version(aws_config::BehaviorVersion::v2026_01_12())
        .region(Region::new("us-east-1"))
        .endpoint_url(endpoint)
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
            "test", "test", None, None, "test",
        )))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build()
}

impl Server {
    pub fn sqs(&self) -> Sqs {
        Sqs::with_config(config(&self.endpoint))
    }

    /// Of a service there.
    pub fn manager(&self) -> ManagerBuilder {
        Manager::builder().app(App::new().broker(self.sqs()))
    }

    pub fn client(&self) -> aws_sdk_sqs::Client {
        aws_sdk_sqs::Client::new(&config(&self.endpoint))
    }

    pub fn sns(&self) -> aws_sdk_sns::Client {
        aws_sdk_sns::Client::new(&config(&self.endpoint))
    }

    /// A queue of its own with a dead-letter queue, opened.
    pub async fn queue(&self, name: &str, lease: Option<Duration>) -> Queue {
        self.queue_of(self.sqs(), name, lease).await
    }

    /// The same by an `Sqs` that the test has set up.
    pub async fn queue_of(&self, sqs: Sqs, name: &str, lease: Option<Duration>) -> Queue {
        let suffix = MessageId::new().to_string();
        let name = match name.strip_suffix(".fifo") {
            Some(name) => format!("{name}-{suffix}.fifo"),
            None => format!("{name}-{suffix}"),
        };
        let mut source = Source::new("test-route", &name);
        source.policy.lease = lease;
        let provider = sqs.provider(&source, &NoOptions::default()).unwrap();
        provider.open(Open::Create).await.unwrap();
        let client = self.client();
        let url = client
            .get_queue_url()
            .queue_name(&name)
            .send()
            .await
            .unwrap()
            .queue_url
            .unwrap();
        Queue {
            provider,
            publisher: sqs.publisher(),
            client,
            name,
            url,
            sqs,
        }
    }
}

pub struct Queue {
    pub provider: SqsProvider,
    pub publisher: loafer_sqs::SqsPublisher,
    pub client: aws_sdk_sqs::Client,
    pub name: String,
    pub url: String,
    pub sqs: Sqs,
}

impl Queue {
    /// A second provider of it, which finds SQS elsewhere.
    pub async fn provider_at(&self, endpoint: &str) -> SqsProvider {
        let sqs = Sqs::with_config(config(endpoint));
        let mut source = Source::new("test-route", &self.name);
        source.policy.lease = Some(Duration::from_secs(30));
        let provider = sqs.provider(&source, &NoOptions::default()).unwrap();
        provider.open(Open::Existing).await.unwrap();
        provider
    }

    pub async fn send(&self, batch: Vec<Outgoing>) -> Vec<MessageId> {
        publish(&self.publisher, &format!("sqs:{}", self.name), batch).await
    }

    /// Receives until there are this many, or ten seconds are over.
    pub async fn receive(&self, count: usize) -> Vec<Delivery<Receipt>> {
        receive(&self.provider, count).await
    }

    pub async fn settle(
        &self,
        deliveries: &[Delivery<Receipt>],
        settlement: Settlement,
    ) -> Vec<Settled> {
        let entries: Vec<_> = deliveries
            .iter()
            .map(|delivery| entry(delivery, settlement.clone()))
            .collect();
        let mut answers = Vec::new();
        self.provider.settle(&entries, &mut answers).await;
        assert_eq!(answers.len(), entries.len());
        answers
    }

    /// A provider of its dead-letter queue.
    pub async fn dead_letters(&self) -> SqsProvider {
        let name = match self.name.strip_suffix(".fifo") {
            Some(name) => format!("{name}-dlq.fifo"),
            None => format!("{}-dlq", self.name),
        };
        let provider = self
            .sqs
            .provider(&Source::new("dead", name), &NoOptions::default())
            .unwrap();
        provider.open(Open::Existing).await.unwrap();
        provider
    }

    pub async fn attribute(&self, url: &str, name: Name) -> Option<String> {
        let answer = self.client.get_queue_attributes().queue_url(url);
        let answer = answer.attribute_names(Name::All).send().await.unwrap();
        answer.attributes.unwrap_or_default().remove(&name)
    }

    pub async fn set(&self, name: Name, value: &str) {
        let set = self.client.set_queue_attributes().queue_url(&self.url);
        set.attributes(name, value).send().await.unwrap();
    }

    /// How many messages stand in its dead-letter queue, visible or not.
    pub async fn depth_of_dead_letters(&self) -> u32 {
        let name = match self.url.strip_suffix(".fifo") {
            Some(name) => format!("{name}-dlq.fifo"),
            None => format!("{}-dlq", self.url),
        };
        self.depth_at(&name).await
    }

    /// How many messages stand in it, visible or not.
    pub async fn depth(&self) -> u32 {
        self.depth_at(&self.url).await
    }

    async fn depth_at(&self, url: &str) -> u32 {
        let answer = self
            .client
            .get_queue_attributes()
            .queue_url(url)
            .attribute_names(Name::All)
            .send();
        let answer = answer.await.unwrap().attributes.unwrap();
        let number = |name| {
            answer
                .get(&name)
                .and_then(|count| count.parse::<u32>().ok())
                .unwrap_or_default()
        };
        number(Name::ApproximateNumberOfMessages)
            + number(Name::ApproximateNumberOfMessagesNotVisible)
    }
}

pub async fn receive(provider: &SqsProvider, count: usize) -> Vec<Delivery<Receipt>> {
    let mut into = Vec::new();
    let end = tokio::time::Instant::now() + Duration::from_secs(10);
    while into.len() < count && tokio::time::Instant::now() < end {
        provider
            .receive(count - into.len(), Duration::from_secs(2), &mut into)
            .await
            .unwrap();
    }
    assert_eq!(into.len(), count, "messages received");
    into
}

pub async fn publish(
    publisher: &impl Publisher,
    topic: &str,
    batch: Vec<Outgoing>,
) -> Vec<MessageId> {
    let mut answers = Vec::new();
    publisher
        .publish(&Topic::from(topic), &batch, &mut answers)
        .await;
    assert_eq!(answers.len(), batch.len());
    answers.into_iter().map(|answer| answer.unwrap()).collect()
}

pub fn entry(delivery: &Delivery<Receipt>, settlement: Settlement) -> Settle<Receipt> {
    Settle {
        receipt: delivery.receipt.clone(),
        message: delivery.message.clone(),
        settlement,
    }
}

pub fn envelope(reason: &str) -> Arc<DeadLetter> {
    Arc::new(DeadLetter {
        event_id: "e-1".into(),
        message_id: "1".into(),
        correlation_id: None,
        route: "test-route".into(),
        queue: "test".into(),
        topic: None,
        handler: "test".into(),
        attempts: 1,
        deliveries: 1,
        first_failed_at: None,
        failed_at: "2026-01-01T00:00:00Z".into(),
        kind: "rejected".into(),
        reason: Some(reason.into()),
        retried_from: None,
    })
}

/// Stands before a server and loses the first answer that has this in it.
pub async fn losing(server: &Server, answer: &'static [u8]) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let behind = server.endpoint.trim_start_matches("http://").to_owned();
    let lost = Arc::new(std::sync::atomic::AtomicBool::new(false));
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (mut from_client, mut to_client) = client.into_split();
            let server = tokio::net::TcpStream::connect(&behind).await.unwrap();
            let (mut from_server, mut to_server) = server.into_split();
            tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
            let lost = Arc::clone(&lost);
            tokio::spawn(async move {
                let mut buffer = vec![0; 64 * 1024];
                while let Ok(read @ 1..) = from_server.read(&mut buffer).await {
                    let has = buffer[..read]
                        .windows(answer.len())
                        .any(|some| some == answer);
                    if has && !lost.swap(true, std::sync::atomic::Ordering::SeqCst) {
                        break;
                    }
                    if to_client.write_all(&buffer[..read]).await.is_err() {
                        break;
                    }
                }
            });
        }
    });
    endpoint
}
