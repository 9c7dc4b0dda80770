//! The delay queues of a service: how many there are, and whose retries wait for whom.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should fail")]

mod counted;
mod private;
mod support;

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use counted::{done, given, one, receive, settle};
use lapin::{BasicProperties, types::AMQPValue};
use loafer_amqp::{Amqp, AmqpProvider, Options, Receipt};
use loafer_core::{
    broker::{Broker as _, Delivery, Open, Provider as _, Settle, Settled, Settlement, Source},
    message::Message,
    outcome::Outcome,
    translate::Bytes,
};
use loafer_runtime::program::{App, Ended, Manager, Route};
use loafer_test_servers::{RabbitMq, Version};
use support::{Rabbit, eventually, unbound, unique};

private::on_both!(all:
    a_queue_that_is_full_or_gone_holds_up_no_retries_of_others,
    routes_share_the_delay_queues_of_their_service,
    what_waits_in_a_delay_queue_of_a_route_comes_back,
    a_provider_that_is_dropped_leaves_no_consumer_of_due_retries,
);

const SECOND: Duration = Duration::from_secs(1);

const RETRY: Settlement = Settlement::Retry {
    after: Some(SECOND),
};

/// Long enough to fill a queue meanwhile.
const LONG: Duration = Duration::from_secs(4);

/// More than RabbitMQ has on their way out of one delay queue.
const STUCK: usize = 100;

/// How much later than due a retry may come, on a machine that is also building.
const LATE: Duration = Duration::from_secs(2);

async fn opened(amqp: &Amqp, app: &str, queue: &str, options: Options) -> AmqpProvider {
    let mut source = Source::new("orders", queue);
    source.consumer = Some(app.to_owned());
    let provider = amqp.provider(&source, &options.exchange("")).unwrap();
    provider.open(Open::Existing).await.unwrap();
    provider
}

/// Has the next message of a queue retried, and returns how late it was.
async fn lateness(provider: &AmqpProvider, delivery: &Delivery<Receipt>) -> Duration {
    done(provider, delivery, RETRY).await;
    let due = Instant::now() + SECOND;
    let again = one(provider).await;
    let late = due.elapsed();
    assert_eq!(again.message.attempt(), delivery.message.attempt() + 1);
    done(provider, &again, Settlement::Ack).await;
    late
}

/// Publishes a message to a queue, and returns how late its retry was.
async fn retried(rabbit: &Rabbit, provider: &AmqpProvider, queue: &str) -> Duration {
    rabbit.publish_all("", queue, &["free"]).await;
    let first = one(provider).await;
    lateness(provider, &first).await
}

async fn a_queue_that_is_full_or_gone_holds_up_no_retries_of_others(version: Version) {
    let Some(rabbit) = given(version, "full_or_gone").await else {
        return;
    };
    let (app, full, free) = (unique("app"), unique("full"), unique("free"));
    let amqp = rabbit.amqp();
    let most = i64::try_from(STUCK).unwrap();
    let limited = || Options::new().argument("x-max-length", most);
    let of_full = opened(&amqp, &app, &full, limited()).await;
    let of_free = opened(&amqp, &app, &free, Options::new()).await;
    let bodies: Vec<_> = (0..STUCK).map(|number| number.to_string()).collect();
    rabbit.publish_all("", &full, &bodies).await;
    let deliveries = receive(&of_full, STUCK).await;
    let retries: Vec<_> = deliveries
        .into_iter()
        .map(|delivery| Settle {
            receipt: delivery.receipt,
            message: delivery.message,
            settlement: Settlement::Retry { after: Some(LONG) },
        })
        .collect();
    let mut answers = Vec::new();
    of_full.settle(&retries, &mut answers).await;
    assert!(answers.iter().all(|answer| matches!(answer, Settled::Done)));
    of_full.close().await;
    // Others fill it, beyond its limit, before the retries come back.
    let fill: Vec<_> = (0..STUCK + 20).map(|_| "fill").collect();
    rabbit.publish_all("", &full, &fill).await;
    let waiting = format!("{app}.delays.4s");
    assert_eq!(rabbit.depth(&waiting).await as usize, STUCK);
    for _ in 0..6 {
        let late = retried(&rabbit, &of_free, &free).await;
        assert!(late < LATE, "{late:?} late behind a full queue");
    }

    rabbit.delete(&full).await;
    for _ in 0..4 {
        let late = retried(&rabbit, &of_free, &free).await;
        assert!(late < LATE, "{late:?} late behind a queue that is gone");
    }

    // Nothing is lost: it is made again, and gets its retries.
    let of_full = opened(&amqp, &app, &full, limited()).await;
    let mut came = HashSet::new();
    while came.len() < STUCK {
        let delivery = one(&of_full).await;
        assert_eq!(delivery.message.attempt(), 2);
        came.insert(delivery.message.payload().to_vec());
        done(&of_full, &delivery, Settlement::Ack).await;
    }
    of_full.close().await;
    of_free.close().await;
    amqp.close().await;
    clean(&rabbit, &app, &[&full, &free]).await;
}

async fn routes_share_the_delay_queues_of_their_service(version: Version) {
    const ROUTES: usize = 10;
    let test = "routes_share_the_delay_queues_of_their_service";
    let Some(rabbit) = given(version, test).await else {
        return;
    };
    let Some(shared) = RabbitMq::shared(version, test) else {
        return;
    };
    let app = unique("app");
    let names: Vec<_> = (0..ROUTES)
        .map(|number| format!("{app}-{number}"))
        .collect();
    let mut manager = Manager::builder().app(App::new().name(&app).broker(rabbit.amqp()));
    for queue in &names {
        let retries = async |message: Message| match message.attempt() {
            1 => Outcome::Retry { after: SECOND },
            2 => Outcome::Retry { after: 2 * SECOND },
            _ => Outcome::Ack,
        };
        let route = Route::new(queue.clone())
            .provider::<Amqp>()
            .options(unbound(queue))
            .handler(Bytes::new(), retries);
        manager = manager.route(route);
    }
    let running = manager.build().unwrap().start().await.unwrap();
    for queue in &names {
        rabbit
            .publish("", queue, "7", BasicProperties::default())
            .await;
    }
    for queue in &names {
        eventually("a route acks its third attempt", async || {
            running.stats(queue).is_some_and(|stats| stats.acked == 1)
        })
        .await;
    }
    let made = shared.management.queues().await;
    let made = made.iter().filter(|queue| queue.starts_with(&app)).count();
    // The delay queues of a second and of two, and that of what is due.
    assert_eq!(made, 2 * ROUTES + 3);
    running.shutdown();
    assert_eq!(running.ended().await, Ended::Clean);
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    clean(&rabbit, &app, &names).await;
}

/// A route had delay queues of its own once.
async fn what_waits_in_a_delay_queue_of_a_route_comes_back(version: Version) {
    let Some(rabbit) = given(version, "old").await else {
        return;
    };
    let (app, queue) = (unique("app"), unique("old"));
    let amqp = rabbit.amqp();
    let provider = opened(&amqp, &app, &queue, Options::new()).await;
    let old = format!("{queue}.retry.1s");
    let text = |text: &str| AMQPValue::LongString(text.into());
    let arguments = [
        ("x-queue-type", text("quorum")),
        ("x-message-ttl", AMQPValue::LongLongInt(1000)),
        ("x-dead-letter-exchange", text("")),
        ("x-dead-letter-routing-key", text(&queue)),
        ("x-dead-letter-strategy", text("at-least-once")),
        ("x-overflow", text("reject-publish")),
    ];
    rabbit.declare(&old, &arguments).await;
    let mut headers = lapin::types::FieldTable::default();
    headers.insert("loafer-attempt".into(), AMQPValue::LongLongInt(3));
    let copy = BasicProperties::default().with_headers(headers);
    rabbit.publish("", &old, "7", copy).await;
    let came = one(&provider).await;
    assert_eq!(came.message.attempt(), 3);
    let settled = settle(&provider, &came, Settlement::Ack).await;
    assert!(matches!(settled, Settled::Done), "{settled:?}");
    provider.close().await;
    amqp.close().await;
    rabbit.delete(&old).await;
    clean(&rabbit, &app, &[&queue]).await;
}

async fn a_provider_that_is_dropped_leaves_no_consumer_of_due_retries(version: Version) {
    let Some(rabbit) = given(version, "dropped").await else {
        return;
    };
    let (app, queue) = (unique("app"), unique("dropped"));
    for millis in 0..30 {
        let provider = opened(&rabbit.amqp(), &app, &queue, Options::new()).await;
        // It begins to consume due retries meanwhile, and is dropped in the middle of that.
        let wait = Duration::from_millis(millis);
        provider.receive(1, wait, &mut Vec::new()).await.unwrap();
    }
    let due = format!("{app}.delays.due");
    eventually("no consumer", async || {
        rabbit.counts(&due).await == Some((0, 0))
    })
    .await;
    clean(&rabbit, &app, &[&queue]).await;
}

/// Deletes queues, and what their service made beside them.
async fn clean(rabbit: &Rabbit, app: &str, queues: &[&str]) {
    for queue in queues {
        rabbit.clean(queue).await;
    }
    for of in ["due", "1s", "2s", "4s", "8s"] {
        rabbit.delete(&format!("{app}.delays.{of}")).await;
    }
    rabbit.delete_exchange(&format!("{app}.delays")).await;
}
