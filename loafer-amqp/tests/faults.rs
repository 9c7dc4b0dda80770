//! A service while its RabbitMQ is killed, started again, emptied, blocked, and while its connections are closed.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should fail")]

use std::{
    collections::HashSet,
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use loafer_amqp::Amqp;
use loafer_core::{message::Message, translate::Bytes};
use loafer_runtime::{
    bus::Bus,
    program::{App, Ended, Manager, Route, RouteOptions, Running},
};
use loafer_test_servers::{Broker, RabbitMq, Version};
use tokio::time::{Instant, sleep};

/// Messages that flow while the broker is killed and emptied.
const MESSAGES: usize = 20_000;
/// Messages of one call of the publisher.
const CHUNK: usize = 100;
/// Longer than anything here takes, on a machine that is also building.
const DEADLINE: Duration = Duration::from_secs(120);
const EVENT: &str = "order.closed";
const QUEUE: &str = "order.closed.faults";

/// A broker of this test's own; none, and a word about it, where none is installed.
async fn broker(test: &str) -> Option<Broker> {
    let installed = RabbitMq::installed(Version::Debian, test)?;
    Some(installed.start(env!("CARGO_TARGET_TMPDIR")).await)
}

/// A service that notes which numbers it handled.
struct Service {
    running: Running,
    bus: Bus,
    handled: Arc<Mutex<HashSet<usize>>>,
}

impl Service {
    async fn start(url: &str) -> Self {
        let handled = Arc::new(Mutex::new(HashSet::new()));
        let seen = handled.clone();
        let app = App::new().name("faults").broker(Amqp::new(url));
        let bus = app.bus();
        let route = Route::new(EVENT)
            .provider::<Amqp>()
            .options(RouteOptions::new().concurrency(50))
            .handler(Bytes::new(), move |message: Message| {
                let number = std::str::from_utf8(message.payload()).unwrap().parse();
                seen.lock().unwrap().insert(number.unwrap());
                std::future::ready(true)
            });
        let manager = Manager::builder().app(app).route(route).build().unwrap();
        Self {
            running: manager.start().await.unwrap(),
            bus,
            handled,
        }
    }

    fn handled(&self) -> HashSet<usize> {
        self.handled.lock().unwrap().clone()
    }

    /// Publishes all numbers in order, and gives those that were confirmed. Told how far it is by `published`.
    async fn publish(&self, published: &AtomicUsize) -> HashSet<usize> {
        let mut confirmed = HashSet::new();
        for from in (0..MESSAGES).step_by(CHUNK) {
            let numbers = from..from + CHUNK;
            let batch = numbers
                .clone()
                .map(|number| Message::new(number.to_string()));
            let answers = self.bus.send_all(EVENT, batch).await;
            if answers.iter().all(Result::is_err) {
                // The consumer may still be making its queue: what is published meanwhile fails at once.
                sleep(Duration::from_millis(100)).await;
            }
            let confirmed_now = numbers.zip(answers).filter(|(_, answer)| answer.is_ok());
            confirmed.extend(confirmed_now.map(|(number, _)| number));
            published.store(from + CHUNK, Ordering::SeqCst);
        }
        confirmed
    }

    async fn handles(&self, wanted: &HashSet<usize>) {
        let give_up = Instant::now() + DEADLINE;
        loop {
            let missing = wanted.difference(&self.handled()).count();
            if missing == 0 {
                return;
            }
            assert!(
                Instant::now() < give_up,
                "{missing} of {} are lost",
                wanted.len()
            );
            sleep(Duration::from_millis(100)).await;
        }
    }

    async fn stop(&self) {
        self.running.shutdown();
        assert_eq!(self.running.ended().await, Ended::Clean);
    }
}

/// What the tests' services say.
static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// Writes to [`LOG`].
struct Log;

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOG.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

async fn until(counter: &AtomicUsize, count: usize) {
    while counter.load(Ordering::SeqCst) < count {
        sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_broker_that_is_killed_and_started_again_loses_nothing_that_was_confirmed() {
    let Some(mut broker) = broker("a_broker_that_is_killed_and_started_again").await else {
        return;
    };
    let service = Service::start(&broker.url()).await;
    broker.settled().await;
    let published = AtomicUsize::new(0);
    let (confirmed, ()) = tokio::join!(service.publish(&published), async {
        for part in 1..=2 {
            until(&published, part * MESSAGES / 3).await;
            broker.kill().await;
            broker.restart().await;
        }
    });
    assert!(
        confirmed.len() > MESSAGES / 2,
        "only {} were confirmed",
        confirmed.len()
    );
    service.handles(&confirmed).await;
    broker.management().depth_is(QUEUE, 0).await;
    assert!(service.running.is_ready());
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_empty_broker_in_its_place_has_the_queues_again_and_the_loss_is_logged() {
    let Some(mut broker) = broker("an_empty_broker_in_its_place").await else {
        return;
    };
    tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(|| Log)
        .init();
    let service = Service::start(&broker.url()).await;
    broker.settled().await;
    let published = AtomicUsize::new(0);
    let (confirmed, at) = tokio::join!(service.publish(&published), async {
        until(&published, MESSAGES / 2).await;
        let at = published.load(Ordering::SeqCst);
        broker.replace_by_empty().await;
        at
    });
    for queue in [QUEUE.to_owned(), format!("{QUEUE}.dead")] {
        broker.management().queue_when(&queue, |_| true).await;
    }
    // Bound again, a moment after it was made: what comes now arrives.
    let give_up = Instant::now() + DEADLINE;
    while let Err(error) = service.bus.send(EVENT, Message::new("1000000")).await {
        assert!(Instant::now() < give_up, "{error}");
        sleep(Duration::from_millis(100)).await;
    }
    service.handles(&HashSet::from([1_000_000])).await;
    // What was confirmed and not yet handled when the broker was emptied went with it, and nothing else.
    broker.management().depth_is(QUEUE, 0).await;
    let handled = service.handled();
    let lost: HashSet<usize> = confirmed.difference(&handled).copied().collect();
    let later = lost.iter().filter(|number| **number >= at + CHUNK).count();
    assert_eq!(
        later, 0,
        "{later} messages that the new broker confirmed are lost"
    );
    println!(
        "{} of {} went with the old broker",
        lost.len(),
        confirmed.len()
    );
    assert!(
        confirmed.len() > MESSAGES / 2,
        "only {} were confirmed",
        confirmed.len()
    );
    let log = LOG.lock().unwrap().clone();
    let log = String::from_utf8_lossy(&log);
    assert!(
        log.contains("what it held is lost"),
        "nothing is logged about the loss:\n{log}"
    );
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_closed_connection_cancels_its_handlers_and_their_messages_are_redelivered() {
    let Some(broker) = broker("a_connection_that_is_closed").await else {
        return;
    };
    let begun = Arc::new(AtomicUsize::new(0));
    let finished = Arc::new(AtomicUsize::new(0));
    let slow = Arc::new(AtomicBool::new(true));
    let (begins, finishes, is_slow) = (begun.clone(), finished.clone(), slow.clone());
    let app = App::new().name("faults").broker(Amqp::new(broker.url()));
    let bus = app.bus();
    let route = Route::new(EVENT)
        .provider::<Amqp>()
        .handler(Bytes::new(), move |_: Message| {
            begins.fetch_add(1, Ordering::SeqCst);
            let (is_slow, finishes) = (is_slow.clone(), finishes.clone());
            async move {
                if is_slow.load(Ordering::SeqCst) {
                    sleep(Duration::from_secs(600)).await;
                }
                finishes.fetch_add(1, Ordering::SeqCst);
                true
            }
        });
    let manager = Manager::builder().app(app).route(route).build().unwrap();
    let running = manager.start().await.unwrap();
    for number in 0..3 {
        bus.send(EVENT, Message::new(number.to_string()))
            .await
            .unwrap();
    }
    until(&begun, 3).await;
    slow.store(false, Ordering::SeqCst);
    broker.management().close_connections().await;
    until(&finished, 3).await;
    broker.management().depth_is(QUEUE, 0).await;
    assert_eq!(begun.load(Ordering::SeqCst), 6);
    running.shutdown();
    assert_eq!(running.ended().await, Ended::Clean);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_alarm_of_the_broker_holds_up_publishing_and_no_acks() {
    let Some(broker) = broker("an_alarm_of_the_broker").await else {
        return;
    };
    let service = Service::start(&broker.url()).await;
    service.bus.send(EVENT, Message::new("1")).await.unwrap();
    service.handles(&HashSet::from([1])).await;
    broker.raise_memory_alarm().await;
    let bus = service.bus.clone();
    let waiting = tokio::spawn(async move { bus.send(EVENT, Message::new("2")).await });
    sleep(Duration::from_secs(3)).await;
    assert!(
        !waiting.is_finished(),
        "it was published in spite of the alarm"
    );
    assert!(!service.running.is_ready());
    broker.clear_memory_alarm().await;
    waiting.await.unwrap().unwrap();
    service.handles(&HashSet::from([2])).await;
    assert!(service.running.is_ready());
    service.stop().await;
}
