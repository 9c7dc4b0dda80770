//! What can't be settled holds up nothing else, and no more capacity than its own.

use std::time::Duration;

use loafer_core::{broker::Capabilities, outcome::Outcome, translate::Json};
use loafer_runtime::program::{Route, RouteOptions, Running};
use tokio::time::{Instant, sleep};

use crate::{
    logged::Logged,
    scripted::{Answer, Scripted},
};

const SECOND: Duration = Duration::from_secs(1);

/// One task receives and settles.
fn one_task(capabilities: &mut Capabilities) {
    (capabilities.receivers, capabilities.settlers) = (1, 1);
}

fn one_settler(capabilities: &mut Capabilities) {
    capabilities.settlers = 1;
}

/// Starts a route with this concurrency and prefetch, whose handler takes 10 ms.
async fn start(
    broker: &Scripted,
    (concurrency, prefetch): (usize, usize),
    outcome: fn(u64) -> Outcome,
) -> Running {
    let options = RouteOptions::new()
        .concurrency(concurrency)
        .prefetch(prefetch);
    let script = broker.0.clone();
    let route = Route::new("r").provider::<Scripted>().options(options);
    let route = route.handler(Json, move |number: u64| {
        script.lock().unwrap().handled.push(number);
        async move {
            sleep(Duration::from_millis(10)).await;
            outcome(number)
        }
    });
    broker.start_route(route).await
}

/// Delays everything: no ack wakes the receiver.
fn retry(_: u64) -> Outcome {
    Outcome::Retry { after: SECOND }
}

fn reject_first_five(number: u64) -> Outcome {
    match number {
        1..=5 => Outcome::Reject {
            reason: "not for us".into(),
        },
        _ => Outcome::Ack,
    }
}

#[tokio::test(start_paused = true)]
async fn beside_what_can_not_be_settled_without_leases_the_rest_of_the_capacity_is_received_again()
{
    for outcome in [retry, |_| Outcome::Ack] {
        for (concurrency, prefetch) in [(4, 0), (4, 4), (6, 2), (8, 0)] {
            let broker = Scripted::default()
                .leaseless()
                .able(one_task)
                .holding(1..=40);
            {
                let mut script = broker.lock();
                script.settlements_take = SECOND / 2;
                script.unsettled = [1, 5, 9, 13].into();
            }
            let running = start(&broker, (concurrency, prefetch), outcome).await;
            sleep(60 * SECOND).await;
            let handled = broker.lock().handled.len();
            let expected = match concurrency + prefetch {
                4 => 13..=16,
                _ => 40..=40,
            };
            let case = format!("concurrency {concurrency}, prefetch {prefetch}");
            assert!(expected.contains(&handled), "{case}: {handled} handled");
            assert_eq!(running.in_flight(), 4, "{case}");

            broker.lock().unsettled.clear();
            sleep(60 * SECOND).await;
            assert_eq!(broker.lock().handled.len(), 40, "{case}");
            assert_eq!(running.in_flight(), 0, "{case}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_settlement_that_fails_holds_up_no_ack() {
    let first: [fn(u64) -> Outcome; 3] = [
        |_| Outcome::Ack,
        |number| match number {
            0 => Outcome::Retry { after: SECOND },
            _ => Outcome::Ack,
        },
        |number| match number {
            0 => Outcome::Reject {
                reason: "not for us".into(),
            },
            _ => Outcome::Ack,
        },
    ];
    for (which, outcome) in first.into_iter().enumerate() {
        for leaseless in [false, true] {
            let mut broker = Scripted::default()
                .able(one_settler)
                .then(Duration::ZERO, [0])
                .then(SECOND / 2, 1..=10);
            for _ in 0..5 {
                broker = broker.answering(0, Answer::Failed);
            }
            broker.lock().leaseless = leaseless;
            let started = Instant::now();
            let running = start(&broker, (10, 10), outcome).await;
            sleep(30 * SECOND).await;
            for number in 1..=10 {
                let after = broker.acked_after(number, started);
                assert!(after <= 2 * SECOND, "{which}: {number} after {after:?}");
            }
            assert_eq!(running.in_flight(), 0, "{which}");
            assert_eq!(running.stats("r").unwrap().lost, 0, "{which}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_retry_that_hangs_holds_up_no_ack() {
    let broker = Scripted::default()
        .able(one_settler)
        .then(Duration::ZERO, [0])
        .then(SECOND / 2, 1..=10);
    broker.lock().settlements_hang = [0].into();
    let started = Instant::now();
    let outcome = |number| match number {
        0 => Outcome::Retry { after: SECOND },
        _ => Outcome::Ack,
    };
    let running = start(&broker, (10, 10), outcome).await;
    sleep(60 * SECOND).await;
    for number in 1..=10 {
        let after = broker.acked_after(number, started);
        assert!(after <= 2 * SECOND, "{number} after {after:?}");
    }
    assert_eq!(running.stats("r").unwrap().lost, 1);
    assert_eq!(running.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn without_leases_a_dead_letter_that_can_not_be_made_becomes_a_retry_and_frees_its_capacity()
{
    let broker = Scripted::default()
        .leaseless()
        .able(one_task)
        .holding(1..=20);
    broker.lock().dead_letters_fail = true;
    let started = Instant::now();
    let running = start(&broker, (1, 3), reject_first_five).await;
    sleep(120 * SECOND).await;
    assert_eq!(broker.acked_payloads(), Vec::from_iter(6..=20));
    let after = broker.acked_after(20, started);
    assert!(after <= 4 * SECOND, "{after:?}");
    let refusals = broker.lock().refusals.clone();
    assert_eq!(refusals, ["Retry { after: Some(30s) }"; 5]);
    let stats = running.stats("r").unwrap();
    assert_eq!((stats.retried, stats.rejected), (5, 0));
    assert_eq!(running.in_flight(), 0);
    assert!(running.is_ready());
}

#[tokio::test(start_paused = true)]
async fn while_no_dead_letters_can_be_made_their_retries_are_not_kept_waiting() {
    let broker = Scripted::default()
        .leaseless()
        .able(one_task)
        .holding(1..=200);
    broker.lock().dead_letters_fail = true;
    let started = Instant::now();
    let outcome = |number| match number {
        ..200 => Outcome::Reject {
            reason: "not for us".into(),
        },
        _ => Outcome::Ack,
    };
    let _running = start(&broker, (10, 0), outcome).await;
    sleep(120 * SECOND).await;
    let after = broker.acked_after(200, started);
    assert!(after <= 4 * SECOND, "{after:?}");
}

#[tokio::test(start_paused = true)]
async fn copies_that_can_not_be_made_are_told_once_a_minute() {
    let logged = Logged::default();
    let _on = tracing::subscriber::set_default(logged.clone());
    let broker = Scripted::default().leaseless().holding(1..=20);
    broker.lock().retries_refused = true;
    let _running = start(&broker, (10, 10), retry).await;
    let told = || logged.lines("does not take the copy").len();
    sleep(50 * SECOND).await;
    assert!(broker.lock().handled.len() > 100);
    assert_eq!(told(), 1);
    sleep(20 * SECOND).await;
    assert_eq!(told(), 2);
}

#[tokio::test(start_paused = true)]
async fn first_tries_lend_their_capacity_and_what_failed_keeps_it() {
    let few: fn(&mut Capabilities) = |capabilities| capabilities.settle_batch = 4;
    for leaseless in [false, true] {
        for hang in [false, true] {
            for outcome in [retry, |_| Outcome::Ack] {
                let broker = Scripted::default().able(few).holding(1..=500);
                {
                    let mut script = broker.lock();
                    script.leaseless = leaseless;
                    script.settlements_take = SECOND;
                    match hang {
                        true => script.settlements_hang = (1..=500).collect(),
                        false => script.unsettled = (1..=500).collect(),
                    }
                }
                let running = start(&broker, (5, 10), outcome).await;
                sleep(5 * SECOND).await;
                let early = running.stats("r").unwrap().received;
                sleep(5 * SECOND).await;
                let case = format!("leaseless {leaseless}, hang {hang}");
                // The capacity is 15. Each of two settlers may have four messages in its first try.
                let most = broker.lock().leased.1;
                assert!(most <= 15 + 2 * 4, "{case}: {most} leased");
                assert_eq!(running.stats("r").unwrap().received, early, "{case}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_route_without_messages_is_ready_again_after_acks_failed_until_their_leases_ended() {
    let logged = Logged::default();
    let _on = tracing::subscriber::set_default(logged.clone());
    let broker = Scripted::default()
        .then(Duration::ZERO, [1])
        .then(4 * SECOND, [1]);
    {
        let mut script = broker.lock();
        script.lease = Some(3 * SECOND);
        script.unsettled = [1].into();
    }
    let running = start(&broker, (10, 10), |_| Outcome::Ack).await;
    sleep(7 * SECOND / 2).await;
    assert!(!running.is_ready());
    broker.lock().unsettled.clear();
    sleep(2 * SECOND).await;
    assert_eq!(running.stats("r").unwrap().acked, 1);

    // No other message comes, whose ack would tell that all is well.
    sleep(10 * SECOND).await;
    assert!(running.is_ready());
    assert_eq!(logged.lines("settling failed: trying again").len(), 1);
    assert_eq!(logged.lines("settling again").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn dead_letters_that_fail_are_tried_for_3_s_and_then_say_why() {
    let logged = Logged::default();
    let _on = tracing::subscriber::set_default(logged.clone());
    let broker = Scripted::default().able(one_settler).holding(1..=10);
    broker.lock().dead_letters_fail = true;
    let started = Instant::now();
    let running = start(&broker, (5, 0), reject_first_five).await;
    sleep(60 * SECOND).await;
    for number in 6..=10 {
        let after = broker.acked_after(number, started);
        assert!(after <= 4 * SECOND, "{number} after {after:?}");
    }
    drop(running);
    let told = logged.lines("settling failed: trying again");
    assert!(
        told[0].contains(" settlement=\"dead letter\" "),
        "nothing of what it says: {told:?}"
    );
    let told = logged.lines("dead letters can't be made");
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].contains("cause=settling of `q` failed: not now"),
        "{told:?}"
    );
}
