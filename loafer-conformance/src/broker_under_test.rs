//! The broker under test.

use std::{future::Future, pin::Pin, time::Duration};

use super::BrokerProfile;
use loafer_core::{
    broker::{Broker, Topic},
    outcome::BoxError,
};

/// The broker under test: what its crate's tests tell the cases.
///
/// Every case asks for queues of its own, so that cases may run at once and a server may be used again. Nothing is taken down: servers of tests go away.
pub trait BrokerUnderTest: Send + Sync + 'static {
    /// The broker.
    type Broker: Broker;

    /// What it says of itself.
    fn declares(&self) -> BrokerProfile;

    /// A value of it, connected to the server. Asked for again for every program and every provider: as many services share a broker, so do these.
    fn broker(&self) -> Self::Broker;

    /// Makes a queue that nobody used before.
    ///
    /// # Errors
    ///
    /// Fail the case that asked.
    fn queue(&self, wanted: &QueueSpec)
    -> impl Future<Output = Result<TestQueue, BoxError>> + Send;

    /// Returns the options of the broker's own that routes on one of its queues set. Unless implemented, none.
    fn options(&self, queue: &str) -> <Self::Broker as Broker>::Options {
        _ = queue;
        Default::default()
    }

    /// A value of it whose line to the server can be cut, where it does not declare [`Feature::Outages`](super::Feature::Outages) missing.
    ///
    /// # Errors
    ///
    /// Fail the case that asked.
    fn outage(&self) -> impl Future<Output = Result<Outage<Self::Broker>, BoxError>> + Send {
        std::future::ready(Err("it can't be cut off: declare it".into()))
    }
}

/// The queue that a case wants.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct QueueSpec {
    /// A name that nobody had before: at most 64 of `a-z`, `0-9` and `-`. What a broker's rules need may be added (SQS: `.fifo`).
    pub name: String,
    /// Whether it keeps the messages of a group in order.
    pub ordered: bool,
    /// After how many receives the broker itself gives a message up; 1,000 stands for never.
    pub max_receives: u32,
    /// Its lease, in whole seconds, at least 2. Routes of the cases ask for it, too.
    pub lease: Duration,
    /// The topic that it is subscribed to. `None` means none. Like `name` it is a name; the topic is made if it is missing. Messages arrive without an envelope.
    pub topic: Option<String>,
}

/// The queue that was made.
#[derive(Clone, Debug)]
pub struct TestQueue {
    /// What a route calls it.
    pub queue: String,
    /// What a publisher calls it: the topic that it is subscribed to, if one was wanted.
    pub topic: Topic,
    /// What a route calls the place of its dead letters, where there is one.
    pub dead_letters: Option<String>,
}

type Done = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A broker whose line to its server can be cut.
pub struct Outage<B> {
    pub(super) broker: B,
    pub(super) switch: Box<dyn Fn(bool) -> Done + Send + Sync>,
}

impl<B> Outage<B> {
    /// This broker, and what makes it unreachable (`false`) and reachable again (`true`): a server killed and started, or a proxy that cuts its
    /// connections and refuses new ones.
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
