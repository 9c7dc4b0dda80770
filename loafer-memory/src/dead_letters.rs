//! The dead letters of a queue in memory.

use std::{fmt, sync::Arc};

use super::{
    MemoryReceipt,
    broker::Exchange,
    dead_letter_queue,
    queue::{Answer, End, Queue, QueueOptions},
};
use loafer_core::{
    Error,
    broker::{DeadLetter, DeadLetterInfo, DeadLetterQueue, Delivery, Destination, Origin, Source},
    message::{Message, MessageId},
};

/// The dead letters of one queue in memory: `<queue>-dlq`.
pub struct MemoryDeadLetters {
    exchange: Arc<Exchange>,
    options: QueueOptions,
    /// The queue they came from, by name.
    source: String,
    letters: Arc<Queue>,
}

impl MemoryDeadLetters {
    pub(super) fn new(exchange: Arc<Exchange>, options: QueueOptions, source: &Source) -> Self {
        let letters = exchange.queue(&dead_letter_queue(&source.queue), &options);
        Self {
            exchange,
            options,
            source: source.queue.clone(),
            letters,
        }
    }

    fn end(&self, receipt: &MemoryReceipt, end: End) -> Answer {
        let mut answer = Answer::Lost;
        self.letters
            .settle([(receipt, end)].into_iter(), |told| answer = told);
        answer
    }
}

impl DeadLetterQueue for MemoryDeadLetters {
    type Receipt = MemoryReceipt;

    async fn open(&self) -> Result<DeadLetterInfo, Error> {
        Ok(DeadLetterInfo {
            queue: self.letters.name.clone(),
            count: Some(self.letters.messages().len() as u64),
            ..DeadLetterInfo::default()
        })
    }

    async fn lease(
        &self,
        max: usize,
        into: &mut Vec<Delivery<MemoryReceipt>>,
    ) -> Result<(), Error> {
        let mut worn = Vec::new();
        self.letters
            .receive(max, self.options.lease, into, |dead| worn = dead);
        // Looked at too often: a dead letter has no further to go.
        self.letters.send(worn, None);
        Ok(())
    }

    async fn give_back(&self, leases: &[MemoryReceipt]) -> Result<(), Error> {
        // Each goes to the front: the first has to be the last.
        let ends = leases.iter().rev().map(|lease| (lease, End::Untried));
        self.letters.settle(ends, |_| {});
        Ok(())
    }

    async fn send(
        &self,
        to: &Destination,
        letters: &[Delivery<MemoryReceipt>],
        answers: &mut Vec<Result<(), Error>>,
    ) {
        let to = match to {
            Destination::Source => &self.source,
            Destination::Queue(queue) => queue,
        };
        let to = self.exchange.queue(to, &self.options);
        for letter in letters {
            answers.push(match self.end(&letter.receipt, End::Gone) {
                Answer::Done => {
                    let copy = letter.message.clone().with_broker_id(MessageId::new());
                    to.send([copy], None);
                    Ok(())
                }
                Answer::Lost => Err(Error::Config(format!(
                    "dead letter `{}`: its lease is over; try again",
                    letter.message.id()
                ))),
            });
        }
    }

    async fn purge(&self) -> Result<(), Error> {
        let mut all = Vec::new();
        loop {
            self.lease(usize::MAX / 2, &mut all).await?;
            if all.is_empty() {
                return Ok(());
            }
            let ends = all.iter().map(|letter| (&letter.receipt, End::Gone));
            self.letters.settle(ends, |_| {});
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
            .field("queue", &self.letters.name)
            .finish_non_exhaustive()
    }
}
