//! What is warned of before it happens.

use std::time::Duration;

use loafer_core::{outcome::Outcome, translate::Json};
use loafer_runtime::program::{Route, RouteOptions};
use tokio::time::sleep;

use crate::{logged::Logged, scripted::Scripted};

/// What is said of messages held too long, after so many seconds each.
async fn held_too_long(leaseless: bool, after: &[u64]) -> Vec<Vec<String>> {
    let logged = Logged::default();
    let _on = tracing::subscriber::set_default(logged.clone());
    let broker = Scripted::default()
        .then(Duration::ZERO, [300_000, 300_001, 10])
        .then(Duration::from_secs(30), [300_002]);
    {
        let mut script = broker.0.lock().unwrap();
        script.leaseless = leaseless;
        script.ceiling = Some(Duration::from_secs(100));
    }
    let running = broker
        .start(RouteOptions::new(), Duration::from_millis)
        .await;
    let mut told = Vec::new();
    let mut passed = 0;
    for seconds in after {
        sleep(Duration::from_secs(seconds - passed)).await;
        passed = *seconds;
        told.push(logged.lines("four fifths"));
    }
    drop(running);
    told
}

#[tokio::test(start_paused = true)]
async fn messages_held_for_four_fifths_of_the_ceiling_are_told_once_each() {
    let told = held_too_long(true, &[79, 91, 109, 121, 290]).await;
    let count: Vec<usize> = told.iter().map(Vec::len).collect();
    assert_eq!(count, [0, 1, 1, 2, 2], "{told:?}");
    let [first, second] = &told[4][..] else {
        panic!("two")
    };
    assert!(first.contains("messages=2 ceiling=100s"), "{first}");
    assert!(second.contains("messages=1 "), "{second}");
    assert!(first.contains("route=r ") && first.contains("set the route's `timeout`"));
}

#[tokio::test(start_paused = true)]
async fn where_leases_end_by_themselves_the_keeper_sees_to_the_ceiling() {
    let told = held_too_long(false, &[99]).await;
    assert_eq!(told, [Vec::<String>::new()]);
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_longer_than_the_broker_can_is_told_once() {
    let logged = Logged::default();
    let _on = tracing::subscriber::set_default(logged.clone());
    let broker = Scripted::default()
        .able(|able| able.max_delay = Some(Duration::from_secs(60)))
        .then(Duration::ZERO, [1, 2]);
    let after = Duration::from_secs(3600);
    let route = Route::new("r")
        .provider::<Scripted>()
        .handler(Json, move |_: u64| async move { Outcome::Retry { after } });
    let running = broker.start_route(route).await;
    sleep(Duration::from_secs(1)).await;
    drop(running);
    let refusals = broker.lock().refusals.clone();
    assert_eq!(refusals, ["Retry { after: Some(60s) }"; 2]);
    let told = logged.lines("longer delay than this queue can have");
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].contains("route=r ") && told[0].contains("longest=60s"),
        "{told:?}"
    );
}
