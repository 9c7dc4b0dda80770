//! What Pigeon 1 calls RPC: by `reply_to` and `correlation_id`, both ways.

use std::time::Duration;

use futures_util::StreamExt;
use lapin::{
    BasicProperties,
    options::{BasicConsumeOptions, QueueDeclareOptions},
    types::FieldTable,
};
use loafer_amqp::Amqp;
use loafer_core::{Error, broker::Broker, outcome::Outcome, translate::Json};
use loafer_runtime::{
    bus::Replier,
    program::{App, Manager, Route, RouteOptions},
};
use serde_json::{Value, json};

use crate::support::{DEADLINE, unique};

#[tokio::test]
async fn pigeon_17_a_caller_gets_the_answer_to_its_call() {
    let rabbit = crate::rabbit!("pigeon_17_a_caller_gets_the_answer_to_its_call");
    let (app, exchange, event) = (unique("billing"), unique("events"), unique("price.wanted"));
    let priced = async |wanted: Value, replier: Replier| {
        let cents = 100 * wanted["item"].as_u64().unwrap_or_default();
        replier.reply(&json!({ "cents": cents })).await?;
        Ok::<_, Error>(Outcome::Ack)
    };
    let route = Route::new(event.clone())
        .provider::<Amqp>()
        .replying()
        .handler(Json, priced);
    let broker = rabbit.amqp().exchange(&exchange);
    let service = App::new().name(&app).broker(broker);
    let manager = Manager::builder().app(service).route(route);
    let running = manager.build().unwrap().start().await.unwrap();

    // As Pigeon calls: an exclusive queue for the answers, named by the server.
    let channel = rabbit.channel().await;
    let exclusive = QueueDeclareOptions {
        exclusive: true,
        auto_delete: true,
        ..QueueDeclareOptions::default()
    };
    let answers = channel.queue_declare("".into(), exclusive, FieldTable::default());
    let answers = answers.await.unwrap().name().clone();
    let no_ack = BasicConsumeOptions {
        no_ack: true,
        ..BasicConsumeOptions::default()
    };
    let consumed = channel.basic_consume(answers.clone(), "".into(), no_ack, FieldTable::default());
    let mut consumer = consumed.await.unwrap();
    for (call, item) in [("call-1", 7), ("call-2", 8)] {
        let properties = BasicProperties::default()
            .with_content_type("application/json".into())
            .with_reply_to(answers.clone())
            .with_correlation_id(call.into());
        let body = json!({ "item": item }).to_string();
        rabbit.publish(&exchange, &event, &body, properties).await;
        let answer = tokio::time::timeout(DEADLINE, consumer.next()).await;
        let answer = answer.unwrap().unwrap().unwrap();
        let answered = answer.properties.correlation_id().as_ref();
        assert_eq!(answered.map(|id| id.as_str()), Some(call));
        assert_eq!(
            answer.data,
            json!({ "cents": 100 * item }).to_string().into_bytes()
        );
    }
    running.shutdown();
    running.ended().await;
    rabbit.clean(&format!("{event}.{app}")).await;
}

#[tokio::test]
async fn pigeon_17_a_call_is_answered_by_who_knows_reply_to_and_correlation_id() {
    let rabbit =
        crate::rabbit!("pigeon_17_a_call_is_answered_by_who_knows_reply_to_and_correlation_id");
    let (service, quiet) = (unique("service"), unique("quiet"));
    rabbit.declare(&service, &[]).await;
    let app = App::new().broker(rabbit.amqp());
    let bus = app.bus();
    let options = RouteOptions::new().queue(&quiet);
    let route = Route::new("quiet").provider::<Amqp>().options(options);
    let route = route.handler(Json, async |_: Value| true);
    let running = Manager::builder().app(app).route(route).build().unwrap();
    let running = running.start().await.unwrap();

    let (call, topic) = (json!({ "item": 7 }), rabbit.amqp().queue_topic(&service));
    let asked = bus.request::<Value>(topic, &call, Duration::from_secs(30));
    let answered = async {
        rabbit.depth_is(&service, 1).await;
        let call = rabbit.get(&service).await.unwrap().delivery;
        assert_eq!(call.data, br#"{"item":7}"#);
        let (to, id) = (call.properties.reply_to(), call.properties.correlation_id());
        let answer = BasicProperties::default().with_correlation_id(id.clone().unwrap());
        let to = to.clone().unwrap();
        rabbit
            .publish("", to.as_str(), r#"{"cents":700}"#, answer)
            .await;
    };
    let (quote, ()) = tokio::join!(asked, answered);
    assert_eq!(quote.unwrap(), json!({ "cents": 700 }));
    running.shutdown();
    running.ended().await;
    rabbit.clean(&quiet).await;
    rabbit.delete(&service).await;
}
