//! Brokers that the first route on them starts while the program runs.

use std::time::Duration;

use loafer_core::{message::Message, translate::Json};
use loafer_memory::Memory;
use loafer_runtime::{
    bus::Replier,
    program::{App, Ended, Manager, Route, RouteOptions},
};
use tokio::time::sleep;

use crate::{moody::Moody, route, start_app};

#[tokio::test(start_paused = true)]
async fn a_broker_is_started_once_for_the_first_routes_on_it() {
    let moody = Moody::default();
    let app = App::new().broker(Memory::new()).broker(moody.clone());
    let bus = app.bus();
    // Time enough for another route to come.
    Moody::set(&moody.mood.start_takes_a_second, true);
    let running = start_app(app, [route("first")]).await;
    // It may be published on, and nothing is started for that.
    assert_eq!(moody.log(), ["publisher"]);
    let (one, other) = tokio::join!(
        running.add(Moody::route("a")),
        running.add(Moody::route("b"))
    );
    one.and(other).unwrap();
    running.add(Moody::route("c")).await.unwrap();
    bus.send("moody:c", Message::new("1")).await.unwrap();
    moody.memory.settled().await;
    running.shutdown();
    assert_eq!(running.ended().await, Ended::Clean);
    assert_eq!(running.stats("c").unwrap().acked, 1);
    let log = moody.log();
    let (head, tail) = log.split_at(5);
    assert_eq!(head, ["publisher", "open a", "open b", "start", "open c"]);
    assert_eq!(tail[3..], ["close publisher", "close"]);
}

#[tokio::test(start_paused = true)]
async fn a_kind_that_the_program_did_not_know_is_taken_in() {
    let running = start_app(App::new().broker(Memory::new()), [route("first")]).await;
    running.add(Moody::route("r")).await.unwrap();
    assert_eq!(running.broker("r").as_deref(), Some("moody"));
    running.publish("r", Message::new("1")).await.unwrap();
    while running.stats("r").unwrap().acked == 0 {
        sleep(Duration::from_millis(1)).await;
    }
    running.shutdown();
    assert_eq!(running.ended().await, Ended::Clean);
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_does_not_start_is_started_again_for_the_next_route() {
    let moody = Moody::default();
    let app = App::new().broker(Memory::new()).broker(moody.clone());
    let running = start_app(app, [route("first")]).await;
    Moody::set(&moody.mood.start_fails, true);
    let error = running.add(Moody::route("r")).await.unwrap_err();
    assert_eq!(error.to_string(), "broker `moody`: it is in a bad mood");
    assert_eq!(running.routes(), ["first"]);
    Moody::set(&moody.mood.start_fails, false);
    running.add(Moody::route("r")).await.unwrap();
    let log = moody.log();
    assert_eq!(log[1..], ["open r", "start", "close r", "open r", "start"]);
    running.shutdown();
    assert_eq!(running.ended().await, Ended::Clean);
}

#[tokio::test(start_paused = true)]
async fn what_a_failed_start_has_started_and_opened_is_closed() {
    let (good, bad) = (Moody::default(), Moody::default());
    Moody::set(&bad.mood.start_fails, true);
    let app = App::new()
        .broker(good.clone())
        .broker_named("bad", bad.clone());
    let on_bad = RouteOptions::new().broker("bad");
    let manager = Manager::builder().app(app);
    let manager = manager
        .route(Moody::route("a"))
        .route(Moody::route("b").options(on_bad));
    let error = manager.build().unwrap().start().await.unwrap_err();
    assert_eq!(error.to_string(), "broker `bad`: it is in a bad mood");
    let mut log = good.log();
    log.sort();
    assert_eq!(log, ["close", "close a", "open a", "start"]);
    assert_eq!(bad.log(), ["open b", "start", "close b"]);
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_no_route_runs_on_is_not_started() {
    let (used, idle) = (Moody::default(), Moody::default());
    let app = App::new()
        .broker(used.clone())
        .broker_named("idle", idle.clone());
    let on_idle = RouteOptions::new().broker("idle");
    let manager = Manager::builder().app(app).only(["a"]);
    let manager = manager
        .route(Moody::route("a"))
        .route(Moody::route("b").options(on_idle));
    let running = manager.build().unwrap().start().await.unwrap();
    running.shutdown();
    assert_eq!(running.ended().await, Ended::Clean);
    assert!(used.log().contains(&"start".to_owned()));
    assert_eq!(idle.log(), ["publisher", "close publisher", "close"]);
}

#[tokio::test(start_paused = true)]
async fn requests_and_replies_go_by_a_broker_that_came_later() {
    let app = App::new().broker(Moody::default());
    let bus = app.bus();
    let running = start_app(app, [Moody::route("first")]).await;
    let prices = Route::new("prices").provider::<Memory>();
    let prices = prices.handler(Json, async |item: u64, replier: Replier| {
        replier.reply(&(100 * item)).await.map(|()| true)
    });
    running.add(prices.replying()).await.unwrap();
    let cents: u64 = bus
        .request("memory:prices", &3, Duration::from_secs(5))
        .await
        .unwrap();
    assert_eq!(cents, 300);
    running.shutdown();
    assert_eq!(running.ended().await, Ended::Clean);
}
