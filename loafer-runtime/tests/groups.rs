//! Groups: one message at a time, in order where the broker keeps it, and never one group in the way of another.

#![allow(
    clippy::unwrap_used,
    reason = "outside of a test function, a helper panics as one"
)]

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use loafer_core::{
    broker::Broker,
    extract::Metadata,
    message::{Message, Outgoing},
    outcome::Outcome,
    policy::{Backoff, GroupBy},
    translate::Json,
};
use loafer_memory::Memory;
use loafer_runtime::{
    bus::Bus,
    program::{App, Manager, Route, RouteOptions},
    testing,
};
use tokio::time::{Instant, sleep};

/// What handlers did, in order.
#[derive(Clone, Default)]
struct Ledger(Arc<Mutex<Vec<(String, String)>>>);

impl Ledger {
    /// A message of a group was handled to its end; how often it was seen before.
    fn note(&self, group: &str, what: impl Into<String>) {
        self.0.lock().unwrap().push((group.to_owned(), what.into()));
    }

    fn of(&self, group: &str) -> Vec<String> {
        let entries = self.0.lock().unwrap();
        let of_group = entries.iter().filter(|(of, _)| of == group);
        of_group.map(|(_, what)| what.clone()).collect()
    }
}

fn message(group: &str, number: usize) -> Message {
    Message::new(number.to_string()).with_group(group.to_owned())
}

fn fifo() -> RouteOptions {
    RouteOptions::new().queue("orders.fifo").concurrency(32)
}

#[tokio::test(start_paused = true)]
async fn a_thousand_messages_of_sixteen_groups_succeed_in_order_though_some_fail_twice() {
    let ledger = Ledger::default();
    let running: Arc<Mutex<HashMap<String, usize>>> = Arc::default();
    let handler = {
        let (ledger, running) = (ledger.clone(), running.clone());
        move |number: usize, metadata: Metadata| {
            let (ledger, running) = (ledger.clone(), running.clone());
            async move {
                let group = metadata.group().unwrap().to_owned();
                let at_once = {
                    let mut running = running.lock().unwrap();
                    let count = running.entry(group.clone()).or_default();
                    *count += 1;
                    *count
                };
                assert_eq!(at_once, 1, "two of group {group} at once");
                sleep(Duration::from_millis((number % 7) as u64)).await;
                *running.lock().unwrap().get_mut(&group).unwrap() -= 1;
                // A message may be released behind a failed one: its attempt counts these too, so failures are counted here.
                let failures = ledger.of(&format!("{group} failures of {number}")).len();
                if number % 10 == 3 && failures < 2 {
                    ledger.note(&format!("{group} failures of {number}"), "");
                    return false;
                }
                ledger.note(&group, number.to_string());
                true
            }
        }
    };
    let route = Route::new("orders").options(fifo()).handler(Json, handler);
    let app = testing::app().route(route).max_receives(100).start().await;
    for number in 0..1000 {
        let message = message(&format!("g{}", number % 16), number);
        app.publish_message("orders", message).await;
    }
    app.settled().await;
    assert_eq!(app.route("orders").acked(), 1000);
    for group in 0..16 {
        let expected: Vec<_> = (group..1000).step_by(16).map(|n| n.to_string()).collect();
        assert_eq!(ledger.of(&format!("g{group}")), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_group_holds_up_no_other() {
    let ledger = Ledger::default();
    let handler = {
        let ledger = ledger.clone();
        move |number: usize, metadata: Metadata| {
            let ledger = ledger.clone();
            async move {
                let group = metadata.group().unwrap().to_owned();
                if group.starts_with("slow") {
                    sleep(Duration::from_secs(600)).await;
                }
                ledger.note(&group, number.to_string());
                true
            }
        }
    };
    let options = fifo().concurrency(4);
    let route = Route::new("orders").options(options).handler(Json, handler);
    let app = testing::app().route(route).start().await;
    for group in ["slow-1", "slow-2", "slow-3"] {
        for number in 0..10 {
            app.publish_message("orders", message(group, number)).await;
        }
    }
    for number in 0..100 {
        app.publish_message("orders", message("quick", number))
            .await;
    }
    sleep(Duration::from_secs(60)).await;
    assert_eq!(ledger.of("quick").len(), 100);
    assert_eq!(ledger.of("slow-1").len(), 0);
    app.settled().await;
    assert_eq!(ledger.of("slow-1").len(), 10);
}

#[tokio::test(start_paused = true)]
async fn what_waits_behind_a_failed_message_is_released_and_comes_after_it() {
    let ledger = Ledger::default();
    let started = Instant::now();
    let handler = {
        let ledger = ledger.clone();
        move |number: usize, metadata: Metadata| {
            let ledger = ledger.clone();
            async move {
                let second = started.elapsed().as_secs();
                ledger.note("g", format!("{number} at {second} s"));
                number != 1 || metadata.attempt() > 1
            }
        }
    };
    let options = fifo().backoff(Backoff::new(Duration::from_secs(60)).with_jitter(false));
    let route = Route::new("orders").options(options).handler(Json, handler);
    let app = testing::app().route(route).start().await;
    for number in 0..4 {
        app.publish_message("orders", message("g", number)).await;
    }
    app.settled().await;
    let handled = [
        "0 at 0 s",
        "1 at 0 s",
        "1 at 60 s",
        "2 at 60 s",
        "3 at 60 s",
    ];
    assert_eq!(ledger.of("g"), handled);
}

#[tokio::test(start_paused = true)]
async fn a_rejected_message_leaves_its_group_to_the_next() {
    let ledger = Ledger::default();
    let handler = {
        let ledger = ledger.clone();
        move |number: usize| {
            let ledger = ledger.clone();
            async move {
                ledger.note("g", number.to_string());
                match number {
                    1 => Outcome::Reject {
                        reason: "never".into(),
                    },
                    _ => Outcome::Ack,
                }
            }
        }
    };
    let route = Route::new("orders").options(fifo()).handler(Json, handler);
    let app = testing::app().route(route).start().await;
    for number in 0..4 {
        app.publish_message("orders", message("g", number)).await;
    }
    app.settled().await;
    assert_eq!(ledger.of("g"), ["0", "1", "2", "3"]);
    assert_eq!(app.route("orders").dead_lettered(), 1);
    assert_eq!(app.route("orders").received(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_lets_the_running_one_finish_and_releases_what_waits_behind_it() {
    let handler = async |_: usize| {
        sleep(Duration::from_secs(5)).await;
        true
    };
    let route = Route::new("orders").options(fifo()).handler(Json, handler);
    let app = testing::app().route(route).start().await;
    for number in 0..8 {
        app.publish_message("orders", message("g", number)).await;
    }
    sleep(Duration::from_secs(1)).await;
    app.shutdown().await;
    let stats = app.running().stats("orders").unwrap();
    assert_eq!((stats.acked, stats.released), (1, 7));
}

#[tokio::test(start_paused = true)]
async fn groups_by_a_header_run_one_at_a_time_and_a_failure_holds_nobody() {
    let ledger = Ledger::default();
    let handler = {
        let ledger = ledger.clone();
        move |number: usize, metadata: Metadata| {
            let ledger = ledger.clone();
            async move {
                let tenant = metadata
                    .headers()
                    .get("tenant")
                    .unwrap_or("nobody")
                    .to_owned();
                ledger.note(&tenant, format!("{number} begins"));
                sleep(Duration::from_secs(1)).await;
                ledger.note(&tenant, format!("{number} ends"));
                number != 0 || metadata.attempt() > 1
            }
        }
    };
    let options = RouteOptions::new().group_by(GroupBy::header("tenant"));
    let route = Route::new("orders").options(options).handler(Json, handler);
    let app = testing::app().route(route).start().await;
    for number in 0..3 {
        let message = Message::new(number.to_string()).with_header("tenant", "acme");
        app.publish_message("orders", message).await;
    }
    for number in 3..5 {
        app.publish_message("orders", Message::new(number.to_string()))
            .await;
    }
    app.settled().await;
    let acme = [
        "0 begins", "0 ends", "1 begins", "1 ends", "2 begins", "2 ends", "0 begins", "0 ends",
    ];
    assert_eq!(ledger.of("acme"), acme);
    assert_eq!(ledger.of("nobody")[..2], ["3 begins", "4 begins"]);
}

#[tokio::test(start_paused = true)]
async fn the_groups_of_a_fair_queue_make_no_lane() {
    let started = Instant::now();
    let handler = async |_: usize, metadata: Metadata| {
        sleep(Duration::from_secs(1)).await;
        metadata.group() == Some("tenant")
    };
    let route = Route::new("orders").handler(Json, handler);
    let app = testing::app().route(route).start().await;
    for number in 0..10 {
        app.publish_message("orders", message("tenant", number))
            .await;
    }
    app.settled().await;
    assert_eq!(app.route("orders").acked(), 10);
    assert!(started.elapsed() < Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn once_handles_every_message_of_a_group_and_ends() {
    let memory = Memory::new();
    memory.send("orders.fifo", (0..8).map(|number| message("g", number)));
    let handler = async |number: usize| match number {
        3 => Outcome::Reject {
            reason: "never".into(),
        },
        _ => Outcome::Ack,
    };
    let route = Route::new("orders").options(fifo()).handler(Json, handler);
    let manager = Manager::builder()
        .app(App::new().broker(memory.clone()))
        .route(route)
        .once(true);
    let running = manager.build().unwrap().start().await.unwrap();
    running.ended().await;
    assert_eq!(running.stats("orders").unwrap().acked, 7);
    assert_eq!(memory.messages("orders.fifo").len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_fifo_queue_in_memory_leaves_duplicates_out_for_five_minutes() {
    let memory = Memory::new();
    let bus = Bus::new(memory.publisher());
    let outgoing = Outgoing::from(message("g", 1)).deduplication_id("once");
    for _ in 0..3 {
        bus.send("memory:orders.fifo", outgoing.clone())
            .await
            .unwrap();
    }
    assert_eq!(memory.messages("orders.fifo").len(), 1);
    sleep(Duration::from_secs(301)).await;
    bus.send("memory:orders.fifo", outgoing).await.unwrap();
    assert_eq!(memory.messages("orders.fifo").len(), 2);
}
