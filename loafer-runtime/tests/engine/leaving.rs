//! Leases that the broker takes back on notice: what waits is released, what runs may end in time, and nothing is settled after the fence.

use std::time::Duration;

use loafer_core::{Error, broker::Notice};
use loafer_runtime::program::RouteOptions;
use tokio::time::{Instant, sleep};

use crate::{logged::Logged, scripted::Scripted};

const MINUTE: Duration = Duration::from_secs(60);
const WITHIN: Duration = Duration::from_secs(20);

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Each message takes as many seconds as its payload says.
fn as_told(payload: u64) -> Duration {
    seconds(payload)
}

fn settled_after(broker: &Scripted, moment: Instant) -> Vec<u64> {
    let script = broker.lock();
    let late = script.tried.iter().filter(|(_, at)| *at > moment);
    late.map(|(payload, _)| *payload).collect()
}

#[tokio::test(start_paused = true)]
async fn what_waits_is_released_what_runs_ends_and_the_rest_is_cancelled_before_the_fence() {
    let broker = Scripted::default().then(Duration::ZERO, [10, 60, 1, 2]);
    let running = broker
        .start(RouteOptions::new().concurrency(2), as_told)
        .await;
    sleep(seconds(5)).await;
    let took = broker.leave(WITHIN, []).await;
    assert!((seconds(19)..=WITHIN).contains(&took), "{took:?}");
    let fenced = Instant::now();
    assert_eq!(broker.lock().handled, [10, 60], "nothing else has started");
    assert_eq!(broker.acked_payloads(), [10], "what ends in time is acked");
    assert_eq!(broker.lock().refusals, ["Release", "Release"]);
    assert_eq!(running.in_flight(), 0, "what would end later is cancelled");
    sleep(2 * MINUTE).await;
    assert_eq!(settled_after(&broker, fenced), [0_u64; 0]);
    let stats = running.stats("r").unwrap();
    assert_eq!((stats.acked, stats.released, stats.lost), (1, 2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_fence_does_not_wait_for_what_stays() {
    let broker = Scripted::default()
        .then(Duration::ZERO, [60, 3, 5, 90])
        .then(seconds(2), [4]);
    broker.lock().settlements_hang.insert(4);
    let running = broker
        .start(RouteOptions::new().concurrency(2).prefetch(10), as_told)
        .await;
    sleep(seconds(1)).await;
    let took = broker.leave(WITHIN, [60, 5, 90, 4]).await;
    assert!((seconds(2)..seconds(4)).contains(&took), "{took:?}");
    assert_eq!(broker.acked_payloads(), [3]);
    sleep(2 * MINUTE).await;
    assert_eq!(
        broker.lock().handled,
        [60, 3, 5, 90, 4],
        "what stays goes on"
    );
    assert!(running.is_ready());
}

#[tokio::test(start_paused = true)]
async fn a_fence_waits_for_settlements_in_flight_but_not_for_ever() {
    let broker = Scripted::default().then(Duration::ZERO, [1]);
    broker.lock().settlements_take = seconds(3);
    let _running = broker.start(RouteOptions::new(), as_told).await;
    sleep(seconds(3)).await;
    let took = broker.leave(WITHIN, []).await;
    assert_eq!(broker.acked_payloads(), [1]);
    assert!((seconds(1)..seconds(3)).contains(&took), "{took:?}");

    let broker = Scripted::default().leaseless().then(Duration::ZERO, [1]);
    broker.lock().settlements_hang.insert(1);
    let _running = broker.start(RouteOptions::new(), as_told).await;
    sleep(seconds(3)).await;
    assert_eq!(broker.leave(WITHIN, []).await, WITHIN);
}

#[tokio::test(start_paused = true)]
async fn what_comes_while_leases_leave_is_released_and_one_leaving_follows_another() {
    let broker = Scripted::default()
        .leaseless()
        .then(Duration::ZERO, [30])
        .then(seconds(3), [2]);
    let running = broker.start(RouteOptions::new(), as_told).await;
    sleep(seconds(1)).await;
    let both = tokio::join!(broker.leave(seconds(10), []), broker.leave(seconds(5), []));
    assert!(both.1 <= seconds(5) && both.0 <= seconds(5), "{both:?}");
    assert_eq!(broker.lock().handled, [30]);
    assert_eq!(running.in_flight(), 0);

    let broker = broker.then(Duration::ZERO, [4, 1]).then(seconds(60), [3]);
    sleep(seconds(30)).await;
    assert_eq!(broker.leave(seconds(10), []).await, Duration::ZERO);
    running.shutdown();
    running.ended().await;
}

#[tokio::test(start_paused = true)]
async fn leases_leave_while_the_route_drains() {
    let broker = Scripted::default().then(Duration::ZERO, [60, 8, 1, 2]);
    let running = broker
        .start(RouteOptions::new().concurrency(2), as_told)
        .await;
    sleep(seconds(1)).await;
    running.shutdown();
    let took = broker.leave(seconds(10), []).await;
    assert!(took <= seconds(10), "{took:?}");
    assert_eq!(broker.acked_payloads(), [8]);
    running.ended().await;
    assert_eq!(broker.lock().handled, [60, 8]);
    assert_eq!(broker.lock().refusals.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_messages_of_a_group_that_leaves_are_released_and_other_groups_go_on() {
    let broker = Scripted::default().then(Duration::ZERO, [4, 1, 2, 3]);
    {
        let mut script = broker.lock();
        script.ordered = true;
        script.groups = [(3, "other")].into();
    }
    let _running = broker.start(RouteOptions::new(), as_told).await;
    sleep(seconds(1)).await;
    assert_eq!(broker.lock().handled, [4, 3]);
    let took = broker.leave(WITHIN, [3]).await;
    assert!((seconds(3)..seconds(5)).contains(&took), "{took:?}");
    assert_eq!(broker.lock().refusals, ["Release", "Release"]);
    assert_eq!(broker.acked_payloads(), [3, 4]);
    assert_eq!(broker.lock().handled, [4, 3], "the group stands still");
}

#[tokio::test(start_paused = true)]
async fn a_batch_goes_on_for_what_stays() {
    let broker = Scripted::default().then(Duration::ZERO, 1..=3);
    let _running = broker.start_batches(seconds(30)).await;
    sleep(seconds(1)).await;
    let took = broker.leave(seconds(10), [3]).await;
    assert_eq!(took, seconds(10), "a part of a call can't be cancelled");
    sleep(seconds(30)).await;
    assert_eq!(broker.acked_payloads(), [3]);
    assert_eq!(broker.lock().refusals, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_lost_connection_is_said_once_and_the_route_is_not_ready_until_it_is_back() {
    let logged = Logged::default();
    let _on = tracing::subscriber::set_default(logged.clone());
    let now = Instant::now();
    let broker = Scripted::default();
    broker.lock().outages = vec![now + seconds(30)..now + seconds(50)];
    let running = broker.start(RouteOptions::new(), as_told).await;
    sleep(seconds(31)).await;
    assert!(!running.is_ready());
    broker.say(Notice::Down(Error::Start("it was closed".to_owned())));
    sleep(seconds(10)).await;
    broker.say(Notice::Up);
    sleep(seconds(5)).await;
    assert!(!running.is_ready(), "receives still fail");
    sleep(MINUTE).await;
    assert!(running.is_ready());
    let said = |what| logged.lines(what).len();
    assert_eq!((said("receive failed"), said("receiving again")), (1, 1));
    assert_eq!(said("the connection is lost"), 0, "one outage, said once");

    broker.say(Notice::Down(Error::Start("it was closed".to_owned())));
    sleep(seconds(1)).await;
    assert!(!running.is_ready());
    let lines = logged.lines("the connection is lost");
    assert!(
        lines.len() == 1 && lines[0].contains("it was closed"),
        "{lines:?}"
    );
    assert!(lines[0].contains("route=r") && lines[0].contains("queue=r"));
    broker.say(Notice::Up);
    sleep(seconds(1)).await;
    assert!(running.is_ready());
    assert_eq!(said("receiving again"), 2);
}
