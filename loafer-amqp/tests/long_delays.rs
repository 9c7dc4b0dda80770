//! Delays beyond the longest step, against a real server, with steps that are short.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should fail")]

mod again;
mod listener;

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use lapin::types::{AMQPValue, FieldTable};
use listener::{Server, own, publish, publish_all, publisher};
use loafer_amqp::{Amqp, AmqpProvider, Declare, Options, Receipt, headers::EXPIRATION};
use loafer_core::{
    broker::{
        Broker, DelaySteps, Delivery, DueTime, Open, Provider, Settle, Settled, Settlement, Source,
    },
    message::{EVENT_ID, Message, Outgoing},
    outcome::Outcome,
    translate::Bytes,
};
use loafer_runtime::program::{App, Manager, Route, RouteOptions, Running};
use tokio::time::{sleep, timeout};

again::on_rabbitmq_4!();

/// The steps of the tests.
const STEPS: DelaySteps = DelaySteps::new(&[Duration::from_secs(1), Duration::from_secs(2)]);
/// A delay of three stays.
const DELAY: Duration = Duration::from_secs(5);
/// How much later something may come, on a machine that is also building.
const LATE: Duration = Duration::from_secs(3);

type Calls = Arc<Mutex<Vec<(Instant, Message)>>>;

fn event() -> Message {
    Message::new("later").with_header(EVENT_ID, "event-1")
}

/// A service on a queue that asks for a retry of each message with fewer attempts than this, after the delay.
async fn service(amqp: Amqp, queue: &str, attempts: u32, after: Duration) -> (Running, Calls) {
    let calls = Calls::default();
    let handler = {
        let calls = Arc::clone(&calls);
        move |message: Message| {
            let again = message.attempt() < attempts;
            calls.lock().unwrap().push((Instant::now(), message));
            async move {
                match again {
                    true => Outcome::Retry { after },
                    false => Outcome::Ack,
                }
            }
        }
    };
    let options = RouteOptions::new().queue(queue).consumer(queue);
    let route = Route::new("delays")
        .provider::<Amqp>()
        .options(options.broker_options::<Amqp>(Options::new().exchange("")))
        .handler(Bytes::new(), handler);
    let manager = Manager::builder().app(App::new().broker(amqp)).route(route);
    (manager.build().unwrap().start().await.unwrap(), calls)
}

async fn stop(running: &Running) {
    running.shutdown();
    running.ended().await;
}

/// Deletes a queue and what was made beside it.
async fn clean_up(server: &Server, queue: &str) {
    for name in [
        "",
        ".dead",
        ".retry.1s",
        ".delays.1s",
        ".delays.2s",
        ".delays.due",
    ] {
        server.delete_queue(&format!("{queue}{name}")).await;
    }
    server.delete_exchange(&format!("{queue}.delays")).await;
}

#[tokio::test]
async fn a_retry_of_three_stays_comes_once_and_is_one_attempt() {
    let server = server!("a_retry_of_three_stays_comes_once_and_is_one_attempt");
    let (amqp, queue) = (server.amqp().delay_steps(STEPS), own("long"));
    let (running, calls) = service(amqp, &queue, 2, DELAY).await;
    let topic = format!("amqp:{queue}");
    let publisher = server.amqp().publisher();
    publish(&publisher, topic.as_str(), Outgoing::new(event()))
        .await
        .unwrap();
    sleep(DELAY + 2 * LATE).await;
    let stats = running.stats("delays").unwrap();
    stop(&running).await;
    let calls = calls.lock().unwrap().clone();
    let [(first, _), (second, message)] = &calls[..] else {
        panic!("{} calls: {calls:?}", calls.len());
    };
    let waited = *second - *first;
    assert!(waited >= DELAY && waited < DELAY + LATE, "{waited:?}");
    assert_eq!(
        (message.attempt(), message.event_id()),
        (2, Some("event-1"))
    );
    assert_eq!(message.headers().get(DueTime::HEADER), None);
    assert_eq!((stats.retried, stats.deferred, stats.acked), (1, 2, 1));
    clean_up(&server, &queue).await;
}

async fn provider(amqp: &Amqp, queue: &str, declare: Declare) -> AmqpProvider {
    let options = Options::new().exchange("").declare(declare);
    let mut source = Source::new("long", queue);
    source.consumer = Some(queue.to_owned());
    let provider = amqp.provider(&source, &options).unwrap();
    provider.open(Open::Existing).await.unwrap();
    provider
}

async fn receive(provider: &AmqpProvider) -> Delivery<Receipt> {
    let mut into = Vec::new();
    while into.is_empty() {
        let wait = Duration::from_secs(1);
        provider.receive(1, wait, &mut into).await.unwrap();
    }
    into.pop().unwrap()
}

async fn settle(
    provider: &AmqpProvider,
    delivery: &Delivery<Receipt>,
    settlement: Settlement,
) -> Settled {
    let entry = Settle {
        receipt: delivery.receipt,
        message: delivery.message.clone(),
        settlement,
    };
    let mut answers = Vec::new();
    provider.settle(&[entry], &mut answers).await;
    answers.pop().unwrap()
}

/// Leases a message whose retry is due after three stays, early.
async fn early(server: &Server, provider: &AmqpProvider, queue: &str) -> Delivery<Receipt> {
    let publisher = server.amqp().publisher();
    let topic = format!("amqp:{queue}");
    publish(&publisher, topic.as_str(), Outgoing::new(event()))
        .await
        .unwrap();
    let first = receive(provider).await;
    let retry = Settlement::Retry { after: Some(DELAY) };
    assert!(matches!(
        settle(provider, &first, retry).await,
        Settled::Done
    ));
    receive(provider).await
}

#[tokio::test]
async fn a_copy_that_fails_leaves_the_message() {
    let server = server!("a_copy_that_fails_leaves_the_message");
    let (amqp, queue) = (server.amqp().delay_steps(STEPS), own("long"));
    let first = provider(&amqp, &queue, Declare::Create).await;
    let message = early(&server, &first, &queue).await;
    let until = DueTime::of(&message.message).unwrap();
    assert_eq!(message.message.attempt(), 2);
    first.close().await;
    server.delete_queue(&format!("{queue}.delays.1s")).await;
    server.delete_queue(&format!("{queue}.delays.2s")).await;

    // It may make no delay queue, and there is none.
    let second = provider(&amqp, &queue, Declare::Off).await;
    let again = receive(&second).await;
    let answer = settle(&second, &again, Settlement::Defer { until }).await;
    assert!(matches!(answer, Settled::Failed(_)), "{answer:?}");
    second.close().await;

    let (running, calls) = service(amqp, &queue, 0, DELAY).await;
    sleep(DELAY + LATE).await;
    stop(&running).await;
    let calls = calls.lock().unwrap().clone();
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].1.event_id(), Some("event-1"));
    clean_up(&server, &queue).await;
}

#[tokio::test]
async fn a_process_that_ends_between_copy_and_ack_leaves_a_duplicate_at_most() {
    let server = server!("a_process_that_ends_between_copy_and_ack_leaves_a_duplicate_at_most");
    let (amqp, queue) = (server.amqp().delay_steps(STEPS), own("long"));
    let ends = provider(&amqp, &queue, Declare::Create).await;
    let began = Instant::now();
    let message = early(&server, &ends, &queue).await;
    let until = DueTime::of(&message.message).unwrap();
    // The copy is made as the settlement makes it, and then nothing follows.
    let copy = Outgoing::new(event()).delay(until.left(Instant::now()));
    let topic = format!("amqp:{queue}");
    publish(&amqp.publisher(), topic.as_str(), copy)
        .await
        .unwrap();
    drop(ends);
    amqp.close().await;

    let amqp = server.amqp().delay_steps(STEPS);
    let (running, calls) = service(amqp, &queue, 0, DELAY).await;
    sleep(DELAY + 2 * LATE).await;
    stop(&running).await;
    let calls = calls.lock().unwrap().clone();
    assert!((1..=2).contains(&calls.len()), "{} calls", calls.len());
    for (at, message) in &calls {
        assert!(*at - began >= DELAY, "{:?}", *at - began);
        assert_eq!(message.event_id(), Some("event-1"));
    }
    clean_up(&server, &queue).await;
}

#[tokio::test]
async fn an_event_of_a_long_delay_comes_on_time_to_any_listener() {
    let server = server!("an_event_of_a_long_delay_comes_on_time_to_any_listener");
    let exchange = own("event");
    let queue = server.listen(&exchange, "order.*").await;
    let publisher = publisher(server.amqp().delay_steps(STEPS), &exchange);
    let long = Duration::from_secs(8);
    let began = Instant::now();
    let batch =
        [long, DELAY].map(|delay| Outgoing::new(Message::new(format!("{delay:?}"))).delay(delay));
    let answers = publish_all(&publisher, "order.closed", batch.into()).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    for delay in [DELAY, long] {
        let came = server.next(&queue).await;
        let waited = began.elapsed();
        assert!(waited >= delay && waited < delay + LATE, "{waited:?}");
        assert_eq!(came.delivery.data, format!("{delay:?}").as_bytes());
        assert_eq!(came.delivery.routing_key.as_str(), "order.closed");
    }
    assert!(server.take(&queue).await.is_none());
    server
        .delete_queue(&format!("{exchange}/order.closed.delay.1s"))
        .await;
}

#[tokio::test]
async fn a_queue_that_is_full_holds_up_no_other() {
    let server = server!("a_queue_that_is_full_holds_up_no_other");
    let mut full = FieldTable::default();
    full.insert("x-max-length".into(), AMQPValue::LongLongInt(0));
    full.insert(
        "x-overflow".into(),
        AMQPValue::LongString("reject-publish".into()),
    );
    let full = server.queue(full).await;
    let free = server.queue(FieldTable::default()).await;
    let publisher = server.amqp().delay_steps(STEPS).publisher();
    let began = Instant::now();
    let delayed = || Outgoing::new(Message::new("later")).delay(DELAY);
    // More than RabbitMQ has on their way out of one queue.
    let stuck = (0..100).map(|_| delayed()).collect();
    let answers = publish_all(&publisher, format!("amqp:{full}"), stuck).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    publish(&publisher, format!("amqp:{free}"), delayed())
        .await
        .unwrap();
    // It would never come: the queue stays full.
    assert_eq!(server.next(&free).await.delivery.data, b"later");
    assert!(began.elapsed() >= DELAY);
    for queue in [full, free] {
        server.delete_queue(&format!("{queue}.retry.1s")).await;
    }
}

#[tokio::test]
async fn a_delay_queue_that_is_gone_holds_up_no_other() {
    let server = server!("a_delay_queue_that_is_gone_holds_up_no_other");
    let gone = server.queue(FieldTable::default()).await;
    let free = server.queue(FieldTable::default()).await;
    let publisher = server.amqp().delay_steps(STEPS).publisher();
    let began = Instant::now();
    let delayed = || Outgoing::new(Message::new("later")).delay(DELAY);
    let lost = (0..100).map(|_| delayed()).collect();
    publish_all(&publisher, format!("amqp:{gone}"), lost).await;
    server.delete_queue(&format!("{gone}.retry.1s")).await;
    publish(&publisher, format!("amqp:{free}"), delayed())
        .await
        .unwrap();
    assert_eq!(server.next(&free).await.delivery.data, b"later");
    let waited = began.elapsed();
    assert!(waited >= DELAY && waited < DELAY + LATE, "{waited:?}");
    assert!(server.take("loafer.delay.lost").await.is_some());
    server.delete_queue(&format!("{free}.retry.1s")).await;
}

#[tokio::test]
async fn a_delay_that_can_not_be_kept_is_refused() {
    let server = server!("a_delay_that_can_not_be_kept_is_refused");
    let queue = server.queue(FieldTable::default()).await;
    let publisher = server.amqp().publisher();
    let too_long = Outgoing::new(event()).delay(Duration::from_secs(367 * 86_400));
    let expires = Outgoing::new(event())
        .header(EXPIRATION, "1000")
        .delay(DELAY);
    for (message, why) in [(too_long, "366 days"), (expires, "would end the delay")] {
        let answer = publish(&publisher, format!("amqp:{queue}"), message).await;
        let error = answer.unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
}

/// How long the delays of the longest test are: 3 s, or as many seconds as `LOAFER_LONG_DELAY` says, for a run by hand.
fn long_delay() -> Duration {
    let seconds = std::env::var("LOAFER_LONG_DELAY");
    Duration::from_secs(seconds.map_or(3, |seconds| seconds.parse().unwrap()))
}

/// A retry and a message come after a delay as a service would ask for it. `LOAFER_LONG_DELAY=2400` takes 42 minutes.
#[tokio::test]
async fn a_retry_and_a_message_come_after_a_long_delay() {
    let long = long_delay();
    let server = server!("a_retry_and_a_message_come_after_a_long_delay");
    let queue = own("long");
    let (running, calls) = service(server.amqp(), &queue, 2, long).await;
    let other = server.queue(FieldTable::default()).await;
    let publisher = server.amqp().publisher();
    let began = Instant::now();
    let delayed = Outgoing::new(event()).delay(long);
    publish(&publisher, format!("amqp:{other}"), delayed)
        .await
        .unwrap();
    publish(&publisher, format!("amqp:{queue}"), Outgoing::new(event()))
        .await
        .unwrap();
    let came = async {
        while server.take(&other).await.is_none() {
            sleep(Duration::from_millis(200)).await;
        }
        began.elapsed()
    };
    let came = timeout(2 * long, came).await.unwrap();
    println!("RabbitMQ: published to come after {long:?}, came after {came:?}");
    sleep(Duration::from_secs(120).min(2 * long)).await;
    stop(&running).await;
    let calls = calls.lock().unwrap().clone();
    for (at, message) in &calls {
        let (attempt, id) = (message.attempt(), message.event_id());
        println!(
            "RabbitMQ: retry after {long:?}: called after {:?}, attempt {attempt}, event {id:?}",
            *at - began
        );
    }
    let waited = calls[1].0 - calls[0].0;
    assert!(
        waited >= long && waited < long + Duration::from_secs(64),
        "{waited:?}"
    );
    assert_eq!((calls.len(), calls[1].1.attempt()), (2, 2));
    assert!(came >= long && came < long + Duration::from_secs(10));
}
