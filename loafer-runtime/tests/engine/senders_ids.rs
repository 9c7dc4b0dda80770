//! Where ids are the sender's word, nothing is acked on account of one: two messages may share it.

use std::time::Duration;

use loafer_runtime::program::RouteOptions;
use tokio::time::sleep;

use crate::scripted::{Answer, Scripted};

/// Two messages, one after the other, to which their senders gave the same id.
fn twins() -> Scripted {
    let broker = Scripted::default()
        .then(Duration::ZERO, [1])
        .then(Duration::from_secs(100), [2]);
    broker.0.lock().unwrap().senders_ids = [(1, "same"), (2, "same")].into();
    broker
}

#[tokio::test(start_paused = true)]
async fn another_message_with_the_id_of_one_whose_ack_was_lost_is_handled() {
    let broker = twins().answering(1, Answer::Lost);
    let running = broker.start(RouteOptions::new(), |_| Duration::ZERO).await;
    sleep(Duration::from_secs(110)).await;
    assert_eq!(broker.0.lock().unwrap().handled, [1, 2]);
    let stats = running.stats("r").unwrap();
    assert_eq!((stats.acked, stats.lost, stats.repeated), (1, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn another_message_with_the_id_of_one_that_was_acked_too_late_is_handled() {
    let broker = twins();
    broker.0.lock().unwrap().settlements_take = Duration::from_secs(60);
    let running = broker.start(RouteOptions::new(), |_| Duration::ZERO).await;
    sleep(Duration::from_secs(90)).await;
    assert_eq!(running.stats("r").unwrap().lost, 1);
    broker.0.lock().unwrap().settlements_take = Duration::ZERO;
    sleep(Duration::from_secs(20)).await;
    assert_eq!(broker.0.lock().unwrap().handled, [1, 2]);
    let stats = running.stats("r").unwrap();
    assert_eq!((stats.acked, stats.repeated), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_message_whose_ack_was_lost_is_handled_again() {
    let broker = Scripted::default()
        .then(Duration::ZERO, [1])
        .then(Duration::from_secs(10), [1])
        .answering(1, Answer::Lost);
    broker.0.lock().unwrap().senders_ids = [(1, "one")].into();
    let running = broker.start(RouteOptions::new(), |_| Duration::ZERO).await;
    sleep(Duration::from_secs(20)).await;
    assert_eq!(broker.0.lock().unwrap().handled, [1, 1]);
    assert_eq!(running.stats("r").unwrap().acked, 1);
}
