//! The broker under test.

use std::{future::Future, pin::Pin, time::Duration};

use super::BrokerProfile;
use loafer_core::{
    broker::{Broker, Topic},
    outcome::BoxError,
};

/// The broker under test, as the tests of its crate present it.
///
/// Every case asks for queues of its own, so that cases may run at once and a server may be used again. Nothing is taken down, since servers
/// of tests go away.
pub trait BrokerUnderTest: Send + Sync + 'static {
    /// The broker.
    type Broker: Broker;

    /// Returns what the broker says of itself.
    fn declares(&self) -> BrokerProfile;

    /// Returns a value of the broker that is connected to the server. Every program and every provider of a case asks for one of its own: they
    /// share the server as services do.
    fn broker(&self) -> Self::Broker;

    /// Makes a queue that nobody used before.
    ///
    /// # Errors
    ///
    /// An error fails the case that asked.
    fn queue(&self, wanted: &QueueSpec)
    -> impl Future<Output = Result<TestQueue, BoxError>> + Send;

    /// Returns the options of the broker's own that routes on one of its queues set. Unless implemented, none.
    fn options(&self, queue: &str) -> <Self::Broker as Broker>::Options {
        _ = queue;
        Default::default()
    }

    /// Returns a value of the broker whose line to the server can be cut. Unless implemented, it is an error; a broker that declares
    /// [`Feature::Outages`](super::Feature::Outages) missing is not asked.
    ///
    /// # Errors
    ///
    /// An error fails the case that asked.
    fn outage(&self) -> impl Future<Output = Result<Outage<Self::Broker>, BoxError>> + Send {
        std::future::ready(Err("it can't be cut off: declare it".into()))
    }
}

/// The queue that a case wants.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct QueueSpec {
    /// A name that no queue had before: at most 64 of `a-z`, `0-9` and `-`. What a broker's rules need may be added (SQS: `.fifo`).
    pub name: String,
    /// Whether it keeps the messages of a group in order.
    pub ordered: bool,
    /// After how many receives the broker itself gives a message up; 1,000 means never.
    pub max_receives: u32,
    /// Its lease, in whole seconds, at least 2. Routes of the cases ask for it, too.
    pub lease: Duration,
    /// The topic that it receives, a name as `name` is. The topic is made if it is missing, and messages arrive without an envelope. `None` means
    /// that it receives no topic.
    pub topic: Option<String>,
}

/// The queue that was made.
#[derive(Clone, Debug)]
pub struct TestQueue {
    /// What a route calls it.
    pub queue: String,
    /// What a publisher calls it: the topic that it receives, if one was wanted.
    pub topic: Topic,
    /// What a route calls the queue of its dead letters. `None` means that it has none.
    pub dead_letters: Option<String>,
}

type Done = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A broker whose line to its server can be cut.
pub struct Outage<B> {
    pub(super) broker: B,
    pub(super) switch: Box<dyn Fn(bool) -> Done + Send + Sync>,
}

impl<B> Outage<B> {
    /// Returns a broker with the switch that makes it unreachable (`false`) and reachable again (`true`): it kills and starts a server, or has
    /// a proxy cut its connections and refuse new ones.
    pub fn new<F, Fut>(broker: B, switch: F) -> Self
    where
        F: Fn(bool) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        Self {
            broker,
            switch: Box::new(move |up| Box::pin(switch(up))),
        }
    }
}

impl<B> std::fmt::Debug for Outage<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outage").finish_non_exhaustive()
    }
}
