//! What Pigeon does, by the numbers of its features: each is held to here.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should fail")]

mod again;
#[path = "pigeon/asking.rs"]
mod asking;
#[path = "pigeon/failing.rs"]
mod failing;
mod listener;
#[path = "pigeon/listening.rs"]
mod listening;
mod support;

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use lapin::{ExchangeKind, types::FieldTable};
use listener::own;
use loafer_amqp::{Routing, headers::EXPIRATION};
use loafer_core::{
    broker::{Broker, Instance},
    message::{Message, Outgoing},
    translate::Json,
};
use loafer_memory::Memory;
use loafer_runtime::{
    bus::Bus,
    program::{App, Config, Manager, Route},
};
use serde_json::{Value, json};

again::on_rabbitmq_4!();

#[tokio::test]
async fn pigeon_01_an_event_reaches_the_durable_topic_exchange_event_under_its_name() {
    let server =
        server!("pigeon_01_an_event_reaches_the_durable_topic_exchange_event_under_its_name");
    let event = own("sample.event");
    let bus = Bus::new(server.amqp().publisher());
    // Declared as Pigeon does; the server refuses where it is there in another form.
    let queue = server.listen("event", &event).await;
    bus.publish_to(event.as_str(), &json!({"scooby": "doo"}))
        .await
        .unwrap();
    let came = server.next(&queue).await;
    assert_eq!(came.delivery.exchange.as_str(), "event");
    assert_eq!(came.delivery.routing_key.as_str(), event);
    assert_eq!(came.delivery.data, br#"{"scooby":"doo"}"#);
    server.exchange("event", ExchangeKind::Topic).await;
}

#[tokio::test]
async fn pigeon_02_an_empty_event_is_refused() {
    let server = server!("pigeon_02_an_empty_event_is_refused");
    let event = own("sample.event");
    let queue = server.listen("event", &event).await;
    let bus = Bus::new(server.amqp().publisher());
    let error = bus
        .send(event.as_str(), Message::new(""))
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains(&event) && error.contains("empty"), "{error}");
    assert!(server.take(&queue).await.is_none());
}

#[tokio::test]
async fn pigeon_03_the_header_category_is_the_event_and_headers_are_added() {
    let server = server!("pigeon_03_the_header_category_is_the_event_and_headers_are_added");
    let event = own("sample.event");
    let queue = server.listen("event", &event).await;
    let bus = Bus::new(server.amqp().publisher());
    let outgoing = Outgoing::new(Message::new("{}")).header("tenant", "acme");
    bus.send(event.as_str(), outgoing).await.unwrap();
    let came = server.next(&queue).await;
    assert_eq!(listener::header(&came, "category"), Some(event));
    assert_eq!(listener::header(&came, "tenant").as_deref(), Some("acme"));
}

#[tokio::test]
async fn pigeon_04_each_message_says_what_it_is_and_may_say_otherwise() {
    let server = server!("pigeon_04_each_message_says_what_it_is_and_may_say_otherwise");
    let event = own("sample.event");
    let queue = server.listen("event", &event).await;
    let mut amqp = server.amqp();
    let instance = Instance::new("amqp", "amqp", Some("billing"), None);
    amqp.configure(&instance).unwrap();
    let bus = Bus::new(amqp.publisher());
    let id = bus
        .send(event.as_str(), Message::new("{}"))
        .await
        .unwrap()
        .to_string();
    let came = server.next(&queue).await;
    let properties = &came.delivery.properties;
    let text = |value: &Option<lapin::types::ShortString>| value.as_ref().unwrap().to_string();
    assert_eq!(text(properties.content_type()), "application/json");
    assert_eq!(text(properties.content_encoding()), "utf-8");
    assert_eq!(text(properties.app_id()), "billing");
    assert_eq!(text(properties.message_id()), id);
    // The first of its conversation; a UUID, as ids are.
    assert_eq!(text(properties.correlation_id()), id);
    assert_eq!((id.len(), id.matches('-').count()), (36, 4));
    assert!(properties.timestamp().is_some());
    // Pigeon's are transient, and live for 60000000 ms: these stay until they are handled.
    assert_eq!(*properties.delivery_mode(), Some(2));
    assert!(properties.expiration().is_none());

    let short = Outgoing::new(Message::new("{}")).header(EXPIRATION, "60000000");
    bus.send(event.as_str(), short).await.unwrap();
    let came = server.next(&queue).await;
    assert_eq!(text(came.delivery.properties.expiration()), "60000000");
}

#[tokio::test]
async fn pigeon_05_headers_come_from_configuration_and_functions_flattened_with_dots() {
    let server =
        server!("pigeon_05_headers_come_from_configuration_and_functions_flattened_with_dots");
    let event = own("sample.event");
    let queue = server.listen("event", &event).await;
    let count = Arc::new(AtomicU32::new(0));
    let counting = count.clone();
    let amqp = server
        .amqp()
        .header("region", "code")
        .header_with("count", move || {
            counting.fetch_add(1, Ordering::Relaxed).to_string()
        });
    let file = format!(
        "[brokers.amqp.headers]\nregion = \"sa\"\n[brokers.amqp.headers.user]\nid = 7\n[brokers.amqp.headers.user.name]\nfirst = \"ana\"\n[topics.\"{event}\"]\npublisher = \"amqp\""
    );
    let config = Config::parse(&file, [], &["quiet"]).unwrap();
    let app = App::new().broker(amqp);
    let bus = app.bus();
    let route = Route::new("quiet").provider::<Memory>();
    let route = route.handler(Json, async |_: Value| true);
    let manager = Manager::builder().app(app).config(config).route(route);
    let running = manager.build().unwrap().start().await.unwrap();
    for expected in ["0", "1"] {
        bus.publish_to(event.as_str(), &1).await.unwrap();
        let came = server.next(&queue).await;
        let header = |name: &str| listener::header(&came, name).unwrap();
        assert_eq!(header("region"), "sa");
        assert_eq!(header("user.id"), "7");
        assert_eq!(header("user.name.first"), "ana");
        assert_eq!(header("count"), expected);
    }
    running.shutdown();
    running.ended().await;
}

#[tokio::test]
async fn pigeon_14_a_key_goes_to_the_exchange_that_is_named() {
    let server = server!("pigeon_14_a_key_goes_to_the_exchange_that_is_named");
    let exchange = own("pigeon");
    let bus = Bus::new(server.amqp().publisher());
    let routing = Routing::key("prices").exchange(&exchange);
    let error = bus
        .publish_to(routing.clone(), &12.5)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains(&exchange) && error.contains("does not exist"),
        "{error}"
    );

    server.exchange(&exchange, ExchangeKind::Direct).await;
    let queue = server.queue(FieldTable::default()).await;
    server.bind(&queue, &exchange, "prices").await;
    bus.publish_to(routing, &12.5).await.unwrap();
    let came = server.next(&queue).await;
    assert_eq!(came.delivery.exchange.as_str(), exchange);
    assert_eq!(came.delivery.data, b"12.5");
    assert_eq!(listener::header(&came, "category"), None);

    bus.publish_to(Routing::key(&queue).exchange(""), &1)
        .await
        .unwrap();
    assert_eq!(server.next(&queue).await.delivery.exchange.as_str(), "");
    server.delete_exchange(&exchange).await;
}
