//! When a broker is started and closed: once, around all that its routes do.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use loafer_core::{
    Error,
    broker::{
        Broker, Capabilities, Delivery, Finding, Instance, NoOptions, Open, Provider, Publisher,
        Renewed, Settle, Settled, Source, Topic,
    },
    message::{Message, MessageId, Outgoing},
    policy::Policy,
    translate::Json,
};
use loafer_memory::{Memory, MemoryProvider, MemoryPublisher, MemoryReceipt};
use loafer_runtime::program::{App, Ended, Manager, Route, RouteOptions};
use serde_json::Value;

/// What happened, in order.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn say(&self, what: impl Into<String>) {
        self.0.lock().unwrap().push(what.into());
    }

    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    /// Where a line stands that stands there once.
    fn at(&self, what: &str) -> usize {
        let lines = self.lines();
        let mut found = lines.iter().enumerate().filter(|(_, line)| *line == what);
        let (at, _) = found
            .next()
            .unwrap_or_else(|| panic!("no `{what}` in {lines:?}"));
        assert!(
            found.next().is_none(),
            "more than one `{what}` in {lines:?}"
        );
        at
    }

    /// Where each line stands that begins so.
    fn all(&self, begin: &str) -> Vec<usize> {
        let lines = self.lines().into_iter().enumerate();
        lines
            .filter(|(_, line)| line.starts_with(begin))
            .map(|(at, _)| at)
            .collect()
    }
}

/// What a broker does when it is started.
#[derive(Clone, Copy, Default)]
enum Start {
    #[default]
    Works,
    Fails,
    Hangs,
}

/// Memory that writes down what is asked of it.
#[derive(Clone, Default)]
struct Logged {
    name: String,
    memory: Memory,
    log: Log,
    start: Start,
}

struct LoggedProvider {
    route: String,
    inner: MemoryProvider,
    log: Log,
}

struct LoggedPublisher {
    name: String,
    inner: MemoryPublisher,
    log: Log,
}

impl Broker for Logged {
    type Provider = LoggedProvider;
    type Publisher = LoggedPublisher;
    type Options = NoOptions;
    const KIND: &'static str = "logged";

    fn configure(&mut self, instance: &Instance<'_>) -> Result<(), Error> {
        instance.name().clone_into(&mut self.name);
        Ok(())
    }

    fn provider(&self, source: &Source, options: &NoOptions) -> Result<LoggedProvider, Error> {
        Ok(LoggedProvider {
            route: source.route.clone(),
            inner: self.memory.provider(source, options)?,
            log: self.log.clone(),
        })
    }

    fn publisher(&self) -> LoggedPublisher {
        LoggedPublisher {
            name: self.name.clone(),
            inner: self.memory.publisher(),
            log: self.log.clone(),
        }
    }

    async fn start(&self) -> Result<(), Error> {
        self.log.say(format!("start {}", self.name));
        match self.start {
            Start::Works => Ok(()),
            Start::Fails => Err(Error::Config("its port is taken".to_owned())),
            Start::Hangs => std::future::pending().await,
        }
    }

    async fn close(&self) {
        self.log.say(format!("close {}", self.name));
    }
}

impl Provider for LoggedProvider {
    type Receipt = MemoryReceipt;

    async fn open(&self, mode: Open) -> Result<(), Error> {
        self.inner.open(mode).await?;
        // Others are not held up by one that takes its time.
        tokio::time::sleep(Duration::from_secs(1)).await;
        self.log.say(format!("opened {}", self.route));
        Ok(())
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
        self.log.say(format!("receive {}", self.route));
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
        self.log.say(format!("closed {}", self.route));
    }
}

impl Publisher for LoggedPublisher {
    async fn publish(
        &self,
        topic: &Topic,
        batch: &[Outgoing],
        answers: &mut Vec<Result<MessageId, Error>>,
    ) {
        self.inner.publish(topic, batch, answers).await;
    }

    async fn close(&self) {
        self.log.say(format!("closed publisher of {}", self.name));
    }
}

/// A first broker and a second one, that start so.
fn brokers(log: &Log, first: Start, second: Start) -> [Logged; 2] {
    [first, second].map(|start| Logged {
        log: log.clone(),
        start,
        ..Logged::default()
    })
}

/// Two routes on the first broker, one on the second.
fn manager([first, second]: &[Logged; 2]) -> Manager {
    let route = |name: &'static str| {
        Route::new(name)
            .provider::<Logged>()
            .handler(Json, async |_: Value| true)
    };
    let on_second = RouteOptions::new().broker("second");
    let app = App::new()
        .broker(first.clone())
        .broker_named("second", second.clone());
    let manager = Manager::builder()
        .app(app)
        .route(route("a"))
        .route(route("b"))
        .route(route("c").options(on_second));
    manager.build().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_broker_is_started_once_between_the_last_open_and_the_first_receive() {
    let log = Log::default();
    let brokers = brokers(&log, Start::Works, Start::Works);
    let running = manager(&brokers).start().await.unwrap();
    for route in ["a", "b", "c"] {
        running.publish(route, Message::new("1")).await.unwrap();
    }
    for broker in &brokers {
        broker.memory.settled().await;
    }
    for broker in ["start logged", "start second"] {
        let at = log.at(broker);
        assert!(log.all("opened ").iter().all(|opened| *opened < at));
        assert!(log.all("receive ").iter().all(|receive| *receive > at));
    }
    assert_eq!(log.all("opened ").len(), 3);
    assert!(log.all("receive ").len() >= 3);
    assert!(log.all("close").is_empty(), "{:?}", log.lines());
    running.shutdown();
    running.ended().await;
}

#[tokio::test(start_paused = true)]
async fn a_broker_is_closed_once_after_its_providers_and_publishers() {
    let log = Log::default();
    let brokers = brokers(&log, Start::Works, Start::Works);
    let running = manager(&brokers).start().await.unwrap();
    running.shutdown();
    assert_eq!(running.ended().await, Ended::Clean);
    let closed = log.all("closed ");
    assert_eq!(closed.len(), 5, "{:?}", log.lines());
    for broker in ["close logged", "close second"] {
        let at = log.at(broker);
        assert!(
            closed.iter().all(|closed| *closed < at),
            "{:?}",
            log.lines()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_does_not_start_keeps_the_program_from_starting() {
    let log = Log::default();
    let brokers = brokers(&log, Start::Works, Start::Fails);
    let error = manager(&brokers).start().await.unwrap_err();
    assert_eq!(error.to_string(), "broker `second`: its port is taken");
    assert!(log.all("receive ").is_empty(), "{:?}", log.lines());
}

#[tokio::test(start_paused = true)]
async fn all_that_do_not_start_are_told_at_once() {
    let log = Log::default();
    let brokers = brokers(&log, Start::Hangs, Start::Fails);
    let error = manager(&brokers).start().await.unwrap_err().to_string();
    for told in [
        "broker `logged`: starting it took longer than 12s",
        "broker `second`: its port is taken",
    ] {
        assert!(error.contains(told), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_check_starts_no_broker() {
    let log = Log::default();
    let brokers = brokers(&log, Start::Fails, Start::Fails);
    assert_eq!(manager(&brokers).check().await.len(), 3);
    assert!(log.all("start ").is_empty(), "{:?}", log.lines());
}
