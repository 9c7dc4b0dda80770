//! What a worker keeps from one message to the next.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use loafer_core::translate::Json;
use loafer_runtime::{
    handler::HandlerService,
    program::{App, Route, RouteOptions},
};
use tokio::time::sleep;
use tower::layer::layer_fn;

use crate::scripted::Scripted;

/// A future of a handler, written by hand: unlike an `async` block it keeps what it holds when it is done.
struct Holding {
    /// The first time it waits, so that it does not end where it was started.
    waits: bool,
    _guard: Arc<()>,
}

impl Future for Holding {
    type Output = bool;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<bool> {
        if std::mem::take(&mut self.waits) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(true)
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_future_of_a_handler_holds_is_released_when_it_is_done() {
    for waits in [false, true] {
        let broker = Scripted::default().holding([1]);
        let guards = Arc::new(Mutex::new(Vec::new()));
        let held = guards.clone();
        let route = Route::new("r").provider::<Scripted>();
        let route = route.handler(Json, move |_: u64| {
            let guard = Arc::new(());
            held.lock().unwrap().push(Arc::downgrade(&guard));
            Holding {
                waits,
                _guard: guard,
            }
        });
        let running = broker.start_route(route).await;
        sleep(Duration::from_secs(5)).await;
        assert_eq!(running.stats("r").unwrap().acked, 1);
        let guards: Vec<Weak<()>> = guards.lock().unwrap().clone();
        assert_eq!(guards.len(), 1);
        assert!(guards[0].upgrade().is_none(), "waits: {waits}");
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_layer_that_panicked_as_it_was_made_the_next_message_is_handled() {
    let panics = Arc::new(AtomicBool::new(true));
    let layer = layer_fn(move |inner: HandlerService| {
        assert!(!panics.swap(false, Ordering::Relaxed), "not yet");
        inner
    });
    let broker = Scripted::default()
        .then(Duration::ZERO, [1])
        .then(Duration::from_secs(5), [2, 3]);
    let options = RouteOptions::new().concurrency(1);
    let script = broker.0.clone();
    let route = Route::new("r").provider::<Scripted>().options(options);
    let route = route.handler(Json, move |number: u64| {
        script.lock().unwrap().handled.push(number);
        async { true }
    });
    let running = broker.start_app(App::new().layer(layer), route).await;
    sleep(Duration::from_secs(10)).await;
    assert_eq!(broker.lock().handled, [2, 3]);
    let stats = running.stats("r").unwrap();
    assert_eq!((stats.acked, stats.failed), (2, 1));
}
