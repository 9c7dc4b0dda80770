//! A dead-letter queue that breaks one promise.

use std::sync::Mutex;

use loafer_core::{
    Error,
    broker::{
        BrokerMove, DeadLetterCapabilities, DeadLetterInfo, DeadLetterQueue, Delivery, Destination,
        Origin, PackedDeadLetter, ProgressFn,
    },
    message::{EVENT_ID, Message, MessageId},
};

use super::{Sabotage, provider::without};

/// A dead-letter queue that breaks one promise.
pub(super) struct DeadLetters<Q> {
    queue: Q,
    how: Sabotage,
    /// The ids of what this value packed.
    packed: Mutex<Vec<MessageId>>,
}

impl<Q> DeadLetters<Q> {
    pub(super) fn new(queue: Q, how: Sabotage) -> Self {
        Self {
            queue,
            how,
            packed: Mutex::default(),
        }
    }
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
        let rates = self.how == Sabotage::IgnoresRates;
        DeadLetterCapabilities {
            moves: rates,
            rate: rates,
            ..self.queue.capabilities()
        }
    }

    /// Moves all at once, whatever the rate.
    async fn move_all(
        &self,
        to: &Destination,
        _: Option<u32>,
        _: ProgressFn<'_>,
    ) -> Result<BrokerMove, Error> {
        let (mut leased, mut answers) = (Vec::new(), Vec::new());
        self.queue.lease(100, &mut leased).await?;
        let packed: Vec<_> = leased.iter().map(|one| self.queue.pack(one)).collect();
        self.queue.copy(to, &packed, &mut answers).await;
        let leases: Vec<_> = leased.into_iter().map(|one| one.receipt).collect();
        self.queue.delete(&leases, &mut answers).await;
        Ok(BrokerMove {
            moved: leases.len() as u64,
            ..BrokerMove::default()
        })
    }

    fn pack(&self, dead_letter: &Delivery<Q::Receipt>) -> PackedDeadLetter {
        let packed = self.queue.pack(dead_letter);
        let id = packed.message().id().clone();
        self.packed.lock().expect("no panic").push(id);
        match self.how {
            Sabotage::LosesEventIdsOfCopies => {
                PackedDeadLetter::new(&without(packed.message(), EVENT_ID))
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
        if self.how == Sabotage::CopiesOnlyWhatItPacked {
            let known = self.packed.lock().expect("no panic").clone();
            let is_known = |one: &PackedDeadLetter| known.contains(one.message().id());
            if !dead_letters.iter().all(is_known) {
                let error = || Err(Error::Config("it was packed by somebody else".to_owned()));
                return answers.extend(dead_letters.iter().map(|_| error()));
            }
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
