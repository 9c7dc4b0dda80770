//! What Pigeon's listeners do about failures: fallbacks, dead letters.

use lapin::{
    BasicProperties,
    options::QueueDeclareOptions,
    types::{AMQPValue, FieldTable},
};
use loafer_amqp::{Amqp, Options};
use loafer_core::{broker::DeadLetter, outcome::Outcome, translate::Json};
use loafer_runtime::{
    handler::Failure,
    program::{RouteOptions, Running},
};
use serde_json::Value;
use tokio::sync::mpsc;

use crate::{
    listening::{listener, names, process, soon, stop},
    support::{eventually, unique},
};

#[tokio::test]
async fn pigeon_11_the_fallback_gets_error_and_message_and_its_word_holds() {
    let rabbit = crate::rabbit!("pigeon_11_the_fallback_gets_error_and_message_and_its_word_holds");
    let (app, exchange) = names("fallback");
    let (failed, mut failures) = mpsc::unbounded_channel();
    let route = listener("sample.event")
        .handler(Json, async |_: Value| {
            Err::<bool, _>(std::io::Error::other("no such customer"))
        })
        .on_error(move |failure: Failure| {
            let failed = failed.clone();
            async move {
                let body = failure.message().payload().to_vec();
                _ = failed.send((failure.reason(), String::from_utf8(body).unwrap()));
                Outcome::Ack
            }
        });
    let running = process(&rabbit, &app, &exchange, route).await;
    let plain = BasicProperties::default();
    rabbit
        .publish(&exchange, "sample.event", "{\"scooby\":\"doo\"}", plain)
        .await;
    let (reason, body) = failures.recv().await.unwrap();
    assert_eq!(
        (reason.as_str(), body.as_str()),
        ("no such customer", "{\"scooby\":\"doo\"}")
    );
    let queue = format!("sample.event.{app}");
    let acked = async || running.stats("sample.event").unwrap().acked == 1;
    eventually("ack by the fallback", acked).await;
    stop(running).await;
    let dead = format!("{queue}.dead");
    assert_eq!(
        (rabbit.depth(&queue).await, rabbit.depth(&dead).await),
        (0, 0)
    );
    rabbit.clean(&queue).await;
}

#[tokio::test]
async fn pigeon_12_without_a_fallback_nothing_is_lost_and_one_may_ack_or_reject() {
    let rabbit =
        crate::rabbit!("pigeon_12_without_a_fallback_nothing_is_lost_and_one_may_ack_or_reject");
    let (app, exchange) = names("failing");
    let failing = |event: &str| {
        listener(event)
            .options(soon().max_attempts(2))
            .handler(Json, async |_: Value| {
                Err::<bool, _>(std::io::Error::other("told to fail"))
            })
    };
    let routes = [
        failing("plain"),
        failing("ack").on_error(async |_: Failure| true),
        failing("reject").on_error(async |failure: Failure| Outcome::Reject {
            reason: failure.reason().into(),
        }),
    ];
    let mut running = Vec::new();
    for route in routes {
        running.push(process(&rabbit, &app, &exchange, route).await);
    }
    for event in ["plain", "ack", "reject"] {
        let plain = BasicProperties::default();
        rabbit.publish(&exchange, event, "7", plain).await;
    }
    for event in ["plain", "reject"] {
        rabbit.depth_is(&format!("{event}.{app}.dead"), 1).await;
    }
    let acked = async || running[1].stats("ack").unwrap().acked == 1;
    eventually("ack", acked).await;
    let attempts = |running: &Running, event| running.stats(event).unwrap().received;
    assert_eq!(attempts(&running[0], "plain"), 2);
    assert_eq!(attempts(&running[2], "reject"), 1);
    assert_eq!(rabbit.depth(&format!("ack.{app}.dead")).await, 0);
    for running in running {
        stop(running).await;
    }
    for event in ["plain", "ack", "reject"] {
        rabbit.clean(&format!("{event}.{app}")).await;
    }
}

#[tokio::test]
async fn pigeon_13_dead_letters_may_go_where_pigeons_go_and_arguments_are_the_users() {
    let rabbit = crate::rabbit!(
        "pigeon_13_dead_letters_may_go_where_pigeons_go_and_arguments_are_the_users"
    );
    let (app, exchange) = names("dead");
    let (shared, key) = (unique("dead-letters"), unique("dead"));
    rabbit.declare(&shared, &[]).await;
    rabbit.bind(&shared, "amq.direct", &key).await;
    let options = Options::new()
        .dead_letter_exchange("amq.direct")
        .dead_letter_routing_key(&key)
        .argument("x-max-length", 1000);
    let options = RouteOptions::new().broker_options::<Amqp>(options);
    let route = listener("sample.event")
        .options(options)
        .handler(Json, async |_: Value| Outcome::Reject {
            reason: "unwanted".into(),
        });
    let running = process(&rabbit, &app, &exchange, route).await;
    let queue = format!("sample.event.{app}");
    // What Loafer rejects, with its envelope.
    let plain = BasicProperties::default;
    rabbit
        .publish(&exchange, "sample.event", "1", plain())
        .await;
    rabbit.depth_is(&shared, 1).await;
    stop(running).await;
    let dead_letter = rabbit.get(&shared).await.unwrap().delivery;
    let headers = dead_letter.properties.headers().clone().unwrap();
    assert!(headers.contains_key(DeadLetter::HEADER), "{headers:?}");
    // What RabbitMQ itself gives up, with its own.
    rabbit
        .publish(&exchange, "sample.event", "2", plain())
        .await;
    rabbit.reject(&queue).await;
    rabbit.depth_is(&shared, 1).await;
    let dead_letter = rabbit.get(&shared).await.unwrap().delivery;
    assert_eq!(dead_letter.routing_key.as_str(), key);
    assert!(
        dead_letter
            .properties
            .headers()
            .clone()
            .unwrap()
            .contains_key("x-death")
    );
    // RabbitMQ names an argument only to a client that declares it differently.
    let channel = rabbit.channel().await;
    let options = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    let mut table = FieldTable::default();
    let quorum = AMQPValue::LongString("quorum".into());
    table.insert("x-queue-type".into(), quorum);
    table.insert(
        "x-dead-letter-exchange".into(),
        AMQPValue::LongString("amq.direct".into()),
    );
    table.insert(
        "x-dead-letter-routing-key".into(),
        AMQPValue::LongString(key.as_str().into()),
    );
    table.insert("x-delivery-limit".into(), AMQPValue::LongInt(20));
    table.insert(
        "x-dead-letter-strategy".into(),
        AMQPValue::LongString("at-least-once".into()),
    );
    table.insert(
        "x-overflow".into(),
        AMQPValue::LongString("reject-publish".into()),
    );
    table.insert("x-max-length".into(), AMQPValue::LongInt(7));
    let refused = channel
        .queue_declare(queue.as_str().into(), options, table)
        .await;
    let error = refused.unwrap_err().to_string();
    assert!(
        error.contains("x-max-length") && error.contains("1000"),
        "{error}"
    );
    rabbit.delete(&shared).await;
    rabbit.clean(&queue).await;
}
