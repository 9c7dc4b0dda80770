//! A dead-letter queue that breaks one promise.

use loafer_core::{
    Error,
    broker::{
        DeadLetterCapabilities, DeadLetterInfo, DeadLetterQueue, Delivery, Destination, Origin,
        PackedDeadLetter,
    },
    message::Message,
};

use super::{Sabotage, without_event_id};

/// A dead-letter queue that breaks one promise.
pub(super) struct DeadLetters<Q> {
    pub(super) queue: Q,
    pub(super) how: Sabotage,
}

impl<Q: DeadLetterQueue> DeadLetterQueue for DeadLetters<Q> {
    type Receipt = Q::Receipt;

    async fn open(&self) -> Result<DeadLetterInfo, Error> {
        self.queue.open().await
    }

    async fn lease(&self, max: usize, into: &mut Vec<Delivery<Q::Receipt>>) -> Result<(), Error> {
        self.queue.lease(max, into).await
    }

    async fn give_back(&self, leases: &[Q::Receipt]) -> Result<(), Error> {
        self.queue.give_back(leases).await
    }

    fn capabilities(&self) -> DeadLetterCapabilities {
        self.queue.capabilities()
    }

    fn pack(&self, dead_letter: &Delivery<Q::Receipt>) -> PackedDeadLetter {
        let packed = self.queue.pack(dead_letter);
        match self.how {
            Sabotage::LosesEventIdsOfCopies => {
                PackedDeadLetter::new(&without_event_id(packed.message()))
            }
            _ => packed,
        }
    }

    async fn copy(
        &self,
        to: &Destination,
        dead_letters: &[PackedDeadLetter],
        answers: &mut Vec<Result<(), Error>>,
    ) {
        if self.how == Sabotage::ConfirmsNoCopies {
            return answers.extend(dead_letters.iter().map(|_| Ok(())));
        }
        self.queue.copy(to, dead_letters, answers).await;
    }

    async fn delete(&self, leases: &[Q::Receipt], answers: &mut Vec<Result<(), Error>>) {
        if self.how == Sabotage::KeepsDeadLetters {
            return answers.extend(leases.iter().map(|_| Ok(())));
        }
        self.queue.delete(leases, answers).await;
    }

    async fn purge(&self) -> Result<(), Error> {
        self.queue.purge().await
    }

    fn origin(&self, message: &Message) -> Origin {
        self.queue.origin(message)
    }
}
