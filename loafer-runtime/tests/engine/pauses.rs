//! Routes that are paused: nothing is asked for or started, what runs ends, and what waits is kept for a while.

use std::time::Duration;

use loafer_core::broker::Capabilities;
use loafer_runtime::program::RouteOptions;
use tokio::time::{Instant, sleep};

use crate::{logged::Logged, scripted::Scripted};

const MINUTE: Duration = Duration::from_secs(60);

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Each message takes as many seconds as its payload says.
fn as_told(payload: u64) -> Duration {
    seconds(payload)
}

fn two_at_once() -> RouteOptions {
    RouteOptions::new().concurrency(2).prefetch(10)
}

#[tokio::test(start_paused = true)]
async fn a_paused_route_starts_nothing_and_keeps_what_waits_until_it_is_resumed() {
    let broker = Scripted::default()
        .then(Duration::ZERO, [10, 11, 1, 2])
        .then(seconds(300), [3]);
    let running = broker.start(two_at_once(), as_told).await;
    sleep(seconds(5)).await;
    running.pause("r").unwrap();
    running.pause("r").unwrap();
    assert!(running.is_paused("r").unwrap() && running.is_ready());
    sleep(4 * MINUTE).await;
    assert_eq!(broker.lock().handled, [10, 11], "nothing starts");
    assert_eq!(broker.acked_payloads(), [10, 11], "what runs is settled");
    assert_eq!(running.in_flight(), 2, "what waits is kept, and renewed");
    let receives = broker.lock().receives;
    let pauses = broker.lock().pauses.len();
    assert_eq!(pauses, 1, "one task has told the broker");

    running.resume("r").unwrap();
    assert!(!running.is_paused("r").unwrap());
    sleep(5 * MINUTE).await;
    assert_eq!(broker.lock().handled, [10, 11, 1, 2, 3]);
    assert_eq!(broker.acked_payloads(), [10, 11, 1, 2, 3]);
    let delivered = broker.lock().delivered.clone();
    assert!(
        delivered.values().all(|times| *times == 1),
        "no attempt is lost"
    );
    assert!(broker.lock().receives > receives);
    running.shutdown();
    running.ended().await;
    assert_eq!(broker.lock().pauses.len(), 2, "and once at the end");
}

#[tokio::test(start_paused = true)]
async fn what_waits_is_released_after_five_minutes() {
    for (ordered, groups) in [(false, "g"), (true, "g"), (true, "h")] {
        let broker = Scripted::default().then(Duration::ZERO, [600, 1, 2]);
        broker.lock().ordered = ordered;
        broker.lock().groups = [(2, groups)].into();
        let options = RouteOptions::new().concurrency(1).prefetch(10);
        let running = broker.start(options, as_told).await;
        sleep(seconds(5)).await;
        running.pause("r").unwrap();
        // A long poll takes up to 20 s to return.
        sleep(seconds(299)).await;
        assert_eq!(running.in_flight(), 3);
        sleep(seconds(30)).await;
        assert_eq!(running.in_flight(), 1);
        assert_eq!(broker.lock().refusals, ["Release", "Release"]);
        running.resume("r").unwrap();
        let broker = broker.then(MINUTE, [1, 2]);
        sleep(20 * MINUTE).await;
        broker.lock().handled.sort_unstable();
        assert_eq!(broker.lock().handled, [1, 2, 600]);
        assert_eq!(running.in_flight(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn what_waits_without_a_lease_is_released_before_the_broker_takes_it_back() {
    let broker = Scripted::default().leaseless().then(Duration::ZERO, [1, 2]);
    broker.lock().ceiling = Some(seconds(100));
    let ungraced = |able: &mut Capabilities| able.receive_grace = Duration::ZERO;
    let broker = broker.able(ungraced);
    let options = RouteOptions::new().enabled(true).concurrency(1);
    let running = broker.start(options, |_| seconds(20)).await;
    sleep(seconds(10)).await;
    running.pause("r").unwrap();
    sleep(seconds(69)).await;
    assert_eq!(running.in_flight(), 1);
    assert_eq!(
        broker.lock().receiving,
        0,
        "a receive that loses nothing is dropped"
    );
    sleep(seconds(2)).await;
    assert_eq!(running.in_flight(), 0);
    assert_eq!(broker.lock().refusals, ["Release"]);
}

#[tokio::test(start_paused = true)]
async fn a_poll_that_was_open_is_kept_and_the_next_pause_counts_anew() {
    let broker = Scripted::default().then(seconds(10), [1]);
    let running = broker.start(two_at_once(), as_told).await;
    sleep(seconds(5)).await;
    running.pause("r").unwrap();
    sleep(4 * MINUTE).await;
    assert_eq!((running.in_flight(), broker.lock().pauses.len()), (1, 1));
    running.resume("r").unwrap();
    running.pause("r").unwrap();
    sleep(4 * MINUTE).await;
    assert_eq!(broker.lock().handled, [0; 0]);
    running.resume("r").unwrap();
    sleep(MINUTE).await;
    assert_eq!(broker.acked_payloads(), [1]);
}

#[tokio::test(start_paused = true)]
async fn a_paused_route_drains() {
    for once in [false, true] {
        let broker = Scripted::default().then(Duration::ZERO, [10, 11, 1, 2]);
        let running = broker.start(two_at_once(), as_told).await;
        sleep(seconds(5)).await;
        running.pause("r").unwrap();
        if once {
            sleep(MINUTE).await;
        }
        let began = Instant::now();
        running.shutdown();
        running.ended().await;
        assert!(began.elapsed() < seconds(8), "{:?}", began.elapsed());
        assert_eq!(broker.acked_payloads(), [10, 11]);
        assert_eq!(broker.lock().refusals, ["Release", "Release"]);
        assert_eq!(broker.lock().pauses.len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_route_that_is_not_enabled_starts_paused_and_says_so() {
    let logged = Logged::default();
    let _on = tracing::subscriber::set_default(logged.clone());
    let broker = Scripted::default().then(Duration::ZERO, [1]);
    let running = broker
        .start(RouteOptions::new().enabled(false), as_told)
        .await;
    sleep(10 * MINUTE).await;
    assert!(running.is_paused("r").unwrap() && running.is_ready());
    assert_eq!(broker.lock().receives, 0);
    let paused = logged.lines("paused: ");
    assert!(
        paused.len() == 1 && paused[0].contains("route=r"),
        "{paused:?}"
    );
    running.resume("r").unwrap();
    sleep(seconds(5)).await;
    assert_eq!(broker.acked_payloads(), [1]);
    assert_eq!(logged.lines("message=resumed").len(), 1);
    let unknown = running.pause("s").unwrap_err().to_string();
    assert!(unknown.contains("unknown route `s`"), "{unknown}");
}
