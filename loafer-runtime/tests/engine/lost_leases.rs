//! Leases that end with their connection: what runs is cancelled, what waits is dropped, and the rest goes on.

use std::time::Duration;

use loafer_runtime::program::RouteOptions;
use tokio::time::sleep;

use crate::scripted::{Answer, Scripted};

const MINUTE: Duration = Duration::from_secs(60);

/// Leases without an end of their own.
fn pushed() -> Scripted {
    Scripted::default().leaseless()
}

fn payloads(broker: &Scripted) -> Vec<String> {
    let acked = broker.acked();
    acked.into_iter().map(|(payload, _)| payload).collect()
}

#[tokio::test(start_paused = true)]
async fn only_what_was_lost_is_cancelled_or_dropped_and_it_is_handled_when_it_comes_again() {
    let broker = pushed()
        .then(Duration::ZERO, 1..=4)
        .then(Duration::from_secs(200), [1, 3]);
    let options = RouteOptions::new().concurrency(2).prefetch(20);
    let running = broker.start(options, |_| MINUTE).await;
    sleep(Duration::from_secs(10)).await;
    assert_eq!(broker.0.lock().unwrap().handled, [1, 2]);

    broker.lose([1, 3]);
    sleep(Duration::from_secs(2)).await;
    // The place of the first is free, the third is gone.
    assert_eq!(broker.0.lock().unwrap().handled, [1, 2, 4]);
    assert_eq!(running.in_flight(), 2);
    sleep(Duration::from_secs(100)).await;
    assert_eq!(payloads(&broker), ["2", "4"]);
    assert_eq!(running.stats("r").unwrap().lost, 2);

    broker.0.lock().unwrap().gone.clear();
    sleep(Duration::from_secs(160)).await;
    assert_eq!(broker.0.lock().unwrap().handled, [1, 2, 4, 1, 3]);
    assert_eq!(payloads(&broker), ["2", "4", "1", "3"]);
    let stats = running.stats("r").unwrap();
    assert_eq!((stats.received, stats.acked, stats.lost), (6, 4, 2));
    assert_eq!(running.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_breaks_takes_all_of_its_messages_along() {
    let broker = pushed().then(Duration::ZERO, 1..=6);
    let options = RouteOptions::new().concurrency(3);
    let running = broker.start(options, |_| MINUTE).await;
    sleep(Duration::from_secs(10)).await;
    broker.lose(1..=6);
    sleep(Duration::from_millis(500)).await;
    assert_eq!(running.in_flight(), 0);
    assert_eq!(running.stats("r").unwrap().lost, 6);
    sleep(2 * MINUTE).await;
    let script = broker.0.lock().unwrap();
    assert_eq!(script.handled, [1, 2, 3]);
    assert!(script.settled.is_empty(), "nothing is sent on a new one");
}

#[tokio::test(start_paused = true)]
async fn an_outcome_that_waits_to_be_settled_is_not_sent_on_a_lost_lease() {
    let broker = pushed()
        .then(Duration::ZERO, [1])
        .answering(1, Answer::Failed)
        .then(Duration::from_secs(30), [1]);
    broker.0.lock().unwrap().settlements_take = Duration::from_secs(10);
    let running = broker.start(RouteOptions::new(), |_| Duration::ZERO).await;
    sleep(Duration::from_secs(5)).await;
    broker.lose([1]);
    sleep(Duration::from_secs(20)).await;
    assert_eq!(broker.0.lock().unwrap().settled, [[1]]);
    assert_eq!(running.in_flight(), 0);
    // The broker's own id: handled before, so its ack is all that is left to do.
    broker.0.lock().unwrap().gone.clear();
    sleep(Duration::from_secs(30)).await;
    assert_eq!(broker.0.lock().unwrap().handled, [1]);
    assert_eq!(payloads(&broker), ["1"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_lost_before_anybody_heard_of_it_is_not_settled() {
    let broker = pushed().then(Duration::ZERO, [1]);
    let running = broker.start(RouteOptions::new(), |_| MINUTE).await;
    sleep(Duration::from_secs(10)).await;
    broker.0.lock().unwrap().gone = [1].into();
    sleep(MINUTE).await;
    assert!(broker.0.lock().unwrap().settled.is_empty());
    assert_eq!(running.stats("r").unwrap().lost, 1);
    assert_eq!(running.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_batch_goes_on_for_what_is_left_of_it() {
    let broker = pushed().then(Duration::ZERO, [1, 2, 3]);
    let running = broker.start_batches(MINUTE).await;
    sleep(Duration::from_secs(10)).await;
    broker.lose([2]);
    sleep(MINUTE).await;
    assert_eq!(payloads(&broker), ["1", "3"]);
    let stats = running.stats("r").unwrap();
    assert_eq!((stats.acked, stats.lost), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn what_was_lost_on_its_way_is_not_started() {
    let broker = pushed()
        .then(Duration::from_secs(10), [1, 2])
        .then(Duration::from_secs(20), [1]);
    broker.0.lock().unwrap().gone = [1].into();
    let running = broker.start(RouteOptions::new(), |_| Duration::ZERO).await;
    sleep(Duration::from_secs(15)).await;
    assert_eq!(broker.0.lock().unwrap().handled, [2]);
    assert_eq!(running.stats("r").unwrap().lost, 1);
    broker.0.lock().unwrap().gone.clear();
    sleep(Duration::from_secs(15)).await;
    assert_eq!(broker.0.lock().unwrap().handled, [2, 1]);
    assert_eq!(running.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_the_route_holds_is_told_once_before_the_first_receive() {
    let broker = pushed().then(Duration::ZERO, 1..=9);
    let options = RouteOptions::new().concurrency(3).prefetch(7);
    let _running = broker.start(options, |_| Duration::ZERO).await;
    sleep(Duration::from_secs(30)).await;
    let script = broker.0.lock().unwrap();
    assert!(script.receives > 1);
    assert_eq!(script.holds, [(10, 0)]);
}

/// How long it takes to lose so many leases at once, of messages that wait behind as many others.
async fn losing(messages: u64, ordered: bool) -> std::time::Duration {
    let broker = pushed().able(|capabilities| capabilities.receive_batch = 100_000);
    broker.lock().ordered = ordered;
    let broker = broker.then(Duration::ZERO, 1..=2 * messages);
    let options = RouteOptions::new().concurrency(2).prefetch(100_000);
    let running = broker.start(options, |_| MINUTE).await;
    sleep(Duration::from_secs(10)).await;
    let began = std::time::Instant::now();
    broker.lose(messages + 1..=2 * messages);
    sleep(Duration::from_millis(500)).await;
    assert_eq!(running.in_flight() as u64, messages);
    began.elapsed()
}

#[tokio::test(start_paused = true)]
async fn many_leases_that_are_lost_at_once_take_no_longer_each_than_a_few() {
    for ordered in [false, true] {
        let few = losing(500, ordered).await.max(Duration::from_millis(5));
        let many = losing(10_000, ordered).await;
        // If each of them searched among all that wait, it would be 400 times as long.
        assert!(many < 100 * few, "{few:?} for 500, {many:?} for 10,000");
    }
}
