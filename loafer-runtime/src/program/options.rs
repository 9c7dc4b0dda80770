//! The options of a route.

use std::time::Duration;

use serde::Deserialize;

use super::{backoff, broker_table::BrokerTable, duration};
use loafer_core::{
    broker::Broker,
    policy::{Backoff, GroupBy, Names, Policy, Undecodable, Unmatched},
};

/// The options of a route. They are set by the attribute, in code, in `loafer.toml`, by the environment or on the command line: each of
/// these overrides those before it.
///
/// ```
/// # use std::time::Duration;
/// use loafer::RouteOptions;
///
/// let options = RouteOptions::new().concurrency(50).timeout(Duration::from_secs(20));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RouteOptions {
    pub(crate) queue: Option<String>,
    pub(crate) concurrency: Option<usize>,
    pub(crate) prefetch: Option<usize>,
    #[serde(alias = "visibility_timeout", deserialize_with = "duration::optional")]
    pub(crate) lease: Option<Duration>,
    #[serde(deserialize_with = "duration::optional")]
    pub(crate) timeout: Option<Duration>,
    #[serde(deserialize_with = "backoff::written")]
    pub(crate) backoff: Option<backoff::Parts>,
    pub(crate) max_attempts: Option<u32>,
    pub(crate) max_deliveries: Option<u32>,
    pub(crate) undecodable: Option<Undecodable>,
    pub(crate) unmatched: Option<Unmatched>,
    pub(crate) group_by: Option<GroupBy>,
    pub(crate) batch: Option<usize>,
    #[serde(deserialize_with = "duration::optional")]
    pub(crate) linger: Option<Duration>,
    /// The topics that its queue receives.
    pub(crate) topics: Option<Names>,
    /// Whose queue it is, among all that receive the topics.
    pub(crate) consumer: Option<String>,
    /// The broker instance that it runs on.
    pub(crate) broker: Option<String>,
    /// Whether it runs from the start.
    pub(crate) enabled: Option<bool>,
    /// Options that only its broker knows.
    pub(crate) options: BrokerTable,
}

impl RouteOptions {
    /// The names of the options, as they are written in `loafer.toml`.
    pub const KEYS: &[&str] = &[
        "queue",
        "concurrency",
        "prefetch",
        "lease",
        "visibility_timeout",
        "timeout",
        "backoff",
        "max_attempts",
        "max_deliveries",
        "undecodable",
        "unmatched",
        "group_by",
        "batch",
        "linger",
        "topics",
        "consumer",
        "broker",
        "enabled",
        "options",
    ];

    /// Returns options with nothing set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the queue, by its name or by the broker's own address of it. Unless set, the broker makes its name from the route's: most
    /// brokers take it as it is.
    #[must_use]
    pub fn queue(mut self, queue: impl Into<String>) -> Self {
        self.queue = Some(queue.into());
        self
    }

    /// Sets how many handler calls may run at once, at least 1. Unless set, 10.
    #[must_use]
    pub fn concurrency(mut self, concurrency: usize) -> Self {
        self.concurrency = Some(concurrency);
        self
    }

    /// Sets how many messages are leased ahead of the handlers. Unless set, there is capacity for two of the broker's batches, and up to
    /// ten batches for more handlers.
    #[must_use]
    pub fn prefetch(mut self, prefetch: usize) -> Self {
        self.prefetch = Some(prefetch);
        self
    }

    /// Sets how long a lease lasts (SQS: the visibility timeout). Unless set, the queue's own. It is an error on a broker without leases.
    #[must_use]
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = Some(lease);
        self
    }

    /// Sets the [lease](Self::lease) under the name that SQS has for it.
    #[must_use]
    pub fn visibility_timeout(self, lease: Duration) -> Self {
        self.lease(lease)
    }

    /// Sets the longest time that a handler call may take. Unless set, there is no limit.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sets the delay of a retry. Unless set, that of the broker: most retry when the lease ends.
    #[must_use]
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = Some(backoff.into());
        self
    }

    /// Sets after how many attempts a message becomes a dead letter, at least 1. Unless set, the queue's own redrive policy decides.
    #[must_use]
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.max_attempts = Some(attempts);
        self
    }

    /// Sets how many deliveries a message may have, at least 4, before it is taken for one that ends its process: it is then handed over alone and, if that
    /// ends so too, becomes a dead letter of the kind `crash`. Unless set, 20. It applies where the broker tells deliveries from attempts.
    #[must_use]
    pub fn max_deliveries(mut self, deliveries: u32) -> Self {
        self.max_deliveries = Some(deliveries);
        self
    }

    /// Sets what becomes of a message that can't be decoded. Unless set, it is retried.
    #[must_use]
    pub fn undecodable(mut self, undecodable: Undecodable) -> Self {
        self.undecodable = Some(undecodable);
        self
    }

    /// Sets what becomes of a message that no handler of the route takes. Unless set, it is retried, with a warning.
    #[must_use]
    pub fn unmatched(mut self, unmatched: Unmatched) -> Self {
        self.unmatched = Some(unmatched);
        self
    }

    /// Sets the groups whose messages are handled one at a time. Unless set, these are the broker's own groups, if it keeps their order.
    #[must_use]
    pub fn group_by(mut self, group_by: GroupBy) -> Self {
        self.group_by = Some(group_by);
        self
    }

    /// Sets the most messages of one call of a batch handler, at least 1. Unless set, 10. It is an error on a handler of single messages.
    #[must_use]
    pub fn batch(mut self, batch: usize) -> Self {
        self.batch = Some(batch);
        self
    }

    /// Sets how long a batch that is not full waits for more messages. Unless set, it does not wait. It is an error on a handler of single
    /// messages.
    #[must_use]
    pub fn linger(mut self, linger: Duration) -> Self {
        self.linger = Some(linger);
        self
    }

    /// Sets the topics that its queue receives, which may be patterns: `"order.*"`, or `["order.closed", "order.paid"]`. Unless set, the
    /// topic of the route's name.
    #[must_use]
    pub fn topics(mut self, topics: impl Into<Names>) -> Self {
        self.topics = Some(topics.into());
        self
    }

    /// Sets whose queue it is, among all that receive the topics (Kafka: the consumer group; RabbitMQ: the last part of the queue's name).
    /// Unless set, the app's name.
    #[must_use]
    pub fn consumer(mut self, consumer: impl Into<String>) -> Self {
        self.consumer = Some(consumer.into());
        self
    }

    /// Sets the broker instance that the route runs on, by its name. Unless set, the first one of the route's provider.
    #[must_use]
    pub fn broker(mut self, instance: impl Into<String>) -> Self {
        self.broker = Some(instance.into());
        self
    }

    /// Sets whether the route runs from the start. Unless set, it does. If not, it opens and starts paused, until
    /// [`Running::resume`](crate::program::Running::resume); with `--once` it ends at once.
    #[must_use]
    pub fn enabled(mut self, enabled: bool) -> Self {
        self.enabled = Some(enabled);
        self
    }

    /// Sets options that only the broker `B` knows. They override, key by key, those that were set before.
    #[must_use]
    #[allow(
        clippy::needless_pass_by_value,
        reason = "as every setter, it takes what it is given"
    )]
    pub fn broker_options<B: Broker>(mut self, options: B::Options) -> Self {
        self.options = self.options.overridden_by(BrokerTable::of::<B>(options));
        self
    }

    /// Returns these options, overridden by what `stronger` sets.
    #[must_use]
    pub(crate) fn overridden_by(self, stronger: Self) -> Self {
        Self {
            queue: stronger.queue.or(self.queue),
            concurrency: stronger.concurrency.or(self.concurrency),
            prefetch: stronger.prefetch.or(self.prefetch),
            lease: stronger.lease.or(self.lease),
            timeout: stronger.timeout.or(self.timeout),
            backoff: match (self.backoff, stronger.backoff) {
                (Some(weaker), Some(stronger)) => Some(weaker.overridden_by(stronger)),
                (weaker, stronger) => stronger.or(weaker),
            },
            max_attempts: stronger.max_attempts.or(self.max_attempts),
            max_deliveries: stronger.max_deliveries.or(self.max_deliveries),
            undecodable: stronger.undecodable.or(self.undecodable),
            unmatched: stronger.unmatched.or(self.unmatched),
            group_by: stronger.group_by.or(self.group_by),
            batch: stronger.batch.or(self.batch),
            linger: stronger.linger.or(self.linger),
            topics: stronger.topics.or(self.topics),
            consumer: stronger.consumer.or(self.consumer),
            broker: stronger.broker.or(self.broker),
            enabled: stronger.enabled.or(self.enabled),
            options: self.options.overridden_by(stronger.options),
        }
    }

    /// Returns these options and the others together. The error is the key that both set, to different values.
    pub(crate) fn joined(self, other: Self) -> Result<Self, String> {
        macro_rules! agree {
            ($($key:ident),*) => {
                // Without `..`: a key that is not named here does not compile.
                let Self { $($key,)* options } = &self;
                $(if $key.is_some() && other.$key.is_some() && *$key != other.$key {
                    return Err(stringify!($key).to_owned());
                })*
                if let Some(key) = options.conflict(&other.options) {
                    return Err(key);
                }
            };
        }
        agree!(
            queue,
            concurrency,
            prefetch,
            lease,
            timeout,
            backoff,
            max_attempts,
            max_deliveries,
            undecodable,
            unmatched,
            group_by,
            batch,
            linger,
            topics,
            consumer,
            broker,
            enabled
        );
        Ok(self.overridden_by(other))
    }

    /// Returns what is wrong with the options, if anything is.
    pub(crate) fn fault(&self) -> Option<&'static str> {
        if self.concurrency == Some(0) {
            return Some("`concurrency` is 0: no message would ever be handled; set at least 1");
        }
        if self.timeout == Some(Duration::ZERO) {
            return Some("`timeout` is 0: no handler could ever finish; leave it out for no limit");
        }
        if self.lease == Some(Duration::ZERO) {
            return Some(
                "`lease` is 0: no message could ever be handled in time; leave it out for the queue's own",
            );
        }
        if self.batch == Some(0) {
            return Some("`batch` is 0: no message would ever be handled; set at least 1");
        }
        if self.queue.as_deref() == Some("") {
            return Some(
                "`queue` is empty: name the queue, or leave it out for the route's own name",
            );
        }
        if self.topics.as_ref().is_some_and(Names::is_blank) {
            return Some(
                "`topics` names no topic, or an empty one: name one, or leave it out for the topic of the route's name",
            );
        }
        if self.consumer.as_deref() == Some("") {
            return Some(
                "`consumer` is empty: name the consumer, or leave it out for the app's name",
            );
        }
        if let Some(fault) = self.backoff.as_ref().and_then(backoff::Parts::fault) {
            return Some(fault);
        }
        if self.max_attempts == Some(0) {
            return Some("`max_attempts` is 0: set at least 1");
        }
        let few = self.max_deliveries.is_some_and(|most| most < 4);
        few.then_some(
            "`max_deliveries` is less than 4: a few deploys are no crashes, set at least 4",
        )
    }

    /// Returns the policy of a route with these options, and the defaults for the rest.
    pub(crate) fn resolve(self, route: &str, drain: Duration) -> Policy {
        let mut policy = Policy::new(route);
        policy.drain = drain;
        policy.prefetch = self.prefetch;
        policy.lease = self.lease;
        policy.timeout = self.timeout;
        policy.backoff = self.backoff.and_then(backoff::Parts::whole);
        policy.max_attempts = self.max_attempts;
        if let Some(most) = self.max_deliveries {
            policy.max_deliveries = most;
        }
        policy.undecodable = self.undecodable.unwrap_or_default();
        policy.unmatched = self.unmatched.unwrap_or_default();
        policy.group_by = self.group_by;
        policy.batch = self.batch;
        policy.linger = self.linger.unwrap_or_default();
        if let Some(queue) = self.queue {
            policy.queue = queue;
        }
        if let Some(concurrency) = self.concurrency {
            policy.concurrency = concurrency;
        }
        policy
    }
}
