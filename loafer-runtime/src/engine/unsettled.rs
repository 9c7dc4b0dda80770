//! What is logged and remembered when a settlement goes wrong.

use std::{future::Future, pin::Pin, time::Duration};

use tokio::time::timeout;

use super::{Shared, leases::table::Moment};
use loafer_core::{
    broker::{Pauses, Provider, Settlement},
    message::Message,
};

/// How many times a settlement is tried while its lease lasts.
const TRIES: u32 = 8;

/// Returns the pauses between tries. They have no end if leases do not expire.
pub(super) fn pauses(leases: bool) -> impl Iterator<Item = Duration> {
    let pauses = Pauses::new(Duration::from_millis(100)).longest(Duration::from_secs(10));
    match leases {
        true => pauses.tries(TRIES - 1).iter(),
        false => pauses.iter(),
    }
}

impl<P: Provider> Shared<P> {
    /// Remembers a message that was handled and could not be acked, if the broker assigns ids. Another message could have an id that its
    /// sender set, and would be lost.
    fn remember(&self, message: &Message) {
        if self.capabilities.own_ids {
            self.route.ack_dedup.remember(message.id().clone());
        }
    }

    /// Called when the lease expired before anything was sent.
    #[cold]
    pub(super) fn settled_too_late(&self, message: &Message, handled: bool) {
        if handled {
            self.remember(message);
        }
        self.route.declined(
            message,
            "its lease expired before it was settled: nothing was sent, the broker redelivers it",
        );
    }

    /// Called when the lease was lost. A handled message is remembered, and acked when it is redelivered.
    #[cold]
    pub(super) fn lost(&self, message: &Message, settlement: &Settlement) {
        if matches!(settlement, Settlement::Ack) {
            self.remember(message);
        }
        tracing::warn!(
            route = %self.route.policy.route,
            queue = %self.route.policy.queue,
            message_id = %message.id(),
            attempt = message.attempt(),
            ?settlement,
            "the message could not be settled: the broker redelivers it"
        );
    }

    #[cold]
    pub(super) fn settle_failed(
        &self,
        message: &Message,
        settlement: &Settlement,
        error: &loafer_core::Error,
    ) {
        let (route, queue, message_id) = (
            &self.route.policy.route,
            &self.route.policy.queue,
            message.id(),
        );
        if self.route.settled_well(false) {
            tracing::error!(%route, %queue, %message_id, ?settlement, %error, "settling failed: trying again");
        } else {
            tracing::debug!(%route, %queue, %message_id, ?settlement, %error, "settling failed again");
        }
    }

    /// Called when the provider broke its contract of one answer for each entry.
    #[cold]
    pub(super) fn unanswered(&self, message: &Message) {
        let (route, message_id) = (&self.route.policy.route, message.id());
        tracing::error!(%route, %message_id, "the provider gave no answer for this settlement: trying again");
    }

    /// Waits for an answer, but not beyond the first of these ends of leases. Returns whether there was one.
    pub(super) async fn within(
        &self,
        ends: &[Moment],
        settling: Pin<&mut impl Future<Output = ()>>,
    ) -> bool {
        match ends.iter().min() {
            Some(end) if *end != Moment::NEVER => {
                let left = end.since(self.table().now());
                timeout(left, settling).await.is_ok()
            }
            _ => {
                settling.await;
                true
            }
        }
    }

    /// Called when the first lease of a batch expired before there was an answer: entries that are still leased are tried again.
    #[cold]
    pub(super) fn cut_short(&self) {
        let (route, queue) = (&self.route.policy.route, &self.route.policy.queue);
        if self.route.settled_well(false) {
            tracing::error!(%route, %queue, "no answer to a settlement before the lease expired: trying again those that are still leased");
        }
    }

    pub(super) fn settled_well(&self) {
        if self.route.settled_well(true) {
            tracing::info!(route = %self.route.policy.route, queue = %self.route.policy.queue, "settling again");
        }
    }
}
