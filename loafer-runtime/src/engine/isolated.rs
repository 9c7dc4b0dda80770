//! Isolated messages: each is fetched when nothing of the route runs, and handled alone.

use std::{future::poll_fn, pin::pin, sync::Arc, time::Duration};

use tokio::time::sleep;

use super::{Shared, leases::margin};
use crate::{
    clock::{self, Moment},
    scheduler::Job,
};
use loafer_core::{
    broker::{Delivery, Isolated, Provider, Settlement},
    message::Message,
};

/// Marks a message that was handed over alone. Its attempts may catch up with its deliveries.
struct HandedAlone;

/// How long after a fetch that failed the next one is. After the loss of a lease it is so much more than the broker's lease can last.
const PAUSE: Duration = Duration::from_secs(30);

pub(super) async fn run<P: Provider>(shared: Arc<Shared<P>>) {
    let pause = PAUSE + shared.route.capabilities.lease.unwrap_or_default();
    let mut again = pin!(sleep(pause));
    // A lease of the process before may last on.
    let mut waits = shared.route.capabilities.lease.is_some();
    loop {
        tokio::select! {
            biased;
            () = poll_fn(|cx| shared.scheduler().poll_fetch(cx)) => {}
            () = shared.lost_alone.notified() => {
                again.as_mut().reset(clock::after(pause));
                waits = true;
                continue;
            }
            () = &mut again, if waits => {
                shared.scheduler().isolated();
                waits = false;
                continue;
            }
        }
        let job = match shared.provider.receive_isolated().await {
            Ok(isolated) => isolated.map(|isolated| shared.take_in_isolated(isolated)),
            Err(error) => {
                let policy = &shared.route.policy;
                tracing::warn!(route = %policy.route, queue = %policy.queue, %error, "messages that were set apart can't be fetched: trying again, after a while");
                shared.lost_alone.notify_one();
                None
            }
        };
        let is_done = job
            .as_ref()
            .is_some_and(|job| !matches!(job.settlement, Some(Settlement::Release)));
        let call = shared.scheduler().fetched(job, is_done);
        shared.route.answer(call);
    }
}

impl<P: Provider> Shared<P> {
    /// Called when a message is released: one that was handed over alone is to be fetched again.
    pub(super) fn released(&self, message: &Message) {
        if message.extension::<HandedAlone>().is_some() {
            self.scheduler().isolated();
        }
    }

    /// Called when the lease of a message is lost: one that was handed over alone is to be fetched again once its lease is over for the broker, too.
    pub(super) fn lost_alone(&self, message: &Message) {
        if message.extension::<HandedAlone>().is_some() {
            self.lost_alone.notify_one();
        }
    }

    fn take_in_isolated(&self, isolated: Isolated<P::Receipt>) -> Job {
        let Isolated {
            delivery: Delivery { receipt, message },
            crashed,
        } = isolated;
        self.route.stats.received(1);
        let mut table = self.table();
        let now = table.now();
        let lease = self.route.capabilities.lease;
        let until = lease.map_or(Moment::NEVER, |lease| now.plus(lease - margin(lease)));
        let message = message.with_extension(HandedAlone);
        let job = Job::new(table.insert(receipt, now, until), message);
        drop(table);
        if self.route.ack_dedup.contains(&job.message) {
            // An earlier delivery of it was handled after all.
            return job.done(Some(Settlement::Ack));
        }
        match crashed {
            true => {
                let settlement = self.route.crashed(&job.message);
                job.done(Some(settlement))
            }
            false => job,
        }
    }
}

impl super::Route {
    /// Gives up a message whose process ended, or lost its lease, while it was handled alone.
    fn crashed(&self, message: &Message) -> Settlement {
        let reason = format!(
            "its process ended, or lost its lease, while it was handled alone, after {} deliveries",
            message.deliveries()
        );
        self.reports.declined(message, &reason);
        self.reports
            .dead_letter(message, self.handlers.own(0), "crash", &reason)
    }
}
