//! The limits of a route, from its policy and its broker's capabilities.

use std::time::Duration;

use loafer_core::{
    broker::Capabilities,
    message::Message,
    policy::{GroupBy, Policy},
};

/// The most messages that a worker of single messages takes at once.
const CHUNK: usize = 256;
/// How long it may be busy with the messages that it took at once. If they take longer, it takes fewer the next time: other workers can
/// have them.
const SLICE: Duration = Duration::from_millis(10);

/// The number by which a message knows what its handler sees, where its group is looked for there. No translator has it.
pub(crate) const GROUPED: u64 = 0;

/// How many receives may fill a batch, if a receive costs nothing.
const RECEIVES_PER_BATCH: usize = 8;

/// What a route may hold, ask for and do at once.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    /// The most handler calls at once.
    pub(crate) concurrency: usize,
    /// The in-flight limit: the most messages that are leased at once.
    pub(crate) capacity: usize,
    /// The most messages of one receive.
    pub(crate) ask: usize,
    /// How much capacity must be free for a receive to be worth its cost.
    pub(crate) worth: usize,
    /// The most receives at once.
    pub(crate) receivers: usize,
    /// The most settlement calls at once.
    pub(crate) settlers: usize,
    /// The most settlements of one call.
    pub(crate) settle_batch: usize,
    /// How long a settlement may wait for others.
    pub(crate) linger: Duration,
    /// Whether settlements also wait for others while nothing is here that could join them: the broker pushes more without being asked.
    pub(crate) patient: bool,
    /// How long a batch that is not full waits for more messages. `None` if the handler takes single messages.
    pub(crate) batch_window: Option<Duration>,
    /// Whether suspects run apart, and the broker isolates them.
    pub(crate) isolates: bool,
    /// Keeps apart messages that must not run at once. `None` if messages have no groups.
    pub(crate) grouping: Option<Grouping>,
}

impl Limits {
    /// Returns how many suspects may run at once: half as many as handlers, and half of that each time their deliveries are `more`.
    pub(crate) fn suspects(&self, more: u32) -> usize {
        self.concurrency.checked_shr(more).unwrap_or(0).max(1)
    }

    /// Returns the limits of a route, whose handler takes single messages or `batches` of them.
    pub(crate) fn new(policy: &Policy, capabilities: &Capabilities, batches: bool) -> Self {
        // How many messages can be in handlers at once.
        let handled = if batches {
            policy.concurrency.saturating_mul(policy.messages_a_call())
        } else {
            policy.concurrency
        };
        let batch = capabilities.receive_batch.max(1);
        // A call costs the same for one message as for a batch, so at least one batch is leased ahead. There is capacity for two batches, so
        // that one is handled while the next is on its way, and for as many messages as keep every handler busy meanwhile.
        let prefetch = policy.prefetch.unwrap_or_else(|| {
            let two_batches = (2 * batch).saturating_sub(handled);
            let least = batch
                .max(capabilities.prefetch)
                .max(two_batches)
                .max(handled.min(10 * batch));
            // A receive may bring one group only: there is capacity for as many groups as there are handlers, so that few wait for another.
            let groups = policy.concurrency.saturating_mul(batch - 1);
            if capabilities.ordered || policy.group_by.is_some() {
                least.max(groups)
            } else {
                least
            }
        });
        let capacity = handled.saturating_add(prefetch);
        // Never asks for more than is prefetched: a slow message that occupies a handler must not keep messages from the other handlers.
        let ask = batch.min(prefetch.max(1)).min(capacity);
        Self {
            concurrency: policy.concurrency,
            capacity,
            ask,
            // A receive that costs a call should be a full one. Pushed messages are taken a few at a time.
            worth: if capabilities.pushed {
                (ask / RECEIVES_PER_BATCH).max(1)
            } else {
                ask
            },
            receivers: capabilities.receivers.max(1),
            settlers: capabilities.settlers.max(1),
            // Messages that were pushed and are not settled keep the broker from pushing more, so they must not all wait to be settled. Half of
            // the capacity, because the fewer settlements there are, the more the broker pushes at once.
            settle_batch: if capabilities.pushed {
                capabilities.settle_batch.min(capacity / 2).max(1)
            } else {
                capabilities.settle_batch.max(1)
            },
            patient: capabilities.pushed,
            linger: if capabilities.settle_batch > 1 {
                capabilities.linger
            } else {
                Duration::ZERO
            },
            batch_window: batches.then_some(policy.linger),
            isolates: capabilities.isolates && !capabilities.ordered,
            grouping: Grouping::of(policy, capabilities),
        }
    }
}

/// How a route keeps its groups in order.
#[derive(Clone, Debug)]
pub(crate) struct Grouping {
    pub(crate) by: GroupBy,
    /// Whether the broker blocks a group until its failed message is settled. If so, what waits behind a failure is released, and
    /// redelivered after it.
    pub(crate) fenced: bool,
    /// Whether the broker gives ids, by which a redelivery of a message is known.
    pub(crate) own_ids: bool,
}

impl Grouping {
    /// Returns the group of this message. `None` means that it is in no group.
    pub(crate) fn group_of<'m>(&self, message: &'m Message) -> Option<&'m str> {
        self.by.of(message.opened(GROUPED).unwrap_or(message))
    }

    /// Returns `None` if messages have no groups.
    fn of(policy: &Policy, capabilities: &Capabilities) -> Option<Self> {
        let (by, fenced) = match (capabilities.ordered, &policy.group_by) {
            (true, _) => (GroupBy::GROUP, true),
            (false, Some(by)) => (by.clone(), false),
            (false, None) => return None,
        };
        Some(Self {
            by,
            fenced,
            own_ids: capabilities.own_ids,
        })
    }
}

/// Returns how many messages to take, after so many took so long: twice as many if there were as many or, if they took too long, as many as
/// fit.
pub(crate) fn next_chunk(most: usize, taken: usize, took: Duration) -> usize {
    if took <= SLICE {
        return (taken * 2).clamp(most, CHUNK);
    }
    let fit = SLICE.as_nanos() * taken as u128 / took.as_nanos();
    usize::try_from(fit).unwrap_or(CHUNK).clamp(1, CHUNK)
}
