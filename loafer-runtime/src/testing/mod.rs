//! Services in memory, for tests: every annotated handler on the broker in memory, under virtual time.
//!
//! ```
//! use loafer::{Json, Route, testing};
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() {
//! // With `#[handler]` the routes are there already: `testing::start().await`.
//! let route = Route::new("greetings").handler(Json, async |name: String| !name.is_empty());
//! let app = testing::app().route(route).start().await;
//!
//! app.publish("greetings", "ana").await;
//! app.settled().await;
//! app.assert_acked("greetings", 1);
//! # }
//! ```
//!
//! Every service has a broker of its own: tests that run at the same time don't see each other, whatever their routes are called.
//!
//! # What goes in
//!
//! | call | where it goes |
//! |---|---|
//! | [`publish(route, &value)`](TestApp::publish) | the route's queue, as JSON |
//! | [`publish_message(route, message)`](TestApp::publish_message) | the route's queue, as it is: any payload, headers, group, delay |
//! | [`publish_event(&event)`](TestApp::publish_event), [`publish_to(topic, &value)`](TestApp::publish_to) | every route that subscribes to the topic, as if another service had published it |
//!
//! # Requests
//!
//! | call | what it does |
//! |---|---|
//! | [`request(route, &value, timeout)`](TestApp::request) | returns what a route replies |
//! | [`app().reply(topic, |wanted: PriceWanted| Quote { … })`](TestBuilder::reply), [`app().refuse(topic, reason)`](TestBuilder::refuse) | answers the service's own requests |
//! | [`bus().reply(…)`](bus) | answers requests in the unit test of a function that takes a `Bus` |
//!
//! # Time
//!
//! With `#[tokio::test(start_paused = true)]` hours pass in no time. [`settled`](TestApp::settled) waits until every message was acked or
//! is a dead letter (after 3 receives, or [`max_receives`](TestBuilder::max_receives)). [`advance`](TestApp::advance) lets an hour pass,
//! and waits for what becomes due in it. A paused clock jumps ahead while real IO waits: then a handler must talk to a fake, or the clock
//! must run.
//!
//! # What a test asserts
//!
//! An assertion that fails says what was expected, and lists what happened to each message: id, attempt, outcome and reason.
//!
//! | call | what it asserts or returns |
//! |---|---|
//! | [`assert_acked(route, 2)`](TestApp::assert_acked), [`assert_retried(route, 1)`](TestApp::assert_retried) | how many messages were acked, and how many deliveries were retried |
//! | [`assert_dead_lettered(route, "over the limit")`](TestApp::assert_dead_lettered) | a message is a dead letter, for this reason |
//! | [`route(name)`](TestApp::route)`.assert_acked(2).assert_failed(0).assert_no_dead_letters()` | these and more about one route: [`TestRoute`] |
//! | [`assert_published`](TestApp::assert_published)`(\|friend: &FriendCreated\| friend.id == 7)` | an event was published |
//! | [`assert_published_to`](TestApp::assert_published_to)`("invoices", \|body: &Value\| body["cents"] == 3)` | JSON was published to a topic |
//! | [`assert_not_published`](TestApp::assert_not_published)`::<FriendCreated>()`, [`assert_nothing_published`](TestApp::assert_nothing_published) | no such event was published, or nothing at all |
//! | [`assert_published_count`](TestApp::assert_published_count)`::<FriendCreated>(1)` | how many were published |
//! | [`published_events`](TestApp::published_events)`::<FriendCreated>()`, [`published(topic)`](TestApp::published) | what was published, for assertions of your own |
//! | [`assert_consuming(queue)`](TestApp::assert_consuming), [`assert_consuming_event`](TestApp::assert_consuming_event)`::<FriendCreated>()` | what the routes consume, and what they subscribe to |
//!
//! For those who know Pigeon's `fake()`:
//!
//! | Pigeon | here |
//! |---|---|
//! | `assertDispatched(event, callback)` | `assert_published(\|event: &E\| …)` |
//! | `assertNotDispatched(event)` | `assert_not_published::<E>()` |
//! | `assertNothingDispatched()` | `assert_nothing_published()` |
//! | `assertDispatchCount(event, n)` | `assert_published_count::<E>(n)` |
//! | `assertPublished(routing, callback)` | `assert_published_to(topic, \|body: &T\| …)` |
//! | `assertConsuming(queue)` | `assert_consuming(queue)`; with [`name("billing")`](TestBuilder::name) if queues are named after the app |
//! | `assertConsumingEvent(event)` | `assert_consuming_event::<E>()` |
//! | `dispatchConsumer(queue, body)` | `publish(route, &body)`, `publish_message(route, message)` |
//! | `dispatchListener(event, body)` | `publish_event(&event)` |
//! | a resolver that acks or rejects | `assert_acked`, `assert_retried`, `assert_dead_lettered` |
//!
//! # Fakes
//!
//! [`setup`](TestBuilder::setup) runs the service's own `setup`. It finds what the test set before. What the test sets after it replaces
//! what it set: a fake of the same type, other options of a route.
//!
//! ```
//! use loafer::{App, Json, Route, State, testing};
//!
//! struct Prices {
//!     cents: u64,
//! }
//!
//! async fn setup(app: App) -> Result<App, std::io::Error> {
//!     Ok(app.state(Prices { cents: 100 })) // the real one asks a server
//! }
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() {
//! # let route = Route::new("orders").handler(Json, async |count: u64, prices: State<Prices>| count * prices.cents == 6);
//! let app = testing::app().setup(setup).await.state(Prices { cents: 2 });
//! # let app = app.route(route);
//! let app = app.start().await;
//! app.publish("orders", &3).await;
//! app.settled().await;
//! app.assert_acked("orders", 1);
//! # }
//! ```
//!
//! # What goes wrong
//!
//! [`TestApp::faults`] brings duplicates, forgotten acks, delays, another order, poison, lost leases, calls that fail, and outages:
//! [`Faults`]. [`assert_idempotent`] does everything that a handler must withstand, and compares the results.

mod broker;
mod builder;
mod fake;
mod faults;
mod idempotence;
mod ledger;
mod plan;
mod published;
mod route;
mod service;
mod time;

pub use self::{
    builder::{TestBuilder, app, start},
    fake::{TestBus, bus},
    faults::Faults,
    idempotence::{Given, assert_idempotent},
    route::TestRoute,
    service::TestApp,
};
