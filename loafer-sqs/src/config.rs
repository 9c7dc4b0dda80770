//! The broker value: one AWS configuration, and the clients made of it.

use std::{fmt, sync::Arc, time::Duration};

use aws_config::{
    BehaviorVersion, Region, SdkConfig, retry::RetryConfig,
    stalled_stream_protection::StalledStreamProtectionConfig, timeout::TimeoutConfig,
};
use aws_sdk_sqs::config::SharedHttpClient;
use aws_smithy_http_client::tls::{self, rustls_provider::CryptoMode};
use loafer_core::{Broker, DeadLetterQueue, Error, Replies, Source, Topic};
use tokio::{sync::OnceCell, time::timeout};

use crate::{
    SqsDeadLetters, SqsProvider, SqsPublisher, SqsReplies,
    error::Place,
    payloads::{S3Payloads, Store},
    queue::is_arn,
    replies, seconds,
};

/// How long one attempt of a call may take which does not poll.
pub(crate) const ATTEMPT: Duration = Duration::from_secs(5);
/// How long such a call may take with the SDK's own attempts.
const CALL: Duration = Duration::from_secs(15);
/// How long finding the configuration may take: without region the SDK asks the machine's metadata service.
const LOAD: Duration = Duration::from_secs(8);

/// Amazon SQS, and SNS to publish to.
///
/// Makes one AWS configuration and one client a service for all routes, at the first call. The configuration is
/// the SDK's own: `AWS_REGION`, `AWS_ENDPOINT_URL`, `AWS_PROFILE`, the files in `~/.aws`, the roles of a container or
/// an instance. The behaviour version is pinned, the TLS is rustls with ring.
///
/// ```
/// use loafer_core::Broker;
/// use loafer_sqs::Sqs;
///
/// assert_eq!(Sqs::NAME, "sqs");
/// ```
#[derive(Default)]
pub struct Sqs {
    shared: Arc<Shared>,
}

/// What providers and publisher of one [`Sqs`] have in common.
#[derive(Default)]
pub(crate) struct Shared {
    /// What the user gave; none: the SDK's own sources.
    given: Option<SdkConfig>,
    /// Where large payloads are kept; none: nowhere.
    payloads: Option<S3Payloads>,
    /// Made at the first call, once.
    clients: OnceCell<Clients>,
}

/// The clients; cheap to clone, and all over one pool of connections.
#[derive(Clone)]
pub(crate) struct Clients {
    /// For receives: no attempts of its own, since a receive that is repeated hides what the first one took.
    pub(crate) receive: aws_sdk_sqs::Client,
    /// For all other calls, with the SDK's standard retries.
    pub(crate) sqs: aws_sdk_sqs::Client,
    /// For topics.
    pub(crate) sns: aws_sdk_sns::Client,
    /// For large payloads.
    pub(crate) payloads: Option<Store>,
    /// Where those of SQS look, for messages.
    pub(crate) place: Arc<Place>,
    /// Where that of SNS looks.
    pub(crate) sns_place: Arc<Place>,
}

impl Sqs {
    /// SQS and SNS with this AWS configuration instead of the environment's.
    ///
    /// It must have a region. Its HTTP client, retries and timeouts are kept; where it has none, ours apply (rustls with
    /// ring; 5 s an attempt, 15 s a call).
    ///
    /// ```no_run
    /// # async fn example() {
    /// use aws_config::Region;
    /// use loafer_sqs::Sqs;
    ///
    /// let config = Sqs::loader().region(Region::new("eu-central-1")).load().await;
    /// let sqs = Sqs::with_config(config);
    /// # }
    /// ```
    pub fn with_config(config: SdkConfig) -> Self {
        Self {
            shared: Arc::new(Shared {
                given: Some(config),
                ..Shared::default()
            }),
        }
    }

    /// The same, with payloads that are too large for a message on S3.
    #[cfg(feature = "s3")]
    #[must_use]
    pub fn with_large_payloads(self, payloads: S3Payloads) -> Self {
        Self {
            shared: Arc::new(Shared {
                given: self.shared.given.clone(),
                payloads: Some(payloads),
                clients: OnceCell::new(),
            }),
        }
    }

    /// The AWS configuration as this crate loads it, to be changed before [`Sqs::with_config`].
    pub fn loader() -> aws_config::ConfigLoader {
        aws_config::defaults(BehaviorVersion::v2026_01_12()).http_client(https())
    }
}

/// Shows neither the configuration nor the credentials in it.
impl fmt::Debug for Sqs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sqs").finish_non_exhaustive()
    }
}

impl Broker for Sqs {
    type Provider = SqsProvider;
    type Publisher = SqsPublisher;
    const NAME: &'static str = "sqs";

    /// # Errors
    ///
    /// A `visibility_timeout` of less than a second or more than 12 hours (SQS API: `ReceiveMessage`, 0 to 43,200 s).
    /// One with a fraction of a second is rounded up; opening says so.
    fn provider(&self, source: &Source) -> Result<SqsProvider, Error> {
        let lease = source
            .visibility_timeout
            .map(|lease| seconds::lease(&source.route, lease));
        Ok(SqsProvider::new(
            Arc::clone(&self.shared),
            source,
            lease.transpose()?,
        ))
    }

    fn dead_letters(&self, source: &Source) -> Result<impl DeadLetterQueue, Error> {
        Ok(SqsDeadLetters::new(Arc::clone(&self.shared), source))
    }

    fn publisher(&self) -> SqsPublisher {
        SqsPublisher::new(Arc::clone(&self.shared))
    }

    fn replies(&self, app: Option<&str>) -> Result<impl Replies, Error> {
        Ok(SqsReplies::new(Arc::clone(&self.shared), app))
    }

    fn reply_topic(&self, address: &str) -> Result<Topic, Error> {
        replies::topic(address)
    }
}

impl Shared {
    /// The clients, made by the first who asks.
    ///
    /// # Errors
    ///
    /// Without a region. The next call looks again.
    pub(crate) async fn clients(&self, queue: &str) -> Result<&Clients, Error> {
        self.clients
            .get_or_try_init(|| async {
                let config = match &self.given {
                    Some(config) => config.clone(),
                    None => timeout(LOAD, Box::pin(Sqs::loader().load()))
                        .await
                        .map_err(|_| no_region(queue))?,
                };
                let region = config.region().ok_or_else(|| no_region(queue))?;
                Ok(Clients::new(&config, region, self.payloads.as_ref()))
            })
            .await
    }
}

impl Clients {
    fn new(config: &SdkConfig, region: &Region, payloads: Option<&S3Payloads>) -> Self {
        let place = |service| Arc::new(Place::new(service, region.as_ref(), config.endpoint_url()));
        let timeouts = timeouts(config.timeout_config());
        let http = config.http_client().unwrap_or_else(https);
        let payloads = payloads.map(|payloads| Store::new(payloads, config, region, http.clone()));
        let mut sqs = aws_sdk_sqs::config::Builder::from(config).http_client(http.clone());
        if config.stalled_stream_protection().is_none() {
            // Every call here has a time of its own: watching its bytes, too, is CPU time for nothing.
            sqs = sqs.stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        }
        let receive = sqs.clone().retry_config(RetryConfig::disabled()).build();
        let sqs = sqs.timeout_config(timeouts.clone()).build();
        let sns = aws_sdk_sns::config::Builder::from(config)
            .http_client(http)
            .timeout_config(timeouts)
            .build();
        Self {
            receive: aws_sdk_sqs::Client::from_conf(receive),
            sqs: aws_sdk_sqs::Client::from_conf(sqs),
            sns: aws_sdk_sns::Client::from_conf(sns),
            payloads,
            place: place("sqs"),
            sns_place: place("sns"),
        }
    }

    /// These clients for a queue which its URL or ARN places in another region.
    pub(crate) fn for_url(&self, queue: &str) -> Self {
        let Some(region) = region_of(queue).filter(|region| *region != self.place.region()) else {
            return self.clone();
        };
        let elsewhere = |client: &aws_sdk_sqs::Client| {
            let region = Region::new(region.to_owned());
            aws_sdk_sqs::Client::from_conf(client.config().to_builder().region(region).build())
        };
        Self {
            receive: elsewhere(&self.receive),
            sqs: elsewhere(&self.sqs),
            sns: self.sns.clone(),
            payloads: self.payloads.clone(),
            place: Arc::new(self.place.in_region(region)),
            sns_place: Arc::clone(&self.sns_place),
        }
    }

    /// The client for a topic, by name or ARN, and where it looks: an ARN may name another region.
    pub(crate) fn sns_for(&self, topic: &str) -> (aws_sdk_sns::Client, Arc<Place>) {
        let Some(region) = region_of_arn(topic).filter(|region| *region != self.sns_place.region())
        else {
            return (self.sns.clone(), Arc::clone(&self.sns_place));
        };
        let config = self.sns.config().to_builder();
        let there = config.region(Region::new(region.to_owned())).build();
        (
            aws_sdk_sns::Client::from_conf(there),
            Arc::new(self.sns_place.in_region(region)),
        )
    }
}

/// TLS by rustls with ring: the SDK's default would bring a C library that needs cmake.
fn https() -> SharedHttpClient {
    aws_smithy_http_client::Builder::new()
        .tls_provider(tls::Provider::Rustls(CryptoMode::Ring))
        .build_https()
}

/// The region in `https://sqs.REGION.amazonaws.com/…` or `arn:aws:sqs:REGION:…`; none where the host is another.
fn region_of(queue: &str) -> Option<&str> {
    if is_arn(queue) {
        let region = queue.split(':').nth(3);
        return region.filter(|region| !region.is_empty());
    }
    let host = queue.split_once("://")?.1.split('/').next()?;
    let (region, rest) = host.strip_prefix("sqs.")?.split_once('.')?;
    rest.starts_with("amazonaws.com").then_some(region)
}

/// The region in `arn:aws:sns:REGION:ACCOUNT:TOPIC`; none in a bare name.
fn region_of_arn(topic: &str) -> Option<&str> {
    let region = topic.strip_prefix("arn:")?.split(':').nth(2)?;
    (!region.is_empty()).then_some(region)
}

/// The user's timeouts, ours where none is set.
fn timeouts(set: Option<&TimeoutConfig>) -> TimeoutConfig {
    let mut timeouts = set.map_or_else(TimeoutConfig::builder, TimeoutConfig::to_builder);
    if set.is_none_or(|set| set.operation_attempt_timeout().is_none()) {
        timeouts = timeouts.operation_attempt_timeout(ATTEMPT);
    }
    if set.is_none_or(|set| set.operation_timeout().is_none()) {
        timeouts = timeouts.operation_timeout(CALL);
    }
    timeouts.build()
}

fn no_region(queue: &str) -> Error {
    Error::Refused {
        what: "opening",
        queue: queue.to_owned(),
        cause:
            "no AWS region is set: set AWS_REGION, or `region` in ~/.aws/config (`aws configure`)"
                .to_owned(),
        source: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queues_address_tells_its_region() {
        assert_eq!(
            region_of("arn:aws-cn:sqs:cn-north-1:1:q"),
            Some("cn-north-1")
        );
        assert_eq!(region_of("eu-west-1"), None);
        assert_eq!(
            region_of("https://sqs.eu-west-1.amazonaws.com/1/q"),
            Some("eu-west-1")
        );
        assert_eq!(
            region_of("https://sqs.cn-north-1.amazonaws.com.cn/1/q"),
            Some("cn-north-1")
        );
        assert_eq!(region_of("http://127.0.0.1:9324/0/q"), None);
        assert_eq!(
            region_of("http://sqs.us-east-1.localhost.localstack.cloud:4566/0/q"),
            None
        );
    }

    #[test]
    fn a_topic_is_called_in_the_region_of_its_arn() {
        let region = Region::new("eu-west-1");
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(region.clone())
            .build();
        let clients = Clients::new(&config, &region, None);
        for (topic, expected) in [
            ("orders", "eu-west-1"),
            ("arn:aws:sns:eu-west-1:1:orders", "eu-west-1"),
            ("arn:aws-cn:sns:cn-north-1:1:orders", "cn-north-1"),
            ("arn:aws:sns:::orders", "eu-west-1"),
        ] {
            let (client, place) = clients.sns_for(topic);
            let called = client.config().region().map(AsRef::as_ref);
            assert_eq!((called, place.region()), (Some(expected), expected));
        }
    }

    #[test]
    fn the_users_timeouts_are_kept() {
        let set = TimeoutConfig::builder()
            .operation_attempt_timeout(Duration::from_secs(1))
            .build();
        let timeouts = timeouts(Some(&set));
        assert_eq!(
            timeouts.operation_attempt_timeout(),
            Some(Duration::from_secs(1))
        );
        assert_eq!(timeouts.operation_timeout(), Some(CALL));
    }

    #[tokio::test]
    async fn a_configuration_without_region_says_what_to_set() {
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .build();
        let sqs = Sqs::with_config(config);
        let error = sqs
            .shared
            .clients("orders")
            .await
            .err()
            .map(|error| error.to_string());
        assert!(
            error.is_some_and(|error| error.contains("`orders`") && error.contains("AWS_REGION"))
        );
    }

    #[test]
    fn a_lease_over_twelve_hours_is_refused() {
        let mut source = Source::new("orders", "orders");
        source.visibility_timeout = Some(Duration::from_secs(12 * 3600 + 1));
        let error = Sqs::default()
            .provider(&source)
            .err()
            .map(|error| error.to_string());
        assert!(error.is_some_and(|error| error.contains("12 hours") && error.contains("orders")));
    }
}
