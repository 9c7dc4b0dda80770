//! Dead letters on real servers: listed, tried again, moved, purged.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should fail")]

mod event_id;
mod from_other_queue;
mod native;
mod packed;
#[path = "../support/mod.rs"]
mod support;

use std::{ops::ControlFlow, time::Duration};

use aws_sdk_sqs::types::{MessageAttributeValue, QueueAttributeName as Name};
use event_id::the_id_of_an_event_is_on_its_dead_letter_and_on_the_next_try;
use from_other_queue::{
    dead_letters_are_not_sent_where_they_are_or_to_a_queue_of_the_same_name,
    without_a_dead_letter_queue_it_says_what_to_do,
};
use loafer_core::{
    broker::{DeadLetter, Destination, Progress, Provider as _, Settlement},
    message::{Message, MessageId, Outgoing},
    translate::Json,
};
use loafer_runtime::{
    dead_letters::{DeadLetterMessage, DeadLetters, Selection},
    program::{App, Manager, Route, RouteOptions},
};
use loafer_sqs::Sqs;
use packed::what_was_packed_comes_back_with_its_types;
use support::{Queue, Server, envelope};

fn on(_: Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// The dead letters of a queue, as its route's manager finds them.
async fn opened(queue: &Queue, sqs: Sqs) -> Result<DeadLetters, loafer_core::Error> {
    let route = Route::new("test-route")
        .provider::<Sqs>()
        .options(RouteOptions::new().queue(&queue.name))
        .handler(Json, async |_: u64| true);
    let app = App::new().broker(sqs);
    let manager = Manager::builder().app(app).route(route).build().unwrap();
    manager.dead_letters("test-route").await
}

async fn dead_letters(server: &Server, queue: &Queue) -> DeadLetters {
    opened(queue, server.sqs()).await.unwrap()
}

/// Its dead letters, all of them.
async fn listed(dead_letters: &DeadLetters, count: usize) -> Vec<DeadLetterMessage> {
    let listed = dead_letters.list(100, &mut on).await.unwrap();
    assert!(listed.not_given_back.is_none(), "{listed:?}");
    assert_eq!(listed.dead_letters.len(), count);
    listed.dead_letters
}

/// Sends these and rejects them, with the envelope of this queue.
async fn reject(queue: &Queue, batch: Vec<Outgoing>) {
    let count = batch.len();
    queue.send(batch).await;
    let deliveries = queue.receive(count).await;
    let mut dead_letter = DeadLetter::clone(&envelope("no such customer"));
    dead_letter.queue = queue.name.clone();
    let answers = queue
        .settle(&deliveries, Settlement::DeadLetter(dead_letter.into()))
        .await;
    assert_eq!(answers.len(), count);
}

/// Sends these, and receives them until SQS itself moves them.
async fn redrive(queue: &Queue, count: usize) {
    let policy = queue.attribute(&queue.url, Name::RedrivePolicy).await;
    let policy = policy.unwrap().replace(":10", ":1");
    queue.set(Name::RedrivePolicy, &policy).await;
    let batch = (0..count).map(|n| Message::new(format!("redriven {n}")).into());
    queue.send(batch.collect()).await;
    let deliveries = queue.receive(count).await;
    queue.settle(&deliveries, Settlement::Release).await;
    let mut none = Vec::new();
    while queue.depth().await > 0 {
        let wait = Duration::from_secs(1);
        queue.provider.receive(10, wait, &mut none).await.unwrap();
        assert!(none.is_empty(), "given up after one receive");
    }
}

async fn a_list_says_why_and_leaves_everything_where_it_is(server: Server) {
    let queue = server.queue("list", Some(Duration::from_secs(30))).await;
    let batch = (0..12).map(|n| Message::new(n.to_string()).with_header("tenant", "acme"));
    reject(&queue, batch.map(Into::into).collect()).await;
    let dead_letters = dead_letters(&server, &queue).await;
    let about = dead_letters.about();
    assert_eq!(about.count, Some(12));
    assert!(about.remarks[0].contains("receive count"), "{about:?}");
    assert!(about.warnings.is_empty(), "{about:?}");
    for _ in 0..2 {
        for dead_letter in listed(&dead_letters, 12).await {
            let summary = dead_letter.summary();
            assert_eq!(summary.kind, "rejected");
            assert_eq!(summary.reason.as_deref(), Some("no such customer"));
            assert_eq!(summary.failed_at.as_deref(), Some("2026-01-01T00:00:00Z"));
            assert_eq!(summary.queue.as_deref(), Some(&*queue.name));
            assert_eq!(dead_letter.message.headers().get("tenant"), Some("acme"));
        }
    }
    // Given back: whoever receives now gets them all.
    support::receive(&queue.dead_letters().await, 12).await;
}

async fn what_sqs_gave_up_is_reported_by_its_marks(server: Server) {
    let queue = server.queue("marks", Some(Duration::from_secs(30))).await;
    redrive(&queue, 1).await;
    let dead_letter = listed(&dead_letters(&server, &queue).await, 1)
        .await
        .remove(0);
    let summary = dead_letter.summary();
    assert!(dead_letter.envelope.is_none());
    assert_eq!(summary.failed_at, None);
    assert!(summary.sent_at.is_some());
    // fauxqs does not mark what it moves.
    if dead_letter.origin.by_broker {
        assert_eq!(summary.kind, "redrive");
        assert_eq!(summary.queue.as_deref(), Some(&*queue.name));
        assert!(summary.reason.unwrap().contains("delivered too often"));
    } else {
        assert_eq!(summary.kind, "unknown");
    }
}

async fn a_dead_letter_tried_again_is_as_it_was_and_linked(server: Server) {
    let queue = server.queue("again", Some(Duration::from_secs(30))).await;
    let tries = MessageAttributeValue::builder().data_type("Number");
    let tries = tries.string_value("7").build().unwrap();
    let mut dead_letter = DeadLetter::clone(&envelope("r"));
    dead_letter.queue = queue.name.clone();
    let why = MessageAttributeValue::builder().data_type("String");
    let why = why.string_value(dead_letter.to_header()).build().unwrap();
    let put = queue.client.send_message().message_body("typed");
    let put = put.queue_url(format!("{}-dlq", queue.url));
    let put = put.message_attributes("tries", tries);
    let put = put.message_attributes(DeadLetter::HEADER, why);
    put.send().await.unwrap();
    let dead_letters = dead_letters(&server, &queue).await;
    let id = listed(&dead_letters, 1).await[0].message.id().clone();
    let which = Selection::Ids(vec![id.clone(), MessageId::from("nobody")]);
    let sent = dead_letters
        .send(&which, &Destination::Source, None, &mut on)
        .await
        .unwrap();
    assert_eq!((sent.sent, sent.failed.len()), (1, 0), "{sent:?}");
    assert_eq!(sent.missing, [MessageId::from("nobody")]);
    let raw = queue.client.receive_message().queue_url(&queue.url);
    let raw = raw.message_attribute_names("All").wait_time_seconds(5);
    let raw = raw.send().await.unwrap().messages.unwrap().remove(0);
    assert_eq!(raw.body(), Some("typed"));
    let attributes = raw.message_attributes.unwrap();
    assert_eq!(attributes["tries"].data_type(), "Number");
    let from = attributes[DeadLetter::RETRIED_FROM].string_value();
    assert_eq!(from, Some(&*id.to_string()));
    assert_eq!(attributes.len(), 2);
    assert_eq!(queue.depth_of_dead_letters().await, 0);
}

async fn folded_headers_come_back(server: Server) {
    let queue = server.queue("folded", Some(Duration::from_secs(30))).await;
    let ten = (0..10).fold(Message::new("ten"), |message, n| {
        message.with_header(format!("h{n}"), "v")
    });
    reject(&queue, vec![ten.into()]).await;
    let dead_letters = dead_letters(&server, &queue).await;
    let sent = dead_letters
        .send(&Selection::All, &Destination::Source, None, &mut on)
        .await
        .unwrap();
    assert_eq!((sent.sent, sent.failed.len()), (1, 0), "{sent:?}");
    let again = queue.receive(1).await.remove(0).message;
    assert_eq!(again.headers().len(), 10, "{:?}", again.headers());
    assert_eq!(again.headers().get("h9"), Some("v"));
}

async fn all_are_tried_again_whoever_gave_them_up(server: Server) {
    let queue = server.queue("all", Some(Duration::from_secs(30))).await;
    let batch = (0..12).map(|n| Message::new(n.to_string()).into());
    reject(&queue, batch.collect()).await;
    redrive(&queue, 3).await;
    let dead_letters = dead_letters(&server, &queue).await;
    let sent = dead_letters
        .send(&Selection::All, &Destination::Source, None, &mut on)
        .await
        .unwrap();
    assert_eq!((sent.sent, sent.failed.len()), (15, 0), "{sent:?}");
    assert_eq!(queue.depth_of_dead_letters().await, 0);
    // With max receives 1 they are delivered once more.
    for delivery in queue.receive(15).await {
        let headers = delivery.message.headers();
        assert_eq!(headers.get(DeadLetter::HEADER), None);
        assert!(headers.get(DeadLetter::RETRIED_FROM).is_some());
    }
}

async fn all_are_moved_to_a_queue_of_ones_choice(server: Server) {
    let queue = server.queue("move", Some(Duration::from_secs(30))).await;
    let parked = server.queue("parked", Some(Duration::from_secs(30))).await;
    let batch = (0..12).map(|n| Message::new(n.to_string()).into());
    reject(&queue, batch.collect()).await;
    let dead_letters = dead_letters(&server, &queue).await;
    let to = Destination::Queue(parked.name.clone());
    let mut seen = 0;
    let mut watch = |progress: Progress| {
        seen = seen.max(progress.done);
        ControlFlow::Continue(())
    };
    let sent = dead_letters
        .send(&Selection::All, &to, None, &mut watch)
        .await
        .unwrap();
    assert_eq!((sent.sent, sent.failed.len()), (12, 0), "{sent:?}");
    assert!(seen > 0);
    let moved = parked.receive(12).await;
    let kept = moved
        .iter()
        .filter(|moved| DeadLetter::of(&moved.message).is_some());
    assert_eq!(kept.count(), 12);
    assert_eq!(queue.depth_of_dead_letters().await, 0);
}

async fn what_can_not_be_sent_stays_where_it_is(server: Server) {
    let queue = server.queue("stays", Some(Duration::from_secs(30))).await;
    reject(&queue, vec![Message::new("x").into()]).await;
    let dead_letters = dead_letters(&server, &queue).await;
    let id = listed(&dead_letters, 1).await[0].message.id().clone();
    let nowhere = Destination::Queue(format!("{}-nowhere", queue.name));
    let sent = dead_letters
        .send(&Selection::Ids(vec![id.clone()]), &nowhere, None, &mut on)
        .await
        .unwrap();
    assert_eq!(sent.sent, 0);
    let (failed, error) = &sent.failed[0];
    assert_eq!(failed, &id);
    assert!(error.to_string().contains("-nowhere"), "{error}");
    assert_eq!(listed(&dead_letters, 1).await[0].message.id(), &id);
}

async fn what_came_from_another_queue_is_not_tried_again_here(server: Server) {
    let queue = server.queue("ours", Some(Duration::from_secs(30))).await;
    let batch = vec![Message::new("theirs").into()];
    queue.send(batch).await;
    let deliveries = queue.receive(1).await;
    // The envelope of the test support names another queue.
    let theirs = Settlement::DeadLetter(envelope("r"));
    queue.settle(&deliveries, theirs).await;
    reject(&queue, vec![Message::new("ours").into()]).await;
    let dead_letters = dead_letters(&server, &queue).await;
    let theirs = listed(&dead_letters, 2).await.into_iter();
    let theirs: Vec<_> = theirs
        .filter(|dead_letter| dead_letter.origin.from_other_queue)
        .collect();
    let id = theirs[0].message.id().clone();
    let sent = dead_letters
        .send(&Selection::All, &Destination::Source, None, &mut on)
        .await
        .unwrap();
    assert_eq!(sent.sent, 1, "{sent:?}");
    assert_eq!(sent.left.get("test"), Some(&1));
    let sent = dead_letters
        .send(
            &Selection::Ids(vec![id]),
            &Destination::Source,
            None,
            &mut on,
        )
        .await
        .unwrap();
    assert!(sent.failed[0].1.to_string().contains("it came from `test`"));
    assert_eq!(queue.depth_of_dead_letters().await, 1);
}

async fn a_fifo_dead_letter_keeps_its_group(server: Server) {
    let queue = server
        .queue("dead.fifo", Some(Duration::from_secs(30)))
        .await;
    let batch = ["1", "2"].map(|body| Message::new(body).with_group("g"));
    for message in batch {
        reject(&queue, vec![message.into()]).await;
    }
    let dead_letters = dead_letters(&server, &queue).await;
    assert!(dead_letters.about().remarks[1].contains("groups in order"));
    let sent = dead_letters
        .send(&Selection::All, &Destination::Source, None, &mut on)
        .await
        .unwrap();
    assert_eq!((sent.sent, sent.failed.len()), (2, 0), "{sent:?}");
    for body in ["1", "2"] {
        let again = queue.receive(1).await;
        assert_eq!(&again[0].message.payload()[..], body.as_bytes());
        assert_eq!(again[0].message.group(), Some("g"));
        queue.settle(&again, Settlement::Ack).await;
    }
}

async fn a_purge_leaves_nothing(server: Server) {
    let queue = server.queue("purge", Some(Duration::from_secs(30))).await;
    let batch = (0..3).map(|n| Message::new(n.to_string()).into());
    reject(&queue, batch.collect()).await;
    let dead_letters = dead_letters(&server, &queue).await;
    assert_eq!(dead_letters.about().count, Some(3));
    let warnings = dead_letters.purge_warnings().await;
    let last = warnings.last().unwrap();
    assert!(last.contains("within a minute"), "{warnings:?}");
    dead_letters.purge().await.unwrap();
    assert_eq!(queue.depth_of_dead_letters().await, 0);
}

async fn a_stopped_list_gives_everything_back(server: Server) {
    let queue = server.queue("stop", Some(Duration::from_secs(30))).await;
    let batch = (0..15).map(|n| Message::new(n.to_string()).into());
    reject(&queue, batch.collect()).await;
    let dead_letters = dead_letters(&server, &queue).await;
    let mut soon = |progress: Progress| match progress.done {
        0 => ControlFlow::Continue(()),
        _ => ControlFlow::Break(()),
    };
    let stopped = dead_letters.list(100, &mut soon).await.unwrap();
    assert!(stopped.stopped && stopped.dead_letters.len() <= 10);
    listed(&dead_letters, 15).await;
}

on_both! {
    the_id_of_an_event_is_on_its_dead_letter_and_on_the_next_try
    a_list_says_why_and_leaves_everything_where_it_is
    what_sqs_gave_up_is_reported_by_its_marks
    a_dead_letter_tried_again_is_as_it_was_and_linked
    folded_headers_come_back
    all_are_tried_again_whoever_gave_them_up
    all_are_moved_to_a_queue_of_ones_choice
    what_can_not_be_sent_stays_where_it_is
    dead_letters_are_not_sent_where_they_are_or_to_a_queue_of_the_same_name
    what_came_from_another_queue_is_not_tried_again_here
    a_fifo_dead_letter_keeps_its_group
    a_purge_leaves_nothing
    what_was_packed_comes_back_with_its_types
    without_a_dead_letter_queue_it_says_what_to_do
    a_stopped_list_gives_everything_back
}
