//! Services in memory, for tests: every annotated handler on the memory provider, under virtual time.
//!
//! ```
//! use loafer_core::{Json, Route, testing};
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() {
//! // With `#[handler]` the routes are there already: `testing::start().await`.
//! let route = Route::new("greetings").handler(Json, async |name: String| !name.is_empty());
//! let app = testing::app().route(route).start().await;
//!
//! app.publish("greetings", "ana").await;
//! app.settled().await;
//! assert_eq!(app.route("greetings").acked(), 1);
//! # }
//! ```

mod broker;
mod builder;
mod faults;
mod idempotence;
mod ledger;
mod plan;
mod published;
mod route;
mod service;

pub use self::{
    builder::{TestBuilder, app, start},
    faults::Faults,
    idempotence::{Given, assert_idempotent},
    route::TestRoute,
    service::TestApp,
};
