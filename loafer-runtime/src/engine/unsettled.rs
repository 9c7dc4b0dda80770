//! What is said where settling goes wrong.

use std::{future::Future, pin::Pin, time::Duration};

use backon::{BackoffBuilder, ExponentialBuilder};
use tokio::time::timeout;

use super::{Shared, leases::table::Moment};
use loafer_core::{
    broker::{Provider, Settlement},
    message::Message,
};

/// How often a settlement is tried, while its lease lasts.
const TRIES: usize = 8;

/// The pauses between tries; without an end where a lease has none.
pub(super) fn pauses(leases: bool) -> impl Iterator<Item = Duration> {
    let pauses = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(100))
        .with_max_delay(Duration::from_secs(10))
        .with_jitter();
    if leases {
        pauses.with_max_times(TRIES - 1).build()
    } else {
        pauses.without_max_times().build()
    }
}

impl<P: Provider> Shared<P> {
    /// It was handled and could not be acked. By an id that is the sender's word another message could be taken for it, and lost.
    fn remember(&self, message: &Message) {
        if self.capabilities.own_ids {
            self.route.handled.remember(message.id().clone());
        }
    }

    /// The lease ran out before anything was sent.
    #[cold]
    pub(super) fn settled_too_late(&self, message: &Message, handled: bool) {
        if handled {
            self.remember(message);
        }
        self.route.declined(
            message,
            "its lease ran out before it was settled: nothing was sent, it comes again",
        );
    }

    /// The lease was not ours any more. A message that was handled is remembered, and acked when it comes again.
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
            "the message could not be settled: it comes again"
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

    /// The provider broke its word: one answer an entry.
    #[cold]
    pub(super) fn unanswered(&self, message: &Message) {
        let (route, message_id) = (&self.route.policy.route, message.id());
        tracing::error!(%route, %message_id, "the provider gave no answer for this settlement: trying again");
    }

    /// Waits for an answer, but not beyond the first of these ends of leases.
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

    /// The first lease of a batch ended before there was an answer: what lives is tried again.
    #[cold]
    pub(super) fn cut_short(&self) {
        let (route, queue) = (&self.route.policy.route, &self.route.policy.queue);
        if self.route.settled_well(false) {
            tracing::error!(%route, %queue, "settling had no answer while the lease lasted: trying again what is still ours");
        }
    }

    pub(super) fn settled_well(&self) {
        if self.route.settled_well(true) {
            tracing::info!(route = %self.route.policy.route, queue = %self.route.policy.queue, "settling again");
        }
    }
}
