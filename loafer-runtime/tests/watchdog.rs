//! Async handlers that block their threads: they are named while they block, others run beside them, and leases are renewed meanwhile.

#![allow(
    clippy::unwrap_used,
    reason = "outside of a test function, a helper panics as one"
)]

#[path = "support/logged.rs"]
mod logged;

use std::{
    future::Future,
    sync::{
        Arc, Condvar, LazyLock, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use loafer_core::{extract::Batch, message::Message, outcome::Outcome, translate::Json};
use loafer_memory::Memory;
use loafer_runtime::program::{App, Ended, Manager, Route, RouteOptions, Running};
use tower::timeout::TimeoutLayer;

use self::logged::Logged;

/// Longer than anything here takes, on a machine that is also building.
const DEADLINE: Duration = Duration::from_secs(30);

/// What this process logged, on all threads.
static LOGGED: LazyLock<Logged> = LazyLock::new(|| {
    let logged = Logged::default();
    tracing::subscriber::set_global_default(logged.clone()).unwrap();
    logged
});

/// The lines that say that a handler of this route blocks.
fn blocks(route: &str) -> Vec<String> {
    let lines = LOGGED.lines("blocks its thread");
    let of_route = lines
        .into_iter()
        .filter(|line| line.contains(&format!("route={route} ")));
    of_route.collect()
}

/// Where handlers block, until as many of them may go on.
#[derive(Clone, Default)]
struct Gate(Arc<(Mutex<usize>, Condvar)>, Arc<AtomicUsize>);

impl Gate {
    /// Blocks the thread until it is let through.
    fn block(&self) -> bool {
        let (permits, changed) = &*self.0;
        self.1.fetch_add(1, Ordering::SeqCst);
        let permits = permits.lock().unwrap();
        let waited = changed.wait_timeout_while(permits, DEADLINE, |permits| *permits == 0);
        let (mut permits, late) = waited.unwrap();
        *permits = permits.saturating_sub(1);
        !late.timed_out()
    }

    fn open_for(&self, calls: usize) {
        *self.0.0.lock().unwrap() += calls;
        self.0.1.notify_all();
    }

    /// How many calls have come here.
    fn came(&self) -> usize {
        self.1.load(Ordering::SeqCst)
    }
}

/// Waits until this holds. It runs on no thread of the runtime.
fn until(what: &str, holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < DEADLINE, "not {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Runs a test on a thread that is not of its runtime, which has two.
fn run<F: Future<Output = ()>>(test: impl FnOnce() -> F) {
    LazyLock::force(&LOGGED);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(test());
}

async fn start(app: App, routes: impl IntoIterator<Item = Route>) -> Running {
    let manager = Manager::builder().app(app.broker(Memory::new()));
    let manager = routes.into_iter().fold(manager, |manager, route| {
        manager.route(route.provider::<Memory>())
    });
    manager.build().unwrap().start().await.unwrap()
}

async fn publish(running: &Running, route: &str, messages: u32) {
    for number in 0..messages {
        let message = Message::new(number.to_string());
        running.publish(route, message).await.unwrap();
    }
}

async fn ended(running: Running) {
    running.shutdown();
    assert_eq!(running.ended().await, Ended::Clean);
}

/// A route whose handler blocks its thread at the gate.
fn blocking(route: &'static str, gate: &Gate) -> Route {
    let gate = gate.clone();
    let handler = move |_: u32| {
        let gate = gate.clone();
        async move { gate.block() }
    };
    Route::new(route).handler(Json, handler)
}

#[test]
fn a_handler_is_named_while_it_blocks() {
    run(|| async {
        let gate = Gate::default();
        let route = blocking("named", &gate).handler_name("orders::placed");
        let running = start(App::new(), [route]).await;
        publish(&running, "named", 1).await;
        until("named", || blocks("named").len() == 1);
        let line = &blocks("named")[0];
        for part in ["queue=named ", "handler=orders::placed ", "plain `fn`"] {
            assert!(line.contains(part), "{line}");
        }
        gate.open_for(1);
        ended(running).await;
    });
}

#[test]
fn a_handler_behind_layers_is_named() {
    run(|| async {
        let gate = Gate::default();
        let app = App::new().layer(TimeoutLayer::new(DEADLINE));
        let options = RouteOptions::new().timeout(DEADLINE);
        let route = blocking("layered", &gate).options(options);
        let running = start(app, [route]).await;
        publish(&running, "layered", 1).await;
        until("named", || blocks("layered").len() == 1);
        gate.open_for(1);
        ended(running).await;
    });
}

#[test]
fn a_handler_that_blocks_after_it_waited_is_named() {
    run(|| async {
        let gate = Gate::default();
        let at = gate.clone();
        let handler = move |_: u32| {
            let gate = at.clone();
            async move {
                tokio::task::yield_now().await;
                gate.block()
            }
        };
        let running = start(App::new(), [Route::new("later").handler(Json, handler)]).await;
        publish(&running, "later", 1).await;
        until("named", || blocks("later").len() == 1);
        gate.open_for(1);
        ended(running).await;
    });
}

#[test]
fn a_batch_handler_that_blocks_is_named() {
    run(|| async {
        let gate = Gate::default();
        let at = gate.clone();
        let handler = move |_: Batch<u32>| {
            let gate = at.clone();
            async move { gate.block() }
        };
        let route = Route::new("batches").batch_handler(Json, handler);
        let running = start(App::new(), [route]).await;
        publish(&running, "batches", 1).await;
        until("named", || blocks("batches").len() == 1);
        gate.open_for(1);
        ended(running).await;
    });
}

#[test]
fn among_several_handlers_of_a_route_the_one_that_blocks_is_named() {
    run(|| async {
        let gate = Gate::default();
        let on = |header: &str| Route::new("several").on(header.parse().unwrap());
        let at = gate.clone();
        let blocks_here = move |_: u32| {
            let gate = at.clone();
            async move { gate.block() }
        };
        let quick = on("header:kind=quick").handler(Json, async |_: u32| true);
        let slow = on("header:kind=slow").handler(Json, blocks_here);
        let routes = [
            quick.handler_name("the_quick"),
            slow.handler_name("the_slow"),
        ];
        let running = start(App::new(), routes).await;
        for kind in ["quick", "slow"] {
            let message = Message::new("1").with_header("kind", kind);
            running.publish("several", message).await.unwrap();
        }
        until("named", || blocks("several").len() == 1);
        let line = &blocks("several")[0];
        assert!(line.contains("handler=the_slow "), "{line}");
        gate.open_for(1);
        ended(running).await;
    });
}

#[test]
fn from_the_second_offence_on_other_routes_run_beside_a_handler_that_blocks() {
    run(|| async {
        let gate = Gate::default();
        let options = RouteOptions::new().concurrency(4);
        let good = Route::new("good").handler(Json, async |_: u32| Outcome::Ack);
        let bad = blocking("bad", &gate).options(options);
        let running = start(App::new(), [bad, good]).await;
        publish(&running, "bad", 6).await;
        until("named", || !blocks("bad").is_empty());
        until("both threads are blocked", || gate.came() >= 2);
        gate.open_for(2);
        // More of them than there are threads.
        until("all who may run do", || gate.came() == 6);
        publish(&running, "good", 3).await;
        until("handled beside them", || {
            running.stats("good").unwrap().acked == 3
        });
        assert_eq!(running.stats("bad").unwrap().acked, 2);
        gate.open_for(4);
        until("acked", || running.stats("bad").unwrap().acked == 6);
        ended(running).await;
    });
}

#[test]
fn leases_are_renewed_while_every_thread_is_blocked() {
    run(|| async {
        let runs = Arc::new(AtomicUsize::new(0));
        let counts = runs.clone();
        let handler = move |_: u32| {
            counts.fetch_add(1, Ordering::SeqCst);
            async {
                // Longer than two leases.
                thread::sleep(Duration::from_millis(2500));
                true
            }
        };
        let options = RouteOptions::new()
            .concurrency(4)
            .lease(Duration::from_secs(1));
        let route = Route::new("leased").options(options).handler(Json, handler);
        let running = start(App::new(), [route]).await;
        publish(&running, "leased", 4).await;
        until("acked", || running.stats("leased").unwrap().acked == 4);
        let stats = running.stats("leased").unwrap();
        assert_eq!((stats.received, stats.lost), (4, 0));
        assert_eq!(runs.load(Ordering::SeqCst), 4);
        ended(running).await;
    });
}
