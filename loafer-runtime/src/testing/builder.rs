//! What a test sets before it starts the service.

use std::{fmt, future::Future};

use tower::{Layer, Service};

use serde::{Serialize, de::DeserializeOwned};

use super::{TestApp, broker::TestBroker, fake::Fakes, ledger::Ledger, plan::Plan};
use crate::{
    handler::FailureLog,
    handler::{HandlerService, Report, Request},
    program::{App, Config, Manager, Route, RouteOptions},
};
use loafer_core::{
    broker::Broker,
    outcome::{BoxError, Verdict},
};
use loafer_memory::Memory;

/// After how many receives a test's message becomes a dead letter, so that every test ends.
const MAX_RECEIVES: u32 = 3;

/// What a test sets before it starts the service. `loafer.toml` and the environment are not read.
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

/// Returns the builder of a service with every annotated handler of every linked crate. A file in `tests/` that names nothing of the
/// service's crate must say `use my_service as _;`.
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

/// Starts every annotated handler of every linked crate, on the broker in memory.
///
/// # Panics
///
/// If the service can't start. The message says why.
pub fn start() -> impl Future<Output = TestApp> {
    app().start()
}

impl TestBuilder {
    /// Adds a value as state. It replaces an earlier one of the same type.
    pub fn state<S: Send + Sync + 'static>(mut self, value: S) -> Self {
        self.app = self.app.state(value);
        self
    }

    /// Adds a `tower` layer around every handler.
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

    /// Sets the app's name, as [`App::name`] does. A test has no name of its own. If none is set, queues that are named after the app are
    /// named after the route alone.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.app = self.app.name(name);
        self
    }

    /// Sets options of one route. They override its attribute.
    pub fn options(mut self, route: impl Into<String>, options: RouteOptions) -> Self {
        self.app = self.app.options(route, options);
        self
    }

    /// Adds a reporter, which receives every failure.
    pub fn report(mut self, reporter: impl Report) -> Self {
        self.app = self.app.report(reporter);
        self
    }

    /// Runs the service's own `setup`. It finds what the test set before. What the test sets later replaces what `setup` set, for example a
    /// fake of the same type.
    ///
    /// # Panics
    ///
    /// If `setup` fails. The message says why.
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

    /// Adds a route that is made in code. If there is one, the annotated handlers are left out.
    pub fn route(mut self, route: Route) -> Self {
        self.routes.push(route);
        self
    }

    /// Sets which routes run, by their names.
    pub fn only(mut self, routes: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.only = routes.into_iter().map(Into::into).collect();
        self
    }

    /// Sets after how many receives a message becomes a dead letter. Unless set, 3.
    pub fn max_receives(mut self, receives: u32) -> Self {
        self.max_receives = receives;
        self
    }

    /// Fakes another service: replies to the requests that the service sends to a topic.
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
    /// In the handler that sends the request, if the request does not decode or the reply can't be encoded.
    pub fn reply<W: DeserializeOwned, R: Serialize>(
        mut self,
        topic: impl Into<String>,
        reply: impl Fn(W) -> R + Send + Sync + 'static,
    ) -> Self {
        self.fakes.reply(topic.into(), reply);
        self
    }

    /// Fakes another service: rejects the requests that the service sends to a topic, for this reason.
    pub fn refuse(mut self, topic: impl Into<String>, reason: &str) -> Self {
        self.fakes.refuse(topic.into(), reason);
        self
    }

    /// Starts the service.
    ///
    /// # Panics
    ///
    /// If it can't start. The message says why.
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
