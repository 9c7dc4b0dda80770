//! Messages that are handed over alone.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should fail")]

mod counted;
mod private;
mod support;

use std::{sync::Arc, time::Duration};

use counted::{done, given, one, open, open_with, settle};
use futures_util::FutureExt;
use lapin::{BasicProperties, types::AMQPValue};
use loafer_amqp::{AmqpProvider, Declare, Options, Receipt};
use loafer_core::broker::{Broker as _, DeadLetter, Isolated, Provider as _, Settled, Settlement};
use loafer_test_servers::Version;
use support::{Rabbit, unique};
use tokio::time::{sleep, timeout};

private::on_both!(all:
    a_message_that_is_lost_three_times_while_it_is_alone_crashed,
    a_release_while_it_is_alone_ends_a_row_of_losses,
    a_queue_that_does_not_count_takes_the_first_loss_for_a_crash,
    what_is_released_did_not_crash,
    the_next_comes_once_the_one_before_is_settled,
    nothing_is_isolated_while_a_message_is_alone,
    an_isolated_message_is_settled_like_any_other,
    a_route_that_isolated_nothing_has_no_queue_for_it,
);

const RETRY: Settlement = Settlement::Retry {
    after: Some(Duration::from_secs(1)),
};

/// A provider with one isolated message.
async fn isolating(rabbit: &Rabbit, queue: &str) -> (loafer_amqp::Amqp, AmqpProvider) {
    let amqp = rabbit.amqp();
    let provider = open(&amqp, queue).await;
    let properties = BasicProperties::default().with_message_id("seven".into());
    rabbit.publish("", queue, "7", properties).await;
    let delivery = one(&provider).await;
    done(&provider, &delivery, Settlement::Isolate).await;
    rabbit.depth_is(&format!("{queue}.isolated"), 1).await;
    (amqp, provider)
}

async fn got(provider: &AmqpProvider) -> Option<Isolated<Receipt>> {
    let isolated = provider.receive_isolated().await.unwrap()?;
    let message = &isolated.delivery.message;
    assert_eq!(message.id().to_string(), "seven");
    // The topic is the routing key that it came with, and not the queue that it is in now.
    assert!(!message.topic().unwrap().ends_with(".isolated"));
    Some(isolated)
}

async fn a_message_that_is_lost_three_times_while_it_is_alone_crashed(version: Version) {
    let Some(rabbit) = given(version, "crashed").await else {
        return;
    };
    let queue = unique("crashed");
    let (mut amqp, mut provider) = isolating(&rabbit, &queue).await;
    let mut lost = None;
    // It was delivered once before it was isolated.
    for deliveries in 2..5 {
        let isolated = got(&provider).await.unwrap();
        assert!(!isolated.crashed, "delivery {deliveries}");
        let message = &isolated.delivery.message;
        assert_eq!((message.attempt(), message.deliveries()), (1, deliveries));
        assert!(provider.is_live(&isolated.delivery.receipt));
        let beside = timeout(Duration::from_millis(200), provider.receive_isolated()).await;
        assert!(beside.is_err(), "one at a time");
        // Its channel was the second of its provider, and those of the others are the first.
        lost.get_or_insert(isolated.delivery);
        drop(provider);
        amqp.close().await;
        amqp = rabbit.amqp();
        provider = open(&amqp, &queue).await;
    }
    let lost = lost.unwrap();
    let again = got(&provider).await.unwrap();
    assert!(again.crashed);
    let message = &again.delivery.message;
    assert_eq!((message.attempt(), message.deliveries()), (1, 5));
    let late = settle(&provider, &lost, Settlement::Ack).await;
    assert!(matches!(late, Settled::Lost), "{late:?}");
    done(
        &provider,
        &again.delivery,
        Settlement::DeadLetter(envelope()),
    )
    .await;
    assert!(!provider.is_live(&lost.receipt));
    assert!(got(&provider).await.is_none());
    assert_eq!(rabbit.depth(&format!("{queue}.dead")).await, 1);
    provider.close().await;
    rabbit.clean(&queue).await;
}

/// A release starts anew what counts against it, and goes on with the deliveries.
async fn a_release_while_it_is_alone_ends_a_row_of_losses(version: Version) {
    let Some(rabbit) = given(version, "row").await else {
        return;
    };
    let queue = unique("row");
    let (mut amqp, mut provider) = isolating(&rabbit, &queue).await;
    for _ in 0..2 {
        assert!(!got(&provider).await.unwrap().crashed);
        drop(provider);
        amqp.close().await;
        amqp = rabbit.amqp();
        provider = open(&amqp, &queue).await;
    }
    let third = got(&provider).await.unwrap();
    done(&provider, &third.delivery, Settlement::Release).await;
    let fourth = got(&provider).await.unwrap();
    assert!(!fourth.crashed && fourth.delivery.message.deliveries() == 5);
    drop(provider);
    amqp.close().await;
    let amqp = rabbit.amqp();
    let provider = open(&amqp, &queue).await;
    let fifth = got(&provider).await.unwrap();
    assert!(!fifth.crashed && fifth.delivery.message.deliveries() == 6);
    done(&provider, &fifth.delivery, RETRY).await;
    // A retry starts its deliveries anew.
    let retried = one(&provider).await;
    let message = &retried.message;
    assert_eq!((message.attempt(), message.deliveries()), (2, 2));
    done(&provider, &retried, Settlement::Ack).await;
    provider.close().await;
    rabbit.clean(&queue).await;
}

/// A queue that does not count, as an administrator may have made it.
async fn a_queue_that_does_not_count_takes_the_first_loss_for_a_crash(version: Version) {
    let Some(rabbit) = given(version, "uncounted").await else {
        return;
    };
    let queue = unique("uncounted");
    rabbit.declare(&format!("{queue}.isolated"), &[]).await;
    let (amqp, provider) = isolating(&rabbit, &queue).await;
    assert!(!got(&provider).await.unwrap().crashed);
    drop(provider);
    amqp.close().await;
    let amqp = rabbit.amqp();
    let provider = open(&amqp, &queue).await;
    let again = got(&provider).await.unwrap();
    assert!(again.crashed && again.delivery.message.deliveries() == 3);
    done(&provider, &again.delivery, Settlement::Ack).await;
    provider.close().await;
    rabbit.clean(&queue).await;
}

async fn what_is_released_did_not_crash(version: Version) {
    let Some(rabbit) = given(version, "released").await else {
        return;
    };
    let queue = unique("released");
    let (amqp, provider) = isolating(&rabbit, &queue).await;
    let isolated = got(&provider).await.unwrap();
    done(&provider, &isolated.delivery, Settlement::Release).await;
    let isolated = got(&provider).await.unwrap();
    assert!(!isolated.crashed, "released");
    // The end of the route, while its handler is at work.
    provider.close().await;
    let provider = open(&amqp, &queue).await;
    let isolated = got(&provider).await.unwrap();
    assert!(!isolated.crashed, "released at the end");
    done(&provider, &isolated.delivery, Settlement::Release).await;
    // Nobody waits for it any more.
    assert!(provider.receive_isolated().now_or_never().is_none());
    provider.close().await;
    let provider = open(&amqp, &queue).await;
    let isolated = got(&provider).await.unwrap();
    assert!(!isolated.crashed, "not waited for");
    done(&provider, &isolated.delivery, Settlement::Ack).await;
    assert!(got(&provider).await.is_none());
    provider.close().await;
    rabbit.clean(&queue).await;
}

async fn the_next_comes_once_the_one_before_is_settled(version: Version) {
    let Some(rabbit) = given(version, "next").await else {
        return;
    };
    let queue = unique("next");
    let (_amqp, provider) = isolating(&rabbit, &queue).await;
    let properties = BasicProperties::default().with_message_id("seven".into());
    rabbit.publish("", &queue, "7", properties).await;
    let second = one(&provider).await;
    done(&provider, &second, Settlement::Isolate).await;
    let first = got(&provider).await.unwrap();
    // The engine asks once no handler runs: the ack may be on its way.
    let ack = async {
        sleep(Duration::from_millis(50)).await;
        done(&provider, &first.delivery, Settlement::Ack).await;
    };
    let (next, ()) = tokio::join!(got(&provider), ack);
    let next = next.unwrap();
    assert!(!next.crashed);
    done(&provider, &next.delivery, Settlement::Ack).await;
    assert!(got(&provider).await.is_none());
    provider.close().await;
    rabbit.clean(&queue).await;
}

async fn nothing_is_isolated_while_a_message_is_alone(version: Version) {
    let Some(rabbit) = given(version, "beside").await else {
        return;
    };
    let queue = unique("beside");
    let (_amqp, provider) = isolating(&rabbit, &queue).await;
    let alone = got(&provider).await.unwrap();
    let properties = BasicProperties::default().with_message_id("seven".into());
    rabbit.publish("", &queue, "7", properties).await;
    let beside = one(&provider).await;
    // If the process ended now, a copy would be one too many.
    let early = async {
        sleep(Duration::from_millis(200)).await;
        assert_eq!(rabbit.depth(&format!("{queue}.isolated")).await, 0);
        done(&provider, &alone.delivery, Settlement::Ack).await;
    };
    tokio::join!(done(&provider, &beside, Settlement::Isolate), early);
    let next = got(&provider).await.unwrap();
    assert!(!next.crashed);
    done(&provider, &next.delivery, Settlement::Ack).await;
    provider.close().await;
    rabbit.clean(&queue).await;
}

async fn an_isolated_message_is_settled_like_any_other(version: Version) {
    let Some(rabbit) = given(version, "settled").await else {
        return;
    };
    let queue = unique("settled");
    let (_amqp, provider) = isolating(&rabbit, &queue).await;
    let isolated = got(&provider).await.unwrap();
    done(&provider, &isolated.delivery, RETRY).await;
    let retried = one(&provider).await;
    assert_eq!(retried.message.attempt(), 2);
    let first = retried.message.first_failed_at();
    assert!(first.is_some());
    done(&provider, &retried, Settlement::Isolate).await;
    let isolated = got(&provider).await.unwrap();
    let message = &isolated.delivery.message;
    assert_eq!((message.attempt(), message.first_failed_at()), (2, first));
    done(&provider, &isolated.delivery, Settlement::Ack).await;
    assert!(got(&provider).await.is_none());
    provider.close().await;
    for of in ["", ".isolated", ".dead"] {
        assert_eq!(rabbit.depth(&format!("{queue}{of}")).await, 0);
    }
    rabbit.clean(&queue).await;
}

async fn a_route_that_isolated_nothing_has_no_queue_for_it(version: Version) {
    let Some(rabbit) = given(version, "nothing").await else {
        return;
    };
    let queue = unique("nothing");
    let isolated = format!("{queue}.isolated");
    let amqp = rabbit.amqp();
    let provider = open(&amqp, &queue).await;
    assert!(got(&provider).await.is_none());
    assert!(rabbit.counts(&isolated).await.is_none(), "it was made");
    provider.close().await;
    // One that may make none says so, and finds the one that others made.
    let options = Options::new().exchange("").declare(Declare::Off);
    let provider = open_with(&amqp, &queue, options).await;
    rabbit
        .publish("", &queue, "7", BasicProperties::default())
        .await;
    let delivery = one(&provider).await;
    let refused = settle(&provider, &delivery, Settlement::Isolate).await;
    let Settled::Failed(error) = refused else {
        panic!("{refused:?}");
    };
    assert!(
        !error.is_transient() && error.to_string().contains(&isolated),
        "{error}"
    );
    let quorum = ("x-queue-type", AMQPValue::LongString("quorum".into()));
    rabbit.declare(&isolated, &[quorum]).await;
    done(&provider, &delivery, Settlement::Isolate).await;
    let isolated = provider.receive_isolated().await.unwrap().unwrap();
    done(&provider, &isolated.delivery, Settlement::Ack).await;
    provider.close().await;
    rabbit.clean(&queue).await;
}

fn envelope() -> Arc<DeadLetter> {
    Arc::new(DeadLetter {
        event_id: "e-1".into(),
        message_id: "1".into(),
        correlation_id: None,
        route: "orders".into(),
        queue: "orders".into(),
        topic: None,
        handler: "test".into(),
        attempts: 1,
        deliveries: 2,
        first_failed_at: None,
        failed_at: "2026-01-01T00:00:00Z".into(),
        kind: "crash".into(),
        reason: None,
        retried_from: None,
    })
}
