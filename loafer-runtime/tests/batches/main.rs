//! Batch handlers on the memory provider, under virtual time.

#![allow(
    clippy::unwrap_used,
    reason = "outside of a test function, a helper panics as one"
)]

mod batch_window;
mod order;
mod outcomes;
mod refusals;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use loafer_core::{
    extract::{Batch, IntoBatchOutcome, State},
    translate::Json,
};
use loafer_runtime::{
    program::{Route, RouteOptions},
    testing,
    testing::TestApp,
};

/// The batches that a handler was given.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<Vec<u32>>>>);

impl Seen {
    fn note(&self, batch: &Batch<u32>) {
        let numbers = batch.values().copied().collect();
        self.0.lock().unwrap().push(numbers);
    }

    fn batches(&self) -> Vec<Vec<u32>> {
        self.0.lock().unwrap().clone()
    }

    fn sizes(&self) -> Vec<usize> {
        self.batches().iter().map(Vec::len).collect()
    }
}

/// Starts a route whose batches are noted, and answered by this.
async fn start<O: IntoBatchOutcome + Send + 'static>(
    options: RouteOptions,
    answer: fn(&Batch<u32>) -> O,
) -> (TestApp, Seen) {
    let seen = Seen::default();
    let handler = move |batch: Batch<u32>, seen: State<Seen>| async move {
        seen.note(&batch);
        answer(&batch)
    };
    let route = Route::new("r")
        .options(options)
        .batch_handler(Json, handler);
    let app = testing::app().state(seen.clone()).route(route);
    (app.start().await, seen)
}

async fn publish(app: &TestApp, numbers: impl IntoIterator<Item = u32>) {
    for number in numbers {
        app.publish("r", &number).await;
    }
}

const LINGER: Duration = Duration::from_millis(200);

fn lingering() -> RouteOptions {
    RouteOptions::new().linger(LINGER)
}
