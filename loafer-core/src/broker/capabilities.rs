//! What a broker can do.

use std::time::Duration;

use crate::policy::Backoff;

/// What a broker can do, as its provider tells the framework.
///
/// ```
/// use loafer::broker::Capabilities;
///
/// let capabilities = Capabilities { receive_batch: 10, settle_batch: 10, ..Capabilities::default() };
/// assert_eq!(capabilities.receivers, 1);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Capabilities {
    /// The most messages one receive brings.
    pub receive_batch: usize,
    /// Whether messages are pushed: a receive hands over what has come, and costs no call.
    pub pushed: bool,
    /// How many messages are worth holding ahead of the handlers at least, where a route does not say: more than a batch only where a lease costs nothing.
    pub prefetch: usize,
    /// The most leases one call settles; 1 settles each at once.
    pub settle_batch: usize,
    /// The most receives worth having in flight at once.
    pub receivers: usize,
    /// The most settlements worth having in flight at once.
    pub settlers: usize,
    /// The longest wait of one receive.
    pub wait: Duration,
    /// How long a receive in flight is waited for at shutdown: dropped, it may strand what the broker just gave it until the end of its lease.
    pub receive_grace: Duration,
    /// How long a settlement may wait for others to share its call.
    pub linger: Duration,
    /// How long a delivered message is ours; none where the broker knows no leases.
    pub lease: Option<Duration>,
    /// How long it can be ours at most, renewals included, from the first delivery of this attempt.
    pub lease_ceiling: Option<Duration>,
    /// The longest delay of a retry; none where there is no limit.
    pub max_delay: Option<Duration>,
    /// Whether the broker keeps the messages of a group in order: none of a group is delivered while another one of it, sent before, is on lease.
    pub ordered: bool,
    /// Whether a released message counts as delivered (SQS counts receives).
    pub release_costs_attempt: bool,
    /// After how many deliveries the broker itself gives a message to the dead letters.
    pub max_receives: Option<u32>,
    /// Whether a message's id is its broker's own, the same on every delivery and no other message's. Else it is the sender's word, and
    /// nothing is acked on account of it.
    pub own_ids: bool,
    /// The delay of a retry on a route that sets none; none: the end of the lease.
    pub backoff: Option<Backoff>,
    /// After how many attempts a message goes to the dead letters on a route that does not say; none: as the queue's own redrive says.
    pub max_attempts: Option<u32>,
}

impl Default for Capabilities {
    /// One of everything, no leases, ids that are the sender's word.
    fn default() -> Self {
        Self {
            receive_batch: 1,
            pushed: false,
            prefetch: 1,
            settle_batch: 1,
            receivers: 1,
            settlers: 1,
            wait: Duration::from_secs(20),
            receive_grace: Duration::from_millis(500),
            linger: Duration::ZERO,
            lease: None,
            lease_ceiling: None,
            max_delay: None,
            ordered: false,
            release_costs_attempt: false,
            max_receives: None,
            own_ids: false,
            backoff: None,
            max_attempts: None,
        }
    }
}
