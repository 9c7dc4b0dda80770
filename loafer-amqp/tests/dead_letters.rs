//! Dead letters on a real server: listed, tried again in the one queue they came from, moved, purged.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should fail")]

mod again;
mod support;

use std::ops::ControlFlow;

use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable},
};
use loafer_amqp::{Amqp, Options};
use loafer_core::{
    broker::{DeadLetter, Destination, Level, Progress},
    extract::Metadata,
    message::Message,
    outcome::Outcome,
    translate::Json,
};
use loafer_runtime::{
    dead_letters::{DeadLetterMessage, DeadLetters, Selection},
    program::{Manager, Route, RouteOptions},
};
use serde_json::Value;
use support::{Rabbit, on_queue, unbound, unique};
use tokio::sync::mpsc;

again::on_rabbitmq_4!();

fn on(_: Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// A route on this queue whose handler rejects everything.
fn rejecting(options: RouteOptions) -> Route {
    Route::new("orders")
        .provider::<Amqp>()
        .options(options)
        .handler(Json, async |_: Value| Outcome::Reject {
            reason: "no such customer".into(),
        })
}

fn options(queue: &str) -> RouteOptions {
    unbound(queue).max_attempts(1)
}

fn manager(rabbit: &Rabbit, options: RouteOptions) -> Manager {
    rabbit.manager().route(rejecting(options)).build().unwrap()
}

/// Publishes these to the queue, and lets a service reject them all.
async fn rejected(rabbit: &Rabbit, queue: &str, count: u32) {
    let running = manager(rabbit, options(queue)).start().await.unwrap();
    for n in 0..count {
        let message = Message::new(n.to_string())
            .with_header("tenant", "acme")
            .with_header("x-request", "7");
        running.publish("orders", message).await.unwrap();
        // One by one: those rejected at once become dead letters in any order.
        rabbit.depth_is(&format!("{queue}.dead"), n + 1).await;
    }
    running.shutdown();
    running.ended().await;
    rabbit.depth_is(queue, 0).await;
}

async fn opened(rabbit: &Rabbit, options: RouteOptions) -> DeadLetters {
    manager(rabbit, options)
        .dead_letters("orders")
        .await
        .unwrap()
}

async fn listed(dead_letters: &DeadLetters) -> Vec<DeadLetterMessage> {
    let listed = dead_letters.list(100, &mut on).await.unwrap();
    assert!(listed.not_given_back.is_none(), "{listed:?}");
    listed.dead_letters
}

fn bodies(dead_letters: &[DeadLetterMessage]) -> Vec<String> {
    let body = |dead_letter: &DeadLetterMessage| {
        String::from_utf8(dead_letter.message.payload().to_vec()).unwrap()
    };
    dead_letters.iter().map(body).collect()
}

#[tokio::test]
async fn a_list_says_why_and_leaves_everything_where_it_is() {
    let rabbit = rabbit!("a_list_says_why_and_leaves_everything_where_it_is");
    let queue = unique("list");
    rejected(&rabbit, &queue, 12).await;
    let dead_letters = opened(&rabbit, options(&queue)).await;
    let about = dead_letters.about();
    assert_eq!(
        (about.queue.as_str(), about.count),
        (&*format!("{queue}.dead"), Some(12))
    );
    assert!(
        about.warnings.is_empty() && about.remarks.is_empty(),
        "{about:?}"
    );

    let first = listed(&dead_letters).await;
    let numbers: Vec<_> = (0..12).map(|n| n.to_string()).collect();
    assert_eq!(bodies(&first), numbers);
    let envelope = first[0].envelope.as_ref().unwrap();
    assert_eq!(
        (
            &*envelope.kind,
            &*envelope.queue,
            envelope.reason.as_deref()
        ),
        ("rejected", &*queue, Some("no such customer"))
    );
    let origin = &first[0].origin;
    assert!(!origin.from_other_queue && !origin.by_broker, "{origin:?}");
    // Looked at many times more than any limit of RabbitMQ's own: in their order, under their ids, and none is lost.
    for _ in 0..30 {
        let again = listed(&dead_letters).await;
        assert_eq!(bodies(&again), numbers);
        assert_eq!(again[3].message.id(), first[3].message.id());
    }
    rabbit.depth_is(&format!("{queue}.dead"), 12).await;
    rabbit.clean(&queue).await;
}

#[tokio::test]
async fn a_dead_letter_tried_again_begins_anew_and_is_linked_to_it() {
    let rabbit = rabbit!("a_dead_letter_tried_again_begins_anew_and_is_linked_to_it");
    let queue = unique("again");
    rejected(&rabbit, &queue, 3).await;
    let dead_letters = opened(&rabbit, options(&queue)).await;
    let id = listed(&dead_letters).await[1].message.id().clone();
    let which = Selection::Ids(vec![id.clone()]);
    let sent = dead_letters
        .send(&which, &Destination::Source, None, &mut on)
        .await
        .unwrap();
    assert_eq!((sent.sent, sent.failed.len()), (1, 0), "{sent:?}");
    rabbit.depth_is(&format!("{queue}.dead"), 2).await;

    let (seen, mut came) = mpsc::unbounded_channel();
    let route = Route::new("orders")
        .provider::<Amqp>()
        .options(options(&queue))
        .handler(Json, move |body: u64, metadata: Metadata| {
            let seen = seen.clone();
            async move { seen.send((body, metadata)).is_ok() }
        });
    let running = rabbit
        .manager()
        .route(route)
        .build()
        .unwrap()
        .start()
        .await
        .unwrap();
    let (body, metadata) = came.recv().await.unwrap();
    running.shutdown();
    running.ended().await;
    assert_eq!((body, metadata.attempt()), (1, 1));
    let header = |name: &str| metadata.headers().get(name);
    assert_eq!(header("tenant"), Some("acme"));
    assert_eq!(header(DeadLetter::HEADER), None);
    assert_eq!(header(DeadLetter::RETRIED_FROM), Some(&*id.to_string()));

    // Once more, and it fails again.
    let sent = dead_letters
        .send(&Selection::All, &Destination::Source, None, &mut on)
        .await
        .unwrap();
    assert_eq!(sent.sent, 2);
    let running = manager(&rabbit, options(&queue)).start().await.unwrap();
    rabbit.depth_is(&format!("{queue}.dead"), 2).await;
    running.shutdown();
    running.ended().await;
    let again = listed(&dead_letters).await;
    let linked = again[0].envelope.as_ref().unwrap().retried_from.clone();
    assert_eq!(
        linked.as_deref(),
        again[0].message.headers().get(DeadLetter::RETRIED_FROM)
    );
    assert!(linked.is_some());
    rabbit.clean(&queue).await;
}

#[tokio::test]
async fn what_rabbitmq_gave_up_itself_is_sent_to_the_queue_it_died_in() {
    let rabbit = rabbit!("what_rabbitmq_gave_up_itself_is_sent_to_the_queue_it_died_in");
    let (queue, exchange) = (unique("given-up"), unique("events"));
    let own = Options::new().exchange(&exchange).binding("order.*");
    let options = || on_queue(&queue, own.clone());
    manager(&rabbit, options())
        .start()
        .await
        .unwrap()
        .shutdown();
    let mut headers = FieldTable::default();
    headers.insert("count".into(), AMQPValue::LongInt(7));
    // Of another program: without an id.
    let theirs = BasicProperties::default()
        .with_headers(headers)
        .with_expiration("60000000".into());
    for body in ["1", "1"] {
        rabbit
            .publish(&exchange, "order.closed", body, theirs.clone())
            .await;
        rabbit.depth_is(&queue, 1).await;
        rabbit.reject(&queue).await;
    }
    rabbit.depth_is(&format!("{queue}.dead"), 2).await;
    let dead_letters = opened(&rabbit, options()).await;
    let found = listed(&dead_letters).await;
    let origin = &found[0].origin;
    assert_eq!(origin.queue.as_deref(), Some(&*queue));
    assert!(origin.by_broker && !origin.from_other_queue, "{origin:?}");
    let summary = found[0].summary();
    assert_eq!((&*summary.kind, summary.attempts), ("redrive", None));
    // Two that are alike in all but when they died: each by an id that the next look finds again.
    let ids: Vec<_> = found
        .iter()
        .map(|dead_letter| dead_letter.message.id().clone())
        .collect();
    assert_ne!(ids[0], ids[1]);
    let which = Selection::Ids(vec![ids[1].clone()]);
    let sent = dead_letters
        .send(&which, &Destination::Source, None, &mut on)
        .await
        .unwrap();
    assert_eq!((sent.sent, sent.missing.len()), (1, 0), "{sent:?}");
    rabbit.depth_is(&format!("{queue}.dead"), 1).await;
    let again = rabbit.get(&queue).await.unwrap().delivery;
    let headers = again.properties.headers().clone().unwrap();
    assert_eq!(headers.inner().get("count"), Some(&AMQPValue::LongInt(7)));
    assert!(!headers.contains_key("x-death"), "{headers:?}");
    assert!(again.properties.expiration().is_none());
    let again = loafer_topic(&headers);
    assert_eq!(again.as_deref(), Some("order.closed"));
    rabbit.clean(&queue).await;
    rabbit.delete_exchange(&exchange).await;
}

fn loafer_topic(headers: &FieldTable) -> Option<String> {
    match headers.inner().get("loafer-topic")? {
        AMQPValue::LongString(text) => Some(text.to_string()),
        _ => None,
    }
}

#[tokio::test]
async fn dead_letters_of_other_services_are_left_in_a_shared_queue() {
    let rabbit = rabbit!("dead_letters_of_other_services_are_left_in_a_shared_queue");
    let (ours, theirs, shared) = (unique("ours"), unique("theirs"), unique("shared"));
    rabbit.declare(&shared, &[]).await;
    // As Pigeon's are: behind another exchange, by a key.
    let key = unique("dead");
    rabbit.bind(&shared, "amq.direct", &key).await;
    let target = Options::new()
        .dead_letter_exchange("amq.direct")
        .dead_letter_routing_key(&key)
        .dead_letter_queue(&shared);
    let options = |queue: &str| options(queue).broker_options::<Amqp>(target.clone());
    for (queue, body) in [(&ours, "1"), (&theirs, "2")] {
        let running = manager(&rabbit, options(queue)).start().await.unwrap();
        let both = Message::with_id("both", body);
        running.publish("orders", both).await.unwrap();
        let wanted = if body == "1" { 1 } else { 2 };
        rabbit.depth_is(&shared, wanted).await;
        running.shutdown();
        running.ended().await;
    }
    // Whose this one is nobody knows.
    rabbit
        .publish("", &shared, "3", BasicProperties::default())
        .await;

    let dead_letters = opened(&rabbit, options(&ours)).await;
    let about = dead_letters.about();
    assert!(about.remarks[1].contains("delivery limit"), "{about:?}");
    let found = listed(&dead_letters).await;
    let ids: Vec<_> = found
        .iter()
        .map(|dead_letter| dead_letter.message.id().to_string())
        .collect();
    assert_eq!(ids[..2], ["both".to_owned(), format!("both@{theirs}")]);
    let from_other_queue: Vec<_> = found
        .iter()
        .map(|dead_letter| dead_letter.origin.from_other_queue)
        .collect();
    assert_eq!(from_other_queue, [false, true, true]);
    assert_eq!(dead_letters.purge_warnings().await.len(), 1);

    let sent = dead_letters
        .send(&Selection::All, &Destination::Source, None, &mut on)
        .await
        .unwrap();
    assert_eq!((sent.sent, sent.left.len()), (1, 2), "{sent:?}");
    assert_eq!(sent.left[&theirs], 1);
    assert_eq!(
        (rabbit.depth(&ours).await, rabbit.depth(&theirs).await),
        (1, 0)
    );
    rabbit.depth_is(&shared, 2).await;
    // A dead letter that is named is sent to the queue it came from.
    let which = Selection::Ids(vec![found[1].message.id().clone()]);
    let to = Destination::Queue(theirs.clone());
    let moved = dead_letters.send(&which, &to, None, &mut on).await.unwrap();
    assert_eq!(moved.sent, 1, "{moved:?}");
    let copy = rabbit.get(&theirs).await.unwrap().delivery;
    let headers = copy.properties.headers().clone().unwrap();
    assert!(headers.contains_key(DeadLetter::HEADER), "as it is");
    assert_eq!(
        copy.properties.message_id().as_ref().map(|id| id.as_str()),
        Some("both")
    );
    for queue in [&ours, &theirs, &shared] {
        rabbit.delete(queue).await;
    }
}

#[tokio::test]
async fn what_can_not_be_sent_stays_and_is_an_error() {
    let rabbit = rabbit!("what_can_not_be_sent_stays_and_is_an_error");
    let queue = unique("stays");
    rejected(&rabbit, &queue, 2).await;
    let dead_letters = opened(&rabbit, options(&queue)).await;
    for (to, why) in [
        (unique("nowhere"), "there is no such queue"),
        (format!("amqp:{queue}.dead"), "the dead-letter queue itself"),
    ] {
        let sent = dead_letters
            .send(&Selection::All, &Destination::Queue(to), None, &mut on)
            .await
            .unwrap();
        assert_eq!((sent.sent, sent.failed.len()), (0, 2), "{sent:?}");
        let error = sent.failed[0].1.to_string();
        assert!(error.contains(why), "{error}");
    }
    rabbit.depth_is(&format!("{queue}.dead"), 2).await;
    dead_letters.purge().await.unwrap();
    rabbit.depth_is(&format!("{queue}.dead"), 0).await;

    let none = manager(&rabbit, options(&unique("none")))
        .dead_letters("orders")
        .await;
    let error = none.unwrap_err().to_string();
    assert!(error.contains("check --create"), "{error}");
    rabbit.clean(&queue).await;
}

#[tokio::test]
async fn a_dead_letter_queue_of_others_is_recognised() {
    let rabbit = rabbit!("a_dead_letter_queue_of_others_is_recognised");
    let queue = unique("limited");
    let quorum = ("x-queue-type", AMQPValue::LongString("quorum".into()));
    let limit = ("x-delivery-limit", AMQPValue::LongLongInt(3));
    rabbit
        .declare(&format!("{queue}.dead"), &[quorum, limit])
        .await;
    let dead_letters = opened(&rabbit, options(&queue)).await;
    let warnings = &dead_letters.about().warnings;
    assert!(warnings[0].contains("x-delivery-limit"), "{warnings:?}");
    rabbit.clean(&queue).await;
}

/// What `check` says of a route.
async fn checked(rabbit: &Rabbit, options: RouteOptions) -> Vec<(Level, String)> {
    let found = manager(rabbit, options).check().await;
    let findings = found.into_iter().flat_map(|(_, findings)| findings);
    findings
        .map(|finding| (finding.level, finding.text))
        .collect()
}

#[tokio::test]
async fn check_counts_the_dead_letters() {
    let rabbit = rabbit!("check_counts_the_dead_letters");
    let queue = unique("counted");
    rejected(&rabbit, &queue, 1).await;
    let found = checked(&rabbit, options(&queue)).await;
    let dead_letters = found
        .iter()
        .find(|(_, text)| text.contains("`dead-letters orders list`"));
    assert_eq!(dead_letters.unwrap().0, Level::Warning, "{found:?}");
    rabbit.clean(&queue).await;
}
