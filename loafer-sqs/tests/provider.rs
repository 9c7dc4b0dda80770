//! The provider against real servers: receive, settle, renew.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should fail")]

mod support;

use std::time::Duration;

use loafer_core::{
    Error,
    broker::{Broker, DeadLetter, NoOptions, Open, Provider, Renewed, Settled, Settlement, Source},
    message::{Message, Outgoing},
};
use support::{entry, envelope};

fn all_done(answers: &[Settled]) -> bool {
    answers.iter().all(|answer| matches!(answer, Settled::Done))
}

async fn a_message_comes_with_all_it_has(server: support::Server) {
    let queue = server.queue("fields", Some(Duration::from_secs(30))).await;
    let ids = queue
        .send(vec![
            Message::new(r#"{"id":1}"#)
                .with_header("tenant", "acme")
                .into(),
        ])
        .await;
    let first = queue.receive(1).await;
    let message = &first[0].message;
    assert_eq!(message.id(), &ids[0]);
    assert_eq!(&message.payload()[..], br#"{"id":1}"#);
    assert_eq!(message.headers().get("tenant"), Some("acme"));
    assert_eq!(message.attempt(), 1);
    assert!(message.sent_at().is_some());

    assert!(all_done(&queue.settle(&first, Settlement::Release).await));
    let second = queue.receive(1).await;
    assert_eq!(second[0].message.attempt(), 2);
    assert!(all_done(&queue.settle(&second, Settlement::Ack).await));
    assert_eq!(queue.depth().await, 0);
}

async fn settlements_of_all_kinds_share_a_batch(server: support::Server) {
    let queue = server.queue("batch", Some(Duration::from_secs(30))).await;
    queue
        .send(
            (0..25)
                .map(|n| Message::new(n.to_string()).into())
                .collect(),
        )
        .await;
    let deliveries = queue.receive(25).await;
    let entries: Vec<_> = deliveries
        .iter()
        .enumerate()
        .map(|(n, delivery)| {
            let settlement = match n {
                0 => Settlement::Release,
                1 => Settlement::Retry {
                    after: Some(Duration::from_millis(1)),
                },
                2 => Settlement::Retry { after: None },
                3 => Settlement::Retry {
                    after: Some(Duration::from_secs(13 * 3600)),
                },
                _ => Settlement::Ack,
            };
            entry(delivery, settlement)
        })
        .collect();
    let mut answers = Vec::new();
    queue.provider.settle(&entries, &mut answers).await;
    assert_eq!(answers.len(), 25);
    assert!(all_done(&answers), "{answers:?}");

    let mut again: Vec<_> = queue
        .receive(2)
        .await
        .into_iter()
        .map(|delivery| delivery.message.id().clone())
        .collect();
    let mut expected = vec![
        entries[0].message.id().clone(),
        entries[1].message.id().clone(),
    ];
    again.sort();
    expected.sort();
    assert_eq!(again, expected);
    assert_eq!(queue.depth().await, 4);
}

async fn a_rejected_message_moves_with_its_envelope(server: support::Server) {
    let queue = server.queue("reject", None).await;
    let headers = |count: u32| {
        (0..count).fold(Message::new("body"), |m, n| {
            m.with_header(format!("h{n}"), "v")
        })
    };
    queue
        .send(vec![headers(2).into(), headers(10).into()])
        .await;
    let deliveries = queue.receive(2).await;
    let dead_letter = Settlement::DeadLetter(envelope("no such customer"));
    assert!(all_done(&queue.settle(&deliveries, dead_letter).await));
    assert_eq!(queue.depth().await, 0);

    let dead = support::receive(&queue.dead_letters().await, 2).await;
    for delivery in &dead {
        assert_eq!(&delivery.message.payload()[..], b"body");
        let envelope = DeadLetter::of(&delivery.message).unwrap();
        assert_eq!(envelope.reason.as_deref(), Some("no such customer"));
    }
    let mut counts: Vec<_> = dead
        .iter()
        .map(|delivery| delivery.message.headers().len())
        .collect();
    counts.sort_unstable();
    // fauxqs does not say whose dead letters these are, so the header that is folded stays so.
    assert!(matches!(counts[..], [3, 10 | 11]), "{counts:?}");
}

async fn without_redrive_a_rejected_message_stays(server: support::Server) {
    let queue = server.queue("plain", None).await;
    // The dead-letter queue itself has none.
    let dead_letters = queue.dead_letters().await;
    let name = format!("sqs:{}-dlq", queue.name);
    support::publish(&queue.publisher, &name, vec![Message::new("x").into()]).await;
    let delivery = support::receive(&dead_letters, 1).await;
    let mut answers = Vec::new();
    dead_letters
        .settle(
            &[entry(&delivery[0], Settlement::DeadLetter(envelope("r")))],
            &mut answers,
        )
        .await;
    assert!(
        matches!(answers[..], [Settled::NoDeadLetterTarget]),
        "{answers:?}"
    );
}

async fn a_copy_that_cannot_be_made_keeps_the_message(server: support::Server) {
    let queue = server.queue("nodlq", None).await;
    let url = queue
        .client
        .get_queue_url()
        .queue_name(format!("{}-dlq", queue.name))
        .send()
        .await
        .unwrap();
    queue
        .client
        .delete_queue()
        .set_queue_url(url.queue_url)
        .send()
        .await
        .unwrap();
    queue.send(vec![Message::new("x").into()]).await;
    let delivery = queue.receive(1).await;
    let answers = queue
        .settle(&delivery, Settlement::DeadLetter(envelope("r")))
        .await;
    assert!(
        matches!(&answers[..], [Settled::Failed(error)] if !error.is_transient()),
        "{answers:?}"
    );
    assert_eq!(queue.depth().await, 1);
}

async fn a_renewed_lease_outlives_the_first(server: support::Server) {
    let queue = server.queue("renew", Some(Duration::from_secs(1))).await;
    queue
        .send(vec![
            Message::new("kept").into(),
            Message::new("let go").into(),
        ])
        .await;
    let mut deliveries = queue.receive(2).await;
    deliveries.sort_by_key(|delivery| delivery.message.payload().len());
    let mut answers = Vec::new();
    queue
        .provider
        .renew(
            &[deliveries[0].receipt.clone()],
            Duration::from_secs(30),
            &mut answers,
        )
        .await;
    assert!(matches!(answers[..], [Renewed::Done]), "{answers:?}");
    // The other is redelivered when the lease of both would be over.
    let again = queue.receive(1).await;
    assert_eq!(&again[0].message.payload()[..], b"let go");
    let mut none = Vec::new();
    queue
        .provider
        .receive(10, Duration::ZERO, &mut none)
        .await
        .unwrap();
    assert!(none.is_empty());
}

async fn a_group_is_kept_in_order(server: support::Server) {
    let queue = server
        .queue("fifo.fifo", Some(Duration::from_secs(30)))
        .await;
    let outgoing = |n: u32| Outgoing::from(Message::new(n.to_string()).with_group("g"));
    queue.send((0..12).map(outgoing).collect()).await;
    for n in 0..12_u32 {
        let delivery = queue.receive(1).await;
        assert_eq!(&delivery[0].message.payload()[..], n.to_string().as_bytes());
        assert_eq!(delivery[0].message.group(), Some("g"));
        assert!(all_done(&queue.settle(&delivery, Settlement::Ack).await));
    }
}

async fn a_fifo_message_moves_to_a_fifo_dead_letter_queue(server: support::Server) {
    let queue = server
        .queue("dead.fifo", Some(Duration::from_secs(30)))
        .await;
    queue
        .send(vec![Message::new("x").with_group("g").into()])
        .await;
    let delivery = queue.receive(1).await;
    assert!(all_done(
        &queue
            .settle(&delivery, Settlement::DeadLetter(envelope("r")))
            .await
    ));
    let dead = support::receive(&queue.dead_letters().await, 1).await;
    assert_eq!(dead[0].message.group(), Some("g"));
    assert!(DeadLetter::of(&dead[0].message).is_some());
}

on_both! {
    a_message_comes_with_all_it_has
    settlements_of_all_kinds_share_a_batch
    a_rejected_message_moves_with_its_envelope
    without_redrive_a_rejected_message_stays
    a_copy_that_cannot_be_made_keeps_the_message
    a_renewed_lease_outlives_the_first
    a_group_is_kept_in_order
    a_fifo_message_moves_to_a_fifo_dead_letter_queue
}

/// fauxqs forgives a wrong handle; ElasticMQ, as AWS, does not.
#[tokio::test]
async fn a_stale_receipt_fails_alone() {
    let server = server!("LOAFER_TEST_ELASTICMQ", "a_stale_receipt_fails_alone");
    let queue = server.queue("stale", Some(Duration::from_secs(1))).await;
    queue.send(vec![Message::new("stale").into()]).await;
    let old = queue.receive(1).await;
    let new = queue.receive(1).await;
    assert_eq!(new[0].message.attempt(), 2);
    queue.send(vec![Message::new("fresh").into()]).await;
    let fresh = queue.receive(1).await;

    let entries = [
        entry(&old[0], Settlement::Ack),
        entry(&fresh[0], Settlement::Ack),
    ];
    let mut answers = Vec::new();
    queue.provider.settle(&entries, &mut answers).await;
    assert!(
        matches!(answers[..], [Settled::Lost, Settled::Done]),
        "{answers:?}"
    );
}

#[tokio::test]
async fn a_message_deleted_twice_is_deleted() {
    let server = server!("LOAFER_TEST_FAUXQS", "a_message_deleted_twice_is_deleted");
    let queue = server.queue("twice", Some(Duration::from_secs(30))).await;
    queue.send(vec![Message::new("x").into()]).await;
    let delivery = queue.receive(1).await;
    assert!(all_done(&queue.settle(&delivery, Settlement::Ack).await));
    assert!(all_done(&queue.settle(&delivery, Settlement::Ack).await));
}

#[tokio::test]
async fn the_lease_of_a_deleted_message_is_lost() {
    let server = server!(
        "LOAFER_TEST_ELASTICMQ",
        "the_lease_of_a_deleted_message_is_lost"
    );
    let queue = server.queue("gone", Some(Duration::from_secs(30))).await;
    queue.send(vec![Message::new("x").into()]).await;
    let delivery = queue.receive(1).await;
    assert!(all_done(&queue.settle(&delivery, Settlement::Ack).await));
    let mut answers = Vec::new();
    queue
        .provider
        .renew(
            &[delivery[0].receipt.clone()],
            Duration::from_secs(30),
            &mut answers,
        )
        .await;
    assert!(matches!(answers[..], [Renewed::Lost]), "{answers:?}");
}

/// Deleting fails with a stale receipt; the copy was confirmed before, and is not made again.
#[tokio::test]
async fn a_dead_letter_is_copied_once_however_often_it_is_settled() {
    let server = server!(
        "LOAFER_TEST_ELASTICMQ",
        "a_dead_letter_is_copied_once_however_often_it_is_settled"
    );
    let queue = server.queue("once", Some(Duration::from_secs(1))).await;
    queue.send(vec![Message::new("x").into()]).await;
    let stale = queue.receive(1).await;
    let fresh = queue.receive(1).await;
    assert_eq!(fresh[0].message.attempt(), 2);
    for _ in 0..2 {
        let answers = queue
            .settle(&stale, Settlement::DeadLetter(envelope("r")))
            .await;
        assert!(matches!(answers[..], [Settled::Lost]), "{answers:?}");
    }
    let dead_letters = queue.dead_letters().await;
    support::receive(&dead_letters, 1).await;
    let mut more = Vec::new();
    dead_letters
        .receive(10, Duration::ZERO, &mut more)
        .await
        .unwrap();
    assert!(more.is_empty());
    assert_eq!(queue.depth().await, 1);
}

#[tokio::test]
async fn futures_are_small() {
    let provider = loafer_sqs::Sqs::default()
        .provider(&Source::new("r", "q"), &NoOptions::default())
        .unwrap();
    let (mut into, mut settled, mut renewed) = (Vec::new(), Vec::new(), Vec::new());
    let sizes = [
        size_of_val(&provider.receive(10, Duration::ZERO, &mut into)),
        size_of_val(&provider.settle(&[], &mut settled)),
        size_of_val(&provider.renew(&[], Duration::ZERO, &mut renewed)),
        size_of_val(&provider.open(Open::Existing)),
    ];
    assert!(sizes.iter().all(|size| *size <= 2048), "{sizes:?}");
}

#[tokio::test]
async fn a_fifo_message_whose_delivery_was_lost_comes_with_the_next_receive() {
    let server = server!(
        "LOAFER_TEST_ELASTICMQ",
        "a_fifo_message_whose_delivery_was_lost_comes_with_the_next_receive"
    );
    let queue = server
        .queue("lost.fifo", Some(Duration::from_secs(30)))
        .await;
    let provider = queue
        .provider_at(&support::losing(&server, b"ReceiptHandle").await)
        .await;
    queue
        .send(vec![Message::new("x").with_group("g").into()])
        .await;

    let mut deliveries = Vec::new();
    let error = provider
        .receive(10, Duration::ZERO, &mut deliveries)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    provider
        .receive(10, Duration::ZERO, &mut deliveries)
        .await
        .unwrap();
    assert_eq!(deliveries.len(), 1, "well before its lease of 30 s is over");
}
