//! Dead letters in memory: listed, tried again, moved, thrown away.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should fail")]

use std::{
    ops::ControlFlow,
    time::{Duration, SystemTime},
};

use loafer_core::{
    broker::{DeadLetter, Destination, Progress},
    message::{Message, MessageId},
    outcome::Outcome,
    translate::Json,
};
use loafer_memory::Memory;
use loafer_runtime::{
    dead_letters::{DeadLetters, Selection},
    program::{App, Config, Manager, Route},
};

fn on(_: Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn manager(memory: &Memory) -> Manager {
    let route = Route::new("orders").handler(Json, async |_: u64| true);
    let app = App::new().broker(memory.clone());
    Manager::builder().app(app).route(route).build().unwrap()
}

async fn opened(memory: &Memory) -> DeadLetters {
    manager(memory).dead_letters("orders").await.unwrap()
}

fn envelope(kind: &str) -> DeadLetter {
    let envelope = serde_json::json!({
        "event_id": "1", "route": "orders", "queue": "orders", "handler": "h", "attempts": 2,
        "failed_at": "2026-01-01T00:00:00Z", "kind": kind, "reason": "no such customer",
    });
    serde_json::from_value(envelope).unwrap()
}

fn rejected(body: &str) -> Message {
    Message::new(body.to_owned())
        .with_header("tenant", "acme")
        .with_header(DeadLetter::HEADER, envelope("rejected").to_header())
}

fn bodies(messages: &[Message]) -> Vec<String> {
    let mut bodies: Vec<_> = messages
        .iter()
        .map(|message| String::from_utf8_lossy(message.payload()).into_owned())
        .collect();
    bodies.sort();
    bodies
}

#[tokio::test]
async fn a_list_says_why_and_leaves_everything_where_it_is() {
    let memory = Memory::new();
    memory.send("orders-dlq", [rejected("1"), Message::new("22")]);
    let queue = opened(&memory).await;
    assert_eq!(queue.about().count, Some(2));
    // More often than the queue would give a message up.
    for _ in 0..5 {
        let listed = queue.list(10, &mut on).await.unwrap();
        let [one, two] = &listed.dead_letters[..] else {
            panic!("{listed:?}")
        };
        let one = one.summary();
        assert_eq!((one.kind.as_str(), one.attempts), ("rejected", Some(2)));
        assert_eq!(one.failed_at.as_deref(), Some("2026-01-01T00:00:00Z"));
        assert_eq!(one.reason.as_deref(), Some("no such customer"));
        let two = two.summary();
        assert_eq!((two.kind.as_str(), two.bytes), ("redrive", 2));
        assert_eq!(two.queue.as_deref(), Some("orders"));
        assert!(listed.not_given_back.is_none() && !listed.stopped);
    }
    assert_eq!(memory.dead_letters("orders").len(), 2);
}

#[tokio::test]
async fn a_list_ends_where_it_should() {
    let memory = Memory::new();
    memory.send("orders-dlq", (0..25).map(|n| Message::new(n.to_string())));
    let queue = opened(&memory).await;
    assert_eq!(
        queue.list(12, &mut on).await.unwrap().dead_letters.len(),
        12
    );
    assert_eq!(
        queue.list(100, &mut on).await.unwrap().dead_letters.len(),
        25
    );
    let mut soon = |progress: Progress| match progress.done {
        0 => ControlFlow::Continue(()),
        _ => ControlFlow::Break(()),
    };
    let stopped = queue.list(100, &mut soon).await.unwrap();
    assert_eq!((stopped.dead_letters.len(), stopped.stopped), (10, true));
    assert_eq!(
        queue.list(100, &mut on).await.unwrap().dead_letters.len(),
        25
    );
}

#[tokio::test]
async fn a_dead_letter_tried_again_has_its_body_and_headers_and_a_link() {
    let memory = Memory::new();
    memory.send("orders-dlq", [rejected("1"), rejected("2"), rejected("3")]);
    let queue = opened(&memory).await;
    let id = memory.dead_letters("orders")[1].id().clone();
    let ids = Selection::Ids(vec![id.clone(), MessageId::from("nobody")]);
    let sent = queue
        .send(&ids, &Destination::Source, None, &mut on)
        .await
        .unwrap();
    assert_eq!(sent.sent, 1);
    assert_eq!(sent.missing, [MessageId::from("nobody")]);
    let again = &memory.messages("orders")[0];
    assert_eq!(&again.payload()[..], b"2");
    assert_eq!(again.headers().get("tenant"), Some("acme"));
    assert_eq!(again.headers().get(DeadLetter::HEADER), None);
    let from = again.headers().get(DeadLetter::RETRIED_FROM);
    assert_eq!(from, Some(&*id.to_string()));
    assert_eq!(bodies(&memory.dead_letters("orders")), ["1", "3"]);
    // The others were released.
    assert_eq!(queue.list(10, &mut on).await.unwrap().dead_letters.len(), 2);
}

#[tokio::test]
async fn all_are_moved_as_they_are() {
    let memory = Memory::new();
    memory.send("orders-dlq", (0..25).map(|n| rejected(&n.to_string())));
    let queue = opened(&memory).await;
    let (mut seen, parked) = (Vec::new(), Destination::Queue("parked".into()));
    let mut watch = |progress: Progress| {
        seen.push((progress.done, progress.of));
        ControlFlow::Continue(())
    };
    let sent = queue
        .send(&Selection::All, &parked, None, &mut watch)
        .await
        .unwrap();
    assert_eq!(sent.sent, 25);
    assert_eq!(&seen[..2], [(0, Some(25)), (10, Some(25))]);
    assert!(memory.dead_letters("orders").is_empty());
    let moved = memory.messages("parked");
    assert!(
        moved
            .iter()
            .all(|message| DeadLetter::of(message).is_some())
    );
}

#[tokio::test(start_paused = true)]
async fn a_rate_is_kept_and_none_is_left() {
    let memory = Memory::new();
    memory.send("orders-dlq", (0..30).map(|n| rejected(&n.to_string())));
    let queue = opened(&memory).await;
    let began = tokio::time::Instant::now();
    let mut seen = Vec::new();
    let mut watch = |progress: Progress| {
        seen.push((began.elapsed().as_secs_f64(), progress.done));
        ControlFlow::Continue(())
    };
    let (all, to) = (Selection::All, Destination::Queue("parked".into()));
    let sent = queue.send(&all, &to, Some(10), &mut watch).await.unwrap();
    assert_eq!((sent.sent, memory.messages("parked").len()), (30, 30));
    let fast = seen
        .iter()
        .find(|(at, done)| *done as f64 > at * 10.0 + 1.1);
    assert_eq!(fast, None, "in {seen:?}");
    let took = began.elapsed().as_secs_f64();
    assert!((2.8..3.2).contains(&took), "{took}");

    let none = queue.send(&all, &to, Some(0), &mut on).await.unwrap_err();
    assert!(none.to_string().contains("a rate of 0"), "{none}");
}

#[tokio::test]
async fn what_fails_again_meanwhile_is_not_tried_again_in_the_same_run() {
    let memory = Memory::new();
    let first = rejected("1");
    memory.send("orders-dlq", [first.clone()]);
    memory.send("orders-dlq", (0..9).map(|n| rejected(&n.to_string())));
    // As if the handler had refused the first one at once.
    let back = rejected("back").with_header(DeadLetter::RETRIED_FROM, first.id().to_string());
    memory.send("orders-dlq", [back]);
    let queue = opened(&memory).await;
    let sent = queue
        .send(&Selection::All, &Destination::Source, None, &mut on)
        .await
        .unwrap();
    assert_eq!(sent.sent, 10);
    assert_eq!(bodies(&memory.dead_letters("orders")), ["back"]);
}

#[tokio::test]
async fn what_is_sent_after_the_run_began_is_left() {
    let memory = Memory::new();
    let later = SystemTime::now() + Duration::from_secs(3600);
    memory.send("orders-dlq", [rejected("1"), rejected("2")]);
    memory.send("orders-dlq", [rejected("late").with_sent_at(later)]);
    let queue = opened(&memory).await;
    let sent = queue
        .send(&Selection::All, &Destination::Source, None, &mut on)
        .await
        .unwrap();
    assert_eq!(sent.sent, 2);
    assert!(sent.notes[0].starts_with("1 left"), "{sent:?}");
    assert!(sent.error.is_none(), "{sent:?}");
    assert_eq!(bodies(&memory.dead_letters("orders")), ["late"]);
}

#[tokio::test]
async fn a_purge_leaves_nothing() {
    let memory = Memory::new();
    memory.send("orders-dlq", (0..25).map(|n| Message::new(n.to_string())));
    opened(&memory).await.purge().await.unwrap();
    assert!(memory.dead_letters("orders").is_empty());
}

#[tokio::test]
async fn an_unknown_route_is_told_with_the_nearest() {
    let error = manager(&Memory::new())
        .dead_letters("order")
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("did you mean `orders`?"),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn the_configuration_keeps_reasons_out_of_dead_letters() {
    for (written, reason) in [
        ("", Some("no such customer")),
        ("dead_letter_reasons = false", None),
    ] {
        let environment: [(String, String); 0] = [];
        let config = Config::parse(written, environment, &["orders"]).unwrap();
        let memory = Memory::new();
        let rejects = async |_: u64| Outcome::Reject {
            reason: "no such customer".into(),
        };
        let manager = Manager::builder()
            .app(App::new().broker(memory.clone()))
            .config(config)
            .route(Route::new("orders").handler(Json, rejects));
        let running = manager.build().unwrap().start().await.unwrap();
        memory.send("orders", [Message::new("1")]);
        memory.settled().await;
        let letters = memory.dead_letters("orders");
        let said = DeadLetter::of(&letters[0]).unwrap();
        assert_eq!((&*said.kind, said.reason.as_deref()), ("rejected", reason));
        running.shutdown();
        running.ended().await;
    }
}
