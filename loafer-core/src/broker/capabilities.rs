//! What a broker can do.

use std::time::Duration;

use crate::policy::Backoff;

/// What a broker can do. Its provider describes it to the engine, which goes by it instead of knowing brokers.
///
/// It has all public fields, so that a provider names what differs from the [default](Self::default) and leaves the rest:
///
/// ```
/// use std::time::Duration;
/// use loafer::broker::Capabilities;
///
/// let capabilities = Capabilities {
///     receive_batch: 10,
///     settle_batch: 10,
///     lease: Some(Duration::from_secs(30)),
///     ..Capabilities::default()
/// };
/// assert_eq!((capabilities.receivers, capabilities.lease_ceiling), (1, None));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Capabilities {
    /// How many messages one receive returns at most. The default is 1.
    ///
    /// The engine never asks for more. It receives when there is room for a whole batch, or when the route has no message in flight.
    pub receive_batch: usize,
    /// Whether messages are pushed: a receive hands over what has arrived already, and costs no call. The default is `false`.
    ///
    /// If `true`, the engine receives as soon as there is room for an eighth of a batch. It settles once half of the route's capacity waits for that,
    /// and waits for [`linger`](Self::linger) even if no message is running. It tries a failed receive again after 2 s at most, instead of 30 s.
    pub pushed: bool,
    /// How many messages to lease ahead of the handlers, at least, on a route that does not set `prefetch`. The default is 1.
    ///
    /// In any case the engine leases at least one batch ahead, and has capacity for two batches. More than that is good only if a message that waits
    /// costs nothing: its lease does not expire, and no other consumer could have taken it.
    pub prefetch: usize,
    /// How many leases one call settles at most. The default is 1: each is settled at once.
    ///
    /// The engine settles that many with one call, and renews up to 16 times as many with one call of
    /// [`renew`](crate::broker::Provider::renew).
    pub settle_batch: usize,
    /// How many receives may be in flight at once, at most. The default is 1.
    ///
    /// The engine makes one more at a time as long as receives return full batches, and fewer as soon as they do not.
    pub receivers: usize,
    /// How many settlements may be in flight at once, at most. The default is 1.
    pub settlers: usize,
    /// How long one receive waits for the first message, at most. The default is 20 s.
    pub wait: Duration,
    /// How long a shutdown waits for a receive in flight. The default is 0.5 s.
    ///
    /// After that the receive is dropped, unless messages are still in flight, and what the broker just delivered may stay leased until its lease
    /// ends. Zero says that a dropped receive loses nothing. The engine then also leaves out its check whether the process was suspended during a
    /// receive.
    pub receive_grace: Duration,
    /// How long a settlement may wait for others to share its call. The default is zero. It has no effect if [`settle_batch`](Self::settle_batch) is
    /// 1.
    ///
    /// The engine does not wait if the batch is full, if the route stops, or, unless messages are [`pushed`](Self::pushed), if no message is running
    /// or ready that could join.
    pub linger: Duration,
    /// How long a delivered message is ours. `None`, the default, means that the broker has no leases: a message is ours until it is settled, or
    /// until its connection ends.
    ///
    /// With leases the engine renews them, and tries a settlement 8 times while the lease lasts. Without, it renews nothing, and tries a settlement
    /// until it succeeds or [`is_live`](crate::broker::Provider::is_live) says that the message is lost.
    pub lease: Option<Duration>,
    /// How long a message can be ours at most, renewals included, counted from its delivery. `None`, the default, means without limit.
    ///
    /// The engine renews no lease beyond it: the message is then lost, and its handler cancelled. Without leases it only warns when four fifths of it
    /// are over. On SQS it is 12 hours ([visibility
    /// timeout](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-visibility-timeout.html)); on RabbitMQ it is the
    /// [`consumer_timeout`](https://www.rabbitmq.com/docs/consumers#acknowledgement-timeout).
    pub lease_ceiling: Option<Duration>,
    /// How long the delay of a retry can be. `None`, the default, means without limit. The engine shortens longer delays to it, and says so at the
    /// first one.
    ///
    /// A broker that makes copies for its retries can have [`DueTime::LONGEST`](crate::broker::DueTime::LONGEST): it [defers](Self::defers) what arrives
    /// early.
    pub max_delay: Option<Duration>,
    /// Whether the broker can put a message off without an attempt: [`Settlement::Defer`](crate::broker::Settlement::Defer). The default is `false`.
    ///
    /// If `true`, the engine looks at the header [`DueTime::HEADER`](crate::broker::DueTime::HEADER) of each message. It does not start a message that
    /// is not due, but defers it. It believes this header, so a provider removes it where others than its publishers could have written it.
    pub defers: bool,
    /// Whether the broker tells [deliveries](crate::message::Message::deliveries) from attempts, and can hand over a message alone:
    /// [`Settlement::Isolate`](crate::broker::Settlement::Isolate). The default is `false`.
    ///
    /// If `true`, the engine runs a message alone that was delivered three times more than it was tried, and isolates it once it has more deliveries
    /// than the route's `max_deliveries`. If its process then ends again, it becomes a dead letter.
    pub isolates: bool,
    /// Whether the broker keeps the messages of a group in order: none of a group is delivered while an earlier one of it is on lease. The default is
    /// `false`.
    ///
    /// If `true`, the engine runs the messages of a group one at a time and in order, releases those that wait behind a failed one, leases more
    /// ahead, so that there are enough groups, and ignores the route's `group_by`, with a warning.
    pub ordered: bool,
    /// Whether the broker counts a released message as delivered, as SQS does. The default is `false`.
    ///
    /// The command `check` warns if [`max_receives`](Self::max_receives) is then so low that a few deploys use it up.
    pub release_costs_attempt: bool,
    /// After how many deliveries the broker itself moves a message to the dead letters. `None`, the default, means never.
    ///
    /// `check` compares it with `max_attempts`. If a request fails for the last time, the engine tells its requester:
    /// [`gives_up_after`](Self::gives_up_after).
    pub max_receives: Option<u32>,
    /// What sets `max_receives`, as operators know it, for example `` `maxReceiveCount` ``. It completes the remedy "raise …" of `check`. `None`, the
    /// default, means that the remedy speaks of the queue's own limit.
    pub max_receives_setting: Option<&'static str>,
    /// Whether a retry is a new message to the broker, whose deliveries it counts from zero. The default is `false`.
    ///
    /// RabbitMQ's delay queues get copies. On SQS and in memory the same message is received again. If `true`, `max_receives` bounds the deliveries
    /// of one attempt only, not the attempts.
    pub retries_are_copies: bool,
    /// Whether the broker gives ids: unique, and the same on each delivery of a message. The default is `false`: ids come from the sender.
    ///
    /// If `true`, the engine remembers the ids of up to 10,000 messages that were handled and could not be acked, and acks them without their handler
    /// when they are redelivered. An id of the sender is never used to skip a message: another message may have the same.
    pub own_ids: bool,
    /// The delay of a retry on a route that sets none. `None`, the default, means that the message is retried when its lease ends.
    pub backoff: Option<Backoff>,
    /// After how many attempts a message goes to the dead letters, on a route that does not set it. `None`, the default, means that only
    /// [`max_receives`](Self::max_receives) bounds the attempts.
    pub max_attempts: Option<u32>,
}

impl Capabilities {
    /// Returns whether the broker itself moves a message to the dead letters if this attempt fails, instead of delivering it again.
    #[must_use]
    pub fn gives_up_after(&self, attempt: u32) -> bool {
        let counts_attempts = !self.retries_are_copies;
        counts_attempts && self.max_receives.is_some_and(|most| attempt >= most)
    }
}

impl Default for Capabilities {
    /// Returns the capabilities of the most modest broker: one of everything, no leases, no order, and ids from the sender.
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
            defers: false,
            isolates: false,
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
