//! What a call leaves out, sizes and order of headers, against a server that refuses what the test says.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should fail")]

mod support;

use loafer_core::{
    Error,
    broker::{Broker, Publisher, Topic},
    message::{EVENT_ID, Message, MessageId, Outgoing, TRACEPARENT, TRACESTATE},
};
use loafer_runtime::bus::Bus;
use loafer_sqs::S3Payloads;
use support::fake::{Fake, State};

async fn published(
    fake: &Fake,
    topic: &str,
    batch: Vec<Outgoing>,
) -> Vec<Result<MessageId, Error>> {
    let mut answers = Vec::new();
    let publisher = fake.sqs().publisher();
    publisher
        .publish(&Topic::from(topic), &batch, &mut answers)
        .await;
    assert_eq!(answers.len(), batch.len());
    answers
}

fn numbered(numbers: impl IntoIterator<Item = u32>) -> Vec<Outgoing> {
    let message = |number: u32| Message::new(number.to_string()).into();
    numbers.into_iter().map(message).collect()
}

fn failing(bodies: &[(&str, usize)]) -> State {
    let failing = bodies
        .iter()
        .map(|(body, times)| ((*body).to_owned(), *times));
    State {
        failing: failing.collect(),
        ..State::default()
    }
}

async fn what_a_call_leaves_out_is_tried_again_alone(topic: &str) {
    let fake = Fake::start(failing(&[("3", 2), ("11", 1)])).await;
    let answers = published(&fake, topic, numbered(0..12)).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    let mut calls = fake.state().calls.clone();
    assert_eq!(calls.len(), 4, "{calls:?}");
    calls.drain(..2);
    assert_eq!(
        calls,
        [vec!["3".to_owned(), "11".to_owned()], vec!["3".to_owned()]]
    );
}

#[tokio::test]
async fn what_a_call_to_a_queue_leaves_out_is_tried_again_alone() {
    what_a_call_leaves_out_is_tried_again_alone("sqs:orders").await;
}

#[tokio::test]
async fn what_a_call_to_a_topic_leaves_out_is_tried_again_alone() {
    what_a_call_leaves_out_is_tried_again_alone("arn:aws:sns:us-east-1:1:orders").await;
}

#[tokio::test]
async fn what_always_fails_is_given_up_and_answered_alone() {
    let fake = Fake::start(failing(&[("1", usize::MAX)])).await;
    let answers = published(&fake, "sqs:orders", numbered(0..3)).await;
    assert!(answers[0].is_ok() && answers[2].is_ok());
    let said = answers[1].as_ref().unwrap_err().to_string();
    assert!(
        said.contains("orders") && said.contains("InternalError"),
        "{said}"
    );
    assert_eq!(fake.state().calls.len(), 5);
}

#[tokio::test]
async fn what_is_our_fault_is_not_tried_again() {
    let state = State {
        sender_fault: true,
        ..failing(&[("1", usize::MAX)])
    };
    let fake = Fake::start(state).await;
    let answers = published(&fake, "sqs:orders", numbered(0..3)).await;
    assert!(
        matches!(answers[1], Err(Error::Refused { .. })),
        "{answers:?}"
    );
    assert_eq!(fake.state().calls.len(), 1);
}

fn in_groups() -> Vec<Outgoing> {
    let message = |number: u32| Outgoing::new(Message::new(number.to_string()));
    (0..12)
        .map(|number| message(number).group(["odd", "even"][usize::from(number % 2 == 0)]))
        .collect()
}

async fn nothing_of_a_group_overtakes_what_failed(topic: &str) {
    let fake = Fake::start(failing(&[("3", 2)])).await;
    let answers = published(&fake, topic, in_groups()).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    let state = fake.state();
    let of = |odd: usize| -> Vec<usize> {
        let taken = state.bodies().into_iter().map(|body| body.parse().unwrap());
        taken.filter(|number: &usize| number % 2 == odd).collect()
    };
    assert_eq!(of(1), [1, 3, 5, 7, 9, 11]);
    assert_eq!(of(0), [0, 2, 4, 6, 8, 10]);
}

#[tokio::test]
async fn on_a_fifo_queue_nothing_of_a_group_overtakes_what_failed() {
    nothing_of_a_group_overtakes_what_failed("sqs:orders.fifo").await;
}

#[tokio::test]
async fn on_a_fifo_topic_nothing_of_a_group_overtakes_what_failed() {
    nothing_of_a_group_overtakes_what_failed("arn:aws:sns:us-east-1:1:orders.fifo").await;
}

#[tokio::test]
async fn after_what_failed_for_good_none_of_its_group_is_sent() {
    let fake = Fake::start(failing(&[("3", usize::MAX)])).await;
    let answers = published(&fake, "sqs:orders.fifo", in_groups()).await;
    let sent: Vec<_> = (0..12).filter(|index| answers[*index].is_ok()).collect();
    assert_eq!(sent, [0, 1, 2, 4, 6, 8, 10]);
    let said = answers[5].as_ref().unwrap_err().to_string();
    assert!(said.contains("one before it in its group"), "{said}");
}

#[tokio::test]
async fn after_what_cannot_be_sent_none_of_its_group_is() {
    let fake = Fake::start(State::default()).await;
    let mut batch = in_groups();
    batch[3] = Outgoing::new(Message::new("")).group("odd");
    let answers = published(&fake, "sqs:orders.fifo", batch).await;
    assert!(
        matches!(answers[3], Err(Error::Refused { .. })),
        "{answers:?}"
    );
    assert_eq!(fake.state().bodies(), ["0", "1", "2", "4", "6", "8", "10"]);
}

#[tokio::test]
async fn a_fifo_message_is_tried_again_with_the_same_deduplication_id() {
    let fake = Fake::start(failing(&[("x", 1)])).await;
    let own = Outgoing::new(Message::new("x")).group("g");
    let id = own.message.id().to_string();
    let given = Outgoing::new(Message::new("y"))
        .group("h")
        .deduplication_id("payment-12");
    published(&fake, "sqs:orders.fifo", vec![own, given]).await;
    let state = fake.state();
    let ids = state
        .taken
        .iter()
        .map(|(body, fields)| (&**body, &*fields["MessageDeduplicationId"]));
    assert_eq!(ids.collect::<Vec<_>>(), [("y", "payment-12"), ("x", &*id)]);
}

#[tokio::test]
async fn a_group_that_sqs_would_refuse_is_reported_with_the_way_out() {
    let fake = Fake::start(State::default()).await;
    let message = || Outgoing::new(Message::new("x"));
    let batch = vec![
        message().group("g".repeat(129)),
        message().group("two words"),
        message().group("g").deduplication_id(""),
        message().group("other").deduplication_id("é"),
        message().group("!~".repeat(64)).deduplication_id("~"),
    ];
    let answers = published(&fake, "sqs:orders.fifo", batch).await;
    for (answer, what) in answers.iter().zip([
        "group has 129",
        "group has a blank",
        "deduplication id is empty",
        "deduplication id has",
    ]) {
        let said = answer.as_ref().unwrap_err().to_string();
        assert!(
            said.contains("orders.fifo") && said.contains(what) && said.contains("hash"),
            "{said}"
        );
    }
    assert!(answers[4].is_ok());
}

#[tokio::test]
async fn a_topic_takes_what_it_says_and_else_256_kib() {
    for (topic_limit, size, taken) in [
        (None, 256 * 1024, true),
        (None, 256 * 1024 + 1, false),
        (Some(1024 * 1024), 1024 * 1024, true),
        (Some(1024), 1025, false),
    ] {
        let fake = Fake::start(State {
            topic_limit,
            ..State::default()
        })
        .await;
        let large = vec![Message::new("x".repeat(size)).into()];
        let answers = published(&fake, "arn:aws:sns:us-east-1:1:orders", large).await;
        assert_eq!(
            answers[0].is_ok(),
            taken,
            "{topic_limit:?}, {size}: {answers:?}"
        );
    }
}

#[tokio::test]
async fn a_limit_that_could_not_be_read_is_asked_for_again() {
    let fake = Fake::start(State {
        topic_limit: Some(1024 * 1024),
        unreadable: true,
        ..State::default()
    })
    .await;
    let publisher = fake.sqs().publisher();
    for readable in [false, true] {
        fake.state().unreadable = !readable;
        let large = [Message::new("x".repeat(512 * 1024)).into()];
        let mut answers = Vec::new();
        let topic = Topic::from("arn:aws:sns:us-east-1:1:orders");
        publisher.publish(&topic, &large, &mut answers).await;
        assert_eq!(answers[0].is_ok(), readable, "{answers:?}");
    }
}

#[tokio::test]
async fn what_has_too_many_headers_is_refused_before_its_payload_is_stored() {
    let fake = Fake::start(State::default()).await;
    let payloads = S3Payloads::new("payloads").threshold(0);
    let publisher = fake.sqs().with_large_payloads(payloads).publisher();
    let full = (0..10).fold(Message::new("x"), |message, n| {
        message.with_header(format!("h{n}"), "v")
    });
    let mut answers = Vec::new();
    let topic = Topic::from("sqs:orders");
    publisher
        .publish(&topic, &[full.into()], &mut answers)
        .await;
    // To store it would fail: there is no S3.
    let said = answers[0].as_ref().unwrap_err().to_string();
    assert!(said.contains("10 headers"), "{said}");
}

#[tokio::test]
async fn a_trace_that_does_not_fit_is_left_out() {
    let fake = Fake::start(State::default()).await;
    let handled = Message::new("{}")
        .with_header(TRACEPARENT, "00-a-b-01")
        .with_header(TRACESTATE, "vendor=1");
    let bus = Bus::new(fake.sqs().publisher()).following(&handled);
    let full = (0..8).fold(Message::new("x"), |message, n| {
        message.with_header(format!("h{n}"), "v")
    });
    bus.send("arn:aws:sns:us-east-1:1:orders", full)
        .await
        .unwrap();
    let state = fake.state();
    let fields = &state.taken[0].1;
    let names: Vec<_> = fields
        .iter()
        .filter(|(field, _)| field.ends_with(".Name"))
        .map(|(_, name)| &**name)
        .collect();
    assert_eq!(names.len(), 10);
    assert!(
        [EVENT_ID, TRACEPARENT]
            .iter()
            .all(|name| names.contains(name))
            && !names.contains(&TRACESTATE),
        "{names:?}"
    );
}
