//! Routes that are removed from a running program.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use loafer_core::{message::Message, translate::Json};
use loafer_memory::Memory;
use loafer_runtime::program::{App, Ended, Route, RouteOptions};
use tokio::time::{Instant, sleep, timeout};

use crate::{Handled, moody::Moody, route, slow, start, start_app};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_route_comes_and_goes_under_load_and_loses_nothing() {
    come_and_go().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_route_comes_and_goes_on_two_threads_and_loses_nothing() {
    come_and_go().await;
}

async fn come_and_go() {
    const MESSAGES: u64 = 2_000;
    let (memory, handled) = (Memory::new(), Handled::default());
    let beside = Handled::default();
    let running = start(&memory, [beside.route("beside", Duration::ZERO)]).await;
    let over = AtomicBool::new(false);
    let publishing = async {
        for number in 0..MESSAGES {
            let message = || Message::new(number.to_string());
            memory.send("r", [message()]);
            memory.send("beside", [message()]);
            if number % 10 == 0 {
                sleep(Duration::from_millis(1)).await;
            }
        }
        over.store(true, Ordering::SeqCst);
    };
    let changing = async {
        while !over.load(Ordering::SeqCst) {
            let route = handled.route("r", Duration::from_micros(300));
            running.add(route).await.unwrap();
            sleep(Duration::from_millis(5)).await;
            assert_eq!(running.remove("r").await.unwrap(), Ended::Clean);
            assert!(running.stats("r").is_none());
        }
        running
            .add(handled.route("r", Duration::ZERO))
            .await
            .unwrap();
    };
    tokio::join!(publishing, changing);
    memory.settled().await;
    running.shutdown();
    assert_eq!(running.ended().await, Ended::Clean);
    for handled in [&handled, &beside] {
        assert_eq!(handled.numbers().len() as u64, MESSAGES);
        assert_eq!(handled.most(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_removal_waits_for_what_runs_and_releases_what_does_not() {
    let (memory, handled) = (Memory::new(), Handled::default());
    let waits = handled
        .route("r", 2 * SECOND)
        .options(slow(RouteOptions::new()));
    let running = start(&memory, [route("first"), waits]).await;
    memory.send("r", (0..4).map(|n| Message::new(n.to_string())));
    sleep(SECOND).await;
    let began = Instant::now();
    assert_eq!(running.remove("r").await.unwrap(), Ended::Clean);
    assert_eq!(began.elapsed(), SECOND);
    assert_eq!(handled.numbers(), [0]);
    assert_eq!(memory.messages("r").len(), 3);
    // Nobody consumes them now, so nobody waits for them.
    memory.settled().await;
    assert_eq!(running.routes(), ["first"]);
    assert!(running.queue("r").is_none() && running.broker("r").is_none());
    assert_eq!(running.in_flight(), 0);
    running
        .add(handled.route("r", Duration::ZERO))
        .await
        .unwrap();
    memory.settled().await;
    assert_eq!((handled.numbers().len(), handled.most()), (4, 1));
    running.cancel();
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_outlasts_the_drain_is_cancelled_and_its_message_kept() {
    let memory = Memory::new();
    let app = App::new().broker(memory.clone()).drain(3 * SECOND);
    let hangs = Handled::default().route("r", 3600 * SECOND);
    let running = start_app(app, [route("first"), hangs]).await;
    memory.send("r", [Message::new("1")]);
    sleep(SECOND).await;
    let began = Instant::now();
    assert_eq!(running.remove("r").await.unwrap(), Ended::Unclean);
    assert_eq!(began.elapsed(), 3 * SECOND);
    let again = Handled::default();
    running.add(again.route("r", Duration::ZERO)).await.unwrap();
    memory.settled().await;
    assert_eq!(again.numbers(), [1]);
    // The program itself has lost nothing.
    running.shutdown();
    assert_eq!(running.ended().await, Ended::Clean);
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_does_not_close_is_given_up() {
    let moody = Moody::default();
    let app = App::new().broker(moody.clone()).drain(SECOND);
    let running = start_app(app, [Moody::route("a"), Moody::route("b")]).await;
    Moody::set(&moody.mood.close_hangs, true);
    let began = Instant::now();
    assert_eq!(running.remove("a").await.unwrap(), Ended::Unclean);
    assert_eq!(began.elapsed(), Duration::from_millis(3500));
    let began = Instant::now();
    running.shutdown();
    assert_eq!(running.ended().await, Ended::Unclean);
    assert!(began.elapsed() <= 5 * SECOND, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_removal_that_is_dropped_goes_on() {
    let (memory, handled) = (Memory::new(), Handled::default());
    let running = start(&memory, [handled.route("r", 2 * SECOND)]).await;
    memory.send("r", [Message::new("1")]);
    sleep(SECOND).await;
    let removal = timeout(SECOND / 2, running.remove("r"));
    assert!(removal.await.is_err());
    // Until it has ended, its name is its own.
    assert_eq!(running.routes(), ["r"]);
    assert!(running.add(route("r")).await.is_err());
    sleep(SECOND).await;
    assert!(running.routes().is_empty());
    assert_eq!(handled.numbers(), [1]);
    running.cancel();
}

#[tokio::test(start_paused = true)]
async fn a_program_without_routes_goes_on() {
    let memory = Memory::new();
    let running = start(&memory, [route("a"), route("b")]).await;
    for name in running.routes() {
        running.remove(&name).await.unwrap();
    }
    assert!(timeout(60 * SECOND, running.ended()).await.is_err());
    assert!(running.is_ready());
    running.add(route("c")).await.unwrap();
    running.shutdown();
    assert_eq!(running.ended().await, Ended::Clean);
    assert_eq!(running.routes(), ["c"]);
}

#[tokio::test(start_paused = true)]
async fn a_failing_route_that_is_removed_is_forgotten_by_readiness() {
    let moody = Moody::default();
    let app = App::new().broker(moody.clone());
    let running = start_app(app, [Moody::route("a")]).await;
    // The first receive of the other route is under way.
    sleep(SECOND).await;
    Moody::set(&moody.mood.receive_fails, true);
    running.add(Moody::route("b")).await.unwrap();
    sleep(SECOND).await;
    assert!(!running.is_ready());
    running.remove("b").await.unwrap();
    assert!(running.is_ready());
    let error = running.remove("b").await.unwrap_err().to_string();
    assert_eq!(error, "unknown route `b`; did you mean `a`?");
    running.cancel();
}

#[tokio::test(start_paused = true)]
async fn a_removal_ends_with_the_program_that_stops_meanwhile() {
    for cancelled in [false, true] {
        let (memory, handled) = (Memory::new(), Handled::default());
        let running = start(&memory, [handled.route("r", 10 * SECOND)]).await;
        memory.send("r", [Message::new("1")]);
        sleep(SECOND).await;
        let stop = async {
            sleep(SECOND).await;
            match cancelled {
                true => running.cancel(),
                false => running.shutdown(),
            }
            running.ended().await
        };
        let (one, other, ended) = tokio::join!(running.remove("r"), running.remove("r"), stop);
        let how = if cancelled {
            Ended::Unclean
        } else {
            Ended::Clean
        };
        assert_eq!((one.unwrap(), other.unwrap(), ended), (how, how, how));
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_may_remove_another_route() {
    let memory = Memory::new();
    let running = start(&memory, [route("r")]).await;
    let other = running.clone();
    let remover = Route::new("remover").provider::<Memory>();
    let remover = remover.handler(Json, move |name: String| {
        let running = other.clone();
        async move { running.remove(&name).await.is_ok() }
    });
    running.add(remover).await.unwrap();
    running
        .publish("remover", Message::new("\"r\""))
        .await
        .unwrap();
    memory.settled().await;
    assert_eq!(running.routes(), ["remover"]);
    running.cancel();
}
