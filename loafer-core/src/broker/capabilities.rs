//! What a broker can do.

use std::time::Duration;

use crate::policy::Backoff;

/// What a broker can do, as its provider describes it to the framework.
///
/// ```
/// use loafer::broker::Capabilities;
///
/// let capabilities = Capabilities { receive_batch: 10, settle_batch: 10, ..Capabilities::default() };
/// assert_eq!(capabilities.receivers, 1);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Capabilities {
    /// The most messages that one receive returns.
    pub receive_batch: usize,
    /// Whether messages are pushed: a receive hands over what has arrived, and costs no call.
    pub pushed: bool,
    /// How many messages are worth holding ahead of the handlers at least, on a route that does not set it. It is more than a batch only if a lease
    /// costs nothing.
    pub prefetch: usize,
    /// The most leases that one call settles. With 1, each is settled at once.
    pub settle_batch: usize,
    /// The most receives that are worth having in flight at once.
    pub receivers: usize,
    /// The most settlements that are worth having in flight at once.
    pub settlers: usize,
    /// The longest wait of one receive.
    pub wait: Duration,
    /// How long a shutdown waits for a receive in flight. If the receive is dropped, messages that the broker just delivered may stay leased until
    /// their leases end.
    pub receive_grace: Duration,
    /// How long a settlement may wait for others to share its call.
    pub linger: Duration,
    /// How long a delivered message is ours. `None` means that the broker has no leases.
    pub lease: Option<Duration>,
    /// How long a message can be ours at most, renewals included, from the first delivery of this attempt. `None` means without limit.
    pub lease_ceiling: Option<Duration>,
    /// The longest delay of a retry. `None` means without limit.
    pub max_delay: Option<Duration>,
    /// Whether the broker keeps the messages of a group in order: none of a group is delivered while an earlier one of it is leased.
    pub ordered: bool,
    /// Whether a released message counts as delivered (SQS counts receives).
    pub release_costs_attempt: bool,
    /// After how many deliveries the broker itself dead-letters a message. `None` means never.
    pub max_receives: Option<u32>,
    /// What sets `max_receives`, as operators know it, for example `` `maxReceiveCount` ``. It completes the remedy "raise …". `None` means that
    /// the remedy speaks of the queue's own limit.
    pub max_receives_setting: Option<&'static str>,
    /// Whether a retry is a new message to the broker, whose deliveries it counts from zero. RabbitMQ's delay queues get copies; on SQS and in memory
    /// the same message is received again. If `true`, `max_receives` bounds the deliveries of one attempt only, not the attempts.
    pub retries_are_copies: bool,
    /// Whether ids are assigned by the broker: unique, and stable across redeliveries. If `false`, ids come from the sender and are never used to
    /// skip a redelivered message.
    pub own_ids: bool,
    /// The delay of a retry on a route that sets none. `None` means the end of the lease.
    pub backoff: Option<Backoff>,
    /// After how many attempts a message is dead-lettered on a route that does not set it. `None` means that the queue's own redrive decides.
    pub max_attempts: Option<u32>,
}

impl Capabilities {
    /// Returns whether the broker itself dead-letters a message whose attempt of this number fails, instead of delivering it again.
    #[must_use]
    pub fn gives_up_after(&self, attempt: u32) -> bool {
        let counts_attempts = !self.retries_are_copies;
        counts_attempts && self.max_receives.is_some_and(|most| attempt >= most)
    }
}

impl Default for Capabilities {
    /// Returns the capabilities of a broker that has one of everything, no leases, and ids from the sender.
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
            max_receives_setting: None,
            retries_are_copies: false,
            own_ids: false,
            backoff: None,
            max_attempts: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_gives_up_after_its_last_receive_unless_retries_are_copies() {
        let bounded = Capabilities {
            max_receives: Some(3),
            ..Capabilities::default()
        };
        assert!(!bounded.gives_up_after(2) && bounded.gives_up_after(3));
        assert!(!Capabilities::default().gives_up_after(1_000));
        let copies = Capabilities {
            retries_are_copies: true,
            ..bounded
        };
        assert!(!copies.gives_up_after(3));
    }
}
