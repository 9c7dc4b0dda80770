//! A running program: routes that come and go, and tasks that live as long as it.

#![allow(
    clippy::unwrap_used,
    reason = "outside of a test function, a helper panics as one"
)]

mod add;
mod added_brokers;
#[path = "../support/logged.rs"]
mod logged;
mod moody;
mod remove;
mod tasks;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use loafer_core::translate::Json;
use loafer_memory::Memory;
use loafer_runtime::program::{App, Manager, Route, RouteOptions, Running};
use tokio::time::sleep;

/// How often each number was handled.
#[derive(Clone, Default)]
struct Handled(Arc<Mutex<BTreeMap<u64, usize>>>);

impl Handled {
    /// A route that notes each number, after so long.
    fn route(&self, name: &'static str, takes: Duration) -> Route {
        let handled = self.clone();
        let route = Route::new(name).provider::<Memory>();
        route.handler(Json, move |number: u64| {
            let handled = handled.clone();
            async move {
                sleep(takes).await;
                *handled.0.lock().unwrap().entry(number).or_default() += 1;
                true
            }
        })
    }

    fn numbers(&self) -> Vec<u64> {
        self.0.lock().unwrap().keys().copied().collect()
    }

    fn most(&self) -> usize {
        let times = self.0.lock().unwrap();
        times.values().copied().max().unwrap_or_default()
    }
}

/// Starts a program of these routes in this memory.
async fn start(memory: &Memory, routes: impl IntoIterator<Item = Route>) -> Running {
    start_app(App::new().broker(memory.clone()), routes).await
}

async fn start_app(app: App, routes: impl IntoIterator<Item = Route>) -> Running {
    let manager = Manager::builder().app(app);
    let manager = routes
        .into_iter()
        .fold(manager, |all, route| all.route(route));
    manager.build().unwrap().start().await.unwrap()
}

fn route(name: &'static str) -> Route {
    Handled::default().route(name, Duration::ZERO)
}

fn slow(options: RouteOptions) -> RouteOptions {
    options.concurrency(1).prefetch(4)
}
