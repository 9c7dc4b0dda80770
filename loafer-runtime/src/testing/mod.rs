//! Services in memory, for tests: every annotated handler on the memory provider, under virtual time.
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
//! | | comes to |
//! |---|---|
//! | [`publish(route, &value)`](TestApp::publish) | the route's queue, as JSON |
//! | [`publish_message(route, message)`](TestApp::publish_message) | the route's queue, as it is: any payload, headers, group, delay |
//! | [`publish_event(&event)`](TestApp::publish_event), [`publish_to(topic, &value)`](TestApp::publish_to) | every route that hears the topic, as if another service had published it |
//!
//! # Requests
//!
//! | | |
//! |---|---|
//! | [`request(route, &value, timeout)`](TestApp::request) | what a route replies |
//! | [`app().reply(topic, |wanted: PriceWanted| Quote { … })`](TestBuilder::reply), [`app().refuse(topic, reason)`](TestBuilder::refuse) | who replies to the service's own requests |
//! | [`bus().reply(…)`](bus) | the same, for the unit test of a function that takes a `Bus` |
//!
//! # Time
//!
//! With `#[tokio::test(start_paused = true)]` hours pass in no time. [`settled`](TestApp::settled) waits until every message was acked or is a dead letter (after 3
//! receives, or [`max_receives`](TestBuilder::max_receives)); [`advance`](TestApp::advance) lets an hour pass, and what becomes due in it be done. A paused clock
//! jumps ahead while real IO waits: what a handler speaks to is a fake then, or the clock runs.
//!
//! # What a test asserts
//!
//! An assertion that fails says what was expected, and lists what happened to each message: id, attempt, outcome, reason.
//!
//! | | |
//! |---|---|
//! | [`assert_acked(route, 2)`](TestApp::assert_acked), [`assert_retried(route, 1)`](TestApp::assert_retried) | so many messages, so many deliveries |
//! | [`assert_dead_lettered(route, "over the limit")`](TestApp::assert_dead_lettered) | a message, for this reason |
//! | [`route(name)`](TestApp::route)`.assert_acked(2).assert_failed(0).assert_no_dead_letters()` | the same and more of one route: [`TestRoute`] |
//! | [`assert_published`](TestApp::assert_published)`(\|friend: &FriendCreated\| friend.id == 7)` | an event |
//! | [`assert_published_to`](TestApp::assert_published_to)`("invoices", \|body: &Value\| body["cents"] == 3)` | any JSON to a topic |
//! | [`assert_not_published`](TestApp::assert_not_published)`::<FriendCreated>()`, [`assert_nothing_published`](TestApp::assert_nothing_published) | |
//! | [`assert_published_count`](TestApp::assert_published_count)`::<FriendCreated>(1)` | |
//! | [`published_events`](TestApp::published_events)`::<FriendCreated>()`, [`published(topic)`](TestApp::published) | what was published, for assertions of your own |
//! | [`assert_consuming(queue)`](TestApp::assert_consuming), [`assert_consuming_event`](TestApp::assert_consuming_event)`::<FriendCreated>()` | what the routes consume and hear |
//!
//! Those who come from Pigeon's `fake()`:
//!
//! | Pigeon | here |
//! |---|---|
//! | `assertDispatched(event, callback)` | `assert_published(\|event: &E\| …)` |
//! | `assertNotDispatched(event)` | `assert_not_published::<E>()` |
//! | `assertNothingDispatched()` | `assert_nothing_published()` |
//! | `assertDispatchCount(event, n)` | `assert_published_count::<E>(n)` |
//! | `assertPublished(routing, callback)` | `assert_published_to(topic, \|body: &T\| …)` |
//! | `assertConsuming(queue)` | `assert_consuming(queue)`; [`name("billing")`](TestBuilder::name) where queues are named after the app |
//! | `assertConsumingEvent(event)` | `assert_consuming_event::<E>()` |
//! | `dispatchConsumer(queue, body)` | `publish(route, &body)`, `publish_message(route, message)` |
//! | `dispatchListener(event, body)` | `publish_event(&event)` |
//! | a resolver that acks or rejects | `assert_acked`, `assert_retried`, `assert_dead_lettered` |
//!
//! # What takes the place of the real thing
//!
//! [`setup`](TestBuilder::setup) runs the service's own. What the test sets before it, it finds; what the test sets after it replaces what it set: a fake of the same
//! type, other options of a route.
//!
//! ```
//! use loafer::{App, Json, Route, State, testing};
//!
//! struct Prices {
//!     cents: u64,
//! }
//!
//! async fn setup(app: App) -> Result<App, std::io::Error> {
//!     Ok(app.state(Prices { cents: 100 })) // in truth: asks a server
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
//! [`TestApp::faults`] brings duplicates, forgotten acks, delays, another order, poison, lost leases, calls that fail, and outages: [`Faults`].
//! [`assert_idempotent`] does all that a handler has to stand, and compares what comes of it.

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
