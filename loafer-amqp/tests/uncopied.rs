//! Messages whose retry or dead letter can't be made: what the provider answers, how soon, and what others on the connection notice.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should fail")]

mod direct;
mod private;
mod support;

use std::{slice, time::Duration};

use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable},
};
use loafer_amqp::{Declare, Options, QueueType, Receipt};
use loafer_core::{
    Error,
    broker::{Delivery, Provider, Settled, Settlement},
};
use loafer_test_servers::{Broker, Setup, Version};
use serde_json::json;

use direct::{Direct, dead_letter, retry};
use support::{Rabbit, eventually};

private::on_both!(
    a_message_that_is_too_large_is_moved_by_rabbitmq_or_refused,
    dead_letters_that_are_refused_are_answered_at_once,
    headers_that_fill_a_frame_are_refused_and_nothing_is_requeued,
);

/// The longest that an answer may take.
const SOON: Duration = Duration::from_secs(2);

async fn server(version: Version, test: &str) -> Option<(Broker, Rabbit)> {
    let broker = private::broker(version, test, &Setup::default()).await?;
    let rabbit = Rabbit::at(broker.url()).await;
    Some((broker, rabbit))
}

/// The error of an answer that has one.
fn error(answer: &Settled) -> &Error {
    match answer {
        Settled::Failed(error) => error,
        other => panic!("{other:?}"),
    }
}

/// Makes sure that a message is retried well, on the connection on which others fail.
async fn others_go_on(direct: &Direct, rabbit: &Rabbit) {
    rabbit.publish_all("", &direct.queue, &["small"]).await;
    let small = direct.receive(1).await;
    let (answers, took) = direct.settle(&small, &retry()).await;
    assert!(matches!(answers[..], [Settled::Done]), "{answers:?}");
    assert!(took < SOON, "{took:?}");
    let again = direct.receive(1).await;
    direct.settle(&again, &Settlement::Ack).await;
}

async fn a_message_that_is_too_large_is_moved_by_rabbitmq_or_refused(version: Version) {
    private::note_log();
    let test = format!("too-large-{version:?}").to_lowercase();
    let Some((broker, rabbit)) = server(version, &test).await else {
        return;
    };
    let ours = Direct::open(&broker.url(), &test, Options::new()).await;
    // One that others made: nobody knows what becomes of a message that is rejected there.
    let theirs = format!("{test}-theirs");
    let quorum = ("x-queue-type", AMQPValue::LongString("quorum".into()));
    for queue in [theirs.clone(), format!("{theirs}.dead")] {
        rabbit.declare(&queue, slice::from_ref(&quorum)).await;
    }
    let verify = Options::new().declare(Declare::Verify);
    let theirs = Direct::open(&broker.url(), &theirs, verify).await;
    let mut bodies = vec![vec![b'x'; 2 << 20]; 3];
    bodies.extend(vec![b"small".to_vec(); 20]);
    for direct in [&ours, &theirs] {
        rabbit.publish_all("", &direct.queue, &bodies).await;
        direct.provider.set_capacity(200);
    }
    // RabbitMQ 3 reads the first for each channel, and RabbitMQ 4 the second.
    let set = "application:set_env(rabbit, max_message_size, 1048576), persistent_term:put(max_message_size, 1048576).";
    broker.ctl(&["eval", set]).await;
    for direct in [&ours, &theirs] {
        let dead_letter = dead_letter(&direct.queue);
        let queue = format!("{}.dead", direct.queue);
        let mut all = receive_by_tens(direct, &dead_letter, 23).await;
        assert_eq!(all.len(), 23);
        all.sort_by_key(|(delivery, ..)| delivery.message.payload().len());
        let large = all.split_off(20);
        for (_, answer, took) in &all {
            assert!(matches!(answer, Settled::Done), "{answer:?}");
            assert!(*took < SOON, "{took:?}");
        }
        for (delivery, answer, took) in large {
            assert!(took < SOON, "{took:?}");
            let id = delivery.message.id().to_string();
            if direct.queue == ours.queue {
                assert!(matches!(answer, Settled::Done), "{answer:?}");
                let said = private::logged(&id);
                let [line] = &said[..] else {
                    panic!("{said:?}");
                };
                for part in [
                    &*queue,
                    "1048576",
                    "max_message_size",
                    "without an envelope",
                ] {
                    assert!(line.contains(part), "{part} is not in {line}");
                }
                continue;
            }
            // No more can be retried what stays.
            let (retried, took) = direct.settle(slice::from_ref(&delivery), &retry()).await;
            assert!(took < SOON, "{took:?}");
            assert!(!error(&retried[0]).is_transient(), "{retried:?}");
            assert!(direct.provider.is_live(&delivery.receipt));
            let error = error(&answer);
            assert!(!error.is_transient(), "{error}");
            for part in [&*id, &*queue, "2097152", "1048576", "max_message_size"] {
                assert!(error.to_string().contains(part), "{part} is not in {error}");
            }
        }
        let moved = if direct.queue == ours.queue { 23 } else { 20 };
        // No confirm of the small ones was lost with the channel.
        rabbit.depth_is(&queue, moved).await;
        others_go_on(direct, &rabbit).await;
    }
    for direct in [ours, theirs] {
        direct.provider.close().await;
    }
}

/// Receives messages and settles them, ten at a time. Returns each with its answer and how long that took.
async fn receive_by_tens(
    direct: &Direct,
    settlement: &Settlement,
    messages: usize,
) -> Vec<(Delivery<Receipt>, Settled, Duration)> {
    let mut all = Vec::new();
    while all.len() < messages {
        let received = direct.receive(10.min(messages - all.len())).await;
        let (answers, took) = direct.settle(&received, settlement).await;
        let answered = received.into_iter().zip(answers);
        all.extend(answered.map(|(delivery, answer)| (delivery, answer, took)));
        if all
            .iter()
            .any(|(_, answer, _)| matches!(answer, Settled::Failed(_)))
        {
            // Those keep their place.
            direct.provider.set_capacity(200 + all.len());
        }
    }
    all
}

async fn dead_letters_that_are_refused_are_answered_at_once(version: Version) {
    let test = format!("refused-{version:?}").to_lowercase();
    let Some((broker, rabbit)) = server(version, &test).await else {
        return;
    };
    let direct = Direct::open(&broker.url(), &test, Options::new()).await;
    direct.provider.set_capacity(200);
    let (dead, dead_letter) = (format!("{test}.dead"), dead_letter(&test));
    let policies = [
        json!({"max-length": 1, "overflow": "reject-publish"}),
        json!({"max-length-bytes": 10, "overflow": "reject-publish"}),
    ];
    let management = broker.management();
    for policy in policies {
        let policy = json!({"pattern": "\\.dead$", "definition": policy, "apply-to": "queues"});
        management.put("policies/%2f/full", &policy).await;
        rabbit.depth_is(&dead, 0).await;
        // A quorum queue is a message or two late to say that it is full.
        rabbit.publish_all("", &dead, &["fills it"; 5]).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        rabbit.publish_all("", &test, &["1", "2", "3"]).await;
        let rejected = direct.receive(3).await;
        for (settlement, to) in [(&dead_letter, "dead"), (&retry(), "retried")] {
            let (answers, took) = direct.settle(&rejected, settlement).await;
            assert!(took < SOON, "{took:?}");
            for (answer, delivery) in answers.iter().zip(&rejected) {
                if to == "retried" {
                    assert!(matches!(answer, Settled::Done), "{answer:?}");
                    continue;
                }
                let error = error(answer);
                assert!(error.is_transient(), "{error}");
                let id = delivery.message.id().to_string();
                for part in [&*id, &*dead, "full"] {
                    assert!(error.to_string().contains(part), "{part} is not in {error}");
                }
            }
        }
        let again = direct.receive(3).await;
        direct.settle(&again, &Settlement::Ack).await;
        management.delete("policies/%2f/full").await;
        while rabbit.get(&dead).await.is_some() {}
    }
    // RabbitMQ 3 goes on refusing on channels on which it did, although the limit is gone.
    rabbit.publish_all("", &test, &["1"]).await;
    let rejected = direct.receive(1).await;
    eventually("the dead letter is made", async || {
        let (answers, _) = direct.settle(&rejected, &dead_letter).await;
        matches!(answers[..], [Settled::Done])
    })
    .await;
    rabbit.delete(&dead).await;
    rabbit.publish_all("", &test, &["1", "2", "3"]).await;
    let rejected = direct.receive(3).await;
    let (answers, took) = direct.settle(&rejected, &dead_letter).await;
    assert!(took < SOON, "{took:?}");
    let no_target = |answer: &Settled| matches!(answer, Settled::NoDeadLetterTarget);
    assert!(answers.iter().all(no_target), "{answers:?}");
    direct.settle(&rejected, &Settlement::Ack).await;
    // The delay queue as well: it is made again.
    rabbit.delete(&format!("{test}.delays.1s")).await;
    rabbit.publish_all("", &test, &["4"]).await;
    let retried = direct.receive(1).await;
    let (answers, _) = direct.settle(&retried, &retry()).await;
    assert!(error(&answers[0]).is_transient(), "{answers:?}");
    let (answers, _) = direct.settle(&retried, &retry()).await;
    assert!(matches!(answers[..], [Settled::Done]), "{answers:?}");
    // While RabbitMQ is short of memory, no answer waits for the end of that, once one copy on the connection waits for it.
    rabbit.publish_all("", &test, &["5", "6", "7"]).await;
    let retried = direct.receive(4).await;
    broker.raise_memory_alarm().await;
    let retry = retry();
    let first = direct.settle(&retried[..1], &retry);
    let others = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let (answers, took) = direct.settle(&retried[1..], &retry).await;
        assert!(took < SOON, "{took:?}");
        for answer in &answers {
            assert!(error(answer).is_transient(), "{answer:?}");
        }
        broker.clear_memory_alarm().await;
    };
    let ((answers, _), ()) = tokio::join!(first, others);
    assert!(matches!(answers[..], [Settled::Done]), "{answers:?}");
    direct.provider.close().await;
}

async fn headers_that_fill_a_frame_are_refused_and_nothing_is_requeued(version: Version) {
    let test = format!("frames-{version:?}").to_lowercase();
    let Some((broker, rabbit)) = server(version, &test).await else {
        return;
    };
    for kind in [QueueType::Classic, QueueType::Quorum] {
        let queue = format!("{test}-{kind:?}").to_lowercase();
        let direct = Direct::open(&broker.url(), &queue, Options::new().queue_type(kind)).await;
        for bytes in [130_000, 130_700, 130_850, 131_000] {
            let mut headers = FieldTable::default();
            let value = "x".repeat(bytes - "filling".len() - 6);
            headers.insert("filling".into(), AMQPValue::LongString(value.into()));
            let id = format!("{bytes}");
            let properties = BasicProperties::default()
                .with_message_id(id.as_str().into())
                .with_headers(headers);
            rabbit.publish("", &queue, "body", properties).await;
            let received = direct.receive(1).await;
            let (answers, took) = direct.settle(&received, &retry()).await;
            assert!(took < SOON, "{took:?}");
            let fits = bytes == 130_000;
            if fits {
                assert!(matches!(answers[..], [Settled::Done]), "{answers:?}");
            } else {
                let error = error(&answers[0]);
                assert!(!error.is_transient(), "{error}");
                for part in [&*id, "131072", "frame_max"] {
                    assert!(error.to_string().contains(part), "{part} is not in {error}");
                }
            }
            let more = direct.receive_for(Duration::from_secs(5)).await;
            assert_eq!(more.len(), usize::from(fits), "{kind:?} {bytes}: {more:?}");
            let there = if fits { &more } else { &received };
            assert!(direct.provider.is_live(&there[0].receipt), "{bytes}");
            // Where RabbitMQ moves it by itself, it must be possible to read it afterwards.
            let (answers, _) = direct.settle(there, &dead_letter(&queue)).await;
            match &answers[..] {
                [Settled::Done] => assert!(bytes <= 130_700, "{bytes}"),
                [answer] => assert!(!error(answer).is_transient() && bytes >= 130_700, "{bytes}"),
                other => panic!("{other:?}"),
            }
            if !matches!(answers[..], [Settled::Done]) {
                direct.settle(there, &Settlement::Ack).await;
            }
            others_go_on(&direct, &rabbit).await;
        }
        direct.provider.close().await;
    }
}
