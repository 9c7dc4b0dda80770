//! The publisher against a real server.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should fail")]

mod again;
mod listener;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use lapin::types::{AMQPValue, FieldTable};
use listener::{own, proxy::Proxy, publish, publish_all, publisher};
use loafer_amqp::{
    ExchangeType, Routing, Unroutable,
    headers::{CONTENT_TYPE, EXPIRATION, PRIORITY, REPLY_TO},
};
use loafer_core::{
    Error,
    broker::{Broker, Publisher},
    message::{CORRELATION_ID, Message, MessageId, Outgoing},
};
use loafer_runtime::bus::Bus;
use tokio::time::timeout;

again::on_rabbitmq_4!();

fn numbered(count: usize) -> Vec<Outgoing> {
    (0..count)
        .map(|number| Message::new(number.to_string()).into())
        .collect()
}

fn error(answer: Result<MessageId, Error>) -> String {
    answer.unwrap_err().to_string()
}

#[tokio::test]
async fn a_batch_larger_than_a_window_comes_whole_and_in_order() {
    let server = server!("a_batch_larger_than_a_window_comes_whole_and_in_order");
    let exchange = own("event");
    let queue = server.listen(&exchange, "number").await;
    let publisher = publisher(server.amqp(), &exchange);
    let answers = publish_all(&publisher, "number", numbered(1000)).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    let came = server.all(&queue).await;
    let numbers: Vec<usize> = came
        .iter()
        .map(|message| {
            std::str::from_utf8(&message.delivery.data)
                .unwrap()
                .parse()
                .unwrap()
        })
        .collect();
    assert_eq!(numbers, (0..1000).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_the_message_says_outranks_the_rest() {
    let server = server!("what_the_message_says_outranks_the_rest");
    let exchange = own("event");
    let queue = server.listen(&exchange, "paid").await;
    let amqp = server.amqp().header("tenant", "everybody");
    let message = Outgoing::new(Message::with_id("mine", "<paid/>"))
        .header(CONTENT_TYPE, "application/xml")
        .header(CORRELATION_ID, "conversation")
        .header(REPLY_TO, "answers")
        .header(PRIORITY, "7")
        .header(EXPIRATION, "60000")
        .header("tenant", "acme")
        .group("ana");
    let id = publish(&publisher(amqp, &exchange), "paid", message).await;
    assert_eq!(id.unwrap(), MessageId::from("mine"));
    let came = server.next(&queue).await;
    let properties = &came.delivery.properties;
    let text = |value: &Option<lapin::types::ShortString>| value.as_ref().map(ToString::to_string);
    assert_eq!(text(properties.message_id()).as_deref(), Some("mine"));
    assert_eq!(
        text(properties.content_type()).as_deref(),
        Some("application/xml")
    );
    assert_eq!(text(properties.content_encoding()), None);
    assert_eq!(
        text(properties.correlation_id()).as_deref(),
        Some("conversation")
    );
    assert_eq!(text(properties.reply_to()).as_deref(), Some("answers"));
    assert_eq!(text(properties.expiration()).as_deref(), Some("60000"));
    assert_eq!(*properties.priority(), Some(7));
    assert_eq!(*properties.delivery_mode(), Some(2));
    assert_eq!(listener::header(&came, "tenant").as_deref(), Some("acme"));
    assert_eq!(
        listener::header(&came, "loafer-group").as_deref(),
        Some("ana")
    );
    assert_eq!(listener::header(&came, PRIORITY), None);
}

#[tokio::test]
async fn what_nobody_listens_to_is_an_error_unless_that_is_set() {
    let server = server!("what_nobody_listens_to_is_an_error_unless_that_is_set");
    let exchange = own("event");
    let answer = publish(
        &publisher(server.amqp(), &exchange),
        "unheard",
        Message::new("1"),
    )
    .await;
    let error = error(answer);
    assert!(
        error.contains("unheard")
            && error.contains("nobody listens")
            && error.contains("unroutable"),
        "{error}"
    );
    let amqp = server.amqp().unroutable(Unroutable::Ignore);
    let answer = publish(&publisher(amqp, &exchange), "unheard", Message::new("1")).await;
    assert!(answer.is_ok(), "{answer:?}");
    server.delete_exchange(&exchange).await;
}

#[tokio::test]
async fn what_a_full_queue_refuses_is_an_error() {
    let server = server!("what_a_full_queue_refuses_is_an_error");
    let mut arguments = FieldTable::default();
    arguments.insert("x-max-length".into(), AMQPValue::LongInt(1));
    arguments.insert(
        "x-overflow".into(),
        AMQPValue::LongString("reject-publish".into()),
    );
    let queue = server.queue(arguments).await;
    let publisher = server.amqp().publisher();
    let topic = format!("amqp:{queue}");
    let answers = publish_all(&publisher, topic.as_str(), numbered(10)).await;
    assert!(answers[0].is_ok(), "{answers:?}");
    let refused = answers.into_iter().filter_map(Result::err);
    let refused: Vec<_> = refused.map(|error| error.to_string()).collect();
    assert!(
        !refused.is_empty() && refused.iter().all(|error| error.contains("full")),
        "{refused:?}"
    );
}

#[tokio::test]
async fn an_exchange_that_is_missing_fails_nobody_else() {
    let server = server!("an_exchange_that_is_missing_fails_nobody_else");
    let exchange = own("event");
    let queue = server.listen(&exchange, "good").await;
    let bus = Bus::new(publisher(server.amqp(), &exchange));
    let missing = own("missing");
    let good = (0..40).map(|_| bus.publish_to("good", &1));
    let bad = (0..20).map(|_| bus.publish_to(Routing::key("k").exchange(&missing), &1));
    let (good, bad) = tokio::join!(
        futures_util::future::join_all(good),
        futures_util::future::join_all(bad)
    );
    assert!(good.iter().all(Result::is_ok), "{good:?}");
    for answer in bad {
        let error = error(answer);
        assert!(
            error.contains(&missing) && error.contains("amqp.exchanges"),
            "{error}"
        );
    }
    // Each once: none was sent again for another's fault.
    assert_eq!(server.all(&queue).await.len(), 40);
}

#[tokio::test]
async fn an_exchange_is_made_where_that_is_set() {
    let server = server!("an_exchange_is_made_where_that_is_set");
    let exchange = own("prices");
    let amqp = server
        .amqp()
        .declare_exchange(&exchange, ExchangeType::Direct);
    let publisher = amqp.publisher();
    let routing = || Routing::key("gold").exchange(&exchange);
    assert!(error(publish(&publisher, routing(), Message::new("1")).await).contains("nobody"));
    let queue = server.queue(FieldTable::default()).await;
    server.bind(&queue, &exchange, "gold").await;
    publish(&publisher, routing(), Message::new("1"))
        .await
        .unwrap();
    server.next(&queue).await;
    server.delete_exchange(&exchange).await;
}

#[tokio::test]
async fn the_exchange_of_events_is_made_again_when_it_was_deleted() {
    let server = server!("the_exchange_of_events_is_made_again_when_it_was_deleted");
    let exchange = own("event");
    let amqp = server.amqp().unroutable(Unroutable::Ignore);
    let publisher = publisher(amqp, &exchange);
    publish(&publisher, "e", Message::new("1")).await.unwrap();
    server.delete_exchange(&exchange).await;
    let answers = publish_all(&publisher, "e", numbered(3)).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    // Fails where it is not there.
    let queue = server.queue(FieldTable::default()).await;
    server.bind(&queue, &exchange, "e").await;
    server.delete_exchange(&exchange).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_not_confirmed_before_a_cut_is_published_again_under_its_id() {
    let server = server!("what_was_not_confirmed_before_a_cut_is_published_again_under_its_id");
    let proxy = Arc::new(Proxy::start(&server.url).await);
    let exchange = own("event");
    let queue = server.listen(&exchange, "number").await;
    let publisher = Arc::new(publisher(loafer_amqp::Amqp::new(&proxy.url), &exchange));
    publish(&*publisher, "number", Message::new("first"))
        .await
        .unwrap();
    let cutting = tokio::spawn({
        let proxy = proxy.clone();
        async move {
            for _ in 0..3 {
                tokio::time::sleep(Duration::from_millis(30)).await;
                proxy.cut();
            }
        }
    });
    let mut ids = Vec::new();
    while !cutting.is_finished() {
        for answer in publish_all(&*publisher, "number", numbered(300)).await {
            ids.push(answer.unwrap());
        }
    }
    let mut came: BTreeMap<String, usize> = BTreeMap::new();
    for message in server.all(&queue).await {
        let id = message.delivery.properties.message_id().as_ref().unwrap();
        *came.entry(id.to_string()).or_default() += 1;
    }
    for id in &ids {
        assert!(
            came.contains_key(&id.to_string()),
            "{id} was confirmed and is not there"
        );
    }
    assert_eq!(
        came.len(),
        ids.len() + 1,
        "every message is known by one id"
    );
}

#[tokio::test]
async fn a_publication_that_is_given_up_leaves_the_publisher_usable() {
    let server = server!("a_publication_that_is_given_up_leaves_the_publisher_usable");
    let exchange = own("event");
    let queue = server.listen(&exchange, "number").await;
    let publisher = publisher(server.amqp(), &exchange);
    for micros in [0, 50, 200, 500, 1000, 2000, 5000] {
        let given_up = publish_all(&publisher, "number", numbered(50));
        _ = timeout(Duration::from_micros(micros), given_up).await;
    }
    let last = publish(&publisher, "number", Message::new("last"))
        .await
        .unwrap();
    let came = server.all(&queue).await;
    let ids = came
        .iter()
        .map(|message| message.delivery.properties.message_id());
    assert!(ids.flatten().any(|id| id.as_str() == last.to_string()));
}

#[tokio::test]
async fn while_the_server_takes_nothing_publishing_waits_and_is_not_ready() {
    let server = server!("while_the_server_takes_nothing_publishing_waits_and_is_not_ready");
    let proxy = Proxy::start(&server.url).await;
    let exchange = own("event");
    let queue = server.listen(&exchange, "e").await;
    let publisher = publisher(loafer_amqp::Amqp::new(&proxy.url), &exchange);
    publish(&publisher, "e", Message::new("before"))
        .await
        .unwrap();
    assert!(publisher.is_ready());

    proxy.block().await;
    let change = async |ready: bool| {
        while publisher.is_ready() != ready {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(5), change(false))
        .await
        .unwrap();
    let waiting = publish(&publisher, "e", Message::new("meanwhile"));
    let mut waiting = std::pin::pin!(waiting);
    assert!(
        timeout(Duration::from_millis(300), &mut waiting)
            .await
            .is_err()
    );
    assert_eq!(server.all(&queue).await.len(), 1);

    proxy.unblock().await;
    timeout(Duration::from_secs(5), waiting)
        .await
        .unwrap()
        .unwrap();
    assert!(publisher.is_ready());
    assert_eq!(server.next(&queue).await.delivery.data, b"meanwhile");
}

#[tokio::test]
async fn what_amqp_can_not_carry_is_refused_and_the_rest_published() {
    let server = server!("what_amqp_can_not_carry_is_refused_and_the_rest_published");
    let exchange = own("event");
    let queue = server.listen(&exchange, "e").await;
    let publisher = publisher(server.amqp(), &exchange);
    let with =
        |name: &'static str, value: &str| Outgoing::new(Message::new("1")).header(name, value);
    let long: &'static str = "h".repeat(256).leak();
    let batch = vec![
        with("large", &"x".repeat(200 * 1024)),
        with(long, "1"),
        with(REPLY_TO, long),
        with(PRIORITY, "high"),
        with(EXPIRATION, "soon"),
        Outgoing::new(Message::new("1")).delay(Duration::from_secs(367 * 86_400)),
        Outgoing::new(Message::with_id(long, "1")),
        Outgoing::new(Message::new("")),
        with("large", &"x".repeat(100 * 1024)),
    ];
    let mut answers = publish_all(&publisher, "e", batch).await;
    answers.pop().unwrap().unwrap();
    let named = [
        "frame_max",
        "name of a header",
        "reply-to",
        PRIORITY,
        EXPIRATION,
        "delay",
        "message id",
        "empty",
    ];
    for (answer, named) in answers.into_iter().zip(named) {
        let error = error(answer);
        assert!(
            error.contains(named) && error.contains("`e`"),
            "{named}: {error}"
        );
        assert!(!error.contains("xxxx"), "quotes what it was given");
    }
    assert_eq!(server.all(&queue).await.len(), 1);
    for topic in ["", "amqp:", long, &format!("amqp:{long}/k")] {
        assert!(matches!(
            publish(&publisher, topic, Message::new("1")).await,
            Err(Error::Refused { .. })
        ));
    }
}

#[tokio::test]
async fn a_payload_of_a_mebibyte_comes_whole() {
    let server = server!("a_payload_of_a_mebibyte_comes_whole");
    let exchange = own("event");
    let queue = server.listen(&exchange, "e").await;
    let payload: Vec<u8> = (0..1 << 20).map(|n: u32| (n % 251) as u8).collect();
    let answer = publish(
        &publisher(server.amqp(), &exchange),
        "e",
        Message::new(payload.clone()),
    )
    .await;
    answer.unwrap();
    assert!(server.next(&queue).await.delivery.data == payload);
}

#[tokio::test]
async fn a_wrong_password_is_an_error_at_once() {
    let server = server!("a_wrong_password_is_an_error_at_once");
    let (_, place) = server.url.split_once('@').unwrap();
    let amqp = loafer_amqp::Amqp::new(format!("amqp://guest:secret-9@{place}"));
    let publisher = amqp.publisher();
    let answer = publish(&publisher, "e", Message::new("1"));
    let error = error(timeout(Duration::from_secs(10), answer).await.unwrap());
    assert!(
        error.contains("AMQP_URL") && !error.contains("secret-9"),
        "{error}"
    );
}
