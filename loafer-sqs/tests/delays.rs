//! Delays beyond SQS's 15 minutes, in stays that the tests shorten.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should fail")]

mod support;

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use loafer_core::{
    Error,
    broker::{Broker, DueTime, Provider, Publisher, Settled, Settlement, Topic},
    message::{EVENT_ID, Message, Outgoing},
    translate::Bytes,
};
use loafer_runtime::program::{App, Manager, Route, RouteOptions};
use loafer_sqs::Sqs;
use support::{Queue, Server, entry};
use tokio::time::{sleep, timeout};

/// One stay of the tests.
const STAY: Duration = Duration::from_secs(2);
/// A delay of three stays.
const DELAY: Duration = Duration::from_secs(5);

fn sqs(endpoint: &str) -> Sqs {
    Sqs::with_config(support::config(endpoint)).with_longest_delay(STAY)
}

fn event() -> Message {
    Message::new("later").with_header(EVENT_ID, "event-1")
}

/// Handles a queue's messages for so long. Returns when each came, and the messages.
async fn handled(queue: &Queue, endpoint: &str, long: Duration) -> Vec<(Instant, Message)> {
    let calls = Arc::new(Mutex::new(Vec::new()));
    let handler = {
        let calls = Arc::clone(&calls);
        move |message: Message| {
            calls.lock().unwrap().push((Instant::now(), message));
            async { true }
        }
    };
    let options = RouteOptions::new().queue(&queue.name);
    let route = Route::new("delays")
        .provider::<Sqs>()
        .options(options.lease(Duration::from_secs(3)))
        .handler(Bytes::new(), handler);
    let app = App::new().broker(sqs(endpoint));
    let manager = Manager::builder().app(app).route(route);
    let running = manager.build().unwrap().start().await.unwrap();
    sleep(long).await;
    running.shutdown();
    running.ended().await;
    calls.lock().unwrap().clone()
}

async fn a_delay_of_three_stays(server: Server) {
    let queue = server.queue_of(sqs(&server.endpoint), "delays", None).await;
    let published = Instant::now();
    queue.send(vec![Outgoing::new(event()).delay(DELAY)]).await;
    let calls = handled(&queue, &server.endpoint, DELAY + 2 * STAY).await;
    assert_eq!(calls.len(), 1);
    let (at, message) = &calls[0];
    let waited = *at - published;
    assert!(waited >= DELAY && waited < DELAY + STAY, "{waited:?}");
    assert_eq!(
        (message.attempt(), message.event_id()),
        (1, Some("event-1"))
    );
    assert_eq!(message.headers().get(DueTime::HEADER), None);
    assert_eq!(queue.depth().await, 0);
}

#[tokio::test]
async fn a_delay_of_three_stays_on_fauxqs() {
    a_delay_of_three_stays(server!(
        "LOAFER_TEST_FAUXQS",
        "a_delay_of_three_stays_on_fauxqs"
    ))
    .await;
}

#[tokio::test]
async fn a_delay_of_three_stays_on_elasticmq() {
    a_delay_of_three_stays(server!(
        "LOAFER_TEST_ELASTICMQ",
        "a_delay_of_three_stays_on_elasticmq"
    ))
    .await;
}

/// Leases the message of a long delay, early.
async fn early(queue: &Queue) -> loafer_core::broker::Delivery<loafer_sqs::Receipt> {
    queue.send(vec![Outgoing::new(event()).delay(DELAY)]).await;
    let mut came = queue.receive(1).await;
    came.pop().unwrap()
}

#[tokio::test]
async fn a_copy_that_fails_leaves_the_message() {
    let server = server!("LOAFER_TEST_FAUXQS", "a_copy_that_fails_leaves_the_message");
    let short = Some(Duration::from_secs(3));
    let queue = server
        .queue_of(sqs(&server.endpoint), "delays", short)
        .await;
    let early = early(&queue).await;
    let until = DueTime::of(&early.message).unwrap();
    // What SQS would not take as a copy.
    let mut spoilt = entry(&early, Settlement::Defer { until });
    spoilt.message = spoilt.message.with_payload(vec![0xFF]);
    let mut answers = Vec::new();
    queue.provider.settle(&[spoilt], &mut answers).await;
    assert!(matches!(answers[..], [Settled::Failed(_)]), "{answers:?}");
    let again = queue.receive(1).await;
    assert_eq!(again[0].message.payload(), "later");
    assert_eq!(DueTime::of(&again[0].message), Some(until));
}

#[tokio::test]
async fn a_process_that_ends_between_copy_and_delete_leaves_a_duplicate_at_most() {
    let server = server!(
        "LOAFER_TEST_FAUXQS",
        "a_process_that_ends_between_copy_and_delete_leaves_a_duplicate_at_most"
    );
    let queue = server
        .queue_of(sqs(&server.endpoint), "delays", Some(STAY))
        .await;
    let published = Instant::now();
    let early = early(&queue).await;
    let until = DueTime::of(&early.message).unwrap();
    // The copy is made as the settlement makes it, and then nothing follows.
    let left = until.left(Instant::now());
    queue.send(vec![Outgoing::new(event()).delay(left)]).await;
    let calls = handled(&queue, &server.endpoint, DELAY + 3 * STAY).await;
    assert!((1..=2).contains(&calls.len()), "{} calls", calls.len());
    for (at, message) in &calls {
        assert!(*at - published >= DELAY, "{:?}", *at - published);
        assert_eq!(message.event_id(), Some("event-1"));
    }
}

#[tokio::test]
async fn a_delay_that_sqs_can_not_keep_is_refused() {
    let server = server!(
        "LOAFER_TEST_FAUXQS",
        "a_delay_that_sqs_can_not_keep_is_refused"
    );
    let queue = server.queue_of(sqs(&server.endpoint), "delays", None).await;
    let fifo = server
        .queue_of(sqs(&server.endpoint), "delays.fifo", None)
        .await;
    let topic = format!("delays-{}", queue.name);
    server
        .sns()
        .create_topic()
        .name(&topic)
        .send()
        .await
        .unwrap();
    let years = Duration::from_secs(2 * 366 * 86_400);
    for (to, delay, why) in [
        (format!("sqs:{}", queue.name), years, "366 days"),
        (
            format!("sqs:{}", fifo.name),
            DELAY,
            "a FIFO queue delays all of its messages alike",
        ),
        (topic, DELAY, "publish to a queue, as `sqs:NAME`"),
    ] {
        let message = Outgoing::new(event()).group("g").delay(delay);
        let mut answers = Vec::new();
        let publisher = sqs(&server.endpoint).publisher();
        publisher
            .publish(&Topic::from(to), &[message], &mut answers)
            .await;
        let refused = matches!(&answers[..], [Err(error @ Error::Refused { .. })] if error.to_string().contains(why));
        assert!(refused, "{answers:?}");
    }
}

/// How long the delays of the longest test are: 3 s, or as many seconds as `LOAFER_LONG_DELAY` says, for a run by hand.
fn long_delay() -> Duration {
    let seconds = std::env::var("LOAFER_LONG_DELAY");
    Duration::from_secs(seconds.map_or(3, |seconds| seconds.parse().unwrap()))
}

/// A message comes after a delay as a service would ask for it. `LOAFER_LONG_DELAY=2400` takes 40 minutes.
#[tokio::test]
async fn a_message_comes_after_a_long_delay() {
    let long = long_delay();
    let server = server!("LOAFER_TEST_FAUXQS", "a_message_comes_after_a_long_delay");
    let queue = server.queue("delays", None).await;
    let published = Instant::now();
    queue.send(vec![Outgoing::new(event()).delay(long)]).await;
    let (sender, mut came) = tokio::sync::mpsc::unbounded_channel();
    let route = Route::new("delays")
        .provider::<Sqs>()
        .options(RouteOptions::new().queue(&queue.name))
        .handler(Bytes::new(), move |message: Message| {
            sender.send((Instant::now(), message)).unwrap();
            async { true }
        });
    let manager = server.manager().route(route);
    let running = manager.build().unwrap().start().await.unwrap();
    let (at, message) = timeout(2 * long, came.recv()).await.unwrap().unwrap();
    let waited = at - published;
    println!(
        "SQS: due after {long:?}, came after {waited:?}, attempt {}, event {:?}, {:?}",
        message.attempt(),
        message.event_id(),
        running.stats("delays")
    );
    assert!(waited >= long && waited < long + Duration::from_secs(30));
    assert_eq!(
        (message.attempt(), message.event_id()),
        (1, Some("event-1"))
    );
    assert!(
        timeout(Duration::from_secs(20).min(2 * long), came.recv())
            .await
            .is_err()
    );
}
