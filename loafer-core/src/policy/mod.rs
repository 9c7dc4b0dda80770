//! The policy of a route: how it behaves, and which messages each of its handlers takes.
//!
//! | item | what it is |
//! |---|---|
//! | [`Policy`] | how a route behaves, once all sources of configuration are merged |
//! | [`Backoff`] | the delay of a retry |
//! | [`Undecodable`], [`Unmatched`] | what becomes of messages that no handler can take |
//! | [`GroupBy`] | which messages are one group |
//! | [`Selector`], [`topic_matches`] | which messages a handler takes |
//! | [`Names`], [`parse_duration`], [`unknown`], [`nearest`] | how configuration is read, and what is said of a mistake in it |

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

/// How many handlers of a route run at once, unless the route says otherwise.
const CONCURRENCY: usize = 10;

/// How many messages one call of a batch handler gets at most, unless the route says otherwise.
const BATCH: usize = 10;

/// How many deliveries a message may have that end without an outcome, unless the route says otherwise.
const MAX_DELIVERIES: u32 = 20;

/// How long running handlers get at shutdown, unless the route says otherwise. Kubernetes kills after 30 s
/// (`terminationGracePeriodSeconds`, <https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-termination>).
const DRAIN: Duration = Duration::from_secs(25);

/// How a route behaves, once all sources of configuration are merged: attribute, code, `loafer.toml`, environment, command line.
///
/// A field that is `None` leaves the decision to the broker.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Policy {
    /// The name of the route.
    pub route: String,
    /// Its queue: a name, or an address in the broker's own form.
    pub queue: String,
    /// How many handlers run at once. The default is 10.
    pub concurrency: usize,
    /// How many messages are leased ahead of the handlers. `None` means that the engine chooses: at least one batch of the broker, and
    /// [`Capabilities::prefetch`](crate::broker::Capabilities::prefetch).
    pub prefetch: Option<usize>,
    /// How long the lease of a delivery is. `None` means that the queue's own lease applies.
    pub lease: Option<Duration>,
    /// How long one call of the handler may take. `None` means without limit.
    pub timeout: Option<Duration>,
    /// The delay of a retry. `None` means that of [`Capabilities::backoff`](crate::broker::Capabilities::backoff), and without one the message is
    /// retried when its lease expires.
    pub backoff: Option<Backoff>,
    /// After how many attempts a message goes to the dead letters. `None` means
    /// [`Capabilities::max_attempts`](crate::broker::Capabilities::max_attempts), and without one only the queue's own redrive applies.
    pub max_attempts: Option<u32>,
    /// After how many deliveries a message that was delivered more often than it was tried is [isolated](crate::broker::Settlement::Isolate). The default
    /// is 20.
    pub max_deliveries: u32,
    /// What becomes of a message that can't be decoded.
    pub undecodable: Undecodable,
    /// What becomes of a message that no handler of the route takes.
    pub unmatched: Unmatched,
    /// Which messages are one group. `None` means the groups that the broker keeps in order, if it does.
    pub group_by: Option<GroupBy>,
    /// How many messages one call of a batch handler gets at most. `None` means 10.
    pub batch: Option<usize>,
    /// How long a batch that is not full waits for more messages. The default is zero.
    pub linger: Duration,
    /// How long running handlers get at shutdown. The default is 25 s.
    pub drain: Duration,
}

impl Policy {
    /// Returns the policy of a route that sets nothing. Its queue has its name, and everything else is the default.
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
            max_deliveries: MAX_DELIVERIES,
            undecodable: Undecodable::default(),
            unmatched: Unmatched::default(),
            group_by: None,
            batch: None,
            linger: Duration::ZERO,
            drain: DRAIN,
        }
    }

    /// Returns how many messages one call of a batch handler gets at most.
    #[must_use]
    pub fn messages_a_call(&self) -> usize {
        self.batch.unwrap_or(BATCH)
    }
}
