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
    handler::FailureLog,
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

/// A service running in memory. When it is dropped, the service stops. When a test that fails drops it, it prints which messages were not
/// acked, and why.
///
/// # Cancellation
///
/// A future of its methods may be dropped: this ends the waiting, and not what the service does.
pub struct TestApp {
    running: Running,
    broker: TestBroker,
    failure_log: FailureLog,
    /// The test's own way to the broker: what it publishes is neither recorded nor subject to faults.
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

    /// Puts a value, as JSON, on a route's queue. Returns the message's id.
    ///
    /// # Panics
    ///
    /// If there is no such route, or the value can't be encoded.
    #[track_caller]
    pub fn publish<'a, T: Serialize + ?Sized>(
        &'a self,
        route: &str,
        value: &'a T,
    ) -> impl Future<Output = MessageId> + use<'a, T> {
        let queue = self.source(route);
        async move { confirmed(self.outside.publish_to(queue, value).await) }
    }

    /// Puts a message on a route's queue as it is: any payload, headers and group. An [`Outgoing`] also has a delay and a deduplication id.
    /// Returns the message's id.
    ///
    /// # Panics
    ///
    /// If there is no such route.
    #[track_caller]
    pub fn publish_message<M: Into<Outgoing>>(
        &self,
        route: &str,
        message: M,
    ) -> impl Future<Output = MessageId> + use<'_, M> {
        let queue = self.source(route);
        async move { confirmed(self.outside.send(queue, message).await) }
    }

    /// Publishes an event to its topic, as another service would: every route that subscribes to the topic receives it. Returns the
    /// message's id.
    ///
    /// In memory a route subscribes to its `topics`, or else to the topic of its name, whatever its handlers take. To another route, an
    /// event goes by [`publish_event_on`](Self::publish_event_on).
    ///
    /// # Panics
    ///
    /// If no route subscribes to the topic: the message lists the routes that take such events. Also if the event can't be encoded.
    #[track_caller]
    pub fn publish_event<'a, E: Event>(
        &'a self,
        event: &'a E,
    ) -> impl Future<Output = MessageId> + use<'a, E> {
        self.assert_subscribed(E::TOPIC);
        async move { confirmed(self.outside.publish(event).await) }
    }

    /// Puts an event on a route's queue, as its topic would if the queue subscribed to it: with the header `event-type`, by which handlers
    /// with `on` take it. Returns the message's id.
    ///
    /// # Panics
    ///
    /// If there is no such route, or the event can't be encoded.
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

    /// Publishes a value, as JSON, to a topic, as another service would: every route that subscribes to the topic receives it. Returns the
    /// message's id.
    ///
    /// # Panics
    ///
    /// If no route subscribes to the topic, or the value can't be encoded.
    #[track_caller]
    pub fn publish_to<'a, T: Serialize + ?Sized>(
        &'a self,
        topic: &'a str,
        value: &'a T,
    ) -> impl Future<Output = MessageId> + use<'a, T> {
        self.assert_subscribed(topic);
        async move { confirmed(self.outside.publish_to(topic, value).await) }
    }

    /// Sends a request with a value, as JSON, to a route's queue, as another service would, and waits for the reply. See
    /// [`Bus::request`](crate::bus::Bus::request).
    ///
    /// # Errors
    ///
    /// If no reply arrives within `timeout`, the request failed for good, or the reply does not decode.
    ///
    /// # Panics
    ///
    /// If there is no such route.
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

    /// Returns what can go wrong between this service and its broker, on demand.
    pub fn faults(&self) -> Faults<'_> {
        Faults::new(self)
    }

    /// Returns what became of a route's messages so far.
    ///
    /// # Panics
    ///
    /// If there is no such route.
    #[track_caller]
    pub fn route(&self, route: &str) -> TestRoute {
        let queue = &self.queue(route);
        let stats = self.running.stats(route).unwrap_or_default();
        TestRoute::new(route, queue, stats, self.evidence())
    }

    /// Returns the running service.
    pub fn running(&self) -> &Running {
        &self.running
    }

    /// Stops the service as SIGTERM does, and waits for its end. Returns how it ended.
    pub async fn shutdown(&self) -> Ended {
        self.running.shutdown();
        self.running.ended().await
    }

    /// Returns the queue of a route.
    #[track_caller]
    pub(super) fn queue(&self, route: &str) -> String {
        self.running.queue(route).unwrap_or_else(|| {
            let known = self.running.routes();
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            panic!("{}", unknown(route, &known, "", "route"));
        })
    }

    /// Returns the queue of a route, as a topic.
    #[track_caller]
    fn source(&self, route: &str) -> loafer_core::broker::Topic {
        Broker::queue_topic(&self.broker.memory, &self.queue(route))
    }

    /// Returns its handlers, and which messages each of them takes.
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

    /// Panics: says what is wrong with a route, and what happened there.
    #[track_caller]
    pub(super) fn fail(&self, route: &str, fault: &str) -> ! {
        let story = self.evidence().story(route, &self.queue(route));
        panic!("route `{route}`: {fault}\n{story}\n");
    }

    /// Returns what happened on every route.
    pub(super) fn stories(&self) -> String {
        let routes = self.running.routes();
        let story = |route: &String| {
            let queue = self.running.queue(route).unwrap_or_default();
            self.evidence().story(route, &queue)
        };
        routes.iter().map(story).collect::<Vec<_>>().join("\n")
    }
}

/// Returns the id. Between a test and the broker in memory, nothing fails except the encoding of a value.
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
