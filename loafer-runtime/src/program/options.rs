//! What can be set of a route.

use std::{collections::BTreeMap, time::Duration};

use serde::Deserialize;

use super::{backoff, duration};
use loafer_core::policy::{
    Argument, Backoff, Bindings, DeadLetterTarget, Declare, GroupBy, Policy, QueueType, Topology,
    Undecodable, Unmatched,
};

/// What can be set of a route: by the attribute, in code, in `loafer.toml`, by the environment or on the command line.
///
/// ```
/// # use std::time::Duration;
/// use loafer::RouteOptions;
///
/// let options = RouteOptions::new().concurrency(50).timeout(Duration::from_secs(20));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteOptions {
    pub(crate) queue: Option<String>,
    pub(crate) concurrency: Option<usize>,
    pub(crate) prefetch: Option<usize>,
    #[serde(default, deserialize_with = "duration::optional")]
    pub(crate) visibility_timeout: Option<Duration>,
    #[serde(default, deserialize_with = "duration::optional")]
    pub(crate) timeout: Option<Duration>,
    #[serde(default, deserialize_with = "backoff::written")]
    pub(crate) backoff: Option<backoff::Parts>,
    pub(crate) max_attempts: Option<u32>,
    pub(crate) undecodable: Option<Undecodable>,
    pub(crate) unmatched: Option<Unmatched>,
    pub(crate) group_by: Option<GroupBy>,
    pub(crate) batch: Option<usize>,
    #[serde(default, deserialize_with = "duration::optional")]
    pub(crate) linger: Option<Duration>,
    pub(crate) exchange: Option<String>,
    pub(crate) binding: Option<Bindings>,
    pub(crate) queue_type: Option<QueueType>,
    #[serde(default)]
    pub(crate) arguments: BTreeMap<String, Argument>,
    pub(crate) declare: Option<Declare>,
    pub(crate) dead_letter: Option<DeadLetterTarget>,
}

impl RouteOptions {
    /// The names of the options, as they are written in `loafer.toml`.
    pub const KEYS: &[&str] = &[
        "queue",
        "concurrency",
        "prefetch",
        "visibility_timeout",
        "timeout",
        "backoff",
        "max_attempts",
        "undecodable",
        "unmatched",
        "group_by",
        "batch",
        "linger",
        "exchange",
        "binding",
        "queue_type",
        "arguments",
        "declare",
        "dead_letter",
    ];

    /// Nothing set.
    pub fn new() -> Self {
        Self::default()
    }

    /// The queue, by name or by the broker's own address of it; else the route's name.
    #[must_use]
    pub fn queue(mut self, queue: impl Into<String>) -> Self {
        self.queue = Some(queue.into());
        self
    }

    /// Handlers at once, at least 1; else 10.
    #[must_use]
    pub fn concurrency(mut self, concurrency: usize) -> Self {
        self.concurrency = Some(concurrency);
        self
    }

    /// Messages leased ahead of the handlers; else as many as make places for two batches, and up to ten batches for more handlers.
    #[must_use]
    pub fn prefetch(mut self, prefetch: usize) -> Self {
        self.prefetch = Some(prefetch);
        self
    }

    /// The lease; else the queue's own. An error on a broker without leases.
    #[must_use]
    pub fn visibility_timeout(mut self, lease: Duration) -> Self {
        self.visibility_timeout = Some(lease);
        self
    }

    /// The longest a handler call may take; else no limit.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// The delay of a retry; else the end of the lease.
    #[must_use]
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = Some(backoff.into());
        self
    }

    /// After how many attempts a message goes to the dead letters; else as the queue's own redrive says.
    #[must_use]
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.max_attempts = Some(attempts);
        self
    }

    /// What becomes of a message that can't be decoded; else it is retried.
    #[must_use]
    pub fn undecodable(mut self, undecodable: Undecodable) -> Self {
        self.undecodable = Some(undecodable);
        self
    }

    /// What becomes of a message that no handler of the route takes; else it is retried, with a warning.
    #[must_use]
    pub fn unmatched(mut self, unmatched: Unmatched) -> Self {
        self.unmatched = Some(unmatched);
        self
    }

    /// Messages of one group are handled one at a time; else by the broker's own groups, where it keeps their order.
    #[must_use]
    pub fn group_by(mut self, group_by: GroupBy) -> Self {
        self.group_by = Some(group_by);
        self
    }

    /// Messages a call of a batch handler, at most; else 10. An error on a handler of single messages.
    #[must_use]
    pub fn batch(mut self, batch: usize) -> Self {
        self.batch = Some(batch);
        self
    }

    /// How long a batch that is not full waits for more messages; else it does not. An error on a handler of single messages.
    #[must_use]
    pub fn linger(mut self, linger: Duration) -> Self {
        self.linger = Some(linger);
        self
    }

    /// The exchange its queue is bound to, on a broker that has exchanges; empty: none. Else the broker's default.
    #[must_use]
    pub fn exchange(mut self, exchange: impl Into<String>) -> Self {
        self.exchange = Some(exchange.into());
        self
    }

    /// The routing keys its queue hears, as `"order.*"` or `["order.closed", "order.paid"]`; else the route's name.
    #[must_use]
    pub fn binding(mut self, keys: impl Into<Bindings>) -> Self {
        self.binding = Some(keys.into());
        self
    }

    /// What kind of queue it is, on a broker that has several; else a quorum queue.
    #[must_use]
    pub fn queue_type(mut self, queue_type: QueueType) -> Self {
        self.queue_type = Some(queue_type);
        self
    }

    /// One more argument its queue is declared with, as `("x-max-length", 10_000)`.
    #[must_use]
    pub fn argument(mut self, name: impl Into<String>, value: impl Into<Argument>) -> Self {
        self.arguments.insert(name.into(), value.into());
        self
    }

    /// What may be made on the broker when the route opens; else whatever is missing.
    #[must_use]
    pub fn declare(mut self, declare: Declare) -> Self {
        self.declare = Some(declare);
        self
    }

    /// Where its dead letters go; else a queue of their own.
    #[must_use]
    pub fn dead_letter(mut self, target: DeadLetterTarget) -> Self {
        self.dead_letter = Some(target);
        self
    }

    fn topology_fault(&self) -> Option<&'static str> {
        let keys = self.binding.as_ref().map(Bindings::keys);
        if keys.is_some_and(|keys| keys.is_empty() || keys.iter().any(String::is_empty)) {
            return Some(
                "`binding` names no routing key, or an empty one: name one, or set `exchange = \"\"` to bind the queue to nothing",
            );
        }
        let target = self.dead_letter.as_ref()?;
        target.routing_key.is_empty().then_some(
            "`dead_letter.routing_key` is empty: name a routing key; without an exchange it is the name of a queue",
        )
    }

    /// What of it says where the queue hangs.
    pub fn topology(&self) -> Topology {
        let mut topology = Topology::default();
        topology.exchange = self.exchange.clone();
        topology.binding = self.binding.clone();
        topology.queue_type = self.queue_type;
        topology.arguments = self.arguments.clone();
        topology.declare = self.declare;
        topology.dead_letter = self.dead_letter.clone();
        topology
    }

    /// These options, where set in `stronger` those.
    #[must_use]
    pub(crate) fn overridden_by(self, stronger: Self) -> Self {
        Self {
            queue: stronger.queue.or(self.queue),
            concurrency: stronger.concurrency.or(self.concurrency),
            prefetch: stronger.prefetch.or(self.prefetch),
            visibility_timeout: stronger.visibility_timeout.or(self.visibility_timeout),
            timeout: stronger.timeout.or(self.timeout),
            backoff: match (self.backoff, stronger.backoff) {
                (Some(weaker), Some(stronger)) => Some(weaker.overridden_by(stronger)),
                (weaker, stronger) => stronger.or(weaker),
            },
            max_attempts: stronger.max_attempts.or(self.max_attempts),
            undecodable: stronger.undecodable.or(self.undecodable),
            unmatched: stronger.unmatched.or(self.unmatched),
            group_by: stronger.group_by.or(self.group_by),
            batch: stronger.batch.or(self.batch),
            linger: stronger.linger.or(self.linger),
            exchange: stronger.exchange.or(self.exchange),
            binding: stronger.binding.or(self.binding),
            queue_type: stronger.queue_type.or(self.queue_type),
            arguments: {
                let mut arguments = self.arguments;
                arguments.extend(stronger.arguments);
                arguments
            },
            declare: stronger.declare.or(self.declare),
            dead_letter: stronger.dead_letter.or(self.dead_letter),
        }
    }

    /// These options and those; else the key that both set, to different values.
    pub(crate) fn joined(self, other: Self) -> Result<Self, &'static str> {
        macro_rules! agree {
            ($($key:ident),*) => {{
                // Without `..`: a key that is not named here does not compile.
                let Self { $($key,)* arguments } = &self;
                $(if $key.is_some() && other.$key.is_some() && *$key != other.$key {
                    return Err(stringify!($key));
                })*
                arguments
            }};
        }
        let arguments = agree!(
            queue,
            concurrency,
            prefetch,
            visibility_timeout,
            timeout,
            backoff,
            max_attempts,
            undecodable,
            unmatched,
            group_by,
            batch,
            linger,
            exchange,
            binding,
            queue_type,
            declare,
            dead_letter
        );
        let differs = |(name, value)| other.arguments.get(name).is_some_and(|own| own != value);
        if arguments.iter().any(differs) {
            return Err("arguments");
        }
        Ok(self.overridden_by(other))
    }

    /// What is wrong with them, if anything.
    pub(crate) fn fault(&self) -> Option<&'static str> {
        if self.concurrency == Some(0) {
            return Some("`concurrency` is 0: no message would ever be handled; set at least 1");
        }
        if self.timeout == Some(Duration::ZERO) {
            return Some("`timeout` is 0: no handler could ever finish; leave it out for no limit");
        }
        if self.visibility_timeout == Some(Duration::ZERO) {
            return Some(
                "`visibility_timeout` is 0: no message could ever be handled in time; leave it out for the queue's own",
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
        if let Some(fault) = self.topology_fault() {
            return Some(fault);
        }
        if let Some(fault) = self.backoff.as_ref().and_then(backoff::Parts::fault) {
            return Some(fault);
        }
        (self.max_attempts == Some(0)).then_some("`max_attempts` is 0: set at least 1")
    }

    /// Returns the policy of a route with these options, and the defaults for the rest.
    pub(crate) fn resolve(self, route: &str, drain: Duration) -> Policy {
        let mut policy = Policy::new(route);
        policy.drain = drain;
        policy.prefetch = self.prefetch;
        policy.visibility_timeout = self.visibility_timeout;
        policy.timeout = self.timeout;
        policy.backoff = self.backoff.and_then(backoff::Parts::whole);
        policy.max_attempts = self.max_attempts;
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
