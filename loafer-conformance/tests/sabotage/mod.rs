//! A broker in memory that breaks one promise.

mod dead_letters;

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use loafer_conformance::{BrokerProfile, BrokerUnderTest, QueueSpec, TestQueue};
use loafer_core::{
    Error,
    broker::{
        Broker, Capabilities, DeadLetterQueue, Delivery, Depth, DueTime, Finding, NoOptions, Open,
        Provider, PublishCapabilities, Publisher, REPLY_TO, Renewed, Replies, Settle, Settled,
        Settlement, Source, Topic, is_reply_queue,
    },
    message::{CONTENT_TYPE, EVENT_ID, Message, MessageId, Outgoing},
    outcome::BoxError,
    policy::Policy,
};
use loafer_memory::{Memory, MemoryProvider, MemoryPublisher, MemoryReceipt};

use tokio::time::Instant;

use self::dead_letters::DeadLetters;

/// The promise that is broken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Sabotage {
    #[default]
    None,
    LosesOneOfThousands,
    HidesTheAttempt,
    IgnoresRetryDelays,
    AnswersDoneToStale,
    BringsOneMore,
    RenewsNothing,
    KeepsNoOrder,
    ConfirmsWhenClosed,
    DropsHeadersOfDeadLetters,
    ReleasesLate,
    LosesReplies,
    EchoesRequests,
    ConfirmsNoCopies,
    KeepsDeadLetters,
    LosesEventIdsOfRetries,
    LosesEventIdsOfCopies,
    CopiesOnlyWhatItPacked,
    IgnoresRates,
    CountsWhatIsInFlightAsReady,
    ForgetsDueTimes,
    CountsDeferred,
    KeepsDeferred,
    SaysItCarriesTextOnly,
    MakesNoTopics,
    MakesTopicsAtALook,
    LosesContentTypes,
    FlattensHeaders,
    FlattensHeadersOfRetries,
    OpensEachQueueOnce,
    StaysPaused,
    CountsPauses,
    CountsReleases,
}

/// A broker in memory that breaks one promise.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sabotaged {
    memory: Memory,
    how: Sabotage,
    /// The queues that were opened.
    opened: Arc<Mutex<BTreeSet<String>>>,
}

impl Sabotaged {
    pub(crate) fn new(how: Sabotage) -> Self {
        Self {
            memory: Memory::new().with_longest_delay(Duration::from_secs(3)),
            how,
            opened: Arc::default(),
        }
    }
}

impl BrokerUnderTest for Sabotaged {
    type Broker = Self;

    fn declares(&self) -> BrokerProfile {
        self.memory.declares()
    }

    /// A value of its own for each program: what it has opened is its own, and its messages are those of all.
    fn broker(&self) -> Self {
        Self {
            opened: Arc::default(),
            ..self.clone()
        }
    }

    async fn queue(&self, wanted: &QueueSpec) -> Result<TestQueue, BoxError> {
        let mut wanted = wanted.clone();
        wanted.ordered &= self.how != Sabotage::KeepsNoOrder;
        self.memory.queue(&wanted).await
    }
}

impl Broker for Sabotaged {
    type Provider = Provides;
    type Publisher = Publishes;
    type Options = NoOptions;
    const KIND: &'static str = "memory";

    fn provider(&self, source: &Source, options: &NoOptions) -> Result<Provides, Error> {
        Ok(Provides {
            memory: self.memory.provider(source, options)?,
            publisher: self.memory.publisher(),
            queue: source.queue.clone(),
            how: self.how,
            opened: self.opened.clone(),
            deaf: AtomicBool::new(false),
            was_paused: AtomicBool::new(false),
        })
    }

    fn dead_letters(
        &self,
        source: &Source,
        options: &NoOptions,
    ) -> Result<impl DeadLetterQueue, Error> {
        let queue = Broker::dead_letters(&self.memory, source, options)?;
        Ok(DeadLetters::new(queue, self.how))
    }

    fn replies(&self, app: Option<&str>) -> Result<impl Replies, Error> {
        Broker::replies(&self.memory, app)
    }

    fn reply_topic(&self, address: &str) -> Result<Topic, Error> {
        self.memory.reply_topic(address)
    }

    fn publisher(&self) -> Publishes {
        Publishes {
            memory: self.memory.publisher(),
            how: self.how,
            closed: AtomicBool::new(false),
        }
    }
}

pub(crate) struct Publishes {
    memory: MemoryPublisher,
    how: Sabotage,
    closed: AtomicBool,
}

impl Publisher for Publishes {
    async fn publish(
        &self,
        topic: &Topic,
        batch: &[Outgoing],
        answers: &mut Vec<Result<MessageId, Error>>,
    ) {
        if self.how == Sabotage::ConfirmsWhenClosed && self.closed.load(Ordering::SeqCst) {
            return answers.extend(batch.iter().map(|_| Ok(MessageId::new())));
        }
        let queue = topic.as_str().rsplit(':').next().unwrap_or_default();
        if self.how == Sabotage::LosesReplies && is_reply_queue(queue) {
            return answers.extend(batch.iter().map(|_| Ok(MessageId::new())));
        }
        if self.how == Sabotage::EchoesRequests {
            self.echo(batch).await;
        }
        self.memory.publish(topic, batch, answers).await;
    }

    fn capabilities(&self, topic: &Topic) -> PublishCapabilities {
        PublishCapabilities {
            binary: self.how != Sabotage::SaysItCarriesTextOnly,
            ..self.memory.capabilities(topic)
        }
    }

    async fn check(&self, topics: &[Topic], mode: Open) -> Vec<Finding> {
        match (self.how, mode) {
            (Sabotage::MakesNoTopics, Open::Create) => {
                topics.iter().map(|_| Finding::good("made")).collect()
            }
            (Sabotage::MakesTopicsAtALook, _) => self.memory.check(topics, Open::Create).await,
            _ => self.memory.check(topics, mode).await,
        }
    }

    async fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }
}

impl Publishes {
    /// To who sent it, as if it were the reply.
    async fn echo(&self, batch: &[Outgoing]) {
        for request in batch {
            if let Some(address) = request.message.headers().get(REPLY_TO) {
                let topic = Topic::from(format!("memory:{address}"));
                self.memory
                    .publish(&topic, std::slice::from_ref(request), &mut Vec::new())
                    .await;
            }
        }
    }
}

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
fn without(message: &Message, header: &str) -> Message {
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
