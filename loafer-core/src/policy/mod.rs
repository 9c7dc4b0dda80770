//! How a route behaves: its options, as given, and its policy, as resolved.

mod backoff;
pub(crate) mod duration;
mod group_by;
mod options;
mod topology;

use std::time::Duration;

pub use self::{
    backoff::Backoff,
    group_by::GroupBy,
    options::{RouteOptions, Undecodable, Unmatched},
    topology::{Argument, Bindings, DeadLetterTarget, Declare, QueueType, Topology},
};

/// How many handlers of a route run at once, where nothing else is said.
const CONCURRENCY: usize = 10;

/// How many messages a call of a batch handler gets at most, where nothing else is said.
const BATCH: usize = 10;

/// How a route behaves, every source of configuration weighed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Policy {
    /// The route's name.
    pub route: String,
    /// Its queue, by name or by the broker's own address of it.
    pub queue: String,
    /// Handlers at once.
    pub concurrency: usize,
    /// Messages leased ahead of the handlers; none: what the broker's batch asks for.
    pub prefetch: Option<usize>,
    /// The lease; none: the queue's own.
    pub visibility_timeout: Option<Duration>,
    /// The longest a handler call may take.
    pub timeout: Option<Duration>,
    /// The delay of a retry; none: the end of the lease.
    pub backoff: Option<Backoff>,
    /// After how many attempts a message goes to the dead letters; none: as the queue's own redrive says.
    pub max_attempts: Option<u32>,
    /// What becomes of a message that can't be decoded.
    pub undecodable: Undecodable,
    /// What becomes of a message that no handler of the route takes.
    pub unmatched: Unmatched,
    /// What makes a group of messages; none: what the broker keeps in order.
    pub group_by: Option<GroupBy>,
    /// Messages a call of a batch handler, at most; none: 10.
    pub batch: Option<usize>,
    /// How long a batch that is not full waits for more messages.
    pub linger: Duration,
    /// How long running handlers get at shutdown.
    pub drain: Duration,
}

impl Policy {
    /// A policy with these options and the defaults for the rest.
    pub fn new(route: &str, options: RouteOptions) -> Self {
        Self::resolve(route, options, Duration::from_secs(25))
    }

    /// Messages a call of a batch handler, at most.
    pub(crate) fn messages_a_call(&self) -> usize {
        self.batch.unwrap_or(BATCH)
    }

    pub(crate) fn resolve(route: &str, options: RouteOptions, drain: Duration) -> Self {
        Self {
            route: route.to_owned(),
            queue: options.queue.unwrap_or_else(|| route.to_owned()),
            concurrency: options.concurrency.unwrap_or(CONCURRENCY),
            prefetch: options.prefetch,
            visibility_timeout: options.visibility_timeout,
            timeout: options.timeout,
            backoff: options.backoff.and_then(backoff::Parts::whole),
            max_attempts: options.max_attempts,
            undecodable: options.undecodable.unwrap_or_default(),
            unmatched: options.unmatched.unwrap_or_default(),
            group_by: options.group_by,
            batch: options.batch,
            linger: options.linger.unwrap_or_default(),
            drain,
        }
    }
}
