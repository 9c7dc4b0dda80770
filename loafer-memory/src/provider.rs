//! The provider of the broker in memory.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
    task::{Poll, ready},
    time::Duration,
};

use loafer_core::{
    Error,
    broker::{
        Capabilities, DeadLetter, Delivery, Depth, DueTime, Finding, Isolated, Open, Provider,
        Renewed, Settle, Settled, Settlement, Source,
    },
    message::Message,
    policy::Policy,
};
use tokio::time::{Instant, sleep_until};

use crate::{
    exchange::Exchange,
    names::dead_letter_queue,
    queue::{Answer, End, Queue, QueueOptions},
    receipt::MemoryReceipt,
};

/// The longest delay of a retry: 12 hours, the longest visibility timeout of SQS
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-visibility-timeout.html>).
const MAX_DELAY: Duration = Duration::from_secs(12 * 60 * 60);

/// How many messages a route holds ahead of its handlers. They are in memory in any case.
const PREFETCH: usize = 100;

/// Leases messages from one queue in memory.
///
/// Every call answers at once, except `receive` on an empty queue. A call that is dropped in flight has done nothing.
pub struct MemoryProvider {
    queue: Arc<Queue>,
    dead_letters: Arc<Queue>,
    /// The options of the broker value, with the lease of the route.
    options: QueueOptions,
}

impl Drop for MemoryProvider {
    fn drop(&mut self) {
        self.queue.leave();
    }
}

impl MemoryProvider {
    pub(crate) fn new(exchange: &Exchange, options: QueueOptions, source: &Source) -> Self {
        let queue = exchange.queue(&source.queue, &options);
        for topic in &source.topics {
            exchange.subscribe(topic, &queue);
        }
        queue.consume();
        let dead_letters = exchange.queue(&dead_letter_queue(&source.queue), &options);
        Self {
            queue,
            dead_letters,
            options,
        }
    }

    /// Leases what is visible. Returns whether there was anything. What was received too often goes to the dead letters, without an envelope, as
    /// SQS's redrive moves it.
    fn take(&self, max: usize, into: &mut Vec<Delivery<MemoryReceipt>>) -> bool {
        let before = into.len();
        self.queue.receive(max, self.options.lease, into, |dead| {
            self.dead_letters.send(dead, None)
        });
        into.len() > before
    }

    /// Makes a message visible after `by`, as if it had not been received yet.
    #[doc(hidden)]
    pub fn postpone(&self, receipt: &MemoryReceipt, by: Duration) {
        let end = (receipt, End::UntriedAfter(by));
        self.queue.settle(std::iter::once(end), &mut (), |_| ());
    }

    /// Puts a copy on the dead-letter queue, while the original is still there.
    fn dead_letter(&self, message: &Message, envelope: &DeadLetter) {
        let copy = message
            .clone()
            .with_header(DeadLetter::HEADER, envelope.to_header());
        self.dead_letters.send([copy], None);
    }
}

impl Provider for MemoryProvider {
    type Receipt = MemoryReceipt;

    async fn open(&self, _: Open) -> Result<(), Error> {
        Ok(())
    }

    async fn check(&self, _: &Policy) -> Vec<Finding> {
        vec![Finding::good(format!(
            "queue `{}` is in memory: it ends with the process",
            self.queue.name
        ))]
    }

    async fn receive(
        &self,
        max: usize,
        wait: Duration,
        into: &mut Vec<Delivery<MemoryReceipt>>,
    ) -> Result<(), Error> {
        if self.take(max, into) {
            return Ok(());
        }
        let give_up = Instant::now() + wait;
        let mut alarm = pin!(sleep_until(give_up));
        let mut waiter = self.queue.waiter();
        poll_fn(|cx| {
            loop {
                // Before the look, so that a message which comes after it wakes this task.
                waiter.renew(cx);
                if self.take(max, into) {
                    return Poll::Ready(());
                }
                let until = self.queue.next_visible();
                let until = until.map_or(give_up, |visible| visible.min(give_up));
                if until != alarm.deadline() {
                    alarm.as_mut().reset(until);
                }
                ready!(alarm.as_mut().poll(cx));
                if until == give_up {
                    return Poll::Ready(());
                }
            }
        })
        .await;
        Ok(())
    }

    async fn receive_isolated(&self) -> Result<Option<Isolated<MemoryReceipt>>, Error> {
        Ok(self.queue.receive_isolated(self.options.lease))
    }

    async fn settle(&self, batch: &[Settle<MemoryReceipt>], answers: &mut Vec<Settled>) {
        let ends = batch.iter().map(|entry| {
            let end = match &entry.settlement {
                Settlement::Ack => End::Gone,
                Settlement::Retry { after } => after.map_or(End::Lapse, End::After),
                Settlement::Release => End::Untried,
                Settlement::Isolate => End::Isolated,
                Settlement::Defer { until } => {
                    End::UntriedAfter(until.left(Instant::now().into_std()))
                }
                Settlement::DeadLetter(envelope) => {
                    self.dead_letter(&entry.message, envelope);
                    End::Gone
                }
            };
            (&entry.receipt, end)
        });
        self.queue.settle(ends, answers, |answer| match answer {
            Answer::Done => Settled::Done,
            Answer::Lost => Settled::Lost,
        });
    }

    async fn renew(&self, leases: &[MemoryReceipt], by: Duration, answers: &mut Vec<Renewed>) {
        self.queue.renew(leases, by, |answer| {
            answers.push(match answer {
                Answer::Done => Renewed::Done,
                Answer::Lost => Renewed::Lost,
            });
        });
    }

    async fn depth(&self) -> Result<Depth, Error> {
        Ok(self.queue.depth())
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            receive_batch: self.options.batch,
            prefetch: PREFETCH,
            settle_batch: self.options.batch,
            receivers: 1,
            settlers: 1,
            wait: Duration::from_secs(20),
            // A receive that is dropped has leased nothing.
            receive_grace: Duration::ZERO,
            linger: Duration::ZERO,
            lease: Some(self.options.lease),
            lease_ceiling: None,
            max_delay: Some(match self.queue.defers() {
                true => DueTime::LONGEST,
                false => MAX_DELAY,
            }),
            defers: self.queue.defers(),
            isolates: true,
            ordered: self.queue.is_fifo(),
            release_costs_attempt: false,
            max_receives: self.queue.max_receives(),
            own_ids: true,
            ..Capabilities::default()
        }
    }
}

impl std::fmt::Debug for MemoryProvider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryProvider")
            .field("queue", &self.queue.name)
            .finish_non_exhaustive()
    }
}
