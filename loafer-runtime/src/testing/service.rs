//! A service running in memory, and what a test does with it.

use std::{fmt, future::Future, sync::PoisonError, time::Duration};

use serde::{Serialize, de::DeserializeOwned};

use super::{
    Faults, TestRoute,
    broker::TestBroker,
    ledger::{Evidence, Ledger},
    plan::Plan,
};
use crate::{
    bus::Bus,
    engine::FailureLog,
    program::erased::DynBroker,
    program::{Ended, RouteSummary, Running},
};
use loafer_core::event::Event;
use loafer_core::{
    Error,
    broker::Broker,
    message::{MessageId, Outgoing},
    policy::unknown,
};
use loafer_memory::Memory;

/// A service running in memory. Dropped, it stops; dropped by a test that fails, it says which messages were not acked, and why.
pub struct TestApp {
    running: Running,
    broker: TestBroker,
    failure_log: FailureLog,
    /// The test's own way to the broker: it is neither recorded nor tampered with.
    outside: Bus,
    /// Its handlers, and which messages each takes.
    handlers: Vec<RouteSummary>,
}

impl TestApp {
    pub(super) fn new(
        running: Running,
        broker: TestBroker,
        failure_log: FailureLog,
        handlers: Vec<RouteSummary>,
    ) -> Self {
        let outside = Bus::new(Broker::publisher(&broker.memory));
        outside
            .requests()
            .connect(DynBroker::replies(&broker.memory, Some("test")));
        Self {
            running,
            handlers,
            outside,
            broker,
            failure_log,
        }
    }

    /// Puts a value, as JSON, on a route's queue; gives the id it has there.
    ///
    /// # Panics
    ///
    /// Where there is no such route, or the value does not encode.
    #[track_caller]
    pub fn publish<'a, T: Serialize + ?Sized>(
        &'a self,
        route: &str,
        value: &'a T,
    ) -> impl Future<Output = MessageId> + use<'a, T> {
        let queue = self.source(route);
        async move { confirmed(self.outside.publish_to(queue, value).await) }
    }

    /// Puts a message on a route's queue as it is: any payload, headers, group. An [`Outgoing`] has a delay and a deduplication id besides.
    ///
    /// # Panics
    ///
    /// Where there is no such route.
    #[track_caller]
    pub fn publish_message<M: Into<Outgoing>>(
        &self,
        route: &str,
        message: M,
    ) -> impl Future<Output = MessageId> + use<'_, M> {
        let queue = self.source(route);
        async move { confirmed(self.outside.send(queue, message).await) }
    }

    /// Publishes an event to its topic, as another service would: every route that hears the topic gets it. In memory that is the route of the topic's
    /// name, whatever its handlers take; to a route of another name goes [`publish_event_on`](Self::publish_event_on).
    ///
    /// # Panics
    ///
    /// Where no route hears the topic: with the routes that take such events. Where the event does not encode.
    #[track_caller]
    pub fn publish_event<'a, E: Event>(
        &'a self,
        event: &'a E,
    ) -> impl Future<Output = MessageId> + use<'a, E> {
        self.heard(E::TOPIC);
        async move { confirmed(self.outside.publish(event).await) }
    }

    /// Puts an event on a route's queue, as its topic would that is subscribed there: with its header `event-type`, by which handlers that say `on` take it.
    ///
    /// # Panics
    ///
    /// Where there is no such route, or the event does not encode.
    #[track_caller]
    pub fn publish_event_on<'a, E: Event>(
        &'a self,
        route: &str,
        event: &'a E,
    ) -> impl Future<Output = MessageId> + use<'a, E> {
        let queue = self.source(route);
        async move {
            let sent = match Outgoing::event(event) {
                Ok(outgoing) => self.outside.send(queue, outgoing).await,
                Err(error) => Err(error),
            };
            confirmed(sent)
        }
    }

    /// Publishes a value, as JSON, to a topic, as another service would: every route that hears the topic gets it.
    ///
    /// # Panics
    ///
    /// As [`publish_event`](Self::publish_event).
    #[track_caller]
    pub fn publish_to<'a, T: Serialize + ?Sized>(
        &'a self,
        topic: &'a str,
        value: &'a T,
    ) -> impl Future<Output = MessageId> + use<'a, T> {
        self.heard(topic);
        async move { confirmed(self.outside.publish_to(topic, value).await) }
    }

    /// Sends a request with a value, as JSON, to a route's queue, as another service would, and waits for the reply: as
    /// [`Bus::request`](crate::bus::Bus::request).
    ///
    /// # Errors
    ///
    /// As there: no reply within `timeout`, a failure for good, a reply that does not decode.
    ///
    /// # Panics
    ///
    /// Where there is no such route.
    #[track_caller]
    pub fn request<'a, R: DeserializeOwned>(
        &'a self,
        route: &str,
        value: &'a (impl Serialize + ?Sized),
        timeout: Duration,
    ) -> impl Future<Output = Result<R, Error>> {
        let queue = self.source(route);
        async move { self.outside.request(queue, value, timeout).await }
    }

    /// What goes wrong between this service and its broker, on demand.
    pub fn faults(&self) -> Faults<'_> {
        Faults::new(self)
    }

    /// What became of a route's messages so far.
    ///
    /// # Panics
    ///
    /// Where there is no such route.
    #[track_caller]
    pub fn route(&self, route: &str) -> TestRoute {
        let queue = self.queue(route);
        let stats = self.running.stats(route).unwrap_or_default();
        TestRoute::new(route, queue, stats, self.evidence())
    }

    /// The running service.
    pub fn running(&self) -> &Running {
        &self.running
    }

    /// Stops as SIGTERM does, and waits for the end.
    pub async fn shutdown(&self) -> Ended {
        self.running.shutdown();
        self.running.ended().await
    }

    /// The queue of a route.
    #[track_caller]
    pub(super) fn queue(&self, route: &str) -> &str {
        self.running.queue(route).unwrap_or_else(|| {
            let known: Vec<_> = self.running.routes().collect();
            panic!("{}", unknown(route, &known, "", "route"));
        })
    }

    /// The same as a topic.
    #[track_caller]
    fn source(&self, route: &str) -> loafer_core::broker::Topic {
        Broker::queue_topic(&self.broker.memory, self.queue(route))
    }

    /// What its handlers are, and which messages each takes.
    pub(super) fn handlers(&self) -> &[RouteSummary] {
        &self.handlers
    }

    pub(super) fn ledger(&self) -> &Ledger {
        &self.broker.ledger
    }

    pub(super) fn plan(&self) -> &Plan {
        &self.broker.plan
    }

    pub(super) fn memory(&self) -> &Memory {
        &self.broker.memory
    }

    fn evidence(&self) -> Evidence {
        Evidence {
            ledger: self.broker.ledger.clone(),
            failure_log: self.failure_log.clone(),
            memory: self.broker.memory.clone(),
        }
    }

    /// Says what is wrong with a route, and what happened there.
    #[track_caller]
    pub(super) fn fail(&self, route: &str, fault: &str) -> ! {
        let story = self.evidence().story(route, self.queue(route));
        panic!("route `{route}`: {fault}\n{story}\n");
    }

    /// What happened on every route.
    pub(super) fn stories(&self) -> String {
        let routes = self.running.routes();
        let story = |route| {
            self.evidence()
                .story(route, self.running.queue(route).unwrap_or_default())
        };
        routes.map(story).collect::<Vec<_>>().join("\n")
    }
}

/// Nothing stands between a test and the broker in memory but a value that does not encode.
fn confirmed(answer: Result<MessageId, Error>) -> MessageId {
    answer.unwrap_or_else(|error| match std::error::Error::source(&error) {
        Some(cause) => panic!("{error}: {cause}"),
        None => panic!("{error}"),
    })
}

impl Drop for TestApp {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let failure_log = self
                .failure_log
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            failure_log.iter().for_each(|line| eprintln!("{line}"));
        }
        self.running.cancel();
    }
}

impl fmt::Debug for TestApp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestApp")
            .field("running", &self.running)
            .finish_non_exhaustive()
    }
}
