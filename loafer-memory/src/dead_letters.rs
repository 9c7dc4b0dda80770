//! The dead letters of a queue in memory.

use std::{fmt, sync::Arc};

use loafer_core::{
    Error,
    broker::{
        DeadLetter, DeadLetterCapabilities, DeadLetterInfo, DeadLetterQueue, Delivery, Destination,
        Origin, PackedDeadLetter, Source,
    },
    message::{Message, MessageId},
};

use crate::{
    exchange::Exchange,
    names::dead_letter_queue,
    queue::{Answer, End, Queue, QueueOptions},
    receipt::MemoryReceipt,
};

/// The dead letters of one queue in memory: the queue `<queue>-dlq`.
pub struct MemoryDeadLetters {
    exchange: Arc<Exchange>,
    options: QueueOptions,
    /// The name of the queue that the dead letters came from.
    source: String,
    dead_letters: Arc<Queue>,
}

impl MemoryDeadLetters {
    pub(crate) fn new(exchange: Arc<Exchange>, options: QueueOptions, source: &Source) -> Self {
        let dead_letters = exchange.queue(&dead_letter_queue(&source.queue), &options);
        Self {
            exchange,
            options,
            source: source.queue.clone(),
            dead_letters,
        }
    }

    fn lease_is_over(&self) -> Error {
        Error::Refused {
            what: "deleting a dead letter",
            queue: self.dead_letters.name.clone(),
            cause: "its lease is over; try again".to_owned(),
            source: None,
        }
    }
}

impl DeadLetterQueue for MemoryDeadLetters {
    type Receipt = MemoryReceipt;

    async fn open(&self) -> Result<DeadLetterInfo, Error> {
        Ok(DeadLetterInfo {
            queue: self.dead_letters.name.clone(),
            source: self.source.clone(),
            count: Some(self.dead_letters.messages().len() as u64),
            ..DeadLetterInfo::default()
        })
    }

    fn capabilities(&self) -> DeadLetterCapabilities {
        DeadLetterCapabilities {
            ordered: self.dead_letters.is_fifo(),
            ..DeadLetterCapabilities::default()
        }
    }

    async fn lease(
        &self,
        max: usize,
        into: &mut Vec<Delivery<MemoryReceipt>>,
    ) -> Result<(), Error> {
        let mut worn = Vec::new();
        self.dead_letters
            .receive(max, self.options.lease, into, |dead| worn = dead);
        // They were looked at more often than the queue allows. A dead letter has no other queue to go to.
        self.dead_letters.send(worn, None);
        Ok(())
    }

    async fn give_back(&self, leases: &[MemoryReceipt]) -> Result<(), Error> {
        // Each goes to the front of the queue, so the first must be the last.
        let ends = leases.iter().rev().map(|lease| (lease, End::Untried));
        self.dead_letters.settle(ends, &mut (), |_| ());
        Ok(())
    }

    async fn copy(
        &self,
        to: &Destination,
        dead_letters: &[PackedDeadLetter],
        answers: &mut Vec<Result<(), Error>>,
    ) {
        let queue = match to {
            Destination::Source => &self.source,
            Destination::Queue(queue) => queue,
        };
        let queue = self.exchange.queue(queue, &self.options);
        let copies = dead_letters
            .iter()
            .map(|dead_letter| dead_letter.copy_to(to));
        let copies = copies.map(|message| message.with_broker_id(MessageId::new()));
        queue.send(copies.collect::<Vec<_>>(), None);
        answers.extend(dead_letters.iter().map(|_| Ok(())));
    }

    async fn delete(&self, leases: &[MemoryReceipt], answers: &mut Vec<Result<(), Error>>) {
        let ends = leases.iter().map(|lease| (lease, End::Gone));
        self.dead_letters
            .settle(ends, answers, |answer| match answer {
                Answer::Done => Ok(()),
                Answer::Lost => Err(self.lease_is_over()),
            });
    }

    async fn purge(&self) -> Result<(), Error> {
        let mut all = Vec::new();
        loop {
            self.lease(usize::MAX / 2, &mut all).await?;
            if all.is_empty() {
                return Ok(());
            }
            let ends = all.iter().map(|lease| (&lease.receipt, End::Gone));
            self.dead_letters.settle(ends, &mut (), |_| ());
            all.clear();
        }
    }

    fn origin(&self, message: &Message) -> Origin {
        let queue = DeadLetter::of(message).map(|envelope| envelope.queue);
        Origin {
            by_broker: queue.is_none(),
            from_other_queue: false,
            queue: queue.or_else(|| Some(self.source.clone())),
        }
    }
}

impl fmt::Debug for MemoryDeadLetters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryDeadLetters")
            .field("queue", &self.dead_letters.name)
            .finish_non_exhaustive()
    }
}
