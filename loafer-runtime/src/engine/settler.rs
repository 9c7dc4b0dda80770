//! A settler: turns dispositions of messages into batches of settlements.

mod preparing;

use std::{
    collections::VecDeque,
    future::{Future, poll_fn},
    mem,
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use tokio::{task::JoinSet, time::sleep};

use super::{Job, RouteStats, Shared, leases::table::Moment, passed_on, unsettled::pauses};
use loafer_core::{
    broker::{Provider, Settle, Settled, Settlement},
    message::Message,
};

pub(super) async fn run<P: Provider>(shared: Arc<Shared<P>>) {
    let mut settler = Settler::new(&shared);
    let mut linger = pin!(sleep(Duration::ZERO));
    // If leases do not expire, these tasks settle what may take its time: acks don't wait for it.
    let mut beside = JoinSet::new();
    loop {
        poll_fn(|cx| {
            while !beside.is_empty()
                && let Poll::Ready(Some(ended)) = beside.poll_join_next(cx)
            {
                passed_on(ended);
            }
            shared
                .scheduler()
                .poll_batch(&mut settler.taken, linger.as_mut(), cx)
        })
        .await;
        if let Some(aside) = settler.begin().await {
            beside.spawn(settle_beside(shared.clone(), aside, true));
        }
        if settler.batch.is_empty() {
            continue;
        }
        if shared.capabilities.lease.is_some() {
            shared.scheduler().stalled(settler.batch.len());
            settler.finish().await;
        } else {
            let rest = (mem::take(&mut settler.batch), mem::take(&mut settler.ends));
            beside.spawn(settle_beside(shared.clone(), rest, false));
        }
    }
}

/// Entries, and the end of each entry's lease.
type Rest<R> = (Vec<Settle<R>>, Vec<Moment>);

/// Settles what was put aside, while the settler settles other batches.
async fn settle_beside<P: Provider>(
    shared: Arc<Shared<P>>,
    (batch, ends): Rest<P::Receipt>,
    at_once: bool,
) {
    let mut settler = Settler::new(&shared);
    (settler.batch, settler.ends, settler.acks_only) = (batch, ends, false);
    let before = settler.batch.len();
    shared.scheduler().stalled(before);
    if at_once {
        settler.try_once().await;
        settler.tell_groups();
        settler.free(before, true);
    }
    settler.finish().await;
}

/// Buffers that are reused for every batch.
struct Settler<'s, P: Provider> {
    shared: &'s Shared<P>,
    taken: VecDeque<Job>,
    batch: Vec<Settle<P::Receipt>>,
    /// The end of the lease of each entry of `batch`.
    ends: Vec<Moment>,
    answers: Vec<Settled>,
    /// Whether the batch has nothing but acks. This is the common case.
    acks_only: bool,
    /// Failed messages of fenced groups, and whether they have left the queue.
    judged: Vec<(Message, bool)>,
    /// Whether there are fenced groups.
    fenced: bool,
    /// The counts of the batch. A batch of acks that all succeeded is not counted here.
    counts: RouteStats,
    /// Whether any of `counts` is not 0.
    counted: bool,
}

impl<'s, P: Provider> Settler<'s, P> {
    fn new(shared: &'s Shared<P>) -> Self {
        let size = shared.scheduler().limits.settle_batch;
        Self {
            shared,
            taken: VecDeque::with_capacity(size),
            batch: Vec::with_capacity(size),
            ends: Vec::with_capacity(size),
            answers: Vec::with_capacity(size),
            acks_only: true,
            judged: Vec::new(),
            fenced: shared.scheduler().is_fenced(),
            counts: RouteStats::default(),
            counted: false,
        }
    }

    /// Settles what was taken, in one try: failed entries stay in the batch. If leases do not expire, everything but acks is put aside and
    /// returned.
    async fn begin(&mut self) -> Option<Rest<P::Receipt>> {
        let mut before = self.taken.len();
        self.prepare();
        self.tell_groups();
        let aside = self.put_aside();
        before -= aside.as_ref().map_or(0, |(batch, _)| batch.len());
        if !self.batch.is_empty() {
            self.try_once().await;
            self.tell_groups();
        }
        self.free(before, false);
        aside
    }

    /// Takes out everything but acks, if leases do not expire: no lease limits how long they may take.
    #[inline]
    fn put_aside(&mut self) -> Option<Rest<P::Receipt>> {
        if self.acks_only || self.shared.capabilities.lease.is_some() {
            return None;
        }
        let entries = self.ends.drain(..).zip(self.batch.drain(..));
        let (acks, others): (Vec<_>, Vec<_>) =
            entries.partition(|(_, entry)| matches!(entry.settlement, Settlement::Ack));
        (self.ends, self.batch) = acks.into_iter().unzip();
        self.acks_only = true;
        let (ends, batch) = others.into_iter().unzip();
        Some((batch, ends))
    }

    /// Tries the rest again, until it is settled or its leases have expired.
    async fn finish(&mut self) {
        let mut pauses = pauses(self.shared.capabilities.lease.is_some());
        while !self.batch.is_empty() {
            let before = self.batch.len();
            match pauses.next() {
                Some(pause) => {
                    sleep(pause).await;
                    self.drop_stale();
                    if !self.batch.is_empty() {
                        self.try_once().await;
                    }
                }
                None => self.give_up(),
            }
            self.tell_groups();
            self.free(before, true);
        }
    }

    /// Frees the capacity of what is settled: the batch had `before` entries.
    fn free(&mut self, before: usize, stalled: bool) {
        if mem::take(&mut self.counted) {
            self.shared.route.stats.add(&mem::take(&mut self.counts));
        }
        self.shared.route.freed(before - self.batch.len(), stalled);
    }

    async fn try_once(&mut self) {
        if !self.acks_only {
            // Only the renewal in flight could undo a delay: the lease renewer does not know these messages any more.
            drop(self.shared.renewing.lock().await);
        }
        self.answers.clear();
        let answered = {
            let settling = self.shared.provider.settle(&self.batch, &mut self.answers);
            let mut settling = pin!(settling);
            // A broker in this process answers at once: no timer is made for it.
            let at_once = poll_fn(|cx| Poll::Ready(settling.as_mut().poll(cx).is_ready())).await;
            // A provider has tries of its own: after the lease they could settle a message that somebody else handles.
            at_once || self.shared.within(&self.ends, settling).await
        };
        if answered {
            self.conclude();
        } else {
            self.shared.cut_short();
        }
    }

    /// Called before another try: a stale receipt could still delete a message that somebody else is handling.
    #[cold]
    fn drop_stale(&mut self) {
        let now = self.shared.table().now();
        let entries = self.ends.drain(..).zip(self.batch.drain(..));
        let (stale, live): (Vec<_>, Vec<_>) = entries
            .partition(|(end, entry)| now >= *end || !self.shared.provider.is_live(&entry.receipt));
        for (_, entry) in stale {
            self.counted = true;
            self.counts.lost += 1;
            self.shared
                .settled_too_late(&entry.message, matches!(entry.settlement, Settlement::Ack));
            judge(&mut self.judged, self.fenced, &entry, false);
        }
        (self.ends, self.batch) = live.into_iter().unzip();
    }

    /// Reads the answers. Failed entries stay in the batch.
    fn conclude(&mut self) {
        let answered = self.answers.len() == self.batch.len();
        if !answered
            || !self
                .answers
                .iter()
                .all(|answer| matches!(answer, Settled::Done))
        {
            return self.conclude_partly();
        }
        if self.acks_only {
            self.shared.route.stats.acked(self.batch.len());
        } else {
            for entry in &self.batch {
                self.counted = true;
                self.counts.settled(&entry.settlement);
                judge(&mut self.judged, self.fenced, entry, true);
                self.shared.confirmed(entry);
            }
        }
        if !self.shared.route.ack_dedup.is_empty() {
            self.batch
                .iter()
                .for_each(|entry| self.shared.route.ack_dedup.forget(entry.message.id()));
        }
        self.ends.clear();
        self.batch.clear();
        self.shared.settled_well();
    }

    #[cold]
    fn conclude_partly(&mut self) {
        let shared = self.shared;
        let mut failed = (Vec::new(), Vec::new());
        let mut well = true;
        let entries = self.ends.drain(..).zip(self.batch.drain(..));
        let answers = self
            .answers
            .drain(..)
            .map(Some)
            .chain(std::iter::repeat_with(|| None));
        for ((end, mut entry), answer) in entries.zip(answers) {
            match answer {
                Some(Settled::Done) => {
                    self.counted = true;
                    self.counts.settled(&entry.settlement);
                    judge(&mut self.judged, self.fenced, &entry, true);
                    shared.confirmed(&entry);
                    shared.route.ack_dedup.forget(entry.message.id());
                }
                Some(Settled::Lost) => {
                    self.counted = true;
                    self.counts.lost += 1;
                    shared.lost(&entry.message, &entry.settlement);
                    judge(&mut self.judged, self.fenced, &entry, false);
                }
                Some(Settled::NoDeadLetterTarget) => {
                    judge(&mut self.judged, self.fenced, &entry, false);
                    shared.route.declined(
                        &entry.message,
                        "no dead-letter queue to put it in: retried instead; SQS: set a redrive policy on the queue; RabbitMQ: bind a queue to the route's dead-letter target",
                    );
                    entry.settlement = Settlement::Retry {
                        after: shared.backoff(entry.message.attempt()),
                    };
                    if matches!(entry.settlement, Settlement::Retry { after: Some(_) })
                        || shared.capabilities.lease.is_none()
                    {
                        failed.0.push(entry);
                        failed.1.push(end);
                        continue;
                    }
                    self.counted = true;
                    self.counts.retried += 1;
                }
                Some(Settled::Failed(error)) => {
                    well = false;
                    shared.settle_failed(&entry.message, &entry.settlement, &error);
                    failed.0.push(entry);
                    failed.1.push(end);
                    continue;
                }
                None => {
                    well = false;
                    shared.unanswered(&entry.message);
                    failed.0.push(entry);
                    failed.1.push(end);
                    continue;
                }
            }
        }
        if well {
            shared.settled_well();
        }
        (self.batch, self.ends) = failed;
    }

    /// Every try failed: the messages are redelivered when their leases expire.
    #[cold]
    fn give_up(&mut self) {
        self.ends.clear();
        for entry in self.batch.drain(..) {
            self.counted = true;
            self.counts.lost += 1;
            self.shared.lost(&entry.message, &entry.settlement);
            judge(&mut self.judged, self.fenced, &entry, false);
        }
    }

    /// Reports how failed messages of groups ended: the scheduler lets each group go on, or releases what waits behind.
    #[inline]
    fn tell_groups(&mut self) {
        if self.judged.is_empty() {
            return;
        }
        for (message, left) in self.judged.drain(..) {
            let call = self.shared.scheduler().judged(&message, left);
            self.shared.route.answer(call);
        }
    }
}

/// Records how a dead letter of a fenced group ended: this decides about its group. How a retry ends is known before.
fn judge<R>(judged: &mut Vec<(Message, bool)>, fenced: bool, entry: &Settle<R>, left: bool) {
    if fenced && matches!(entry.settlement, Settlement::DeadLetter(_)) {
        judged.push((entry.message.clone(), left));
    }
}
