//! The clients of the SDK, made of one AWS configuration at the first call, and the calls on messages.

mod api;
mod homes;
mod http;
mod open_poll;
mod section;
mod timeouts;

use std::{sync::Arc, time::Duration};

use aws_config::{
    BehaviorVersion, Region, SdkConfig, retry::RetryConfig,
    stalled_stream_protection::StalledStreamProtectionConfig,
};
use aws_sdk_sqs::config::IdentityCache;
use loafer_core::{Error, broker::Instance};
use tokio::{sync::OnceCell, time::timeout};

pub(crate) use self::api::{ENTRIES, Fault, Faults, Poll, by_entry, none_sent};
pub(crate) use self::homes::Homes;
pub(crate) use self::section::Tags;
use self::{
    http::https,
    section::Section,
    timeouts::{of_renewals, polling, timeouts},
};
use crate::{
    names::{Arn, Endpoint, Endpoints, QueueAddress},
    payloads::{S3Payloads, Store},
};

/// The longest delay of a message (SQS API: `SendMessage`, 15 minutes).
const DELAY: Duration = Duration::from_secs(900);
/// How long loading the configuration may take. Without a region the SDK asks the metadata service of the machine.
const LOAD: Duration = Duration::from_secs(8);

/// What the providers, publishers and replies of one broker share: its settings, and the clients made of them.
#[derive(Default)]
pub(crate) struct Shared {
    /// The configuration that the user gave. `None` means the SDK's own sources.
    given: Option<SdkConfig>,
    /// The region that the settings name. It is stronger than that of `given` or of the SDK's own sources.
    region: Option<Region>,
    /// Where calls go.
    endpoints: Endpoints,
    /// Where large payloads are kept. `None` means that messages carry every payload themselves.
    payloads: Option<S3Payloads>,
    /// How long the end of a route waits for its open polls, if the configuration says it.
    pub(crate) finish_polls: Option<Duration>,
    /// The tags of what is made.
    tags: Arc<Tags>,
    /// The longest delay of a message, if tests have shortened it.
    longest_delay: Option<Duration>,
    /// Where replies may go.
    pub(crate) homes: Homes,
    /// Made once, at the first call.
    clients: OnceCell<Clients>,
}

/// The clients. They are cheap to clone.
///
/// The one that renews has its own pool of connections and its own credentials. A connection is driven by the runtime of the call that made it, and
/// renewals alone are called from where no handler blocks a thread.
#[derive(Clone)]
pub(crate) struct Clients {
    /// Receives. It makes one attempt only, since a repeated receive hides what the first one leased.
    receive: aws_sdk_sqs::Client,
    /// Renews leases.
    renewing: aws_sdk_sqs::Client,
    /// Makes all other calls, with the standard attempts of the SDK.
    pub(crate) sqs: aws_sdk_sqs::Client,
    /// Calls topics.
    pub(crate) sns: aws_sdk_sns::Client,
    /// Keeps large payloads.
    pub(crate) payloads: Option<Store>,
    /// The longest delay of a message. A longer one takes several stays in its queue.
    pub(crate) longest_delay: Duration,
    /// The tags of the queues and topics that are made.
    pub(crate) tags: Arc<Tags>,
    /// Where the clients of SQS call, for errors and remedies.
    pub(crate) endpoint: Arc<Endpoint>,
    /// Where the client of SNS calls, for errors and remedies.
    pub(crate) sns_endpoint: Arc<Endpoint>,
}

impl Shared {
    pub(crate) fn with_config(config: SdkConfig) -> Self {
        Self {
            given: Some(config),
            ..Self::default()
        }
    }

    /// The same settings with payloads on S3, and no clients yet.
    #[cfg(feature = "s3")]
    pub(crate) fn with_payloads(&self, payloads: S3Payloads) -> Self {
        Self {
            payloads: Some(payloads),
            ..self.without_clients()
        }
    }

    /// The same settings with a shorter longest delay, and no clients yet.
    pub(crate) fn with_longest_delay(&self, delay: Duration) -> Self {
        Self {
            longest_delay: Some(delay.min(DELAY)),
            ..self.without_clients()
        }
    }

    /// The same settings, overridden by what the configuration says of this instance, and no clients yet.
    ///
    /// # Errors
    ///
    /// Returns an error if a key is unknown, if a value is wrong, or if the instance is not the first and has no region.
    pub(crate) fn configured(&self, instance: &Instance<'_>) -> Result<Self, Error> {
        let section: Section = match instance.settings() {
            Some(settings) => settings.read()?,
            None => Section::default(),
        };
        let mut configured = self.without_clients();
        configured.homes = Homes::with_allowed(section.reply_accounts);
        configured.finish_polls = section.finish_polls.or(configured.finish_polls);
        configured.tags = section.tags.into();
        configured.region = section.region.map(Region::new).or(configured.region);
        configured.endpoints = match section.endpoint {
            Some(endpoint) => Endpoints::At(endpoint),
            // The variables are for the first instance.
            None if self.given.is_none() && !instance.is_first() => Endpoints::OfAws,
            None => configured.endpoints,
        };
        if let Some(section) = section.s3 {
            let code = configured.payloads.take();
            configured.payloads = Some(section.over(code, instance.name())?);
        }
        let given = self.given.as_ref().and_then(SdkConfig::region);
        if !instance.is_first() && configured.region.as_ref().or(given).is_none() {
            let name = instance.name();
            return Err(Error::Config(format!(
                "`brokers.{name}.region` is not set, and AWS_REGION is for the first SQS alone: write `region = \"…\"` under [brokers.{name}] in \
                 loafer.toml"
            )));
        }
        Ok(configured)
    }

    /// Returns whether payloads that are too large for a message are kept on S3.
    pub(crate) fn keeps_large_payloads(&self) -> bool {
        self.payloads.is_some()
    }

    /// Returns the region of what is named by its name, or `*` while it is not known.
    pub(crate) fn region(&self) -> &str {
        let clients = self.clients.get();
        clients.map_or("*", |clients| clients.endpoint.region())
    }

    /// Returns the ARN of all objects that hold payloads of ours, with a `*`.
    pub(crate) fn objects(&self) -> Option<String> {
        self.payloads.as_ref().map(S3Payloads::objects)
    }

    fn without_clients(&self) -> Self {
        Self {
            given: self.given.clone(),
            region: self.region.clone(),
            endpoints: self.endpoints.clone(),
            payloads: self.payloads.clone(),
            finish_polls: self.finish_polls,
            tags: Arc::clone(&self.tags),
            longest_delay: self.longest_delay,
            homes: self.homes.without_own(),
            clients: OnceCell::new(),
        }
    }

    /// Returns the clients; the first caller makes them.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no region. The next call looks again.
    pub(crate) async fn clients(&self, queue: &str) -> Result<&Clients, Error> {
        self.clients
            .get_or_try_init(|| async {
                let region = self.region.clone();
                let config = match (&self.given, region) {
                    (Some(config), None) => config.clone(),
                    (Some(config), region) => config.clone().into_builder().region(region).build(),
                    (None, region) => {
                        let loader = match region {
                            Some(region) => loader().region(region),
                            None => loader(),
                        };
                        timeout(LOAD, Box::pin(loader.load()))
                            .await
                            .map_err(|_| no_region(queue))?
                    }
                };
                let region = config.region().ok_or_else(|| no_region(queue))?;
                let payloads = self.payloads.as_ref();
                let clients = Clients::new(&config, region, &self.endpoints, payloads);
                Ok(Clients {
                    longest_delay: self.longest_delay.unwrap_or(DELAY),
                    tags: Arc::clone(&self.tags),
                    ..clients
                })
            })
            .await
    }
}

impl Clients {
    fn new(
        config: &SdkConfig,
        region: &Region,
        endpoints: &Endpoints,
        payloads: Option<&S3Payloads>,
    ) -> Self {
        let endpoint = |service| Arc::new(endpoints.of(service, region, config));
        let timeouts = timeouts(config.timeout_config());
        let http = config.http_client().unwrap_or_else(https);
        let payloads =
            payloads.map(|payloads| Store::new(payloads, config, region, endpoints, http.clone()));
        let mut sqs = aws_sdk_sqs::config::Builder::from(config).http_client(http.clone());
        if let Some(url) = endpoints.overridden() {
            sqs.set_endpoint_url(url);
        }
        if config.stalled_stream_protection().is_none() {
            // Every call here has a timeout of its own, so watching its bytes costs CPU time for nothing.
            sqs = sqs.stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        }
        let receive = sqs
            .clone()
            .retry_config(RetryConfig::disabled())
            .timeout_config(polling(config.timeout_config()))
            .build();
        let sqs = sqs.timeout_config(timeouts.clone());
        let renewing = sqs
            .clone()
            .timeout_config(of_renewals(&timeouts))
            .identity_cache(IdentityCache::lazy().build());
        let mut sns = aws_sdk_sns::config::Builder::from(config)
            .http_client(http)
            .timeout_config(timeouts);
        if let Some(url) = endpoints.overridden() {
            sns.set_endpoint_url(url);
        }
        Self {
            receive: aws_sdk_sqs::Client::from_conf(receive),
            renewing: aws_sdk_sqs::Client::from_conf(renewing.build()),
            sqs: aws_sdk_sqs::Client::from_conf(sqs.build()),
            sns: aws_sdk_sns::Client::from_conf(sns.build()),
            payloads,
            longest_delay: DELAY,
            tags: Arc::default(),
            endpoint: endpoint("sqs"),
            sns_endpoint: endpoint("sns"),
        }
    }

    /// Returns clients for a queue, whose URL or ARN may name another region.
    pub(crate) fn for_queue(&self, queue: &str) -> Self {
        let region = QueueAddress::parse(queue).region();
        let Some(region) = region.filter(|region| *region != self.endpoint.region()) else {
            return self.clone();
        };
        let there = |client: &aws_sdk_sqs::Client| {
            let region = Region::new(region.to_owned());
            aws_sdk_sqs::Client::from_conf(client.config().to_builder().region(region).build())
        };
        Self {
            receive: there(&self.receive),
            renewing: there(&self.renewing),
            sqs: there(&self.sqs),
            endpoint: Arc::new(self.endpoint.in_region(region)),
            ..self.clone()
        }
    }

    /// Returns clients that make one attempt of each call, for whoever tries again himself.
    pub(crate) fn once(&self) -> Self {
        let config = self.sqs.config().to_builder();
        let once = config.retry_config(RetryConfig::disabled()).build();
        Self {
            sqs: aws_sdk_sqs::Client::from_conf(once),
            ..self.clone()
        }
    }

    /// Returns the client for a topic and where it calls. The topic is named by its name or ARN, and an ARN may name another region.
    pub(crate) fn for_topic(&self, topic: &str) -> (aws_sdk_sns::Client, Arc<Endpoint>) {
        let region = Arn::parse(topic).and_then(|arn| arn.region());
        let Some(region) = region.filter(|region| *region != self.sns_endpoint.region()) else {
            return (self.sns.clone(), Arc::clone(&self.sns_endpoint));
        };
        let config = self.sns.config().to_builder();
        let there = config.region(Region::new(region.to_owned())).build();
        (
            aws_sdk_sns::Client::from_conf(there),
            Arc::new(self.sns_endpoint.in_region(region)),
        )
    }
}

/// Loads the configuration with a pinned behaviour version and TLS by rustls.
pub(crate) fn loader() -> aws_config::ConfigLoader {
    aws_config::defaults(BehaviorVersion::v2026_01_12()).http_client(https())
}

fn no_region(queue: &str) -> Error {
    Error::Refused {
        what: "opening",
        queue: queue.to_owned(),
        cause:
            "no AWS region is set: set AWS_REGION, or `region` in ~/.aws/config (`aws configure`) or under [brokers.sqs] in loafer.toml"
                .to_owned(),
        source: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_called_in_the_region_of_its_arn() {
        let region = Region::new("eu-west-1");
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(region.clone())
            .build();
        let clients = Clients::new(&config, &region, &Endpoints::default(), None);
        for (topic, expected) in [
            ("orders", "eu-west-1"),
            ("arn:aws:sns:eu-west-1:1:orders", "eu-west-1"),
            ("arn:aws-cn:sns:cn-north-1:1:orders", "cn-north-1"),
            ("arn:aws:sns:::orders", "eu-west-1"),
        ] {
            let (client, endpoint) = clients.for_topic(topic);
            let called = client.config().region().map(AsRef::as_ref);
            assert_eq!((called, endpoint.region()), (Some(expected), expected));
        }
    }

    #[tokio::test]
    async fn a_configuration_without_region_says_what_to_set() {
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .build();
        let shared = Shared::with_config(config);
        let error = shared
            .clients("orders")
            .await
            .err()
            .map(|error| error.to_string());
        assert!(
            error.is_some_and(|error| error.contains("`orders`") && error.contains("AWS_REGION"))
        );
    }
}
