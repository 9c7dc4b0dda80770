//! Topics that go through another broker than the service's, and what a broker that takes nothing does to readiness.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should fail")]

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use loafer_core::{
    Error,
    broker::{Broker, NoOptions, Publisher, Source, Topic},
    message::{MessageId, Outgoing},
    translate::Json,
};
use loafer_memory::{Memory, MemoryProvider, MemoryPublisher};
use loafer_runtime::{
    bus::Bus,
    program::{App, Config, Manager, Route, Running},
};
use serde_json::Value;

/// Memory by another name, that may be short of room.
#[derive(Clone, Default)]
struct Elsewhere {
    memory: Memory,
    full: Arc<AtomicBool>,
}

struct ElsewherePublisher {
    inner: MemoryPublisher,
    full: Arc<AtomicBool>,
}

impl Publisher for ElsewherePublisher {
    async fn publish(
        &self,
        topic: &Topic,
        batch: &[Outgoing],
        answers: &mut Vec<Result<MessageId, Error>>,
    ) {
        self.inner.publish(topic, batch, answers).await;
    }

    fn is_ready(&self) -> bool {
        !self.full.load(Ordering::Relaxed)
    }
}

impl Broker for Elsewhere {
    type Provider = MemoryProvider;
    type Publisher = ElsewherePublisher;
    type Options = NoOptions;
    const KIND: &'static str = "elsewhere";

    fn provider(&self, source: &Source, options: &NoOptions) -> Result<MemoryProvider, Error> {
        self.memory.provider(source, options)
    }

    fn publisher(&self) -> ElsewherePublisher {
        ElsewherePublisher {
            inner: self.memory.publisher(),
            full: self.full.clone(),
        }
    }
}

/// A service in memory which hears `here`, and may publish elsewhere.
async fn service(
    memory: &Memory,
    elsewhere: &Elsewhere,
    config: Config,
) -> Result<(Running, Bus), Error> {
    let app = App::new().broker(memory.clone()).broker(elsewhere.clone());
    let bus = app.bus();
    let route = Route::new("here")
        .provider::<Memory>()
        .handler(Json, async |_: Value| true);
    let manager = Manager::builder().app(app).config(config).route(route);
    Ok((manager.build()?.start().await?, bus))
}

/// A service that hears this on the broker elsewhere.
async fn listener(elsewhere: &Elsewhere, route: &'static str) -> Running {
    let app = App::new().broker(elsewhere.clone());
    let listener = Route::new(route)
        .provider::<Elsewhere>()
        .handler(Json, async |_: Value| true);
    let manager = Manager::builder().app(app).route(listener);
    manager.build().unwrap().start().await.unwrap()
}

fn config(file: &str, environment: &[(&str, &str)]) -> Config {
    let environment = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::parse(file, environment, &["here"]).unwrap()
}

async fn goes_elsewhere(config: Config, to: &'static str) {
    let (memory, elsewhere) = (Memory::new(), Elsewhere::default());
    let there = listener(&elsewhere, to).await;
    let (here, bus) = service(&memory, &elsewhere, config).await.unwrap();
    bus.publish_to("order.closed", &1).await.unwrap();
    bus.publish_to("here", &1).await.unwrap();
    bus.publish_to("here", &1).await.unwrap();
    memory.settled().await;
    elsewhere.memory.settled().await;
    assert_eq!(here.stats("here").unwrap().received, 2);
    assert_eq!(there.stats(to).unwrap().received, 1);
    for running in [here, there] {
        running.shutdown();
        running.ended().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_topic_goes_through_the_broker_that_the_file_names() {
    let file = "[topics.\"order.closed\"]\npublisher = \"elsewhere\"";
    goes_elsewhere(config(file, &[]), "order.closed").await;
}

#[tokio::test(start_paused = true)]
async fn it_may_have_another_name_there() {
    let file = "[topics.\"order.closed\"]\npublisher = \"elsewhere\"\nname = \"closed\"";
    goes_elsewhere(config(file, &[]), "closed").await;
}

#[tokio::test(start_paused = true)]
async fn the_environment_names_a_broker_as_well() {
    let environment = [("LOAFER_TOPICS__ORDER_CLOSED__PUBLISHER", "elsewhere")];
    goes_elsewhere(config("", &environment), "order.closed").await;
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_the_program_does_not_know_keeps_it_from_starting() {
    let config = config("[topics.here]\npublisher = \"elsewere\"", &[]);
    let told = service(&Memory::new(), &Elsewhere::default(), config)
        .await
        .map(|_| ());
    let told = told.unwrap_err().to_string();
    assert!(
        told.contains("topics.here") && told.contains("did you mean `elsewhere`"),
        "{told}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_program_is_not_ready_while_a_broker_it_publishes_on_takes_nothing() {
    let elsewhere = Elsewhere::default();
    let file = "[topics.\"order.closed\"]\npublisher = \"elsewhere\"";
    let (running, _) = service(&Memory::new(), &elsewhere, config(file, &[]))
        .await
        .unwrap();
    assert!(running.is_ready());
    elsewhere.full.store(true, Ordering::Relaxed);
    assert!(!running.is_ready());
    elsewhere.full.store(false, Ordering::Relaxed);
    assert!(running.is_ready());
}
