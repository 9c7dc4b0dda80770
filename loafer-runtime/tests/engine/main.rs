//! The engine on a scripted broker: what no broker does on demand.

#![allow(
    clippy::unwrap_used,
    reason = "outside of a test function, a helper panics as one"
)]

mod blocking;
mod call_slots;
mod defaults;
mod envelopes;
mod failure_lines;
mod groups;
mod layers;
mod leaving;
#[path = "../support/logged.rs"]
mod logged;
mod lost_leases;
mod opened;
mod panics;
mod pauses;
mod poisons;
mod receiving;
mod redelivered;
mod renewals;
mod scripted;
mod senders_ids;
mod settling;
mod warnings;

use std::time::Duration;

use loafer_runtime::program::RouteOptions;
use tokio::time::{Instant, sleep};

use self::scripted::{Answer, Scripted};

#[tokio::test(start_paused = true)]
async fn acks_of_quick_messages_wait_a_linger_and_not_for_slow_ones() {
    let slow = (0..9).map(|number| 600_000 + number);
    let broker = Scripted::default()
        .then(Duration::ZERO, slow)
        .then(Duration::from_secs(5), 1..=5);
    let started = Instant::now();
    let handler = |milliseconds| {
        Duration::from_millis(if milliseconds < 600_000 {
            0
        } else {
            milliseconds
        })
    };
    let _running = broker.start(RouteOptions::new(), handler).await;
    sleep(Duration::from_secs(8)).await;
    let acked = broker.acked();
    assert_eq!(acked.len(), 5);
    assert!(
        acked
            .iter()
            .all(|(_, at)| *at <= started + Duration::from_secs(7)),
        "{acked:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_refused_renewal_does_not_touch_the_next_message_of_its_slot() {
    let broker = Scripted::default()
        .then(Duration::ZERO, [22_000])
        .then(Duration::from_secs(23), [10_000]);
    broker.0.lock().unwrap().renewals_are_refused_after = Some(Duration::from_secs(5));
    let options = RouteOptions::new().concurrency(1).prefetch(1);
    let running = broker.start(options, Duration::from_millis).await;
    sleep(Duration::from_secs(40)).await;
    let acked: Vec<_> = broker
        .acked()
        .into_iter()
        .map(|(payload, _)| payload)
        .collect();
    assert_eq!(acked, ["22000", "10000"], "{:?}", running.stats("r"));
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_can_not_be_renewed_cancels_its_handler_and_sends_nothing() {
    let broker = Scripted::default().then(Duration::ZERO, [100_000]);
    broker.0.lock().unwrap().renewals_are_refused_after = Some(Duration::ZERO);
    let running = broker
        .start(RouteOptions::new(), Duration::from_millis)
        .await;
    sleep(Duration::from_secs(200)).await;
    assert_eq!(broker.acked(), []);
    assert_eq!(running.stats("r").unwrap().lost, 1);
    assert_eq!(running.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_waits_behind_a_lost_lease_is_never_run() {
    let broker = Scripted::default().then(Duration::ZERO, [100_000, 1, 2]);
    {
        let mut script = broker.0.lock().unwrap();
        script.ordered = true;
        script.renewals_are_refused_after = Some(Duration::ZERO);
    }
    let running = broker
        .start(RouteOptions::new(), Duration::from_millis)
        .await;
    sleep(Duration::from_secs(200)).await;
    assert_eq!(broker.acked(), []);
    let stats = running.stats("r").unwrap();
    assert_eq!((stats.received, stats.acked), (3, 0));
    assert_eq!(running.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_failed_of_a_batch_is_settled_again_alone() {
    let broker = Scripted::default()
        .then(Duration::ZERO, 0..10)
        .answering(3, Answer::Failed)
        .answering(3, Answer::Failed)
        .answering(7, Answer::Failed);
    let running = broker.start(RouteOptions::new(), |_| Duration::ZERO).await;
    sleep(Duration::from_secs(10)).await;
    assert_eq!(running.stats("r").unwrap().acked, 10);
    let script = broker.0.lock().unwrap();
    assert_eq!(script.settled.len(), 3);
    assert_eq!(script.settled[0].len(), 10);
    assert_eq!(script.settled[1..], [vec![3, 7], vec![3]]);
}

#[tokio::test(start_paused = true)]
async fn a_handled_message_whose_ack_was_lost_is_acked_on_redelivery_without_its_handler() {
    let broker = Scripted::default()
        .then(Duration::ZERO, [1, 2])
        .then(Duration::from_secs(30), [2, 3])
        .then(Duration::from_secs(60), [2])
        .answering(2, Answer::Lost);
    let running = broker.start(RouteOptions::new(), |_| Duration::ZERO).await;
    sleep(Duration::from_secs(100)).await;
    let stats = running.stats("r").unwrap();
    assert_eq!((stats.acked, stats.lost, stats.repeated), (4, 1, 2));
    // A third delivery may have been on its way when the ack succeeded.
    assert_eq!(broker.0.lock().unwrap().handled, [1, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_goes_on_without_the_messages_whose_leases_are_lost() {
    let broker = Scripted::default().then(Duration::ZERO, [1, 2, 3]);
    {
        let mut script = broker.0.lock().unwrap();
        script.renewals_are_refused_after = Some(Duration::ZERO);
        script.refused = vec![2, 3];
    }
    let running = broker.start_batches(Duration::from_secs(100)).await;
    sleep(Duration::from_secs(200)).await;
    let acked: Vec<_> = broker.acked().into_iter().map(|(of, _)| of).collect();
    assert_eq!(acked, ["1"]);
    assert_eq!(broker.0.lock().unwrap().handled, [1, 2, 3]);
    let stats = running.stats("r").unwrap();
    assert_eq!((stats.acked, stats.lost), (1, 2));
    assert_eq!(running.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_batch_all_of_whose_leases_are_lost_is_cancelled() {
    let broker = Scripted::default().then(Duration::ZERO, [1, 2, 3]);
    broker.0.lock().unwrap().renewals_are_refused_after = Some(Duration::ZERO);
    let running = broker.start_batches(Duration::from_secs(100)).await;
    sleep(Duration::from_secs(90)).await;
    assert_eq!(running.in_flight(), 0);
    sleep(Duration::from_secs(100)).await;
    assert_eq!(broker.acked(), []);
    assert!(broker.0.lock().unwrap().handled.is_empty());
    assert_eq!(running.stats("r").unwrap().lost, 3);
}

#[tokio::test(start_paused = true)]
async fn an_ack_without_an_answer_is_not_tried_beyond_its_lease() {
    let broker = Scripted::default()
        .then(Duration::ZERO, [1])
        .then(Duration::from_secs(100), [2]);
    broker.0.lock().unwrap().settlements_take = Duration::from_secs(60);
    let running = broker.start(RouteOptions::new(), |_| Duration::ZERO).await;
    sleep(Duration::from_secs(90)).await;
    assert_eq!(broker.acked(), []);
    assert_eq!(running.stats("r").unwrap().lost, 1);
    assert_eq!(running.in_flight(), 0);
    assert!(!running.is_ready());

    broker.0.lock().unwrap().settlements_take = Duration::from_secs(10);
    sleep(Duration::from_secs(30)).await;
    assert_eq!(running.stats("r").unwrap().acked, 1);
    assert!(running.is_ready());
}

#[tokio::test]
async fn what_came_while_the_program_was_stopped_is_neither_started_nor_settled() {
    let broker = Scripted::default().then(Duration::from_millis(100), [0]);
    broker.0.lock().unwrap().lease = Some(Duration::from_secs(2));
    let running = broker
        .start(RouteOptions::new(), Duration::from_millis)
        .await;
    tokio::task::yield_now().await;
    // The one thread of this runtime, as SIGSTOP takes all of a program.
    std::thread::sleep(Duration::from_millis(2100));
    let lost = async {
        while running.stats("r").unwrap().lost == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), lost)
        .await
        .unwrap();
    assert_eq!(running.stats("r").unwrap().received, 1);
    assert_eq!(broker.0.lock().unwrap().handled, [0; 0]);
    assert_eq!(broker.acked(), []);
}
