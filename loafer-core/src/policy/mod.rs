//! How a route behaves: its options, as given, and its policy, as resolved.

mod backoff;
mod duration;
mod group_by;
mod names;
mod nearest;
mod selector;
mod undecodable;

use std::time::Duration;

pub use self::{
    backoff::Backoff,
    duration::parse as parse_duration,
    group_by::GroupBy,
    names::Names,
    nearest::{nearest, unknown},
    selector::{Selector, topic_matches},
    undecodable::{Undecodable, Unmatched},
};

/// How many handlers of a route run at once, where nothing else is said.
const CONCURRENCY: usize = 10;

/// How many messages a call of a batch handler gets at most, where nothing else is said.
const BATCH: usize = 10;

/// How long running handlers get at shutdown, where nothing else is said: Kubernetes kills after 30 s.
const DRAIN: Duration = Duration::from_secs(25);

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
    pub lease: Option<Duration>,
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
    /// Returns the policy of a route that sets nothing: its queue is named as it is, and all else is the default.
    #[must_use]
    pub fn new(route: impl Into<String>) -> Self {
        let route = route.into();
        Self {
            queue: route.clone(),
            route,
            concurrency: CONCURRENCY,
            prefetch: None,
            lease: None,
            timeout: None,
            backoff: None,
            max_attempts: None,
            undecodable: Undecodable::default(),
            unmatched: Unmatched::default(),
            group_by: None,
            batch: None,
            linger: Duration::ZERO,
            drain: DRAIN,
        }
    }

    /// Returns how many messages a call of a batch handler gets at most.
    #[must_use]
    pub fn messages_a_call(&self) -> usize {
        self.batch.unwrap_or(BATCH)
    }
}
