//! What Pigeon's listeners do: queues, shares, acks.

use std::{
    collections::BTreeSet,
    future::pending,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable},
};
use loafer_amqp::Amqp;
use loafer_core::{extract::Metadata, message::Headers, policy::Backoff, translate::Json};
use loafer_runtime::program::{App, Manager, Route, RouteOptions, Running};
use serde_json::Value;

use crate::support::{Rabbit, eventually, unique};

/// One process of an app that listens on this exchange.
pub(crate) async fn process(rabbit: &Rabbit, app: &str, exchange: &str, route: Route) -> Running {
    let app = App::new()
        .name(app)
        .broker(rabbit.amqp().exchange(exchange));
    let manager = Manager::builder().app(app).route(route).build().unwrap();
    manager.start().await.unwrap()
}

/// A listener on these events, with the defaults of everything.
pub(crate) fn listener(event: &str) -> Route {
    Route::new(event.to_owned()).provider::<Amqp>()
}

/// Retries at once, nearly.
pub(crate) fn soon() -> RouteOptions {
    RouteOptions::new().backoff(Backoff::new(Duration::from_millis(1)))
}

pub(crate) async fn stop(running: Running) {
    running.shutdown();
    running.ended().await;
}

/// Some names that are nobody else's: an app and an exchange.
pub(crate) fn names(test: &str) -> (String, String) {
    (unique(test), unique("events"))
}

/// What a handler notes.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<String>>>);

impl Seen {
    fn note(&self, what: impl Into<String>) {
        self.0.lock().unwrap().push(what.into());
    }

    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    async fn has(&self, count: usize) {
        let what = format!("{count} notes");
        eventually(&what, async || self.all().len() >= count).await;
    }
}

#[tokio::test]
async fn pigeon_06_a_listener_declares_the_queue_of_its_event_and_app_and_binds_it() {
    let rabbit =
        crate::rabbit!("pigeon_06_a_listener_declares_the_queue_of_its_event_and_app_and_binds_it");
    let (app, exchange) = names("My App");
    let seen = Seen::default();
    let noting = |seen: &Seen| {
        let seen = seen.clone();
        move |body: Value, metadata: Metadata| {
            seen.note(format!("{} {body}", metadata.topic().unwrap_or_default()));
            async { true }
        }
    };
    let one = listener("Sample Event").handler(Json, noting(&seen));
    let everything = Seen::default();
    let all = listener("#").handler(Json, noting(&everything));
    let one = process(&rabbit, &app, &exchange, one).await;
    let all = process(&rabbit, &app, &exchange, all).await;
    let suffix = app.to_lowercase().replace(' ', ".");
    let queue = format!("sample.event.{suffix}");
    let declared = rabbit.counts(&queue).await;
    assert_eq!(declared.map(|(_, consumers)| consumers), Some(1), "{queue}");

    let plain = BasicProperties::default;
    rabbit
        .publish(&exchange, "Sample Event", "1", plain())
        .await;
    rabbit.publish(&exchange, "another.one", "2", plain()).await;
    everything.has(2).await;
    seen.has(1).await;
    assert_eq!(seen.all(), ["Sample Event 1"]);
    let mut received = everything.all();
    received.sort();
    assert_eq!(received, ["Sample Event 1", "another.one 2"]);
    for running in [one, all] {
        stop(running).await;
    }
    for queue in [queue, format!("#.{suffix}")] {
        rabbit.clean(&queue).await;
    }
}

#[tokio::test]
async fn pigeon_07_two_apps_each_get_every_event_and_two_processes_of_one_share_them() {
    let rabbit = crate::rabbit!(
        "pigeon_07_two_apps_each_get_every_event_and_two_processes_of_one_share_them"
    );
    let (stock, exchange) = names("stock");
    let invoices = unique("invoices");
    let logs: [Seen; 3] = Default::default();
    let mut running = Vec::new();
    for (app, seen) in [&stock, &stock, &invoices].into_iter().zip(&logs) {
        let seen = seen.clone();
        let route = listener("order.closed").handler(Json, move |order: u64| {
            seen.note(order.to_string());
            async { true }
        });
        running.push(process(&rabbit, app, &exchange, route).await);
    }
    for order in 0..20 {
        let body = order.to_string();
        let plain = BasicProperties::default();
        rabbit
            .publish(&exchange, "order.closed", &body, plain)
            .await;
    }
    let [first, second, other] = &logs;
    other.has(20).await;
    eventually("all orders at the stock", async || {
        first.all().len() + second.all().len() >= 20
    })
    .await;
    let whole: BTreeSet<_> = (0..20).map(|order| order.to_string()).collect();
    let of = |logs: &[&Seen]| -> Vec<String> { logs.iter().flat_map(|log| log.all()).collect() };
    for app in [of(&[first, second]), of(&[other])] {
        assert_eq!(app.len(), 20, "each once: {app:?}");
        assert_eq!(app.into_iter().collect::<BTreeSet<_>>(), whole);
    }
    assert!(
        !first.all().is_empty() && !second.all().is_empty(),
        "both work"
    );
    for running in running {
        stop(running).await;
    }
    for app in [stock, invoices] {
        rabbit.clean(&format!("order.closed.{app}")).await;
    }
}

#[tokio::test]
async fn pigeon_08_queues_and_bindings_reappear_on_an_empty_broker() {
    let rabbit = crate::rabbit!("pigeon_08_queues_and_bindings_reappear_on_an_empty_broker");
    let (app, exchange) = names("again");
    let seen = Seen::default();
    let noted = seen.clone();
    let route = listener("order.closed").handler(Json, move |order: u64| {
        noted.note(order.to_string());
        async { true }
    });
    let running = process(&rabbit, &app, &exchange, route).await;
    let queue = format!("order.closed.{app}");
    let plain = BasicProperties::default;
    rabbit
        .publish(&exchange, "order.closed", "1", plain())
        .await;
    seen.has(1).await;

    for gone in [queue.clone(), format!("{queue}.dead")] {
        rabbit.delete(&gone).await;
    }
    rabbit.delete_exchange(&exchange).await;
    eventually("queue with a consumer", async || {
        matches!(rabbit.counts(&queue).await, Some((_, 1)))
    })
    .await;
    assert!(rabbit.counts(&format!("{queue}.dead")).await.is_some());
    rabbit
        .publish(&exchange, "order.closed", "2", plain())
        .await;
    seen.has(2).await;
    assert_eq!(seen.all(), ["1", "2"]);
    stop(running).await;
    rabbit.clean(&queue).await;
}

#[tokio::test]
async fn pigeon_10_a_handler_acks_or_rejects_reads_headers_and_nothing_acks_by_itself() {
    let rabbit = crate::rabbit!(
        "pigeon_10_a_handler_acks_or_rejects_reads_headers_and_nothing_acks_by_itself"
    );
    let (app, exchange) = names("resolver");
    let seen = Seen::default();
    let noted = seen.clone();
    let calls = Arc::new(AtomicU32::new(0));
    let counted = calls.clone();
    let handle = move |body: Value, headers: Headers| {
        let call = counted.fetch_add(1, Ordering::Relaxed);
        let all = headers.iter().count();
        let tenant = headers.get("tenant").unwrap_or_default();
        noted.note(format!("{body} {tenant} {}", all >= 2));
        async move {
            match call {
                // Pigeon's `reject(requeue = true)`.
                0 => false,
                1 => true,
                // Neither acked nor rejected.
                _ => pending().await,
            }
        }
    };
    let route = listener("sample.event")
        .options(soon())
        .handler(Json, handle);
    let running = process(&rabbit, &app, &exchange, route).await;
    let queue = format!("sample.event.{app}");
    let mut headers = FieldTable::default();
    headers.insert("tenant".into(), AMQPValue::LongString("acme".into()));
    headers.insert("level".into(), AMQPValue::LongInt(3));
    let theirs = BasicProperties::default().with_headers(headers);
    rabbit
        .publish(&exchange, "sample.event", "1", theirs.clone())
        .await;
    seen.has(2).await;
    rabbit.publish(&exchange, "sample.event", "2", theirs).await;
    seen.has(3).await;
    assert_eq!(seen.all(), ["1 acme true", "1 acme true", "2 acme true"]);
    assert_eq!(rabbit.depth(&queue).await, 0, "it is held");
    running.cancel();
    running.ended().await;
    rabbit.depth_is(&queue, 1).await;
    rabbit.clean(&queue).await;
}
