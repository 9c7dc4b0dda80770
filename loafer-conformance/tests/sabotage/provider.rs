//! The provider of a broker in memory that breaks one promise.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use loafer_core::{
    Error,
    broker::{
        Capabilities, Delivery, Depth, DueTime, Finding, Isolated, Open, Provider, Publisher,
        Renewed, Settle, Settled, Settlement, Topic,
    },
    message::{CONTENT_TYPE, EVENT_ID, Message, Outgoing},
    policy::Policy,
};
use loafer_memory::{MemoryProvider, MemoryPublisher, MemoryReceipt};
use tokio::time::Instant;

use super::{Sabotage, Sabotaged};

pub(crate) struct Provides {
    memory: MemoryProvider,
    publisher: MemoryPublisher,
    queue: String,
    how: Sabotage,
    opened: Arc<Mutex<BTreeSet<String>>>,
    /// Whether it receives nothing: another provider had its queue, or it does not resume.
    deaf: AtomicBool,
    was_paused: AtomicBool,
}

impl Provides {
    pub(super) fn new(
        memory: MemoryProvider,
        publisher: MemoryPublisher,
        queue: String,
        of: &Sabotaged,
    ) -> Self {
        Self {
            memory,
            publisher,
            queue,
            how: of.how,
            opened: of.opened.clone(),
            deaf: AtomicBool::new(false),
            was_paused: AtomicBool::new(false),
        }
    }
}

impl Provider for Provides {
    type Receipt = MemoryReceipt;

    async fn open(&self, mode: Open) -> Result<(), Error> {
        let again = !locked(&self.opened).insert(self.queue.clone());
        let deaf = again && self.how == Sabotage::OpensEachQueueOnce;
        self.deaf.store(deaf, Ordering::SeqCst);
        self.memory.open(mode).await
    }

    async fn check(&self, policy: &Policy) -> Vec<Finding> {
        self.memory.check(policy).await
    }

    async fn receive(
        &self,
        max: usize,
        wait: Duration,
        into: &mut Vec<Delivery<MemoryReceipt>>,
    ) -> Result<(), Error> {
        if self.deaf.load(Ordering::SeqCst) {
            tokio::time::sleep(wait).await;
            return Ok(());
        }
        // Not of those who want one, and not of those who want all.
        let more = self.how == Sabotage::BringsOneMore && (2..=4).contains(&max);
        let max = max + usize::from(more);
        self.memory.receive(max, wait, into).await?;
        match self.how {
            Sabotage::CountsDeliveries => into.iter_mut().for_each(|delivery| {
                let message = &mut delivery.message;
                *message = message.clone().with_attempt(message.deliveries());
            }),
            Sabotage::HidesDeliveries => into.iter_mut().for_each(|delivery| {
                delivery.message = delivery.message.clone().with_deliveries(1);
            }),
            Sabotage::ForgetsFirstFailures => into.iter_mut().for_each(|delivery| {
                let now = SystemTime::now();
                delivery.message = delivery.message.clone().with_first_failed_at(now);
            }),
            Sabotage::LosesOneOfThousands => {
                into.retain(|delivery| delivery.message.payload() != "3456");
            }
            Sabotage::HidesTheAttempt => {
                for delivery in into {
                    delivery.message = delivery.message.clone().with_attempt(1);
                }
            }
            Sabotage::CountsPauses if self.was_paused.load(Ordering::SeqCst) => {
                for delivery in into {
                    let attempt = delivery.message.attempt() + 1;
                    delivery.message = delivery.message.clone().with_attempt(attempt);
                }
            }
            Sabotage::LosesContentTypes => {
                for delivery in into {
                    delivery.message = without(&delivery.message, CONTENT_TYPE);
                }
            }
            Sabotage::FlattensHeaders => into.iter_mut().for_each(flatten),
            Sabotage::FlattensHeadersOfRetries => {
                let retried = |delivery: &&mut Delivery<_>| delivery.message.attempt() > 1;
                into.iter_mut().filter(retried).for_each(flatten);
            }
            Sabotage::LosesEventIdsOfRetries => {
                for delivery in into {
                    if delivery.message.attempt() > 1 {
                        delivery.message = without(&delivery.message, EVENT_ID);
                    }
                }
            }
            Sabotage::ForgetsDueTimes => {
                for delivery in into {
                    delivery.message = without(&delivery.message, DueTime::HEADER);
                }
            }
            _ => {}
        }
        Ok(())
    }

    async fn receive_isolated(&self) -> Result<Option<Isolated<MemoryReceipt>>, Error> {
        let mut isolated = self.memory.receive_isolated().await?;
        if let Some(isolated) = &mut isolated {
            isolated.crashed |= self.how == Sabotage::CallsAllCrashed;
            isolated.crashed &= self.how != Sabotage::CallsNoneCrashed;
        }
        Ok(isolated)
    }

    async fn settle(&self, batch: &[Settle<MemoryReceipt>], answers: &mut Vec<Settled>) {
        let batch: Vec<_> = batch.iter().map(|entry| self.changed(entry)).collect();
        if self.how == Sabotage::KeepsDeferred {
            self.copy_deferred(&batch).await;
        }
        let first = answers.len();
        self.memory.settle(&batch, answers).await;
        if self.how == Sabotage::AnswersDoneToStale {
            answers[first..].fill_with(|| Settled::Done);
        }
    }

    async fn renew(&self, leases: &[MemoryReceipt], by: Duration, answers: &mut Vec<Renewed>) {
        if self.how == Sabotage::RenewsNothing {
            return answers.extend(leases.iter().map(|_| Renewed::Done));
        }
        self.memory.renew(leases, by, answers).await;
    }

    async fn depth(&self) -> Result<Depth, Error> {
        let mut depth = self.memory.depth().await?;
        if self.how == Sabotage::CountsWhatIsInFlightAsReady {
            depth.ready = depth
                .ready
                .zip(depth.in_flight)
                .map(|(one, other)| one + other);
        }
        Ok(depth)
    }

    fn capabilities(&self) -> Capabilities {
        self.memory.capabilities()
    }

    async fn pause(&self) {
        self.was_paused.store(true, Ordering::SeqCst);
        if self.how == Sabotage::StaysPaused {
            self.deaf.store(true, Ordering::SeqCst);
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns the message without this header.
pub(super) fn without(message: &Message, header: &str) -> Message {
    let mut headers = message.headers().clone();
    headers.remove(header);
    message.clone().with_headers(headers)
}

/// Makes every header a text.
fn flatten(delivery: &mut Delivery<MemoryReceipt>) {
    let texts = delivery.message.headers().iter();
    let texts = texts.map(|(name, text)| (name.to_owned(), text.to_owned()));
    let texts = texts.collect();
    delivery.message = delivery.message.clone().with_headers(texts);
}

impl Provides {
    /// Sends a copy of what is deferred, and leaves the original, too.
    async fn copy_deferred(&self, batch: &[Settle<MemoryReceipt>]) {
        for entry in batch {
            if let Settlement::Defer { until } = entry.settlement {
                let copy = Outgoing::new(entry.message.clone());
                let copy = copy.delay(until.left(Instant::now().into_std()));
                let topic = Topic::from(format!("memory:{}", self.queue));
                self.publisher
                    .publish(&topic, &[copy], &mut Vec::new())
                    .await;
            }
        }
    }

    /// Returns what the broker makes of a settlement.
    fn changed(&self, entry: &Settle<MemoryReceipt>) -> Settle<MemoryReceipt> {
        let mut entry = entry.clone();
        match (self.how, &mut entry.settlement) {
            (Sabotage::IgnoresRetryDelays, Settlement::Retry { after: Some(after) }) => {
                *after = Duration::ZERO;
            }
            (Sabotage::ReleasesLate, settlement @ Settlement::Release) => {
                *settlement = Settlement::Retry { after: None };
            }
            (Sabotage::CountsDeferred, Settlement::Defer { until }) => {
                let after = until.left(Instant::now().into_std());
                entry.settlement = Settlement::Retry { after: Some(after) };
            }
            (Sabotage::IsolatesNothing, settlement @ Settlement::Isolate) => {
                *settlement = Settlement::Release;
            }
            (Sabotage::CountsReleases, settlement @ Settlement::Release) => {
                let after = Some(Duration::ZERO);
                *settlement = Settlement::Retry { after };
            }
            (Sabotage::DropsHeadersOfDeadLetters, Settlement::DeadLetter(_)) => {
                entry.message = Message::new(entry.message.payload().clone());
            }
            _ => {}
        }
        entry
    }
}
