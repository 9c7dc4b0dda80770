//! Routes that are added to a running program.

use std::{sync::atomic::AtomicU32, time::Duration};

use loafer_core::{
    Error,
    broker::DeadLetter,
    extract::{Batch, BatchOutcome, Context, FromContext, Missing, Rejection, Resources, State},
    message::Message,
    outcome::Outcome,
    translate::Json,
};
use loafer_memory::Memory;
use loafer_runtime::program::{App, Config, Ended, Manager, Route, RouteOptions, Running};
use tokio::{
    task::yield_now,
    time::{Instant, sleep, timeout},
};
use tower::timeout::TimeoutLayer;

use crate::{Handled, moody::Moody, route, start, start_app};

async fn stop(running: &Running) {
    running.shutdown();
    assert_eq!(running.ended().await, Ended::Clean);
}

#[tokio::test(start_paused = true)]
async fn an_added_route_gets_what_waits_for_it() {
    let (memory, handled) = (Memory::new(), Handled::default());
    let running = start(&memory, [route("first")]).await;
    memory.send("later", (0..100).map(|n| Message::new(n.to_string())));
    let later = handled.route("later", Duration::ZERO);
    running.add(later).await.unwrap();
    assert_eq!(running.routes(), ["first", "later"]);
    memory.settled().await;
    assert_eq!(handled.numbers().len(), 100);
    stop(&running).await;
    assert_eq!(running.stats("later").unwrap().acked, 100);
}

#[tokio::test(start_paused = true)]
async fn the_configuration_speaks_of_it_too() {
    let file = "[routes.later]\nqueue = \"configured\"\nconcurrency = 3";
    let config = Config::parse(file, [], &["first", "later"]).unwrap();
    let app = App::new().broker(Memory::new());
    let manager = Manager::builder().app(app).config(config);
    let manager = manager.route(route("first")).build().unwrap();
    let running = manager.start().await.unwrap();
    let options = RouteOptions::new().queue("of-code");
    running.add(route("later").options(options)).await.unwrap();
    assert_eq!(running.queue("later").as_deref(), Some("configured"));
    stop(&running).await;
}

#[tokio::test(start_paused = true)]
async fn dead_letters_have_the_name_that_the_route_gives_its_handler() {
    let memory = Memory::new();
    let running = start(&memory, [route("first")]).await;
    for service in ["billing", "crm"] {
        let route = Route::new(service.to_owned()).provider::<Memory>();
        let route = route.handler(Json, async |_: u64| Outcome::Reject {
            reason: "no".into(),
        });
        let named = route.handler_name(format!("bridge:{service}"));
        running.add(named).await.unwrap();
        running.publish(service, Message::new("1")).await.unwrap();
        memory.settled().await;
        let dead = memory.dead_letters(service).remove(0);
        let envelope = dead.headers().get(DeadLetter::HEADER).unwrap();
        let name = format!("\"handler\":\"bridge:{service}\"");
        assert!(envelope.contains(&name), "{envelope}");
    }
    stop(&running).await;
}

/// What is wrong with a route is said alike at the start and later.
#[tokio::test(start_paused = true)]
async fn what_keeps_a_program_from_starting_keeps_a_route_from_being_added() {
    let moody = Moody::default();
    Moody::set(&moody.mood.open_fails, true);
    let app = || {
        App::new()
            .broker(Memory::new())
            .broker(moody.clone())
            .layer(TimeoutLayer::new(Duration::from_secs(9)))
    };
    let batches =
        async |numbers: Batch<u64>| -> BatchOutcome { numbers.values().map(|_| true).collect() };
    type Broken = (fn() -> Route, &'static str);
    let broken: [Broken; 5] = [
        (
            || Route::new("r").provider::<Memory>(),
            "give it one with `Route::handler`",
        ),
        (
            || {
                let route = Route::new("r").provider::<Memory>();
                route.handler(Json, async |_: u64, _: State<AtomicU32>| true)
            },
            "app.state(value)",
        ),
        (
            || route("r").options(RouteOptions::new().broker("memry")),
            "did you mean `memory`?",
        ),
        (
            || route("r").options(RouteOptions::new().batch(5)),
            "take a `Batch<T>`",
        ),
        (|| Moody::route("r"), "route `r`: it is in a bad mood"),
    ];
    let running = start_app(app(), [route("first")]).await;
    for (broken, says) in broken {
        let manager = Manager::builder()
            .app(app())
            .route(route("first"))
            .route(broken());
        let at_start = match manager.build() {
            Ok(manager) => manager.start().await.unwrap_err(),
            Err(error) => error,
        };
        let later = running.add(broken()).await.unwrap_err();
        assert_eq!(later.to_string(), at_start.to_string());
        assert!(later.to_string().contains(says), "{later}");
        assert_eq!(running.routes(), ["first"]);
    }
    // Layers go around one message at a time.
    let route = Route::new("r")
        .provider::<Memory>()
        .batch_handler(Json, batches);
    let error = running.add(route).await.unwrap_err().to_string();
    assert!(error.contains("app.layer_for(ROUTE, layer)"), "{error}");
    running.add(crate::route("r")).await.unwrap();
    stop(&running).await;
}

#[tokio::test(start_paused = true)]
async fn a_name_belongs_to_one_route() {
    let memory = Memory::new();
    let running = start(&memory, [route("first")]).await;
    let error = running.add(route("first")).await.unwrap_err();
    assert!(matches!(error, Error::Start(_)), "{error:?}");
    assert!(error.to_string().contains("route `first`"), "{error}");
    let (one, other) = tokio::join!(running.add(route("r")), running.add(route("r")));
    assert!(one.is_ok() != other.is_ok(), "{one:?} {other:?}");
    stop(&running).await;
}

#[tokio::test(start_paused = true)]
async fn an_open_that_hangs_ends_within_its_time_and_leaves_nothing() {
    let moody = Moody::default();
    let app = App::new().broker(Memory::new()).broker(moody.clone());
    let running = start_app(app, [route("first")]).await;
    Moody::set(&moody.mood.open_hangs, true);
    let began = Instant::now();
    let (hung, meanwhile) = tokio::join!(
        running.add(Moody::route("r")),
        running.add(Moody::route("r"))
    );
    assert_eq!(began.elapsed(), Duration::from_secs(12));
    let hung = hung.unwrap_err().to_string();
    assert!(hung.contains("took longer than 12s"), "{hung}");
    assert!(meanwhile.is_err());
    assert!(running.stats("r").is_none());
    Moody::set(&moody.mood.open_hangs, false);
    running.add(Moody::route("r")).await.unwrap();
    stop(&running).await;
}

#[tokio::test(start_paused = true)]
async fn an_add_that_is_dropped_goes_on() {
    let moody = Moody::default();
    let app = App::new().broker(Memory::new()).broker(moody.clone());
    Moody::set(&moody.mood.start_takes_a_second, true);
    let running = start_app(app, [route("first")]).await;
    let add = running.add(Moody::route("r"));
    assert!(timeout(Duration::from_millis(500), add).await.is_err());
    assert_eq!(running.routes(), ["first"]);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(running.routes(), ["first", "r"]);
    stop(&running).await;
}

#[tokio::test(start_paused = true)]
async fn a_program_that_stops_takes_no_route() {
    let moody = Moody::default();
    let app = App::new().broker(Memory::new()).broker(moody.clone());
    Moody::set(&moody.mood.start_takes_a_second, true);
    let running = start_app(app, [route("first")]).await;
    Moody::set(&moody.mood.close_takes_a_second, true);
    // One is opening, one has its broker started, when the program is asked to stop.
    let starting = running.add(Moody::route("starting"));
    let opening = async {
        sleep(Duration::from_millis(300)).await;
        Moody::set(&moody.mood.open_hangs, true);
        running.add(Moody::route("opening")).await
    };
    let stopping = async {
        sleep(Duration::from_millis(500)).await;
        let began = Instant::now();
        running.shutdown();
        let ended = running.ended().await;
        (ended, began.elapsed(), running.add(route("late")).await)
    };
    let (starting, opening, (ended, took, late)) = tokio::join!(starting, opening, stopping);
    for error in [starting, opening, late] {
        let error = error.unwrap_err().to_string();
        assert!(error.contains("the program is stopping"), "{error}");
    }
    assert_eq!((ended, took), (Ended::Clean, Duration::from_secs(1)));
    assert_eq!(running.routes(), ["first"]);
    // The broker was not started, and what was opened is closed before it.
    let log = [
        "publisher",
        "open starting",
        "close starting",
        "close publisher",
        "close",
    ];
    assert_eq!(moody.log(), log);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_route_outlives_its_program() {
    const NAMES: [&str; 4] = ["a", "b", "c", "d"];
    for turn in 0..300 {
        let moody = Moody::default();
        let app = App::new().broker(Memory::new()).broker(moody.clone());
        let running = start_app(app, [route("first")]).await;
        let adds = NAMES.map(|name| {
            let running = running.clone();
            tokio::spawn(async move { running.add(Moody::route(name)).await })
        });
        for _ in 0..turn % 60 {
            yield_now().await;
        }
        running.shutdown();
        assert_eq!(running.ended().await, Ended::Clean);
        let log = moody.log();
        let said = |what: String| log.iter().filter(|line| **line == what).count();
        for (name, add) in NAMES.into_iter().zip(adds) {
            let added = add.await.unwrap();
            assert_eq!(running.routes().contains(&name.to_owned()), added.is_ok());
            let (opened, closed) = (said(format!("open {name}")), said(format!("close {name}")));
            assert_eq!(opened, closed, "{log:?}");
        }
        // Nothing happens once the program has ended.
        assert_eq!(log.last().map(String::as_str), Some("close"));
        assert_eq!(moody.log(), log);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_is_free_again_when_the_error_is_told() {
    let running = start(&Memory::new(), [route("first")]).await;
    for _ in 0..500 {
        let error = running.add(Route::new("r").provider::<Memory>());
        let error = error.await.unwrap_err().to_string();
        assert!(error.contains("has no handler"), "{error}");
    }
    running.cancel();
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_can_not_be_prepared_for_a_panic_is_not_added() {
    struct Panics;
    impl FromContext for Panics {
        type Needs = ();
        fn needs(_: &Resources) -> Result<(), Missing> {
            panic!("no needs")
        }
        fn from_context(_: &(), _: &Context<'_>) -> Result<Self, Rejection> {
            Ok(Self)
        }
    }
    let running = start(&Memory::new(), [route("first")]).await;
    let panics = Route::new("r").provider::<Memory>();
    let panics = panics.handler(Json, async |_: u64, _: Panics| true);
    let error = running.add(panics).await.unwrap_err().to_string();
    assert_eq!(error, "route `r` is not added: adding it panicked");
    running.add(route("r")).await.unwrap();
    running.cancel();
}
