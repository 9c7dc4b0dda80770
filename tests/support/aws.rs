//! SQS and SNS on a local server.

use std::{collections::HashMap, time::Duration};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_sqs::{
    config::{Credentials, SharedCredentialsProvider, retry::RetryConfig},
    types::{QueueAttributeName as Name, SendMessageBatchRequestEntry as Entry},
};
use loafer::message::MessageId;
use tokio::{
    process::Command,
    time::{Instant, MissedTickBehavior, interval},
};

use super::DEADLINE;

/// A local server.
pub struct Aws {
    endpoint: String,
    sqs: aws_sdk_sqs::Client,
    sns: aws_sdk_sns::Client,
}

/// A queue with dead letters.
pub struct Queue {
    pub name: String,
    pub dead_letters: DeadLetterQueue,
    url: String,
    arn: String,
    sqs: aws_sdk_sqs::Client,
}

/// The dead-letter queue of a queue.
pub struct DeadLetterQueue {
    pub url: String,
    sqs: aws_sdk_sqs::Client,
}

/// The server that the tests were given; none, and a word about it, where they were given none.
pub fn server(test: &str) -> Option<Aws> {
    let Ok(endpoint) = std::env::var("LOAFER_TEST_FAUXQS") else {
        eprintln!("skipped: {test}: set LOAFER_TEST_FAUXQS, or run cargo xtask test");
        return None;
    };
    Some(Aws::at(endpoint))
}

/// A name that nobody else has.
pub fn unique(name: &str) -> String {
    format!("{name}-{}", MessageId::new())
}

impl Aws {
    pub fn at(endpoint: String) -> Self {
        let credentials = Credentials::new("test", "test", None, None, "test");
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new("us-east-1"))
            .endpoint_url(&endpoint)
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .build();
        Self {
            endpoint,
            sqs: aws_sdk_sqs::Client::new(&config),
            sns: aws_sdk_sns::Client::new(&config),
        }
    }

    /// An address of the same server whose client tries nothing twice.
    pub fn once_at(endpoint: String) -> Self {
        let mut aws = Self::at(endpoint);
        let config = aws.sqs.config().to_builder();
        let config = config.retry_config(RetryConfig::disabled()).build();
        aws.sqs = aws_sdk_sqs::Client::from_conf(config);
        aws
    }

    /// Tells a program where it is.
    pub fn tell<'c>(&self, program: &'c mut Command) -> &'c mut Command {
        program.env("AWS_ENDPOINT_URL", &self.endpoint).envs([
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
        ])
    }

    /// A queue of this lease, which gives a message up after so many receives.
    pub async fn queue(&self, name: &str, lease: Duration, max_receives: u32) -> Queue {
        let dead_letters = self.make(&format!("{name}-dlq"), HashMap::new()).await;
        let redrive = serde_json::json!({
            "deadLetterTargetArn": arn(&self.sqs, &dead_letters).await,
            "maxReceiveCount": max_receives,
        });
        let attributes = HashMap::from([
            (Name::VisibilityTimeout, lease.as_secs().to_string()),
            (Name::RedrivePolicy, redrive.to_string()),
        ]);
        let url = self.make(name, attributes).await;
        Queue {
            name: name.to_owned(),
            dead_letters: DeadLetterQueue {
                url: dead_letters,
                sqs: self.sqs.clone(),
            },
            arn: arn(&self.sqs, &url).await,
            url,
            sqs: self.sqs.clone(),
        }
    }

    async fn make(&self, name: &str, attributes: HashMap<Name, String>) -> String {
        let made = self
            .sqs
            .create_queue()
            .queue_name(name)
            .set_attributes(Some(attributes));
        made.send().await.unwrap().queue_url.unwrap()
    }

    /// Returns the ARN of a topic that the queue is subscribed to.
    pub async fn topic(&self, name: &str, queue: &Queue) -> String {
        let made = self.sns.create_topic().name(name).send().await;
        let topic = made.unwrap().topic_arn.unwrap();
        let subscribed = self
            .sns
            .subscribe()
            .topic_arn(&topic)
            .protocol("sqs")
            .endpoint(&queue.arn);
        subscribed.send().await.unwrap();
        topic
    }

    pub async fn publish(&self, topic: &str, message: &str) {
        self.sns
            .publish()
            .topic_arn(topic)
            .message(message)
            .send()
            .await
            .unwrap();
    }
}

async fn arn(sqs: &aws_sdk_sqs::Client, url: &str) -> String {
    attributes(sqs, url).await.remove(&Name::QueueArn).unwrap()
}

async fn attributes(sqs: &aws_sdk_sqs::Client, url: &str) -> HashMap<Name, String> {
    let asked = sqs
        .get_queue_attributes()
        .queue_url(url)
        .attribute_names(Name::All);
    asked.send().await.unwrap().attributes.unwrap()
}

/// Messages to be received now, and messages on lease.
async fn depth(sqs: &aws_sdk_sqs::Client, url: &str) -> (usize, usize) {
    let attributes = attributes(sqs, url).await;
    let count = |name| attributes[&name].parse().unwrap();
    (
        count(Name::ApproximateNumberOfMessages),
        count(Name::ApproximateNumberOfMessagesNotVisible),
    )
}

async fn send_all(sqs: &aws_sdk_sqs::Client, url: &str, bodies: impl IntoIterator<Item = String>) {
    let bodies: Vec<String> = bodies.into_iter().collect();
    for ten in bodies.chunks(10) {
        let entries = ten.iter().enumerate().map(|(number, body)| {
            Entry::builder()
                .id(number.to_string())
                .message_body(body)
                .build()
                .unwrap()
        });
        let batch = sqs.send_message_batch().queue_url(url);
        let sent = batch
            .set_entries(Some(entries.collect()))
            .send()
            .await
            .unwrap();
        assert!(sent.failed.is_empty(), "{:?}", sent.failed);
    }
}

impl Queue {
    /// The same queue, met by way of `aws`.
    pub fn by(&self, aws: &Aws) -> Self {
        Self {
            name: self.name.clone(),
            dead_letters: DeadLetterQueue {
                url: self.dead_letters.url.clone(),
                sqs: aws.sqs.clone(),
            },
            url: self.url.clone(),
            arn: self.arn.clone(),
            sqs: aws.sqs.clone(),
        }
    }

    pub fn client(&self) -> &aws_sdk_sqs::Client {
        &self.sqs
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    pub async fn send(&self, body: impl Into<String>) {
        let sent = self
            .sqs
            .send_message()
            .queue_url(&self.url)
            .message_body(body);
        sent.send().await.unwrap();
    }

    pub async fn send_all(&self, bodies: impl IntoIterator<Item = String>) {
        send_all(&self.sqs, &self.url, bodies).await;
    }

    /// Messages to be received now, and messages on lease.
    pub async fn depth(&self) -> (usize, usize) {
        depth(&self.sqs, &self.url).await
    }

    /// Waits until nothing is in it, neither waiting nor on lease.
    pub async fn emptied(&self) {
        self.at_depth((0, 0)).await;
    }

    pub async fn at_depth(&self, expected: (usize, usize)) {
        let deadline = Instant::now() + DEADLINE;
        let mut look = interval(Duration::from_millis(50));
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            look.tick().await;
            let depth = self.depth().await;
            if depth == expected {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "{} holds {depth:?}, not {expected:?}",
                self.name
            );
        }
    }

    /// A body that waits in it, which then waits on.
    pub async fn peek(&self) -> String {
        let asked = self
            .sqs
            .receive_message()
            .queue_url(&self.url)
            .visibility_timeout(0);
        let mut messages = asked
            .wait_time_seconds(5)
            .send()
            .await
            .unwrap()
            .messages
            .unwrap();
        messages.remove(0).body.unwrap()
    }
}

impl DeadLetterQueue {
    pub async fn depth(&self) -> usize {
        let (waiting, leased) = depth(&self.sqs, &self.url).await;
        waiting + leased
    }

    /// Dead letters that nobody has on lease, and those on lease.
    pub async fn counts(&self) -> (usize, usize) {
        depth(&self.sqs, &self.url).await
    }

    /// Puts so many there.
    pub async fn fill(&self, count: usize) {
        send_all(&self.sqs, &self.url, (0..count).map(|n| n.to_string())).await;
    }

    /// Waits until somebody has some on lease.
    pub async fn leased(&self) {
        let deadline = Instant::now() + DEADLINE;
        while self.counts().await.1 == 0 {
            assert!(Instant::now() < deadline, "nothing is leased");
        }
    }

    /// Waits for so many dead letters; their bodies.
    pub async fn bodies(&self, count: usize) -> Vec<String> {
        let deadline = Instant::now() + DEADLINE;
        let mut bodies = Vec::new();
        while bodies.len() < count {
            assert!(
                Instant::now() < deadline,
                "{} of {count} dead letters: {bodies:.100?}",
                bodies.len()
            );
            let asked = self
                .sqs
                .receive_message()
                .queue_url(&self.url)
                .max_number_of_messages(10);
            let received = asked.wait_time_seconds(2).send().await.unwrap().messages;
            bodies.extend(
                received
                    .into_iter()
                    .flatten()
                    .filter_map(|message| message.body),
            );
        }
        bodies
    }
}
