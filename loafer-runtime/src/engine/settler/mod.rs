//! A settler: sends settlements in batches. Acks are never held up: whatever takes its time is settled beside it, in a task of its own.

mod answers;
mod batch;

use std::{
    future::{Future, poll_fn},
    mem,
    pin::pin,
    sync::Arc,
    task::{Poll, ready},
    time::Duration,
};

use tokio::{
    task::{JoinSet, coop},
    time::{Instant, sleep, timeout},
};

use self::{
    answers::{TOO_LATE, UNSETTLED},
    batch::{Batch, Hold, is_ack},
};

use super::{Shared, leases::Lease, passed_on};
use crate::{
    clock::Moment,
    scheduler::{Job, Key, Sweep},
    stats::RouteStats,
};
use loafer_core::{
    Error,
    broker::{Pauses, Provider, Settle, Settled, Settlement},
    message::Message,
};

/// How many times a settlement is tried while its lease lasts.
const TRIES: usize = 8;
/// For how long a dead letter is tried again.
const DEAD_LETTER: Duration = Duration::from_secs(3);

/// How long a release waits for the renewal of its lease. If the renewal comes after it, the message stays leased, and is redelivered later.
const RENEWAL: Duration = Duration::from_secs(1);

pub(super) async fn run<P: Provider>(shared: Arc<Shared<P>>) {
    let mut settler = Settler::new(&shared);
    let mut taken = Vec::with_capacity(shared.scheduler().limits.settle_batch);
    let mut linger = pin!(sleep(Duration::ZERO));
    // Retries, dead letters, releases, and acks whose first try failed.
    let mut beside = JoinSet::new();
    loop {
        poll_fn(|cx| {
            while !beside.is_empty()
                && let Poll::Ready(Some(ended)) = beside.poll_join_next(cx)
            {
                passed_on(ended);
            }
            let now = settler.now.take();
            // A broker that answers at once must not keep the thread from other tasks.
            let budget = ready!(coop::poll_proceed(cx));
            let scheduler = shared.scheduler();
            settler.sweep = ready!(scheduler.poll_batch(&mut taken, linger.as_mut(), cx));
            budget.made_progress();
            settler.now = now;
            Poll::Ready(())
        })
        .await;
        settler.take_acks(&mut taken);
        if !taken.is_empty() {
            for slow in settler.take_rest(&mut taken) {
                if !slow.entries.is_empty() {
                    shared.scheduler().stalled(slow.entries.len());
                    beside.spawn(settle_beside(shared.clone(), slow, settler.sweep, false));
                }
            }
        }
        let before = settler.batch.entries.len();
        settler.try_once().await;
        settler.free(before, false);
        if !settler.batch.entries.is_empty() {
            shared.scheduler().stalled(settler.batch.entries.len());
            let rest = mem::take(&mut settler.batch);
            let failing = mem::take(&mut settler.failing);
            beside.spawn(settle_beside(shared.clone(), rest, settler.sweep, failing));
        }
    }
}

/// Settles a batch while the settler settles others. `failing` says that its first try has failed.
async fn settle_beside<P: Provider>(
    shared: Arc<Shared<P>>,
    batch: Batch<P::Receipt>,
    sweep: Sweep,
    failing: bool,
) {
    let mut settler = Settler::new(&shared);
    (settler.batch, settler.sweep, settler.failing) = (batch, sweep, failing);
    if !failing {
        let before = settler.batch.entries.len();
        settler.try_once().await;
        settler.free(before, true);
    }
    settler.finish().await;
}

/// Buffers that are reused for every batch.
struct Settler<'s, P: Provider> {
    shared: &'s Shared<P>,
    batch: Batch<P::Receipt>,
    /// Those of the acks that are put into the batch.
    receipts: Vec<P::Receipt>,
    answers: Vec<Settled>,
    /// Failed messages of fenced groups, and whether they have left the queue.
    judged: Vec<(Key, Message, bool)>,
    /// Whether there are fenced groups.
    fenced: bool,
    /// The counts of the batch. A batch of acks that all succeeded is not counted here.
    counts: RouteStats,
    /// The sweep that the batch was taken in.
    sweep: Sweep,
    /// Whether its last try failed.
    failing: bool,
    /// Whether there are retries in the batch that take the place of dead letters, and were not tried yet.
    instead: bool,
    /// Why a dead letter failed last.
    cause: Option<Arc<Error>>,
    /// How many messages of the batch are held in place, and keep their capacity.
    held: usize,
    /// When it last read the clock, unless it has waited since.
    now: Option<Moment>,
}

impl<'s, P: Provider> Settler<'s, P> {
    fn new(shared: &'s Shared<P>) -> Self {
        Self {
            shared,
            batch: Batch::default(),
            receipts: Vec::new(),
            answers: Vec::new(),
            judged: Vec::new(),
            fenced: shared.scheduler().is_fenced(),
            counts: RouteStats::default(),
            sweep: Sweep::default(),
            failing: false,
            instead: false,
            cause: None,
            held: 0,
            now: None,
        }
    }

    /// Makes a batch of the acks that what was taken begins with: most batches are nothing else.
    fn take_acks(&mut self, taken: &mut Vec<Job>) {
        let mut table = self.shared.table();
        let now = *self.now.get_or_insert_with(|| table.now());
        for job in taken.iter().take_while(|job| job.is_acked()) {
            // From here on the lease renewer does not know it: a renewal would undo a retry delay.
            let Some(lease) = table.remove_if(job.key, |lease| self.shared.holds(lease, now))
            else {
                break;
            };
            self.batch.holds.push(Hold::of(job.key, &lease));
            self.receipts.push(lease.receipt);
        }
        drop(table);
        let acks = taken
            .drain(..self.receipts.len())
            .zip(self.receipts.drain(..));
        self.batch.entries.extend(acks.map(|(job, receipt)| Settle {
            receipt,
            message: job.message,
            settlement: Settlement::Ack,
        }));
    }

    /// Adds what is left of the acks to the batch, and returns batches of the rest: what waits for renewals is apart. Messages for which
    /// nothing is sent end here.
    #[cold]
    fn take_rest(&mut self, taken: &mut Vec<Job>) -> [Batch<P::Receipt>; 3] {
        let mut rest = [Batch::default(), Batch::default(), Batch::default()];
        let mut gone = 0;
        let mut table = self.shared.table();
        let now = table.now();
        for job in taken.drain(..) {
            let Some(mut lease) = table.remove(job.key) else {
                gone += 1;
                continue;
            };
            lease.lost = !self.shared.holds(&lease, now);
            gone += usize::from(self.sort(job, lease, &mut rest));
        }
        drop(table);
        self.end(gone, false);
        rest
    }

    /// Adds a message to the batch of acks or to one of the rest. Returns whether nothing is sent for it.
    #[cold]
    fn sort(
        &mut self,
        job: Job,
        lease: Lease<P::Receipt>,
        [slow, retries, releases]: &mut [Batch<P::Receipt>; 3],
    ) -> bool {
        let (key, received_at) = (job.key, lease.received_at);
        let hold = Hold::of(key, &lease);
        let ends = job.settlement.is_none();
        let entry = Settle {
            receipt: lease.receipt,
            message: job.message,
            settlement: job.settlement.unwrap_or(Settlement::Retry { after: None }),
        };
        if ends {
            self.shared.lost_alone(&entry.message);
            self.counts.lost += 1;
            self.judge(hold, &entry, false);
            return true;
        }
        if lease.lost {
            self.lost(hold, &entry, TOO_LATE);
            return true;
        }
        if self.is_by_expiry(&entry) {
            self.counts.retried += 1;
            return true;
        }
        let batch = match entry.settlement {
            Settlement::Ack => &mut self.batch,
            Settlement::Retry { .. } | Settlement::Defer { .. } if lease.renewing => retries,
            // If it can't be made, the message is held in place under another key, which the renewal does not know.
            Settlement::DeadLetter(_) if lease.renewing && self.fenced => retries,
            Settlement::Release if lease.renewing => releases,
            _ => slow,
        };
        batch.acks_only &= is_ack(&entry);
        if !is_ack(&entry) {
            batch.received.push((key, received_at));
        }
        batch.push(hold, entry);
        (retries.renewing, releases.renewing) = (Some(Duration::MAX), Some(RENEWAL));
        false
    }

    /// Whether it is a retry for which nothing is sent: the broker redelivers the message when its lease expires.
    fn is_by_expiry(&self, entry: &Settle<P::Receipt>) -> bool {
        let capabilities = &self.shared.route.capabilities;
        // A broker that tells attempts from deliveries counts it.
        let expires = capabilities.lease.is_some() && !capabilities.isolates;
        expires && matches!(entry.settlement, Settlement::Retry { after: None })
    }

    /// Tries the rest again, until it is settled or its leases have expired.
    async fn finish(&mut self) {
        let expires = self.shared.route.capabilities.lease.is_some();
        let pauses = Pauses::new(Duration::from_millis(100)).longest(Duration::from_secs(10));
        let began = Instant::now();
        for (tried, pause) in (1..).zip(pauses.iter()) {
            let before = self.batch.entries.len();
            if before == 0 {
                break;
            }
            if tried < TRIES || !expires {
                let left = DEAD_LETTER.saturating_sub(began.elapsed());
                let ends_sooner = left < pause && self.batch.has_dead_letter();
                if !mem::take(&mut self.instead) {
                    sleep(if ends_sooner { left } else { pause }).await;
                }
                self.drop_stale();
                if began.elapsed() >= DEAD_LETTER {
                    self.give_up_dead_letters();
                    self.instead = false;
                }
                self.try_once().await;
            } else {
                for (hold, entry) in self.batch.take() {
                    self.lost(hold, &entry, UNSETTLED);
                }
            }
            self.free(before, true);
        }
        let failing = &self.shared.route.settlers_failing;
        if failing.give_up(&mut self.failing) && failing.ends_quietly().await {
            self.tell_success();
        }
    }

    /// Frees the capacity of what is settled: the batch had `before` entries.
    fn free(&mut self, before: usize, stalled: bool) {
        let held = mem::take(&mut self.held);
        self.end(before - self.batch.entries.len() - held, stalled);
    }

    /// Ends so many messages: tells their groups, counts them, and frees their capacity.
    fn end(&mut self, messages: usize, stalled: bool) {
        for (key, message, left) in mem::take(&mut self.judged) {
            let call = self.shared.scheduler().judged(key, &message, left);
            self.shared.route.answer(call);
        }
        if self.counts != RouteStats::default() {
            self.shared.route.stats.add(&mem::take(&mut self.counts));
        }
        if messages > 0 {
            self.shared.route.freed(messages, stalled, self.sweep);
        }
    }

    async fn try_once(&mut self) {
        if let Some(most) = self.batch.renewing.take() {
            // Only a renewal in flight could undo a delay: the lease renewer does not know these messages any more.
            let keys = self.batch.holds.iter().map(|hold| hold.key);
            let renewed = timeout(most, self.shared.renewing.over(keys));
            if !self.shared.within(self.batch.first_end(), renewed).await {
                return self.cut_short();
            }
            self.drop_stale();
        }
        if self.batch.entries.is_empty() {
            return;
        }
        self.answers.clear();
        let mut acking = Vec::new();
        let answered = {
            let (provider, entries) = (&self.shared.provider, &self.batch.entries);
            let mut settling = pin!(provider.settle(entries, &mut self.answers));
            // A broker in this process answers at once: no timer is made for it.
            let at_once = poll_fn(|cx| Poll::Ready(settling.as_mut().poll(cx).is_ready())).await;
            if !at_once {
                self.now = None;
                // They may be redelivered before there is an answer.
                let acks = entries.iter().filter(|entry| is_ack(entry));
                acking.extend(acks.map(|entry| entry.message.clone()));
                self.shared.route.ack_dedup.begin(acking.iter());
            }
            // A provider has tries of its own: after the lease they could settle a message that somebody else handles.
            at_once || self.shared.within(self.batch.first_end(), settling).await
        };
        match answered {
            true => self.conclude(),
            false => self.cut_short(),
        }
        if !acking.is_empty() {
            self.shared.route.ack_dedup.end(acking.iter());
        }
    }

    /// Called before another try: a stale receipt could still delete a message that somebody else is handling.
    #[cold]
    fn drop_stale(&mut self) {
        let table = self.shared.table();
        let (now, leaves_at) = (table.now(), table.leaves_at());
        drop(table);
        for (mut hold, entry) in self.batch.take() {
            if let Some(at) = leaves_at.filter(|_| self.shared.provider.is_leaving(&entry.receipt))
            {
                hold.until = hold.until.min(at);
            }
            if now < hold.until && self.shared.provider.is_live(&entry.receipt) {
                self.batch.push(hold, entry);
            } else {
                self.lost(hold, &entry, TOO_LATE);
            }
        }
    }
}

impl<P: Provider> Shared<P> {
    /// Whether a message is still ours. The connection monitor may not know yet that its lease is lost.
    pub(in crate::engine) fn holds(&self, lease: &Lease<P::Receipt>, now: Moment) -> bool {
        !lease.lost && now < lease.leased_until && self.provider.is_live(&lease.receipt)
    }

    /// Waits for something, but not beyond this moment. Returns whether it came in time.
    async fn within<T>(&self, end: Moment, wait: impl Future<Output = T>) -> bool {
        if end == Moment::NEVER {
            wait.await;
            return true;
        }
        let left = end.since(self.table().now());
        timeout(left, wait).await.is_ok()
    }
}
