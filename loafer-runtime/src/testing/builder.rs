//! What a test sets before it starts the service.

use std::{fmt, future::Future};

use tower::{Layer, Service};

use serde::{Serialize, de::DeserializeOwned};

use super::{TestApp, broker::TestBroker, fake::Fakes, ledger::Ledger, plan::Plan};
use crate::{
    engine::FailureLog,
    handler::{HandlerService, Report, Request},
    program::{App, Config, Manager, Route, RouteOptions},
};
use loafer_core::{
    broker::Broker,
    outcome::{BoxError, Verdict},
};
use loafer_memory::Memory;

/// The receives after which a test's message goes to the dead letters, so that every test ends.
const MAX_RECEIVES: u32 = 3;

/// What a test sets before it starts the service. Neither `loafer.toml` nor the environment has a say.
#[must_use = "nothing runs before `start`"]
pub struct TestBuilder {
    pub(super) app: App,
    pub(super) memory: Memory,
    pub(super) plan: Plan,
    pub(super) max_receives: u32,
    fakes: Fakes,
    routes: Vec<Route>,
    only: Vec<String>,
}

/// A service of every annotated handler of every linked crate, to be set up. A file in `tests/` that names nothing of the service says `use my_service as _;`.
pub fn app() -> TestBuilder {
    TestBuilder {
        app: App::new(),
        memory: Memory::new(),
        plan: Plan::default(),
        max_receives: MAX_RECEIVES,
        fakes: Fakes::default(),
        routes: Vec::new(),
        only: Vec::new(),
    }
}

/// Starts every annotated handler of every linked crate, on the memory provider.
///
/// # Panics
///
/// Where the service can't start: the message says why.
pub fn start() -> impl Future<Output = TestApp> {
    app().start()
}

impl TestBuilder {
    /// The same with this value as state.
    pub fn state<S: Send + Sync + 'static>(mut self, value: S) -> Self {
        self.app = self.app.state(value);
        self
    }

    /// The same with a `tower` layer around every handler.
    pub fn layer<L>(mut self, layer: L) -> Self
    where
        L: Layer<HandlerService> + Send + Sync + 'static,
        L::Service: Service<Request, Response = Verdict, Error: Into<BoxError>, Future: Send>
            + Send
            + 'static,
    {
        self.app = self.app.layer(layer);
        self
    }

    /// The same under this name, as [`App::name`] has it. A test has none of its own; where queues are named after the app, those of a test that
    /// gives none are named after the route alone.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.app = self.app.name(name);
        self
    }

    /// The same with options for one route, which outrank its attribute.
    pub fn options(mut self, route: impl Into<String>, options: RouteOptions) -> Self {
        self.app = self.app.options(route, options);
        self
    }

    /// The same with somebody who is told of every failure.
    pub fn report(mut self, reporter: impl Report) -> Self {
        self.app = self.app.report(reporter);
        self
    }

    /// The same after the service's own `setup`. What the test set before is there for it to see; what the test sets later, a fake of the same type, replaces what it set.
    ///
    /// # Panics
    ///
    /// Where `setup` fails.
    pub async fn setup<F, Fut, E>(mut self, setup: F) -> Self
    where
        F: FnOnce(App) -> Fut,
        Fut: Future<Output = Result<App, E>>,
        E: Into<BoxError>,
    {
        self.app = match setup(self.app).await {
            Ok(app) => app,
            Err(error) => panic!("the service's setup failed: {}", error.into()),
        };
        self
    }

    /// The same with a route made in code. With one, the annotated handlers are left out.
    pub fn route(mut self, route: Route) -> Self {
        self.routes.push(route);
        self
    }

    /// The same with these routes only.
    pub fn only(mut self, routes: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.only = routes.into_iter().map(Into::into).collect();
        self
    }

    /// The same with queues that give a message to the dead letters after this many receives; else 3.
    pub fn max_receives(mut self, receives: u32) -> Self {
        self.max_receives = receives;
        self
    }

    /// The same with somebody who replies to the requests that the service sends to a topic: another service, faked.
    ///
    /// ```
    /// # use std::time::Duration;
    /// use loafer::{Bus, Error, Json, Route, testing};
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() {
    /// let orders = Route::new("order-placed").handler(Json, async |item: u64, bus: Bus| {
    ///     let cents: u64 = bus.request("price-wanted", &item, Duration::from_secs(5)).await?;
    ///     Ok::<_, Error>(cents < 1_000)
    /// });
    /// let app = testing::app().route(orders).reply("price-wanted", |item: u64| 100 * item).start().await;
    /// app.publish("order-placed", &3).await;
    /// app.settled().await;
    /// app.assert_acked("order-placed", 1);
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// In the handler that sends one, where a request does not decode or the reply does not encode.
    pub fn reply<W: DeserializeOwned, R: Serialize>(
        mut self,
        topic: impl Into<String>,
        reply: impl Fn(W) -> R + Send + Sync + 'static,
    ) -> Self {
        self.fakes.reply(topic.into(), reply);
        self
    }

    /// The same with somebody who rejects the requests that the service sends to a topic.
    pub fn refuse(mut self, topic: impl Into<String>, reason: &str) -> Self {
        self.fakes.refuse(topic.into(), reason);
        self
    }

    /// Starts the service.
    ///
    /// # Panics
    ///
    /// Where it can't start: the message says why.
    pub async fn start(self) -> TestApp {
        let Self {
            app,
            memory,
            plan,
            max_receives,
            fakes,
            routes,
            only,
        } = self;
        let failure_log = FailureLog::default();
        let broker = TestBroker {
            memory: memory.with_max_receives(Some(max_receives)),
            ledger: Ledger::default(),
            plan,
            fakes,
        };
        let mut app = app.broker(broker.clone()).provider(Memory::KIND);
        app.failure_log = Some(failure_log.clone());
        let mut manager = Manager::builder()
            .app(app)
            .config(Config::default())
            .only(only);
        manager = if routes.is_empty() {
            manager.registered()
        } else {
            routes
                .into_iter()
                .fold(manager, |all, route| all.route(route))
        };
        let started = match manager.build() {
            Ok(manager) => {
                let handlers = manager.routes();
                manager.start().await.map(|running| (running, handlers))
            }
            Err(error) => Err(error),
        };
        match started {
            Ok((running, handlers)) => TestApp::new(running, broker, failure_log, handlers),
            Err(error) => panic!("the service can't start: {error}"),
        }
    }
}

impl fmt::Debug for TestBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestBuilder")
            .field("app", &self.app)
            .field("routes", &self.routes)
            .field("only", &self.only)
            .finish_non_exhaustive()
    }
}
