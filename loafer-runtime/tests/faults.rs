//! What goes wrong on demand, and what the engine makes of it.

#![allow(
    clippy::unwrap_used,
    reason = "outside of a test function, a helper panics as one"
)]

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use loafer_core::{Error, extract::Metadata, message::Message, translate::Json};
use loafer_runtime::{
    bus::Bus,
    program::{Route, RouteOptions},
    testing,
    testing::{TestApp, TestBuilder},
};
use tokio::time::{Instant, sleep};

/// What handlers began with, in order, and which attempt that was.
#[derive(Clone, Default)]
struct Begun(Arc<Mutex<Vec<(u64, u32)>>>);

impl Begun {
    fn all(&self) -> Vec<(u64, u32)> {
        self.0.lock().unwrap().clone()
    }

    fn numbers(&self) -> Vec<u64> {
        self.all().iter().map(|(number, _)| *number).collect()
    }
}

/// A route `r` whose handler takes this long.
fn service(options: RouteOptions, time: Duration) -> (TestBuilder, Begun) {
    let begun = Begun::default();
    let seen = begun.clone();
    let route = Route::new("r").options(options);
    let route = route.handler(Json, move |number: u64, metadata: Metadata| {
        seen.0.lock().unwrap().push((number, metadata.attempt()));
        async move {
            sleep(time).await;
            true
        }
    });
    (testing::app().route(route), begun)
}

fn one_by_one() -> RouteOptions {
    RouteOptions::new().concurrency(1)
}

fn fifo() -> RouteOptions {
    one_by_one().queue("r.fifo")
}

async fn publish(app: &TestApp, numbers: impl IntoIterator<Item = u64>) {
    for number in numbers {
        app.publish("r", &number).await;
    }
}

/// The ten of a number are its group.
async fn publish_groups(app: &TestApp, numbers: impl IntoIterator<Item = u64>) {
    for number in numbers {
        let message = Message::new(number.to_string()).with_group(format!("{}", number / 10));
        app.publish_message("r", message).await;
    }
}

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_duplicate_comes_while_the_first_is_handled() {
    let (app, begun) = service(RouteOptions::new(), SECOND);
    let app = app.start().await;
    app.faults().duplicate_next("r");
    publish(&app, [1, 2]).await;
    app.advance(SECOND / 2).await;
    let mut numbers = begun.numbers();
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 1, 2]);
    app.settled().await;
    app.assert_acked("r", 3);
}

#[tokio::test(start_paused = true)]
async fn a_duplicate_on_a_fifo_queue_comes_after_the_ack_and_before_its_group_goes_on() {
    let (app, begun) = service(fifo().prefetch(0), SECOND);
    let app = app.start().await;
    app.faults().duplicate_next("r");
    publish_groups(&app, [1, 2]).await;
    app.settled().await;
    assert_eq!(begun.all(), [(1, 1), (1, 1), (2, 1)]);
}

#[tokio::test(start_paused = true)]
async fn a_forgotten_ack_brings_its_message_again() {
    let (app, begun) = service(RouteOptions::new(), SECOND);
    let app = app.start().await;
    app.faults().forget_next_ack("r").forget_next_ack("r");
    publish(&app, [1]).await;
    app.settled().await;
    assert_eq!(begun.all(), [(1, 1), (1, 1), (1, 1)]);
    app.route("r").assert_acked(3).assert_no_dead_letters();
}

#[tokio::test(start_paused = true)]
async fn a_delayed_message_comes_later_and_costs_no_attempt() {
    let (app, begun) = service(one_by_one(), SECOND);
    let app = app.start().await;
    let start = Instant::now();
    app.faults().delay_next("r", 60 * SECOND);
    publish(&app, [1, 2, 3]).await;
    app.settled().await;
    assert_eq!(begun.all(), [(2, 1), (3, 1), (1, 1)]);
    assert_eq!(start.elapsed(), 61 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_delayed_message_of_a_fifo_queue_holds_up_its_group_alone() {
    let (app, begun) = service(fifo().prefetch(0), SECOND);
    let app = app.start().await;
    app.faults().delay_next("r", 60 * SECOND);
    publish_groups(&app, [1, 2, 11]).await;
    app.settled().await;
    assert_eq!(begun.numbers(), [11, 1, 2]);
}

#[tokio::test(start_paused = true)]
async fn reordered_messages_come_last_first() {
    let (app, begun) = service(one_by_one(), SECOND);
    let app = app.start().await;
    app.faults().reorder("r");
    publish(&app, 0..4).await;
    app.settled().await;
    assert_eq!(begun.numbers(), [3, 2, 1, 0]);
}

#[tokio::test(start_paused = true)]
async fn reordering_a_fifo_queue_moves_groups_and_keeps_each_in_order() {
    let (app, begun) = service(fifo(), SECOND);
    let app = app.start().await;
    app.faults().reorder("r");
    publish_groups(&app, [1, 11, 2, 12]).await;
    app.settled().await;
    // Groups take turns.
    assert_eq!(begun.numbers(), [11, 1, 12, 2]);
}

#[tokio::test(start_paused = true)]
async fn poison_goes_to_the_dead_letters_and_costs_nobody_an_attempt() {
    let (app, begun) = service(RouteOptions::new(), SECOND);
    let app = app.start().await;
    app.faults().poison("r");
    publish(&app, [1]).await;
    app.settled().await;
    assert_eq!(begun.all(), [(1, 1)]);
    app.route("r")
        .assert_acked(1)
        .assert_failed(3)
        .assert_dead_lettered("");
}

#[tokio::test(start_paused = true)]
async fn a_lost_lease_brings_the_message_again_and_cancels_its_handler() {
    let (app, begun) = service(RouteOptions::new(), 40 * SECOND);
    let app = app.start().await;
    publish(&app, [1]).await;
    app.advance(SECOND).await;
    app.faults().lose_leases("r");
    app.settled().await;
    assert_eq!(begun.all(), [(1, 1), (1, 1)]);
    app.assert_acked("r", 1);
    assert_eq!(app.route("r").stats().lost, 1);
}

#[tokio::test(start_paused = true)]
#[should_panic = "no message is on lease"]
async fn losing_leases_that_are_not_there_is_a_mistake_of_the_test() {
    let (app, _) = service(RouteOptions::new(), SECOND);
    app.start().await.faults().lose_leases("r");
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_waited_out() {
    let (app, begun) = service(RouteOptions::new(), SECOND);
    let app = app.start().await;
    app.advance(SECOND).await;
    app.faults().broker_down();
    publish(&app, [1]).await;
    app.advance(60 * SECOND).await;
    assert_eq!(begun.numbers(), [0; 0]);
    assert!(!app.running().is_ready());
    app.faults().broker_up();
    app.settled().await;
    app.assert_acked("r", 1);
    assert!(app.running().is_ready());
}

#[tokio::test(start_paused = true)]
async fn what_was_handled_in_an_outage_is_acked_after_it_without_the_handler() {
    let (app, begun) = service(RouteOptions::new(), SECOND);
    let app = app.start().await;
    publish(&app, [1]).await;
    app.advance(SECOND / 2).await;
    app.faults().broker_down();
    app.advance(120 * SECOND).await;
    app.faults().broker_up();
    app.settled().await;
    assert_eq!(begun.all(), [(1, 1)]);
    app.route("r").assert_acked(1).assert_no_dead_letters();
    assert_eq!(app.route("r").stats().repeated, 1);
}

#[tokio::test(start_paused = true)]
async fn waiting_for_a_broker_that_is_down_is_a_mistake_of_the_test() {
    let (app, _) = service(RouteOptions::new(), SECOND);
    let app = app.start().await;
    app.faults().broker_down();
    publish(&app, [1]).await;
    let settled = tokio::spawn(async move { app.settled().await });
    let panic = settled.await.unwrap_err().into_panic();
    let told = panic.downcast_ref::<String>().unwrap();
    assert!(told.contains("the broker is down"), "{told}");
    assert!(told.contains("`faults().broker_up()`"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn calls_that_fail_are_made_again() {
    let (app, begun) = service(RouteOptions::new(), SECOND);
    let app = app.start().await;
    app.faults().fail_receives("r", 2).fail_settlements("r", 2);
    publish(&app, [1]).await;
    app.settled().await;
    assert_eq!(begun.all(), [(1, 1)]);
    app.assert_acked("r", 1);
}

#[tokio::test(start_paused = true)]
async fn a_publish_that_is_not_confirmed_is_an_error_of_its_handler() {
    let route = Route::new("r").handler(Json, async |number: u64, bus: Bus| {
        bus.publish_to("out", &number).await?;
        Ok::<_, Error>(true)
    });
    let app = testing::app().route(route).start().await;
    app.faults().fail_publishes("out", 1);
    app.publish("r", &1).await;
    app.settled().await;
    app.route("r").assert_failed(1).assert_acked(1);
    app.assert_published_count_to("out", 1);
}
