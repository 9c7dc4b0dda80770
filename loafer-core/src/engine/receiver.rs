//! A receiver: asks for messages when there is room, and backs off when the broker fails.

use std::{
    collections::VecDeque,
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use backon::{BackoffBuilder, ExponentialBuilder};
use tokio::time::{sleep, timeout};

use super::{Done, Fate, Job, RouteStats, Shared, slots::Moment};
use crate::{Delivery, Error, Provider};

/// How long `--once` waits for messages.
const ONCE: Duration = Duration::from_secs(1);

pub(super) async fn run<P: Provider>(shared: Arc<Shared<P>>) {
    let mut deliveries = Vec::with_capacity(shared.board().limits.ask);
    let mut jobs = VecDeque::with_capacity(shared.board().limits.ask);
    let mut pauses = pauses();
    while let Some(max) = shared.board().permit().await {
        let answer = receive(&shared, max, &mut deliveries).await;
        let settled = shared.take_in(&mut deliveries, &mut jobs);
        shared.route.received(&mut jobs, settled);
        match answer {
            Ok(()) => {
                if shared.route.received_well(true) {
                    pauses = self::pauses();
                    tracing::info!(route = %shared.route.policy.route, queue = %shared.route.policy.queue, "receiving again");
                }
            }
            Err(error) => {
                let pause = pauses.next().unwrap_or(Duration::from_secs(30));
                shared.receive_failed(&error, pause);
                until_closed(&shared, sleep(pause)).await;
            }
        }
    }
}

fn pauses() -> impl Iterator<Item = Duration> {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(200))
        .with_max_delay(Duration::from_secs(30))
        .without_max_times()
        .with_jitter()
        .build()
}

async fn receive<P: Provider>(
    shared: &Shared<P>,
    max: usize,
    into: &mut Vec<Delivery<P::Receipt>>,
) -> Result<(), Error> {
    let longest = shared.capabilities.wait;
    let wait = if shared.route.once {
        longest.min(ONCE)
    } else {
        longest
    };
    let mut call = pin!(shared.provider.receive(max, wait, into));
    let answer = poll_fn(|cx| match call.as_mut().poll(cx) {
        Poll::Ready(answer) => Poll::Ready(Some(answer)),
        Poll::Pending => shared.board().poll_closed(cx).map(|()| None),
    })
    .await;
    if let Some(answer) = answer {
        return answer;
    }
    let grace = shared.capabilities.receive_grace;
    loop {
        if let Ok(answer) = timeout(grace, call.as_mut()).await {
            return answer;
        }
        // While handlers finish, waiting on costs nothing; what waits to be released is wanted elsewhere.
        if grace.is_zero() || shared.board().held() == 0 || shared.board().has_unstarted() {
            return Ok(());
        }
    }
}

/// Waits for something, but not beyond the end of the route.
async fn until_closed<P: Provider>(shared: &Shared<P>, wait: impl Future<Output = ()>) {
    let mut wait = pin!(wait);
    poll_fn(|cx| match wait.as_mut().poll(cx) {
        Poll::Ready(()) => Poll::Ready(()),
        Poll::Pending => shared.board().poll_closed(cx),
    })
    .await;
}

impl<P: Provider> Shared<P> {
    /// Gives each delivery a slot. Gives back what was handled before: it goes to the settler, not to a worker.
    fn take_in(
        &self,
        deliveries: &mut Vec<Delivery<P::Receipt>>,
        jobs: &mut VecDeque<Job>,
    ) -> Vec<Done> {
        let mut known = Vec::new();
        if deliveries.is_empty() {
            return known;
        }
        self.route.stats.add(&RouteStats {
            received: deliveries.len() as u64,
            ..RouteStats::default()
        });
        let handled_before = !self.route.handled.is_empty();
        {
            let mut slots = self.slots();
            let now = slots.now();
            let leased_until = self
                .capabilities
                .lease
                .map_or(Moment::NEVER, |lease| now.plus(lease - margin(lease)));
            for Delivery { receipt, message } in deliveries.drain(..) {
                let slot = slots.insert(receipt, now, leased_until);
                if handled_before && self.route.handled.contains(message.id()) {
                    known.push(Done {
                        slot,
                        message,
                        fate: Fate::Ack,
                    });
                } else {
                    jobs.push_back(Job { slot, message });
                }
            }
        }
        if !known.is_empty() {
            self.route.stats.add(&RouteStats {
                repeated: known.len() as u64,
                ..RouteStats::default()
            });
            tracing::info!(route = %self.route.policy.route, messages = known.len(), "acked on redelivery: handled before");
        }
        known
    }

    /// One line a streak.
    fn receive_failed(&self, error: &Error, pause: Duration) {
        let (route, queue) = (&self.route.policy.route, &self.route.policy.queue);
        if self.route.received_well(false) {
            tracing::error!(%route, %queue, %error, "receive failed: trying again until it works");
        } else {
            tracing::debug!(%route, %queue, %error, ?pause, "receive failed again");
        }
    }
}

/// What our clock's idea of a lease stays under the broker's: the answer took time to come.
pub(super) fn margin(lease: Duration) -> Duration {
    (lease / 10).min(Duration::from_secs(1))
}
