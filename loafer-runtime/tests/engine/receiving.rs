//! Receives that fail: how soon they are tried again, and what is said of it.

use std::time::Duration;

use loafer_core::broker::Capabilities;
use loafer_runtime::program::{RouteOptions, Running};
use tokio::time::{Instant, sleep, sleep_until};

use crate::{logged::Logged, scripted::Scripted};

const SECOND: Duration = Duration::from_secs(1);

fn eight(capabilities: &mut Capabilities) {
    (capabilities.receivers, capabilities.wait) = (8, SECOND);
}

/// Starts a route of eight receivers on a broker that has no end of messages.
async fn start(broker: &Scripted) -> Running {
    broker.lock().flood = Some(SECOND);
    let options = RouteOptions::new().concurrency(20).prefetch(200);
    broker.start(options, |_| Duration::ZERO).await
}

fn outage(broker: &Scripted, from: Instant, lasts: Duration) {
    broker.lock().outages.push(from..from + lasts);
}

/// How many receives began in these ten seconds.
fn receives(broker: &Scripted, from: Instant) -> usize {
    let script = broker.lock();
    let began = script.received_at.iter();
    let among = from..from + 10 * SECOND;
    began.filter(|at| among.contains(at)).count()
}

#[tokio::test(start_paused = true)]
async fn after_an_outage_no_receiver_takes_long_for_the_next_hiccup() {
    let broker = Scripted::default().able(eight);
    let began = Instant::now();
    outage(&broker, began + 10 * SECOND, 300 * SECOND);
    outage(&broker, began + 400 * SECOND, SECOND / 100);
    let _running = start(&broker).await;
    sleep_until(began + 420 * SECOND).await;
    assert_eq!(receives(&broker, began + 388 * SECOND), 80, "all again");
    let after = receives(&broker, began + 408 * SECOND);
    assert!(after >= 78, "{after} receives after a hiccup");
}

#[tokio::test(start_paused = true)]
async fn a_streak_of_failed_receives_is_logged_once_for_all_receivers() {
    let logged = Logged::default();
    let _on = tracing::subscriber::set_default(logged.clone());
    let broker = Scripted::default().able(eight);
    let began = Instant::now();
    outage(&broker, began + 10 * SECOND, 100 * SECOND);
    outage(&broker, began + 300 * SECOND, 100 * SECOND);
    let running = start(&broker).await;
    for (second, failed, again) in [
        (9, 0, 0),
        (100, 1, 0),
        (299, 1, 1),
        (390, 2, 1),
        (599, 2, 2),
    ] {
        sleep_until(began + second * SECOND).await;
        let lines = |text| logged.lines(text).len();
        let said = (lines("receive failed"), lines("receiving again"));
        assert_eq!(said, (failed, again), "at {second} s");
        assert_eq!(running.is_ready(), failed == again, "at {second} s");
    }
}

#[tokio::test(start_paused = true)]
async fn while_some_receivers_fail_and_others_do_not_the_program_stays_unready() {
    let logged = Logged::default();
    let _on = tracing::subscriber::set_default(logged.clone());
    let broker = Scripted::default().able(eight);
    let running = start(&broker).await;
    sleep(10 * SECOND).await;
    assert!(running.is_ready());
    broker.lock().half_fails = true;
    sleep(5 * SECOND).await;
    for _ in 0..1000 {
        assert!(!running.is_ready());
        sleep(SECOND / 10).await;
    }
    assert_eq!(logged.lines("receive failed").len(), 1);
    assert_eq!(logged.lines("receiving again").len(), 0);

    broker.lock().half_fails = false;
    sleep(60 * SECOND).await;
    assert!(running.is_ready());
    assert_eq!(logged.lines("receive failed").len(), 1);
    assert_eq!(logged.lines("receiving again").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_route_without_messages_is_ready_again_after_an_outage() {
    for messages_before in [false, true] {
        let broker = Scripted::default().able(eight);
        let began = Instant::now();
        outage(&broker, began + 10 * SECOND, 60 * SECOND);
        let running = start(&broker).await;
        if !messages_before {
            broker.lock().flood = None;
        }
        sleep_until(began + 9 * SECOND).await;
        assert!(running.is_ready());
        broker.lock().flood = None;
        sleep_until(began + 60 * SECOND).await;
        assert!(!running.is_ready());
        sleep_until(began + 200 * SECOND).await;
        assert!(running.is_ready(), "messages before: {messages_before}");
    }
}
