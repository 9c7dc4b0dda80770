//! A broker in memory that breaks one promise.

mod counts;
mod dead_letters;
mod provider;

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use loafer_conformance::{BrokerProfile, BrokerUnderTest, QueueSpec, TestQueue};
use loafer_core::{
    Error,
    broker::{
        Broker, DeadLetterQueue, Finding, NoOptions, Open, PublishCapabilities, Publisher,
        REPLY_TO, Replies, Source, Topic, is_reply_queue,
    },
    message::{MessageId, Outgoing},
    outcome::BoxError,
};
use loafer_memory::{Memory, MemoryPublisher};

use self::{dead_letters::DeadLetters, provider::Provides};

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
    CountsDeliveries,
    HidesDeliveries,
    ForgetsFirstFailures,
    IsolatesNothing,
    CallsAllCrashed,
    CallsNoneCrashed,
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
        let memory = self.memory.provider(source, options)?;
        let publisher = self.memory.publisher();
        let queue = source.queue.clone();
        Ok(Provides::new(memory, publisher, queue, self))
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
