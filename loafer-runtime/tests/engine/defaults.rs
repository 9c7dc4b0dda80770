//! What a broker has for routes that set nothing: the delay of a retry, and the attempts.

use std::time::Duration;

use loafer_core::{policy::Backoff, translate::Json};
use loafer_runtime::program::{Route, RouteOptions};
use tokio::time::sleep;

use crate::scripted::Scripted;

/// How the first two deliveries of a message are settled whose handler says false.
async fn refusals(options: RouteOptions) -> Vec<String> {
    let broker = Scripted::default()
        .then(Duration::ZERO, [1])
        .then(Duration::from_secs(10), [1]);
    {
        let mut script = broker.0.lock().unwrap();
        script.backoff = Some(every(5));
        script.max_attempts = Some(2);
    }
    let route = Route::new("r").provider::<Scripted>().options(options);
    let route = route.handler(Json, async |_: u64| false);
    let _running = broker.start_route(route).await;
    sleep(Duration::from_secs(20)).await;
    broker.0.lock().unwrap().refusals.clone()
}

fn every(seconds: u64) -> Backoff {
    Backoff::new(Duration::from_secs(seconds))
        .with_factor(1.0)
        .with_jitter(false)
}

#[tokio::test(start_paused = true)]
async fn a_route_that_sets_nothing_has_its_brokers_backoff_and_attempts() {
    let refusals = refusals(RouteOptions::new()).await;
    assert_eq!(refusals[0], "Retry { after: Some(5s) }");
    assert!(refusals[1].starts_with("DeadLetter"), "{refusals:?}");
    assert_eq!(refusals.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_a_route_sets_outranks_its_broker() {
    let options = RouteOptions::new().backoff(every(7)).max_attempts(9);
    let again = "Retry { after: Some(7s) }";
    assert_eq!(refusals(options).await, [again, again]);
}
