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

use super::{Fate, Job, RouteStats, Shared, leases::table::Moment};
use crate::clock::after;
use loafer_core::{
    Error,
    broker::{Delivery, Provider},
};

/// How long `--once` waits for messages.
const ONCE: Duration = Duration::from_secs(1);

/// How often a receive in flight is looked at.
const LOOK: Duration = Duration::from_millis(500);
/// Not looked at for longer than this, the program was stopped, or its threads were taken: the answer may have waited as long.
const UNSEEN: Duration = Duration::from_millis(1500);

pub(super) async fn run<P: Provider>(shared: Arc<Shared<P>>) {
    let mut deliveries = Vec::with_capacity(shared.scheduler().limits.ask);
    let mut jobs = VecDeque::with_capacity(shared.scheduler().limits.ask);
    let mut pauses = pauses(&shared);
    while let Some(max) = shared.scheduler().permit().await {
        let (answer, unseen) = receive(&shared, max, &mut deliveries).await;
        let settled = shared.take_in(&mut deliveries, &mut jobs, unseen);
        shared.route.received(&mut jobs, settled, max);
        match answer {
            Ok(()) => {
                if shared.route.received_well(true) {
                    pauses = self::pauses(&shared);
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
    shared.provider.stop().await;
}

fn pauses<P: Provider>(shared: &Shared<P>) -> impl Iterator<Item = Duration> + use<P> {
    // A try that is a connection to a broker of one's own is cheap; a call is paid for.
    let longest = match shared.capabilities.pushed {
        true => Duration::from_secs(2),
        false => Duration::from_secs(30),
    };
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(200))
        .with_max_delay(longest)
        .without_max_times()
        .with_jitter()
        .build()
}

async fn receive<P: Provider>(
    shared: &Shared<P>,
    max: usize,
    into: &mut Vec<Delivery<P::Receipt>>,
) -> (Result<(), Error>, Duration) {
    let longest = shared.capabilities.wait;
    let wait = if shared.route.once {
        longest.min(ONCE)
    } else {
        longest
    };
    let grace = shared.capabilities.receive_grace;
    // A broker without grace is in this process: what stops it stops both.
    let mut look = (!grace.is_zero()).then(|| Box::pin(sleep(LOOK)));
    // By the system's clock, which goes on while the program is stopped.
    let mut looked = std::time::Instant::now();
    // When nobody had looked for too long, and when somebody did again: the answer may be read a few polls later.
    let mut stopped: Option<(std::time::Instant, std::time::Instant)> = None;
    let mut call = pin!(shared.provider.receive(max, wait, into));
    let answer = poll_fn(|cx| {
        if look.is_some() {
            let now = std::time::Instant::now();
            if now - looked > UNSEEN {
                stopped = Some((looked, now));
            }
            looked = now;
        }
        if let Poll::Ready(answer) = call.as_mut().poll(cx) {
            return Poll::Ready(Some(answer));
        }
        if let Some(look) = &mut look {
            while look.as_mut().poll(cx).is_ready() {
                look.as_mut().reset(after(LOOK));
            }
        }
        shared.scheduler().poll_closed(cx).map(|()| None)
    })
    .await;
    if let Some(answer) = answer {
        let unseen = stopped
            .filter(|(_, again)| look.is_some() && again.elapsed() < UNSEEN)
            .map_or(Duration::ZERO, |(since, _)| since.elapsed());
        return (answer, unseen);
    }
    loop {
        if let Ok(answer) = timeout(grace, call.as_mut()).await {
            return (answer, Duration::ZERO);
        }
        // While handlers finish, waiting on costs nothing.
        if grace.is_zero() || shared.scheduler().held() == 0 {
            return (Ok(()), Duration::ZERO);
        }
        shared.scheduler().wake_poll(grace);
    }
}

/// Waits for something, but not beyond the end of the route.
async fn until_closed<P: Provider>(shared: &Shared<P>, wait: impl Future<Output = ()>) {
    let mut wait = pin!(wait);
    poll_fn(|cx| match wait.as_mut().poll(cx) {
        Poll::Ready(()) => Poll::Ready(()),
        Poll::Pending => shared.scheduler().poll_closed(cx),
    })
    .await;
}

impl<P: Provider> Shared<P> {
    /// Gives each delivery a key. Gives back what was handled before: it goes to the settler, not to a worker. What came may be as old as `unseen`.
    fn take_in(
        &self,
        deliveries: &mut Vec<Delivery<P::Receipt>>,
        jobs: &mut VecDeque<Job>,
        unseen: Duration,
    ) -> Vec<Job> {
        let mut known = Vec::new();
        if deliveries.is_empty() {
            return known;
        }
        self.route.stats.received(deliveries.len());
        let handled_before = !self.route.handled.is_empty();
        {
            let mut table = self.table();
            let now = table.now();
            let received_at = now.minus(unseen);
            let leased_until = self.capabilities.lease.map_or(Moment::NEVER, |lease| {
                received_at.plus(lease - margin(lease))
            });
            if leased_until <= now {
                self.came_too_late(deliveries, unseen);
            }
            // What the broker told before these had table went by without them.
            if !deliveries
                .iter()
                .all(|delivery| self.provider.is_live(&delivery.receipt))
            {
                self.lost_on_the_way(deliveries);
            }
            for Delivery { receipt, message } in deliveries.drain(..) {
                let key = table.insert(receipt, received_at, leased_until);
                if handled_before && self.route.handled.contains(message.id()) {
                    known.push(Job::new(key, message).done(Fate::Ack));
                } else {
                    jobs.push_back(Job::new(key, message));
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

    /// The leases may be over already: nothing is started, and nothing sent.
    #[cold]
    fn came_too_late(&self, deliveries: &mut Vec<Delivery<P::Receipt>>, unseen: Duration) {
        let (route, queue) = (&self.route.policy.route, &self.route.policy.queue);
        tracing::warn!(%route, %queue, messages = deliveries.len(), stopped = ?unseen, "the program was stopped while messages were on their way: their leases may be over, they come again");
        self.route.stats.add(&RouteStats {
            lost: deliveries.len() as u64,
            ..RouteStats::default()
        });
        deliveries.clear();
    }

    /// The leases of some ended already: they are not started.
    #[cold]
    fn lost_on_the_way(&self, deliveries: &mut Vec<Delivery<P::Receipt>>) {
        let received = deliveries.len();
        deliveries.retain(|delivery| self.provider.is_live(&delivery.receipt));
        let messages = received - deliveries.len();
        let (route, queue) = (&self.route.policy.route, &self.route.policy.queue);
        tracing::info!(%route, %queue, messages, "the leases of messages ended while these were on their way: they are not started, they come again");
        self.route.stats.add(&RouteStats {
            lost: messages as u64,
            ..RouteStats::default()
        });
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
