//! What becomes of a message on RabbitMQ: acks, retries with their delays, dead letters, the end of a service.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should fail")]

mod again;
mod support;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use lapin::BasicProperties;
use loafer_amqp::{Amqp, Declare, Options};
use loafer_core::{
    broker::DeadLetter, extract::Metadata, message::Message, outcome::Outcome, policy::Backoff,
    translate::Bytes,
};
use loafer_runtime::{
    handler::Failure,
    program::{App, Ended, Manager, ManagerBuilder, Route, RouteOptions, Running},
};
use tokio::{
    sync::Notify,
    time::{Instant, sleep},
};

use support::{eventually, on_queue, unique};

again::on_rabbitmq_4!();

/// RabbitMQ's own timers tick in milliseconds, but the machine is building, too.
const LATE: Duration = Duration::from_millis(500);

/// A service of one route on a queue of its own; publish to `amqp:QUEUE`.
async fn started(
    rabbit: &support::Rabbit,
    queue: &str,
    options: RouteOptions,
    route: impl FnOnce(Route) -> Route,
) -> Running {
    let options = options
        .queue(queue)
        .broker_options::<Amqp>(Options::new().exchange(""));
    let bare = Route::new("settling").provider::<Amqp>().options(options);
    let manager = rabbit.manager().route(route(bare));
    manager.build().unwrap().start().await.unwrap()
}

async fn publish(rabbit: &support::Rabbit, queue: &str, body: &str) {
    rabbit
        .publish("", queue, body, BasicProperties::default())
        .await;
}

/// A service of as many handlers, each at work for that long on one of these messages; and how many have begun.
async fn at_work(
    rabbit: &support::Rabbit,
    queue: &str,
    handlers: usize,
    takes: Duration,
    messages: usize,
) -> (Running, Arc<AtomicUsize>) {
    let begun = Arc::new(AtomicUsize::new(0));
    let count = begun.clone();
    let options = RouteOptions::new().concurrency(handlers);
    let running = started(rabbit, queue, options, |route| {
        route.handler(Bytes::new(), move |_: Message| {
            count.fetch_add(1, Ordering::SeqCst);
            async move {
                sleep(takes).await;
                true
            }
        })
    })
    .await;
    for number in 0..messages {
        publish(rabbit, queue, &number.to_string()).await;
    }
    eventually("all handlers at work", async || {
        begun.load(Ordering::SeqCst) == handlers
    })
    .await;
    (running, begun)
}

/// Why it does not start.
async fn refused(manager: ManagerBuilder) -> String {
    let started = manager.build().unwrap().start().await;
    started.unwrap_err().to_string()
}

async fn stop(running: &Running) {
    running.shutdown();
    assert_eq!(running.ended().await, Ended::Clean);
}

#[tokio::test(flavor = "multi_thread")]
async fn retries_wait_their_delay_and_come_not_much_later() {
    let rabbit = rabbit!("retries_wait_their_delay_and_come_not_much_later");
    let queue = unique("delays");
    let came = Arc::new(Mutex::new(Vec::new()));
    let seen = came.clone();
    let backoff = Backoff::new(Duration::from_secs(1)).with_jitter(false);
    let options = RouteOptions::new().backoff(backoff).max_attempts(4);
    let running = started(&rabbit, &queue, options, |route| {
        route.handler(Bytes::new(), move |_: Message, metadata: Metadata| {
            seen.lock()
                .unwrap()
                .push((metadata.attempt(), Instant::now()));
            std::future::ready(metadata.attempt() == 4)
        })
    })
    .await;
    // The queues in which retries wait are made at the first retry: the first message pays for that.
    for _ in 0..2 {
        came.lock().unwrap().clear();
        publish(&rabbit, &queue, "late").await;
        eventually("fourth attempt", async || came.lock().unwrap().len() == 4).await;
    }
    let came = came.lock().unwrap().clone();
    let attempts: Vec<u32> = came.iter().map(|(attempt, _)| *attempt).collect();
    assert_eq!(attempts, [1, 2, 3, 4]);
    for (pair, delay) in came.windows(2).zip([1, 2, 4]) {
        let waited = pair[1].1 - pair[0].1;
        let delay = Duration::from_secs(delay);
        assert!(waited >= delay, "{waited:?} is earlier than {delay:?}");
        assert!(
            waited <= delay + LATE,
            "{waited:?} is much later than {delay:?}"
        );
    }
    stop(&running).await;
    rabbit.clean(&queue).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_reaches_the_failing_listener_alone() {
    let rabbit = rabbit!("a_retry_reaches_the_failing_listener_alone");
    let event = unique("order.closed");
    let (stock, invoice) = (format!("{event}.stock"), format!("{event}.invoice"));
    let calls: [Arc<AtomicUsize>; 2] = Default::default();
    let [of_stock, of_invoice] = calls.clone();
    let backoff = Backoff::new(Duration::from_secs(1)).with_jitter(false);
    let listener = |name: &'static str, queue: &str| {
        let options = RouteOptions::new().queue(queue).topics(event.as_str());
        Route::new(name)
            .provider::<Amqp>()
            .options(options.backoff(backoff.clone()))
    };
    let fails_once = listener("stock", &stock).handler(Bytes::new(), move |_: Message| {
        std::future::ready(of_stock.fetch_add(1, Ordering::SeqCst) > 0)
    });
    let works = listener("invoice", &invoice).handler(Bytes::new(), move |_: Message| {
        of_invoice.fetch_add(1, Ordering::SeqCst);
        std::future::ready(true)
    });
    let manager = rabbit.manager().route(fails_once).route(works);
    let running = manager.build().unwrap().start().await.unwrap();
    rabbit
        .publish("event", &event, "{}", BasicProperties::default())
        .await;
    eventually("second call of the failing listener", async || {
        calls[0].load(Ordering::SeqCst) == 2
    })
    .await;
    sleep(Duration::from_millis(300)).await;
    assert_eq!(calls[1].load(Ordering::SeqCst), 1);
    stop(&running).await;
    rabbit.clean(&stock).await;
    rabbit.clean(&invoice).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_too_often_is_a_dead_letter_that_says_why() {
    let rabbit = rabbit!("what_fails_too_often_is_a_dead_letter_that_says_why");
    let queue = unique("fails");
    let options = RouteOptions::new().max_attempts(2);
    let running = started(&rabbit, &queue, options, |route| {
        route.handler(Bytes::new(), async |_: Message| {
            Err::<bool, _>("the till is closed")
        })
    })
    .await;
    publish(&rabbit, &queue, "body").await;
    let dead = format!("{queue}.dead");
    rabbit.depth_is(&dead, 1).await;
    let dead_letter = rabbit.get(&dead).await.unwrap().delivery;
    assert_eq!(dead_letter.data, b"body");
    let headers = dead_letter.properties.headers().clone().unwrap();
    let envelope = headers.inner().get(DeadLetter::HEADER).unwrap();
    let envelope = envelope.as_long_string().unwrap().to_string();
    for part in [
        "\"kind\":\"error\"",
        "the till is closed",
        "\"attempts\":2",
        &queue,
    ] {
        assert!(envelope.contains(part), "{part} is not in {envelope}");
    }
    assert_eq!(rabbit.depth(&queue).await, 0);
    stop(&running).await;
    rabbit.clean(&queue).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_error_has_the_last_word() {
    let rabbit = rabbit!("on_error_has_the_last_word");
    let queue = unique("fallback");
    let running = started(&rabbit, &queue, RouteOptions::new(), |route| {
        route
            .on_error(async |failure: Failure| Outcome::Reject {
                reason: failure.reason().into(),
            })
            .handler(Bytes::new(), async |_: Message| {
                Err::<bool, _>("broken for good")
            })
    })
    .await;
    publish(&rabbit, &queue, "{}").await;
    rabbit.depth_is(&format!("{queue}.dead"), 1).await;
    stop(&running).await;
    rabbit.clean(&queue).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_of_acks_before_the_end_leaves_nothing_behind() {
    let rabbit = rabbit!("a_burst_of_acks_before_the_end_leaves_nothing_behind");
    let queue = unique("burst");
    let (running, _) = at_work(&rabbit, &queue, 50, Duration::from_millis(300), 50).await;
    stop(&running).await;
    assert_eq!(rabbit.depth(&queue).await, 0);
    rabbit.clean(&queue).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_at_the_end_is_acked_and_what_waits_is_released() {
    let rabbit = rabbit!("what_runs_at_the_end_is_acked_and_what_waits_is_released");
    let queue = unique("drain");
    let (running, begun) = at_work(&rabbit, &queue, 3, Duration::from_secs(1), 10).await;
    running.shutdown();
    // Before the handlers are done.
    rabbit.depth_is(&queue, 7).await;
    assert_eq!(running.ended().await, Ended::Clean);
    assert_eq!(
        (rabbit.depth(&queue).await, begun.load(Ordering::SeqCst)),
        (7, 3)
    );
    rabbit.clean(&queue).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_after_the_end_began_is_left_to_others() {
    let rabbit = rabbit!("what_comes_after_the_end_began_is_left_to_others");
    let queue = unique("late");
    let begun = Arc::new(AtomicUsize::new(0));
    let goes_on = Arc::new(Notify::new());
    let (count, wait) = (begun.clone(), goes_on.clone());
    let running = started(&rabbit, &queue, RouteOptions::new(), |route| {
        route.handler(Bytes::new(), move |_: Message| {
            count.fetch_add(1, Ordering::SeqCst);
            let wait = wait.clone();
            async move {
                wait.notified().await;
                true
            }
        })
    })
    .await;
    publish(&rabbit, &queue, "at work").await;
    eventually("a handler at work", async || {
        begun.load(Ordering::SeqCst) == 1
    })
    .await;
    running.shutdown();
    for number in 0..5 {
        publish(&rabbit, &queue, &number.to_string()).await;
    }
    rabbit.depth_is(&queue, 5).await;
    goes_on.notify_one();
    assert_eq!(running.ended().await, Ended::Clean);
    let depth = rabbit.depth(&queue).await;
    assert_eq!((depth, begun.load(Ordering::SeqCst)), (5, 1));
    rabbit.clean(&queue).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_is_deleted_is_made_again() {
    let rabbit = rabbit!("a_queue_that_is_deleted_is_made_again");
    let queue = unique("deleted");
    let handled = Arc::new(AtomicUsize::new(0));
    let count = handled.clone();
    let running = started(&rabbit, &queue, RouteOptions::new(), |route| {
        route.handler(Bytes::new(), move |_: Message| {
            count.fetch_add(1, Ordering::SeqCst);
            std::future::ready(true)
        })
    })
    .await;
    publish(&rabbit, &queue, "before").await;
    eventually("the first message", async || {
        handled.load(Ordering::SeqCst) == 1
    })
    .await;
    rabbit.delete(&queue).await;
    eventually("the queue", async || {
        rabbit
            .counts(&queue)
            .await
            .is_some_and(|(_, consumers)| consumers == 1)
    })
    .await;
    publish(&rabbit, &queue, "after").await;
    eventually("the second message", async || {
        handled.load(Ordering::SeqCst) == 2
    })
    .await;
    stop(&running).await;
    rabbit.clean(&queue).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_of_another_form_is_refused_and_left_alone() {
    let rabbit = rabbit!("a_queue_of_another_form_is_refused_and_left_alone");
    let queue = unique("classic");
    rabbit.declare(&queue, &[]).await;
    let route = |options: Options| {
        let options = on_queue(&queue, options.exchange(""));
        let route = Route::new("settling").provider::<Amqp>().options(options);
        route.handler(Bytes::new(), async |_: Message| true)
    };
    let manager = rabbit.manager().route(route(Options::new()));
    let error = refused(manager).await;
    for part in [
        &queue,
        "inequivalent arg",
        "declare = \"verify\"",
        "[routes.settling.options]",
    ] {
        assert!(error.contains(part), "{part} is not in: {error}");
    }
    // As it is, it can be used; where its dead letters go is there already.
    let options = Options::new().declare(Declare::Off);
    let manager = rabbit.manager().route(route(options));
    let running = manager.build().unwrap().start().await.unwrap();
    publish(&rabbit, &queue, "{}").await;
    rabbit.depth_is(&queue, 0).await;
    stop(&running).await;
    rabbit.clean(&queue).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_must_be_there_and_is_not_stops_the_start() {
    let rabbit = rabbit!("a_queue_that_must_be_there_and_is_not_stops_the_start");
    let queue = unique("missing");
    let options = on_queue(&queue, Options::new().declare(Declare::Verify));
    let route = Route::new("settling").provider::<Amqp>().options(options);
    let route = route.handler(Bytes::new(), async |_: Message| true);
    let manager = rabbit.manager().route(route);
    let error = refused(manager).await;
    assert!(
        error.contains(&queue) && error.contains("declare"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_not_there_stops_the_start_with_a_reason() {
    let broker = Amqp::new("amqp://user:secret@127.0.0.1:1/%2f");
    let options = RouteOptions::new().queue("anything");
    let route = Route::new("settling").provider::<Amqp>().options(options);
    let route = route.handler(Bytes::new(), async |_: Message| true);
    let manager = Manager::builder()
        .app(App::new().broker(broker))
        .route(route);
    let error = refused(manager).await;
    for part in ["settling", "anything", "127.0.0.1:1", "AMQP_URL"] {
        assert!(error.contains(part), "{part} is not in: {error}");
    }
    assert!(!error.contains("secret"), "{error}");
}
