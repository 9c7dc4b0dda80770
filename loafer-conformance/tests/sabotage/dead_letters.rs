//! A dead-letter queue that breaks one promise.

use loafer_core::{
    Error,
    broker::{DeadLetterInfo, DeadLetterQueue, Delivery, Destination, Origin},
    message::{EVENT_ID, Message},
};

use super::{Sabotage, without};

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

    async fn copy(
        &self,
        to: &Destination,
        dead_letters: &[Delivery<Q::Receipt>],
        answers: &mut Vec<Result<(), Error>>,
    ) {
        if self.how == Sabotage::ConfirmsNoCopies {
            return answers.extend(dead_letters.iter().map(|_| Ok(())));
        }
        if self.how == Sabotage::LosesEventIdsOfCopies {
            let nameless = |dead_letter: &Delivery<Q::Receipt>| Delivery {
                receipt: dead_letter.receipt.clone(),
                message: without(&dead_letter.message, EVENT_ID),
            };
            let nameless: Vec<_> = dead_letters.iter().map(nameless).collect();
            return self.queue.copy(to, &nameless, answers).await;
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
