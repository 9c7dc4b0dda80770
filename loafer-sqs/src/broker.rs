//! The broker value.

use std::{fmt, sync::Arc, time::Duration};

use aws_config::SdkConfig;
use loafer_core::{
    Error,
    broker::{Broker, DeadLetterQueue, Instance, NoOptions, Replies, Source, Topic},
};

#[cfg(feature = "s3")]
use crate::S3Payloads;
use crate::{
    SqsDeadLetters, SqsProvider, SqsPublisher, SqsReplies,
    client::{self, Shared},
    names::KIND,
    replies, seconds,
};

/// Amazon SQS, and SNS to publish to.
///
/// At the first call it makes one AWS configuration and one client a service, which all routes share. The configuration is
/// the SDK's own: `AWS_REGION`, `AWS_ENDPOINT_URL`, `AWS_PROFILE`, the files in `~/.aws`, the roles of a container or
/// an instance. The behaviour version is pinned, and the TLS is rustls with ring. Calls go by the proxy that `HTTPS_PROXY`, `HTTP_PROXY` or `ALL_PROXY` names,
/// in upper or lower case, except to the hosts of `NO_PROXY`, to this machine and to its metadata services.
///
/// The section `[brokers.sqs]` of `loafer.toml` overrides what the environment of the SDK and what code say:
///
/// | key | what it sets |
/// |---|---|
/// | `endpoint` | the URL that SQS, SNS and S3 are called at, for example that of a local server; else the region's own |
/// | `region` | the region of queues and topics that are named by their names |
/// | `reply_accounts` | the ids of other accounts, as a list of texts: replies may go to requesters there, in any region; else only to those in accounts and regions of the service's own queues |
/// | `finish_polls` | how long the end of a service, or of a route, waits for the long polls that are open, within `drain`; 500 ms unless set. With `"20s"` every poll ends by itself, and none takes messages along |
/// | `tags` | a table of texts: the tags of the queues and topics that `--create` makes, and of reply queues; needs `sqs:TagQueue` and `sns:TagResource` |
/// | `s3` | a table: payloads too large for a message (feature `s3`); its keys are named as the methods of `S3Payloads`: `bucket`, `prefix`, `threshold`, `largest`, `in_flight`, `cleanup` (`"of-queues"`, `"never"`, `"all"`), `accept` |
///
/// A second instance has a section of its own, which must name the region:
///
/// ```toml
/// [brokers.overseas]
/// kind = "sqs"
/// region = "us-east-1"
/// ```
///
/// Of the environment it takes what says who it is: credentials, profile and roles are those of the SDK's chain, the same for all instances.
/// `AWS_REGION`, `AWS_ENDPOINT_URL` and the like are for the first instance alone; without `endpoint` a second one calls AWS itself. An
/// instance that code makes with [`Sqs::with_config`] keeps that configuration, with what its section overrides.
///
/// ```
/// # use loafer_core as loafer;
/// use loafer::broker::Broker;
/// use loafer_sqs::Sqs;
///
/// assert_eq!(Sqs::KIND, "sqs");
/// ```
#[derive(Default)]
pub struct Sqs {
    shared: Arc<Shared>,
}

impl Sqs {
    /// Uses this AWS configuration instead of the environment's.
    ///
    /// The configuration must have a region. Its HTTP client, retries and timeouts are kept. Where it has none, ours apply:
    /// rustls with ring, 5 s an attempt, 15 s a call.
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
            shared: Arc::new(Shared::with_config(config)),
        }
    }

    /// Keeps payloads that are too large for a message on S3.
    #[cfg(feature = "s3")]
    #[must_use]
    pub fn with_large_payloads(self, payloads: S3Payloads) -> Self {
        Self {
            shared: Arc::new(self.shared.with_payloads(payloads)),
        }
    }

    /// Sets how long one stay of a delayed message is, at most. Unless set, it is SQS's longest delay of 15 minutes.
    #[doc(hidden)]
    #[must_use]
    pub fn with_longest_delay(self, delay: Duration) -> Self {
        Self {
            shared: Arc::new(self.shared.with_longest_delay(delay)),
        }
    }

    /// Returns the loader of the AWS configuration that this crate uses, to be changed before [`Sqs::with_config`].
    pub fn loader() -> aws_config::ConfigLoader {
        client::loader()
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
    /// A route sets nothing that only SQS knows: what it needs to know of a queue, the queue's own attributes say.
    type Options = NoOptions;
    const KIND: &'static str = KIND;

    /// # Errors
    ///
    /// Returns an error if a key is unknown, if a value is wrong, or if an instance other than the first has no region.
    fn configure(&mut self, instance: &Instance<'_>) -> Result<(), Error> {
        self.shared = Arc::new(self.shared.configured(instance)?);
        Ok(())
    }

    /// # Errors
    ///
    /// Returns an error for a `lease` of less than a second or more than 12 hours (SQS API: `ReceiveMessage`, 0 to 43,200 s). A fraction of a
    /// second is rounded up, and opening the provider says so.
    fn provider(&self, source: &Source, _: &NoOptions) -> Result<SqsProvider, Error> {
        let lease = source.policy.lease;
        let lease = lease.map(|lease| seconds::lease(&source.route, lease));
        Ok(SqsProvider::new(
            Arc::clone(&self.shared),
            source,
            lease.transpose()?,
        ))
    }

    fn dead_letters(&self, source: &Source, _: &NoOptions) -> Result<impl DeadLetterQueue, Error> {
        Ok(SqsDeadLetters::new(Arc::clone(&self.shared), source))
    }

    fn publisher(&self) -> SqsPublisher {
        SqsPublisher::new(Arc::clone(&self.shared))
    }

    fn replies(&self, app: Option<&str>) -> Result<impl Replies, Error> {
        Ok(SqsReplies::new(Arc::clone(&self.shared), app))
    }

    fn reply_topic(&self, address: &str) -> Result<Topic, Error> {
        replies::topic(address, &self.shared.homes)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_lease_over_twelve_hours_is_refused() {
        let mut source = Source::new("orders", "orders");
        source.policy.lease = Some(Duration::from_secs(12 * 3600 + 1));
        let error = Sqs::default()
            .provider(&source, &NoOptions::default())
            .err()
            .map(|error| error.to_string());
        assert!(error.is_some_and(|error| error.contains("12 hours") && error.contains("orders")));
    }
}
