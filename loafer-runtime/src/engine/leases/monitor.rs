//! The connection monitor: hears what the broker says between calls. It sees that leases were lost, if they do not expire by themselves.

use std::{collections::HashSet, pin::pin, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::time::sleep;

use crate::{clock::Moment, engine::Shared, scheduler::Key};
use loafer_core::broker::{Notice, Provider};

/// How soon a worker is cancelled again whose lease is lost: it may not have begun the first time.
const AGAIN: Duration = Duration::from_millis(100);

/// How often the monitor looks for messages that are in flight for too long.
const LOOK: Duration = Duration::from_secs(10);

pub(in crate::engine) async fn run<P: Provider>(shared: Arc<Shared<P>>) {
    let mut notice = pin!(shared.provider.notice());
    let capabilities = &shared.route.capabilities;
    // If leases expire by themselves, the lease renewer knows the ceiling.
    let ceiling = capabilities
        .lease_ceiling
        .filter(|ceiling| capabilities.lease.is_none() && !ceiling.is_zero());
    let mut warned = HashSet::new();
    let mut lost = false;
    let mut leavings = FuturesUnordered::new();
    loop {
        tokio::select! {
            biased;
            event = &mut notice => {
                notice.set(shared.provider.notice());
                match event {
                    Notice::Leaving(leaving) => leavings.push(shared.leave(leaving)),
                    Notice::Down(error) => shared.route.lose_connection(&error),
                    Notice::Up => shared.route.regain_connection(),
                    _ => lost = shared.lose_leases(),
                }
            }
            // What leaves and is still here is lost.
            Some(()) = leavings.next() => lost |= shared.lose_leases(),
            () = sleep(AGAIN), if lost => lost = shared.lose_leases(),
            () = sleep(LOOK.min(ceiling.unwrap_or(LOOK) / 10)), if ceiling.is_some() && !lost => {
                shared.warn_of(ceiling.unwrap_or_default(), &mut warned);
            }
        }
    }
}

impl<P: Provider> Shared<P> {
    /// Takes back the messages whose leases are lost. Returns whether there are any: workers may still run some of them.
    pub(in crate::engine) fn lose_leases(&self) -> bool {
        let mut lost = HashSet::new();
        let mut table = self.table();
        let now = table.now();
        for (key, lease) in table.iter_mut() {
            lease.lost |= !self.holds(lease, now) || lease.leaves_at <= now;
            if lease.lost {
                lost.insert(key);
            }
        }
        drop(table);
        self.lose(&lost);
        !lost.is_empty()
    }

    /// Warns, once for each message, that it has been in flight for most of the time that the broker allows.
    fn warn_of(&self, ceiling: Duration, warned: &mut HashSet<Key>) {
        let mut table = self.table();
        let now = table.now();
        let old = |received: Moment| now.since(received) >= ceiling / 5 * 4;
        let due: HashSet<Key> = table
            .iter_mut()
            .filter(|(_, lease)| old(lease.received_at))
            .map(|(key, _)| key)
            .collect();
        drop(table);
        let (route, queue) = (&self.route.policy.route, &self.route.policy.queue);
        let new = due.difference(warned).count();
        if new > 0 {
            tracing::warn!(
                %route, %queue, messages = new, ?ceiling,
                "handlers have run for four fifths of the time that the broker allows; after all of it the broker takes back every unsettled \
                 message of this route: set the route's `timeout` below it, or raise the broker's limit (RabbitMQ: `consumer_timeout`, in \
                 rabbitmq.conf and under [brokers.amqp])"
            );
        }
        *warned = due;
    }
}
