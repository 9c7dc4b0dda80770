//! Renewals that hang.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use loafer_core::{outcome::Outcome, translate::Json};
use loafer_runtime::program::{Route, Running};
use tokio::time::{Instant, sleep};

use crate::scripted::Scripted;

const SECOND: Duration = Duration::from_secs(1);

/// When handlers ended, whether they returned or were cancelled.
type Ends = Arc<Mutex<Vec<(u64, Instant)>>>;

/// Notes the end of a handler.
struct End(u64, Ends);

impl Drop for End {
    fn drop(&mut self) {
        self.1.lock().unwrap().push((self.0, Instant::now()));
    }
}

/// Starts a route whose handler takes so long for a message, and then gives this outcome.
async fn start(broker: &Scripted, outcome: fn(u64) -> (Duration, Outcome)) -> (Running, Ends) {
    let ends = Ends::default();
    let noted = ends.clone();
    let route = Route::new("r").provider::<Scripted>();
    let route = route.handler(Json, move |number: u64| {
        let end = End(number, noted.clone());
        async move {
            let _end = end;
            let (takes, outcome) = outcome(number);
            sleep(takes).await;
            outcome
        }
    });
    (broker.start_route(route).await, ends)
}

/// How long after this moment the handler of a message ended.
fn ended(ends: &Ends, number: u64, since: Instant) -> Duration {
    let ends = ends.lock().unwrap();
    let end = ends.iter().find(|(of, _)| *of == number).unwrap();
    end.1 - since
}

fn retry(_: u64) -> (Duration, Outcome) {
    (22 * SECOND, Outcome::Retry { after: SECOND })
}

fn reject(_: u64) -> (Duration, Outcome) {
    let reason = "not for us".into();
    (22 * SECOND, Outcome::Reject { reason })
}

/// Renewals take this long, and are done then.
fn slow(broker: &Scripted, takes: Duration) {
    let mut script = broker.lock();
    script.renewals_are_refused_after = Some(takes);
    // It is not there.
    script.refused = vec![99];
}

#[tokio::test(start_paused = true)]
async fn while_a_renewal_hangs_nothing_is_sent_after_the_lease() {
    // A dead letter does not wait: its lease is not needed once the copy is made.
    for (outcome, sent) in [(retry as fn(u64) -> _, 0), (reject, 1)] {
        for for_ever in [false, true] {
            let broker = Scripted::default().holding([1]);
            // As long as three attempts of an SDK. It begins at 19 s.
            slow(&broker, 15 * SECOND);
            if for_ever {
                broker.lock().renewals_hang = [1].into();
            }
            let began = Instant::now();
            let (running, _) = start(&broker, outcome).await;
            sleep(300 * SECOND).await;
            let tried = broker.lock().tried.clone();
            assert_eq!(tried.len(), sent, "for ever: {for_ever}");
            assert!(tried.iter().all(|(_, at)| *at < began + 29 * SECOND));
            assert_eq!(running.stats("r").unwrap().lost, 1 - sent as u64);
            assert_eq!(running.in_flight(), 0);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_retry_leaves_once_the_renewal_of_its_lease_is_over() {
    let broker = Scripted::default().holding([1]);
    slow(&broker, 5 * SECOND);
    let began = Instant::now();
    let (running, _) = start(&broker, retry).await;
    sleep(60 * SECOND).await;
    let tried = broker.lock().tried.clone();
    let [(1, at)] = tried[..] else {
        panic!("{tried:?}")
    };
    // The renewal goes from 19 s to 24 s.
    let at = at - began;
    assert!(at > 23 * SECOND && at < 26 * SECOND, "{at:?}");
    assert_eq!(running.stats("r").unwrap().retried, 1);
}

#[tokio::test(start_paused = true)]
async fn while_a_renewal_hangs_the_leases_of_others_are_renewed_and_seen_to_expire() {
    let broker = Scripted::default()
        .then(Duration::ZERO, [1])
        .then(15 * SECOND, [2])
        .then(16 * SECOND, [3]);
    {
        let mut script = broker.lock();
        script.renewals_hang = [1].into();
        script.renewals_are_refused_after = Some(Duration::ZERO);
        script.refused = vec![3];
    }
    let began = Instant::now();
    let long = |_| (100 * SECOND, Outcome::Ack);
    let (running, ends) = start(&broker, long).await;
    sleep(150 * SECOND).await;
    // Each is cancelled before its lease of 30 s is over.
    assert!(ended(&ends, 1, began) <= 30 * SECOND);
    assert!(ended(&ends, 3, began) <= 46 * SECOND);
    assert_eq!(ended(&ends, 2, began).as_secs(), 115);
    assert_eq!(broker.acked_payloads(), [2]);
    let stats = running.stats("r").unwrap();
    assert_eq!((stats.acked, stats.lost), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn while_a_renewal_hangs_handlers_are_cancelled_in_time() {
    let broker = Scripted::default()
        .then(Duration::ZERO, [1])
        .then(15 * SECOND, [2]);
    broker.lock().renewals_hang = [1, 2].into();
    let began = Instant::now();
    let long = |_| (100 * SECOND, Outcome::Ack);
    let (running, ends) = start(&broker, long).await;
    sleep(150 * SECOND).await;
    assert!(ended(&ends, 1, began) <= 30 * SECOND);
    assert!(ended(&ends, 2, began) <= 45 * SECOND);
    assert_eq!(running.stats("r").unwrap().lost, 2);
    assert_eq!(broker.acked_payloads(), [0; 0]);
    assert_eq!(running.in_flight(), 0);
}
