//! Brokers and providers with their types erased, once for each route: the manager names no broker.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::{
    bus::erased::{DynPublisher, SharedReplies},
    engine,
    program::dead_letters::DynDeadLetters,
};
use loafer_core::{
    Error,
    broker::{
        Broker, Capabilities, Depth, Finding, Instance, Open, Provider, Settings, Source, Topic,
    },
    policy::Policy,
};

/// Makes a broker, with its default value.
pub(crate) type Maker = fn() -> Box<dyn DynBroker>;

/// A broker whose type is erased.
pub(crate) trait DynBroker: Send + Sync {
    fn configure(&mut self, instance: &Instance<'_>) -> Result<(), Error>;
    fn provider(&self, source: &Source, options: &Settings) -> Result<Arc<dyn DynProvider>, Error>;
    fn dead_letters(
        &self,
        source: &Source,
        options: &Settings,
    ) -> Result<Box<dyn DynDeadLetters>, Error>;
    fn start(&self) -> BoxFuture<'_, Result<(), Error>>;
    fn close(&self) -> BoxFuture<'_, ()>;
    fn publisher(&self) -> Arc<dyn DynPublisher>;
    fn queue_topic(&self, queue: &str) -> Topic;
    fn replies(&self, app: Option<&str>) -> Result<SharedReplies, Error>;
    fn reply_topic(&self, address: &str) -> Result<Topic, Error>;
}

impl<B: Broker> DynBroker for B {
    fn configure(&mut self, instance: &Instance<'_>) -> Result<(), Error> {
        Broker::configure(self, instance)
    }

    fn provider(&self, source: &Source, options: &Settings) -> Result<Arc<dyn DynProvider>, Error> {
        let options = options.read::<B::Options>()?;
        Ok(Arc::new(Broker::provider(self, source, &options)?))
    }

    fn dead_letters(
        &self,
        source: &Source,
        options: &Settings,
    ) -> Result<Box<dyn DynDeadLetters>, Error> {
        let options = options.read::<B::Options>()?;
        Ok(Box::new(Broker::dead_letters(self, source, &options)?))
    }

    fn start(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(Broker::start(self))
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(Broker::close(self))
    }

    fn publisher(&self) -> Arc<dyn DynPublisher> {
        Arc::new(Broker::publisher(self))
    }

    fn queue_topic(&self, queue: &str) -> Topic {
        Broker::queue_topic(self, queue)
    }

    fn replies(&self, app: Option<&str>) -> Result<SharedReplies, Error> {
        Ok(Arc::new(Broker::replies(self, app)?))
    }

    fn reply_topic(&self, address: &str) -> Result<Topic, Error> {
        Broker::reply_topic(self, address)
    }
}

/// A provider whose type is erased.
pub(crate) trait DynProvider: Send + Sync {
    fn open(&self, mode: Open) -> BoxFuture<'_, Result<(), Error>>;
    fn check<'a>(&'a self, policy: &'a Policy) -> BoxFuture<'a, Vec<Finding>>;
    fn rights(&self) -> Option<serde_json::Value>;
    fn capabilities(&self) -> Capabilities;
    fn depth(&self) -> BoxFuture<'_, Result<Depth, Error>>;
    fn close(&self) -> BoxFuture<'_, ()>;
    /// Runs the route until it is closed and has settled everything, or until its time is up.
    fn run(self: Arc<Self>, route: Arc<engine::Route>) -> BoxFuture<'static, ()>;
}

impl<P: Provider> DynProvider for P {
    fn open(&self, mode: Open) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(Provider::open(self, mode))
    }

    fn check<'a>(&'a self, policy: &'a Policy) -> BoxFuture<'a, Vec<Finding>> {
        Box::pin(Provider::check(self, policy))
    }

    fn rights(&self) -> Option<serde_json::Value> {
        Provider::rights(self)
    }

    fn capabilities(&self) -> Capabilities {
        Provider::capabilities(self)
    }

    fn depth(&self) -> BoxFuture<'_, Result<Depth, Error>> {
        Box::pin(Provider::depth(self))
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(Provider::close(self))
    }

    fn run(self: Arc<Self>, route: Arc<engine::Route>) -> BoxFuture<'static, ()> {
        Box::pin(engine::run(self, route))
    }
}
