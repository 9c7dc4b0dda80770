//! Layers that treat the calls of a handler badly: what they leave of one message does nothing to the next.

use std::{
    future::poll_fn,
    sync::{Arc, Condvar, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use futures_util::future::BoxFuture;
use loafer_core::{
    outcome::{BoxError, Verdict},
    translate::Json,
};
use loafer_runtime::{
    __private::PreparedHandler,
    handler::{HandlerService, Request},
    program::{App, Route, RouteOptions, Running},
};
use tokio::{
    task::yield_now,
    time::{sleep, timeout},
};
use tower::{Layer, Service, layer::layer_fn};

use crate::scripted::Scripted;

const SECOND: Duration = Duration::from_secs(1);

const fn milliseconds(number: u64) -> Duration {
    Duration::from_millis(number)
}

/// What is inside of a layer. It may be called at any time.
type Inner = Arc<Mutex<HandlerService>>;
type Answer = BoxFuture<'static, Result<Verdict, BoxError>>;
/// What a layer does with a message: only the first of them is treated badly.
type Call = fn(&Inner, Request) -> Answer;

#[derive(Clone)]
struct Around {
    inner: Inner,
    call: Call,
}

impl Service<Request> for Around {
    type Response = Verdict;
    type Error = BoxError;
    type Future = Answer;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.lock().unwrap().poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Answer {
        if &request.message().payload()[..] == b"1" {
            return (self.call)(&self.inner, request);
        }
        called(&self.inner, request)
    }
}

fn called(inner: &Inner, request: Request) -> Answer {
    Box::pin(inner.lock().unwrap().call(request))
}

fn layer(call: Call) -> impl Layer<HandlerService, Service = Around> + Clone {
    layer_fn(move |inner| Around {
        inner: Arc::new(Mutex::new(inner)),
        call,
    })
}

fn route() -> Route {
    let options = RouteOptions::new().concurrency(1);
    Route::new("r").provider::<Scripted>().options(options)
}

/// Starts a route whose handler takes a second.
async fn start(broker: &Scripted, app: App) -> Running {
    let script = broker.0.clone();
    let route = route().handler(Json, move |number: u64| {
        script.lock().unwrap().handled.push(number);
        async {
            sleep(SECOND).await;
            true
        }
    });
    broker.start_app(app, route).await
}

/// Both messages are acked, the first one by its layer, and neither fails.
async fn all_is_well(broker: &Scripted, running: &Running) {
    sleep(20 * SECOND).await;
    assert_eq!(broker.acked_payloads(), [1, 2]);
    assert_eq!(broker.lock().handled, [1, 2]);
    let stats = running.stats("r").unwrap();
    assert_eq!((stats.received, stats.failed, stats.retried), (2, 0, 0));
    assert_eq!(running.in_flight(), 0);
}

async fn answered(after: Duration) -> Result<Verdict, BoxError> {
    sleep(after).await;
    Ok(Verdict::ACK)
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_after_its_layer_has_answered_cancels_no_other() {
    let layer = layer(|inner, request| {
        tokio::spawn(timeout(milliseconds(200), called(inner, request)));
        Box::pin(answered(milliseconds(10)))
    });
    let broker = Scripted::default().holding([1, 2]);
    let running = start(&broker, App::new().layer(layer)).await;
    all_is_well(&broker, &running).await;
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_polled_after_its_layer_has_answered_takes_no_answer_of_another() {
    let layer = layer(|inner, request| {
        let call = called(inner, request);
        tokio::spawn(async move {
            let mut call = call;
            loop {
                let polled = poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx)));
                if polled.await.is_ready() {
                    break;
                }
                sleep(milliseconds(50)).await;
            }
        });
        Box::pin(answered(milliseconds(10)))
    });
    let broker = Scripted::default().holding([1, 2]);
    let running = start(&broker, App::new().layer(layer)).await;
    all_is_well(&broker, &running).await;
}

/// Where a plain handler waits.
#[derive(Clone, Default)]
struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    fn pass(&self) {
        let (open, opened) = &*self.0;
        let open = open.lock().unwrap();
        drop(opened.wait_while(open, |open| !*open).unwrap());
    }

    fn open(&self) {
        let (open, opened) = &*self.0;
        *open.lock().unwrap() = true;
        opened.notify_all();
    }
}

/// What the plain handler needs.
struct Plain {
    gate: Gate,
    broker: Scripted,
}

/// Starts a route with a plain handler, which waits at the gate. Opens it once the layer has done what it does.
async fn start_plain(broker: &Scripted, app: App) -> Running {
    let gate = Gate::default();
    let plain = Plain {
        gate: gate.clone(),
        broker: broker.clone(),
    };
    let place = ("plain", (file!(), line!()));
    let route = route().declared(place, "Json", |resources| {
        let plain = resources.get::<Plain>().unwrap();
        Ok(PreparedHandler::blocking(
            resources,
            Json,
            (),
            move |_, message| {
                let number = String::from_utf8_lossy(message.payload()).parse();
                plain.broker.lock().handled.push(number.unwrap());
                plain.gate.pass();
                Verdict::ACK
            },
        ))
    });
    let running = broker.start_app(app.state(plain), route).await;
    while broker.lock().handled.is_empty() {
        yield_now().await;
    }
    for _ in 0..100 {
        yield_now().await;
    }
    gate.open();
    running
}

#[tokio::test(start_paused = true)]
async fn a_plain_handler_whose_call_is_polled_after_its_layer_has_answered_keeps_no_worker() {
    let layer = layer(|inner, request| {
        let mut call = called(inner, request);
        tokio::spawn(async move {
            while poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx).is_pending())).await {
                yield_now().await;
            }
        });
        Box::pin(async {
            for _ in 0..10 {
                yield_now().await;
            }
            Ok(Verdict::ACK)
        })
    });
    let broker = Scripted::default().holding([1, 2]);
    let running = start_plain(&broker, App::new().layer(layer)).await;
    all_is_well(&broker, &running).await;
}

#[tokio::test(start_paused = true)]
async fn a_layer_that_panics_while_a_plain_handler_runs_does_not_fail_the_next_message() {
    let layer = layer(|inner, request| {
        let mut call = called(inner, request);
        Box::pin(async move {
            let begun = poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx))).await;
            assert!(begun.is_ready(), "not done at once");
            Ok(Verdict::ACK)
        })
    });
    let broker = Scripted::default().holding([1, 2]);
    let running = start_plain(&broker, App::new().layer(layer)).await;
    sleep(20 * SECOND).await;
    assert_eq!(broker.acked_payloads(), [2]);
    let stats = running.stats("r").unwrap();
    assert_eq!((stats.received, stats.failed, stats.acked), (2, 1, 1));
}

/// The first message is answered after 10 ms; the call is made in time, and polled after 50 ms.
fn polls_late() -> App {
    App::new().layer(layer(|inner, request| {
        let call = called(inner, request);
        tokio::spawn(async move {
            sleep(milliseconds(50)).await;
            call.await
        });
        Box::pin(answered(milliseconds(10)))
    }))
}

/// The first message is answered after 10 ms; the call is made after 50 ms.
fn calls_late() -> App {
    App::new().layer(layer(|inner, request| {
        let inner = inner.clone();
        tokio::spawn(async move {
            sleep(milliseconds(50)).await;
            let call = called(&inner, request);
            call.await
        });
        Box::pin(answered(milliseconds(10)))
    }))
}

/// The second message comes while the late call of the first one would run, or runs when that call comes.
async fn a_late_call_does_nothing(app: App, second: Duration) {
    let broker = Scripted::default()
        .then(Duration::ZERO, [1])
        .then(second, [2]);
    let running = start(&broker, app).await;
    sleep(20 * SECOND).await;
    assert_eq!(broker.acked_payloads(), [1, 2]);
    // The first one was answered for before it was called.
    assert_eq!(broker.lock().handled, [2]);
    assert_eq!(running.stats("r").unwrap().failed, 0);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_first_polled_after_its_layer_has_answered_is_not_made() {
    a_late_call_does_nothing(polls_late(), milliseconds(20)).await;
    a_late_call_does_nothing(polls_late(), milliseconds(100)).await;
}

#[tokio::test(start_paused = true)]
async fn a_call_of_a_layer_that_has_answered_does_nothing_to_the_next_message() {
    a_late_call_does_nothing(calls_late(), milliseconds(20)).await;
}

#[tokio::test(start_paused = true)]
async fn a_call_of_a_layer_that_has_answered_is_not_made_while_nothing_runs() {
    a_late_call_does_nothing(calls_late(), milliseconds(100)).await;
}
