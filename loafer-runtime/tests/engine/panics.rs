//! Code of the user's that panics costs its message an attempt, and no other message anything.

use std::{
    error::Error,
    fmt,
    future::pending,
    sync::{
        Mutex,
        mpsc::{Receiver, channel},
    },
    time::Duration,
};

use futures_util::future::BoxFuture;
use loafer_core::{
    broker::Capabilities,
    extract::{Batch, BatchOutcome},
    outcome::{FailureKind, Verdict},
    policy::Backoff,
    translate::Json,
};
use loafer_runtime::{
    __private::PreparedHandler,
    handler::Failure,
    program::{App, Ended, Route, RouteOptions, Running},
};
use tokio::time::{Instant, sleep};

use crate::scripted::Scripted;

const SECOND: Duration = Duration::from_secs(1);

/// An error that can't be shown.
#[derive(Debug)]
struct Unshowable;

impl fmt::Display for Unshowable {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("not to be shown")
    }
}

impl Error for Unshowable {}

/// It can't be dropped, whether it is an error or what a future holds.
#[derive(Debug)]
struct Undroppable;

impl fmt::Display for Undroppable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not to be dropped")
    }
}

impl Error for Undroppable {}

impl Drop for Undroppable {
    fn drop(&mut self) {
        panic!("not to be dropped")
    }
}

type BoxError = Box<dyn Error + Send + Sync>;

/// A route whose messages 0 to 3 fail with this error; the others take a second.
fn route(batches: bool, error: fn() -> BoxError) -> Route {
    let backoff = Backoff::new(7 * SECOND);
    let options = RouteOptions::new()
        .concurrency(2)
        .timeout(5 * SECOND)
        .backoff(backoff.with_factor(1.0).with_jitter(false));
    let route = Route::new("r").provider::<Scripted>();
    if !batches {
        let handler = move |number: u64| async move {
            sleep(if number < 4 { Duration::ZERO } else { SECOND }).await;
            if number < 4 { Err(error()) } else { Ok(true) }
        };
        return route.options(options).handler(Json, handler);
    }
    let options = options.batch(3).linger(SECOND / 10);
    let handler = move |batch: Batch<u64>| async move {
        sleep(SECOND).await;
        let outcomes = batch.values();
        let outcomes = outcomes.map(|number| if *number < 4 { Err(error()) } else { Ok(true) });
        outcomes.collect::<BatchOutcome>()
    };
    route.options(options).batch_handler(Json, handler)
}

/// Starts it with four bad messages among eight good ones.
async fn start(broker: &Scripted, route: Route) -> Running {
    broker
        .lock()
        .queue
        .extend([4, 0, 5, 1, 6, 2, 7, 3, 8, 9, 10, 11]);
    broker.start_route(route).await
}

/// The bad messages are retried, the good ones acked, two calls run at once, and the program ends well.
async fn only_the_bad_ones_fail(broker: &Scripted, running: &Running, case: &str) {
    sleep(60 * SECOND).await;
    let mut acked = broker.acked_payloads();
    acked.sort_unstable();
    assert_eq!(acked, Vec::from_iter(4..=11), "{case}");
    let refusals = broker.lock().refusals.clone();
    assert_eq!(refusals, ["Retry { after: Some(7s) }"; 4], "{case}");
    assert_eq!(running.in_flight(), 0, "{case}");
    assert_eq!(running.stats("r").unwrap().failed, 4, "{case}");

    let again = Instant::now();
    broker.lock().queue.extend(100..=105);
    while broker.acked_payloads().len() < 8 + 6 {
        assert!(again.elapsed() < 60 * SECOND, "{case}: stands still");
        sleep(SECOND / 10).await;
    }
    // An idle receive takes up to 20 s; what is handled then, two at once, takes 3 s, or 1 s in batches.
    let first = broker.acked_after(100, again);
    let last = again.elapsed();
    assert!(last - first < 3 * SECOND, "{case}: {first:?} to {last:?}");
    let stopped = Instant::now();
    running.shutdown();
    assert_eq!(running.ended().await, Ended::Clean, "{case}");
    assert!(stopped.elapsed() < 5 * SECOND, "{case}");
}

fn broker() -> Scripted {
    let quick: fn(&mut Capabilities) = |capabilities| capabilities.linger = Duration::ZERO;
    Scripted::default().able(quick)
}

type OnError = fn(Failure) -> BoxFuture<'static, Result<bool, Unshowable>>;

async fn each(case: &str, error: fn() -> BoxError, on_error: Option<OnError>) {
    for batches in [false, true] {
        let broker = broker();
        let route = route(batches, error);
        let route = match on_error {
            Some(on_error) => route.on_error(on_error),
            None => route,
        };
        let running = start(&broker, route).await;
        let case = format!("{case}, batches: {batches}");
        only_the_bad_ones_fail(&broker, &running, &case).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_on_error_whose_error_can_not_be_shown_fails_its_message_alone() {
    let at_once: OnError = |_| Box::pin(async { Err(Unshowable) });
    each("at once", || "no".into(), Some(at_once)).await;
    let later: OnError = |_| {
        Box::pin(async {
            sleep(SECOND).await;
            Err(Unshowable)
        })
    };
    each("later", || "no".into(), Some(later)).await;
}

#[tokio::test(start_paused = true)]
async fn an_on_error_that_can_not_be_dropped_at_its_timeout_fails_its_message_alone() {
    let slow: OnError = |_| {
        Box::pin(async {
            let _held = Undroppable;
            pending().await
        })
    };
    each("timeout", || "no".into(), Some(slow)).await;
}

#[tokio::test(start_paused = true)]
async fn an_error_that_can_not_be_dropped_fails_its_message_alone() {
    each("without `on_error`", || Box::new(Undroppable), None).await;
    let nothing: OnError = |_| Box::pin(async { Ok(false) });
    each("with `on_error`", || Box::new(Undroppable), Some(nothing)).await;
}

/// Its handler never ends, and can't be dropped at its timeout.
fn undroppable(batches: bool) -> Route {
    let options = RouteOptions::new().concurrency(1).timeout(SECOND);
    let route = Route::new("r").provider::<Scripted>();
    async fn handled(number: u64) -> bool {
        if number == 0 {
            let _held = Undroppable;
            pending::<()>().await;
        }
        true
    }
    if batches {
        let options = options.batch(1).linger(Duration::ZERO);
        let handler = async |batch: Batch<u64>| handled(*batch[0]).await;
        return route.options(options).batch_handler(Json, handler);
    }
    route.options(options).handler(Json, handled)
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_can_not_be_dropped_at_its_timeout_fails_its_message_alone() {
    for batches in [false, true] {
        let broker = broker().holding([0, 1, 2]);
        let running = broker.start_route(undroppable(batches)).await;
        sleep(10 * SECOND).await;
        assert_eq!(broker.acked_payloads(), [1, 2], "batches: {batches}");
        assert_eq!(running.in_flight(), 0);
        running.shutdown();
        assert_eq!(running.ended().await, Ended::Clean);
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_that_can_not_be_dropped_behind_a_failed_one_of_its_group_ends_no_route() {
    let broker = broker().then(Duration::ZERO, [0, 1, 6]).then(SECOND, [5]);
    {
        let mut script = broker.lock();
        script.ordered = true;
        script.groups = [(5, "other")].into();
    }
    let running = broker
        .start_route(route(true, || Box::new(Undroppable)))
        .await;
    sleep(10 * SECOND).await;
    assert_eq!(broker.acked_payloads(), [5]);
    assert_eq!(running.in_flight(), 3, "the failed one and those behind it");
    running.shutdown();
    assert_eq!(running.ended().await, Ended::Clean);
}

/// What a plain handler waits for.
struct Gate(Mutex<Receiver<()>>);

#[tokio::test(start_paused = true)]
async fn an_error_that_can_not_be_dropped_of_a_plain_handler_that_was_given_up_ends_no_route() {
    let (open, gate) = channel();
    let options = RouteOptions::new().concurrency(1);
    let place = ("plain", (file!(), line!()));
    let route = Route::new("r").provider::<Scripted>().options(options);
    let route = route.declared(place, "Json", |resources| {
        let gate = resources.get::<Gate>().unwrap();
        Ok(PreparedHandler::blocking(
            resources,
            Json,
            (),
            move |_, message| {
                if &message.payload()[..] != b"0" {
                    return Verdict::ACK;
                }
                gate.0.lock().unwrap().recv().unwrap();
                Verdict::failed(FailureKind::Error, Undroppable)
            },
        ))
    });
    let broker = broker().leaseless().then(Duration::ZERO, [0, 1]);
    let app = App::new().state(Gate(Mutex::new(gate)));
    let running = broker.start_app(app, route).await;
    while running.stats("r").unwrap().received == 0 {
        tokio::task::yield_now().await;
    }
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    broker.lose([0]);
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    open.send(()).unwrap();
    sleep(10 * SECOND).await;
    assert_eq!(broker.acked_payloads(), [1]);
    assert_eq!(running.stats("r").unwrap().lost, 1);
    running.shutdown();
    assert_eq!(running.ended().await, Ended::Clean);
}
