//! Memory that writes down what is asked of it, and fails or hangs when told to.

use std::{
    future::pending,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use loafer_core::{
    Error,
    broker::{
        Broker, Capabilities, Delivery, Finding, NoOptions, Open, Provider, Publisher, Renewed,
        Settle, Settled, Source, Topic,
    },
    message::{MessageId, Outgoing},
    policy::Policy,
    translate::Json,
};
use loafer_memory::{Memory, MemoryProvider, MemoryPublisher, MemoryReceipt};
use loafer_runtime::program::Route;
use tokio::time::sleep;

/// What fails or hangs while its flag is set.
#[derive(Default)]
pub(crate) struct Mood {
    pub(crate) open_fails: AtomicBool,
    pub(crate) open_hangs: AtomicBool,
    pub(crate) start_fails: AtomicBool,
    pub(crate) start_takes_a_second: AtomicBool,
    pub(crate) receive_fails: AtomicBool,
    pub(crate) close_hangs: AtomicBool,
    pub(crate) close_takes_a_second: AtomicBool,
}

/// Memory that writes down what is asked of it.
#[derive(Clone, Default)]
pub(crate) struct Moody {
    pub(crate) memory: Memory,
    pub(crate) mood: Arc<Mood>,
    log: Arc<Mutex<Vec<String>>>,
}

pub(crate) struct MoodyProvider {
    route: String,
    inner: MemoryProvider,
    broker: Moody,
}

pub(crate) struct MoodyPublisher {
    inner: MemoryPublisher,
    broker: Moody,
}

impl Moody {
    pub(crate) fn set(flag: &AtomicBool, to: bool) {
        flag.store(to, Ordering::SeqCst);
    }

    /// What was asked of it so far, without the receives.
    pub(crate) fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    fn say(&self, what: impl Into<String>) {
        self.log.lock().unwrap().push(what.into());
    }

    pub(crate) fn route(name: &'static str) -> Route {
        let route = Route::new(name).provider::<Self>();
        route.handler(Json, async |_: u64| true)
    }
}

fn is(flag: &AtomicBool) -> bool {
    flag.load(Ordering::SeqCst)
}

fn fault() -> Error {
    Error::Config("it is in a bad mood".to_owned())
}

impl Broker for Moody {
    type Provider = MoodyProvider;
    type Publisher = MoodyPublisher;
    type Options = NoOptions;
    const KIND: &'static str = "moody";

    fn provider(&self, source: &Source, options: &NoOptions) -> Result<MoodyProvider, Error> {
        Ok(MoodyProvider {
            route: source.route.clone(),
            inner: self.memory.provider(source, options)?,
            broker: self.clone(),
        })
    }

    fn publisher(&self) -> MoodyPublisher {
        self.say("publisher");
        MoodyPublisher {
            inner: self.memory.publisher(),
            broker: self.clone(),
        }
    }

    async fn start(&self) -> Result<(), Error> {
        if is(&self.mood.start_takes_a_second) {
            sleep(Duration::from_secs(1)).await;
        }
        self.say("start");
        match is(&self.mood.start_fails) {
            true => Err(fault()),
            false => Ok(()),
        }
    }

    async fn close(&self) {
        self.say("close");
    }

    fn queue_topic(&self, queue: &str) -> Topic {
        Topic::from(format!("memory:{queue}"))
    }
}

impl Provider for MoodyProvider {
    type Receipt = MemoryReceipt;

    async fn open(&self, mode: Open) -> Result<(), Error> {
        if is(&self.broker.mood.open_hangs) {
            return pending().await;
        }
        if is(&self.broker.mood.open_fails) {
            return Err(fault());
        }
        self.broker.say(format!("open {}", self.route));
        self.inner.open(mode).await
    }

    async fn check(&self, policy: &Policy) -> Vec<Finding> {
        self.inner.check(policy).await
    }

    async fn receive(
        &self,
        max: usize,
        wait: Duration,
        into: &mut Vec<Delivery<MemoryReceipt>>,
    ) -> Result<(), Error> {
        if is(&self.broker.mood.receive_fails) {
            return Err(fault());
        }
        self.inner.receive(max, wait, into).await
    }

    async fn settle(&self, batch: &[Settle<MemoryReceipt>], answers: &mut Vec<Settled>) {
        self.inner.settle(batch, answers).await;
    }

    async fn renew(&self, leases: &[MemoryReceipt], by: Duration, answers: &mut Vec<Renewed>) {
        self.inner.renew(leases, by, answers).await;
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn close(&self) {
        if is(&self.broker.mood.close_takes_a_second) {
            sleep(Duration::from_secs(1)).await;
        }
        self.broker.say(format!("close {}", self.route));
        if is(&self.broker.mood.close_hangs) {
            pending().await
        }
    }
}

impl Publisher for MoodyPublisher {
    async fn publish(
        &self,
        topic: &Topic,
        batch: &[Outgoing],
        answers: &mut Vec<Result<MessageId, Error>>,
    ) {
        // The bus has read the broker's name, and says its kind.
        let queue = topic.as_str().trim_start_matches("moody:");
        let topic = match queue.starts_with("memory:") {
            true => topic.clone(),
            false => Topic::from(format!("memory:{queue}")),
        };
        self.inner.publish(&topic, batch, answers).await;
    }

    async fn close(&self) {
        self.broker.say("close publisher");
    }
}
