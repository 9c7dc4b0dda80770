//! A batch of an ordered group that is cancelled, and what is received of the group meanwhile.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use loafer_core::{broker::Capabilities, extract::Batch, translate::Json};
use loafer_runtime::program::{Route, RouteOptions, Running};
use tokio::time::sleep;

use crate::scripted::Scripted;

const SECOND: Duration = Duration::from_secs(1);

/// Settlements go two by two, and one call at a time.
fn two_by_two(capabilities: &mut Capabilities) {
    (capabilities.settlers, capabilities.settle_batch) = (1, 2);
    capabilities.linger = 20 * SECOND;
}

/// How many calls for the ordered group run, and how many ran at once.
#[derive(Clone, Default)]
struct Calls(Arc<(AtomicUsize, AtomicUsize)>);

impl Calls {
    fn begin(&self) -> Self {
        let now = self.0.0.fetch_add(1, Ordering::Relaxed) + 1;
        self.0.1.fetch_max(now, Ordering::Relaxed);
        self.clone()
    }

    fn most(&self) -> usize {
        self.0.1.load(Ordering::Relaxed)
    }
}

/// One of them has begun.
struct Begun(Calls);

impl Drop for Begun {
    fn drop(&mut self) {
        self.0.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The batch of messages 1 to 3 is cancelled at 5 s. One settler takes the ack of 9, which takes 5 s, together with the first of the three:
/// so the other two end at 10 s. They come again at 7 s, and a later message of their group at 12 s.
async fn cancelled() -> (Scripted, Running, Calls) {
    let broker = Scripted::default()
        .able(two_by_two)
        .leaseless()
        .then(Duration::ZERO, [1, 2, 3])
        .then(SECOND, [9])
        .then(7 * SECOND, [1, 2, 3])
        .then(12 * SECOND, [4]);
    {
        let mut script = broker.lock();
        script.ordered = true;
        script.groups = [(9, "other")].into();
        script.settlements_take = 5 * SECOND;
    }
    let options = RouteOptions::new()
        .concurrency(3)
        .batch(3)
        .linger(SECOND / 10);
    let (script, calls) = (broker.0.clone(), Calls::default());
    let of_group = calls.clone();
    let route = Route::new("r").provider::<Scripted>().options(options);
    let route = route.batch_handler(Json, move |batch: Batch<u64>| {
        let batch: Vec<_> = batch.into_values().collect();
        let (script, calls) = (script.clone(), of_group.clone());
        async move {
            script.lock().unwrap().handled.extend(&batch);
            if batch != [9] {
                let _begun = Begun(calls.begin());
                sleep(30 * SECOND).await;
            }
            true
        }
    });
    let running = broker.start_route(route).await;
    sleep(5 * SECOND).await;
    assert_eq!(broker.lock().handled, [1, 2, 3, 9]);
    broker.lose([1, 2, 3]);
    sleep(SECOND).await;
    assert_eq!(broker.lock().tried.len(), 1, "the ack of 9 is on its way");
    broker.lock().gone.clear();
    (broker, running, calls)
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_cancelled_batch_lets_no_message_of_its_group_run_beside_an_earlier_one() {
    let (broker, running, calls) = cancelled().await;
    sleep(120 * SECOND).await;
    assert_eq!(calls.most(), 1);
    assert!(broker.acked_payloads().ends_with(&[4]));
    assert_eq!(running.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_cancelled_batch_releases_nothing_that_was_received_since() {
    let (broker, running, _) = cancelled().await;
    sleep(120 * SECOND).await;
    assert_eq!(running.stats("r").unwrap().released, 0);
    assert_eq!(broker.acked_payloads(), [9, 1, 2, 3, 4]);
}
