//! A receiver: asks for messages when there is room, and backs off when the broker fails.

use std::{
    collections::{HashSet, VecDeque},
    future::{Future, poll_fn},
    mem,
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use tokio::time::{Instant, sleep, timeout};

use super::{
    Shared,
    leases::{LeaseTable, margin},
};
use crate::{
    clock::Moment,
    pause::PauseWatch,
    scheduler::{Job, Permit, is_suspect},
    stats::RouteStats,
};
use loafer_core::{
    Error,
    broker::{Delivery, DueTime, Pauses, Provider, Settlement},
    message::MessageId,
};

/// How long a paused route keeps messages that have not started.
const BUFFER: Duration = Duration::from_secs(5 * 60);

pub(super) async fn run<P: Provider>(shared: Arc<Shared<P>>) {
    let mut deliveries = Vec::with_capacity(shared.scheduler().limits.ask);
    let mut jobs = VecDeque::with_capacity(shared.scheduler().limits.ask);
    let (mut pauses, mut failing) = (None, false);
    // When it last read the clock, unless it has waited since.
    let mut now = None;
    loop {
        let max = match shared.permit(&mut failing, &mut now).await {
            Permit::Receive(max) => max,
            Permit::Pause => {
                shared.pause().await;
                now = None;
                continue;
            }
            Permit::End => break,
        };
        let (answer, unseen) = receive(&shared, max, &mut deliveries, &mut now).await;
        let again = shared.may_be_again(&deliveries);
        let settled = shared.take_in(&mut deliveries, &mut jobs, (&mut now, unseen), again);
        shared.route.received(&mut jobs, settled, max, again);
        match answer {
            Ok(()) => {
                pauses = None;
                shared.receives_again(&mut failing);
            }
            Err(error) => {
                let pauses = pauses.get_or_insert_with(|| self::pauses(&shared));
                let pause = pauses.next().unwrap_or(Duration::from_secs(30));
                shared.receive_failed(&error, pause, &mut failing);
                until_closed(&shared, sleep(pause)).await;
                now = None;
            }
        }
    }
}

fn pauses<P: Provider>(shared: &Shared<P>) -> impl Iterator<Item = Duration> + use<P> {
    // To connect to a broker of one's own again is cheap; a call to a cloud service is paid for.
    let longest = match shared.route.capabilities.pushed {
        true => Duration::from_secs(2),
        false => Duration::from_secs(30),
    };
    Pauses::new(Duration::from_millis(200))
        .longest(longest)
        .iter()
}

async fn receive<P: Provider>(
    shared: &Shared<P>,
    max: usize,
    into: &mut Vec<Delivery<P::Receipt>>,
    now: &mut Option<Moment>,
) -> (Result<(), Error>, Duration) {
    let wait = shared.route.capabilities.wait;
    let grace = shared.route.capabilities.receive_grace;
    // A broker without grace is in this process: what stops one of them stops both.
    let mut pauses = (!grace.is_zero()).then(PauseWatch::new);
    let mut call = pin!(shared.provider.receive(max, wait, into));
    let answer = poll_fn(|cx| {
        if let Some(pauses) = &mut pauses {
            pauses.look(cx);
        }
        if let Poll::Ready(answer) = call.as_mut().poll(cx) {
            return Poll::Ready(Some(answer));
        }
        *now = None;
        // Whoever loses nothing by it does not receive while the route is paused. Other receives return in time.
        let closed = shared.scheduler().poll_closed(grace.is_zero(), cx);
        closed.map(|()| None)
    })
    .await;
    if let Some(answer) = answer {
        let unseen = pauses.as_ref().map_or(Duration::ZERO, PauseWatch::unseen);
        return (answer, unseen);
    }
    loop {
        if let Ok(answer) = timeout(grace, call.as_mut()).await {
            return (answer, Duration::ZERO);
        }
        // Waiting on costs nothing while handlers finish.
        if grace.is_zero() || shared.scheduler().in_flight() == 0 {
            return (Ok(()), Duration::ZERO);
        }
        shared.scheduler().wake_poll(grace);
    }
}

/// Waits for something, but not beyond the moment at which the route receives no more.
async fn until_closed<P: Provider>(shared: &Shared<P>, wait: impl Future<Output = ()>) {
    let mut wait = pin!(wait);
    poll_fn(|cx| match wait.as_mut().poll(cx) {
        Poll::Ready(()) => Poll::Ready(()),
        Poll::Pending => shared.scheduler().poll_closed(false, cx),
    })
    .await;
}

impl<P: Provider> Shared<P> {
    /// Waits until a receive is due, the delivery is to be paused, or the route receives no more. A receiver that has to wait is not one that
    /// fails: the next receive that succeeds, whoever makes it, ends the streak.
    async fn permit(&self, failing: &mut bool, now: &mut Option<Moment>) -> Permit {
        let scheduler = self.scheduler();
        poll_fn(|cx| {
            let permit = scheduler.poll_permit(cx);
            if permit.is_pending() {
                *now = None;
                self.route.receivers_failing.give_up(failing);
            }
            permit
        })
        .await
    }

    /// Pauses the delivery of messages. If the route is paused, and not at its end, the buffer is released if it stays paused for long.
    async fn pause(&self) {
        self.provider.pause().await;
        let pause = self.scheduler().delivery_paused();
        let resumed = poll_fn(|cx| self.scheduler().poll_resumed(pause, cx));
        if timeout(self.buffer_lasts(), resumed).await.is_err() {
            self.scheduler().release_buffer();
        }
    }

    /// Returns how long a paused route may keep its buffer.
    fn buffer_lasts(&self) -> Duration {
        let ceiling = self
            .route
            .capabilities
            .lease_ceiling
            .unwrap_or(Duration::MAX);
        let mut table = self.table();
        let now = table.now();
        let ages = table
            .iter_mut()
            .map(|(_, lease)| now.since(lease.received_at));
        let oldest = ages.max().unwrap_or_default();
        BUFFER.min((ceiling / 5 * 4).saturating_sub(oldest))
    }

    /// Puts each delivery into the lease table. Returns those that go to the settler, not to a worker: they were handled before, leave, or are
    /// not due yet. The deliveries may be as old as `unseen`; a clock that was read while nothing waited is as good as a new one.
    fn take_in(
        &self,
        deliveries: &mut Vec<Delivery<P::Receipt>>,
        jobs: &mut VecDeque<Job>,
        (now, unseen): (&mut Option<Moment>, Duration),
        again: bool,
    ) -> Vec<Job> {
        if deliveries.is_empty() {
            return Vec::new();
        }
        self.route.stats.received(deliveries.len());
        let handled = self.handled_before(deliveries, again);
        let mut table = self.table();
        let now = *now.get_or_insert_with(|| table.now());
        let received_at = now.minus(unseen);
        let leased_until = self
            .route
            .capabilities
            .lease
            .map_or(Moment::NEVER, |lease| {
                received_at.plus(lease - margin(lease))
            });
        if leased_until <= now {
            self.came_too_late(deliveries, unseen);
        }
        // A notice of the broker that came before these leases were in the table did not find them there.
        if !deliveries
            .iter()
            .all(|delivery| self.provider.is_live(&delivery.receipt))
        {
            self.lost_on_the_way(deliveries);
        }
        let mut known = match table.leaves_at() {
            None => Vec::new(),
            Some(at) => self.leave_at_once(deliveries, &mut table, (received_at, leased_until, at)),
        };
        let leases = &mut *table;
        let job = move |Delivery { receipt, message }| {
            Job::new(leases.insert(receipt, received_at, leased_until), message)
        };
        jobs.extend(deliveries.drain(..).map(job));
        drop(table);
        let released = known.len();
        if !handled.is_empty() {
            for job in mem::take(jobs) {
                match handled.contains(job.message.id()) {
                    true => known.push(job.done(Some(Settlement::Ack))),
                    false => jobs.push_back(job),
                }
            }
        }
        let repeated = known.len() - released;
        if repeated > 0 {
            self.route.stats.add(&RouteStats {
                repeated: repeated as u64,
                ..RouteStats::default()
            });
            tracing::info!(route = %self.route.policy.route, messages = repeated, "acked on redelivery: handled before");
        }
        if self.route.capabilities.defers {
            self.put_off(jobs, &mut known);
        }
        if again && self.scheduler().limits.isolates {
            self.set_apart(jobs, &mut known);
        }
        if self.route.groups_look_inside {
            let messages = jobs.iter_mut().map(|job| &mut job.message);
            messages.for_each(|message| self.route.handlers.open_for_group(message));
        }
        known
    }

    /// Takes out the messages that were delivered too often without an outcome: they are isolated.
    fn set_apart(&self, jobs: &mut VecDeque<Job>, isolated: &mut Vec<Job>) {
        let most = self.route.policy.max_deliveries;
        let is_past = |job: &Job| is_suspect(&job.message) && job.message.deliveries() > most;
        if !jobs.iter().any(is_past) {
            return;
        }
        for job in mem::take(jobs) {
            if is_past(&job) {
                self.route.isolates(&job.message);
                isolated.push(job.done(Some(Settlement::Isolate)));
            } else {
                jobs.push_back(job);
            }
        }
    }

    /// Takes out the messages that are not due yet: they are deferred. The others lose the header that says when they are due.
    fn put_off(&self, jobs: &mut VecDeque<Job>, deferred: &mut Vec<Job>) {
        let said = |job: &Job| job.message.headers().get(DueTime::HEADER).is_some();
        if !jobs.iter().any(said) {
            return;
        }
        let now = Instant::now().into_std();
        for mut job in mem::take(jobs) {
            match DueTime::of(&job.message).filter(|due| !due.left(now).is_zero()) {
                Some(until) => {
                    tracing::debug!(route = %self.route.policy.route, message_id = %job.message.id(), left = ?until.left(now), "deferred: not due yet");
                    deferred.push(job.done(Some(Settlement::Defer { until })));
                }
                None => {
                    if said(&job) {
                        let mut headers = job.message.headers().clone();
                        headers.remove(DueTime::HEADER);
                        job.message = job.message.with_headers(headers);
                    }
                    jobs.push_back(job);
                }
            }
        }
    }

    /// Takes out the deliveries that leave: they are released at once.
    #[cold]
    fn leave_at_once(
        &self,
        deliveries: &mut Vec<Delivery<P::Receipt>>,
        table: &mut LeaseTable<P::Receipt>,
        (received_at, leased_until, leaves_at): (Moment, Moment, Moment),
    ) -> Vec<Job> {
        let leaves = |delivery: &Delivery<_>| self.provider.is_leaving(&delivery.receipt);
        let (leaving, staying) = mem::take(deliveries).into_iter().partition(leaves);
        *deliveries = staying;
        table.came_leaving = table.came_leaving.wrapping_add(leaving.len() as u32);
        let job = |Delivery { receipt, message }: Delivery<_>| {
            let key = table.insert(receipt, received_at, leased_until);
            if let Some(lease) = table.get_mut(key) {
                lease.leave(leaves_at);
            }
            Job::new(key, message)
        };
        Vec::into_iter(leaving).map(job).collect()
    }

    /// Whether some of the deliveries may not be the first of their messages.
    fn may_be_again(&self, deliveries: &[Delivery<P::Receipt>]) -> bool {
        // A lost connection may not be counted.
        let counts = self.route.capabilities.lease.is_some();
        let again = |delivery: &Delivery<_>| !counts || delivery.message.deliveries() > 1;
        deliveries.iter().any(again)
    }

    /// Returns messages that were handled before in this process and whose acks are not confirmed, those among the deliveries included.
    fn handled_before(
        &self,
        deliveries: &[Delivery<P::Receipt>],
        again: bool,
    ) -> HashSet<MessageId> {
        let route = &self.route;
        let mut handled = HashSet::new();
        if route.capabilities.own_ids && again {
            handled = self.scheduler().acked();
        }
        if !route.ack_dedup.is_empty() {
            let messages = deliveries.iter().map(|delivery| &delivery.message);
            let known = messages.filter(|message| route.ack_dedup.contains(message));
            handled.extend(known.map(|message| message.id().clone()));
        }
        handled
    }

    /// Drops deliveries whose leases may have expired already: no message is started, and nothing is sent.
    #[cold]
    fn came_too_late(&self, deliveries: &mut Vec<Delivery<P::Receipt>>, unseen: Duration) {
        let (route, queue) = (&self.route.policy.route, &self.route.policy.queue);
        tracing::warn!(%route, %queue, messages = deliveries.len(), stopped = ?unseen, "the program was stopped, or handlers blocked its threads, while messages were arriving: their leases may have expired, so they are dropped and the broker redelivers them");
        self.route.stats.add(&RouteStats {
            lost: deliveries.len() as u64,
            ..RouteStats::default()
        });
        deliveries.clear();
    }

    /// Drops the deliveries whose leases were lost before they arrived: they are not started.
    #[cold]
    fn lost_on_the_way(&self, deliveries: &mut Vec<Delivery<P::Receipt>>) {
        let received = deliveries.len();
        deliveries.retain(|delivery| self.provider.is_live(&delivery.receipt));
        let messages = received - deliveries.len();
        let (route, queue) = (&self.route.policy.route, &self.route.policy.queue);
        tracing::info!(%route, %queue, messages, "dropped messages whose lease expired before they arrived: the broker redelivers them");
        self.route.stats.add(&RouteStats {
            lost: messages as u64,
            ..RouteStats::default()
        });
    }

    /// Logs a failed receive: one error for each streak of failures, which the route's receivers have in common.
    fn receive_failed(&self, error: &Error, pause: Duration, failing: &mut bool) {
        let (route, queue) = (&self.route.policy.route, &self.route.policy.queue);
        let begins = self.route.receivers_failing.record(failing, false);
        if begins && self.route.begins_outage() {
            tracing::error!(%route, %queue, %error, "receive failed: trying again until it works");
        } else {
            tracing::debug!(%route, %queue, %error, ?pause, "receive failed again");
        }
    }

    fn receives_again(&self, failing: &mut bool) {
        if self.route.receivers_failing.record(failing, true) {
            self.route.end_outage();
        }
    }
}
