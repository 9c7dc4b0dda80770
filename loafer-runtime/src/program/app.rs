//! The program under construction: state, layers, hooks and options.

use std::{collections::BTreeMap, fmt, future::Future, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use tower::{Layer, Service};

use crate::{
    bus::Bus,
    handler::FailureLog,
    handler::{Around, HandlerService, LayerFn, MaxUnpackedBytes, Report, Request, layered},
    program::erased::DynBroker,
    program::{BrokerKind, RouteOptions, Running, Shutdown},
};
use loafer_core::extract::Resources;
use loafer_core::{
    broker::Broker,
    outcome::{BoxError, Verdict},
};

pub(crate) type Hook =
    Arc<dyn Fn(Running) -> BoxFuture<'static, Result<(), BoxError>> + Send + Sync>;

/// What lives as long as the program, and is started again when it fails.
#[derive(Clone)]
pub(crate) struct Task {
    pub(crate) name: Arc<str>,
    pub(crate) run: TaskFn,
}

type TaskFn =
    Arc<dyn Fn(Running, Shutdown) -> BoxFuture<'static, Result<(), BoxError>> + Send + Sync>;

/// The whole program under construction: state, layers, hooks and options. `setup` takes one and returns it.
///
/// ```
/// use loafer::{App, RouteOptions};
///
/// # struct Prices;
/// # async fn connect() -> anyhow::Result<Prices> { Ok(Prices) }
/// async fn setup(app: App) -> anyhow::Result<App> {
///     let prices = connect().await?;
///     Ok(app.state(prices).options("order-placed", RouteOptions::new().concurrency(50)))
/// }
/// ```
pub struct App {
    /// What handlers find at startup: state by type, and the bus.
    resources: Resources,
    /// Each with the route that it is for. `None` means all routes.
    layers: Vec<(Option<String>, LayerFn)>,
    /// Put around every call, closest to the handler, by the test kit.
    pub(crate) around: Option<Around>,
    pub(crate) options: BTreeMap<String, RouteOptions>,
    pub(crate) on_started: Vec<Hook>,
    pub(crate) on_stop: Vec<Hook>,
    pub(crate) tasks: Vec<Task>,
    pub(crate) reporters: Vec<Arc<dyn Report>>,
    /// Why messages were not acked, for a test that fails.
    pub(crate) failure_log: Option<FailureLog>,
    pub(crate) drain: Option<Duration>,
    /// The app's name, if the configuration gives none.
    pub(crate) name: Option<String>,
    /// The broker instance that takes the place of every route's own.
    pub(crate) provider: Option<String>,
    /// The kinds of brokers that the configuration may name.
    pub(crate) kinds: Vec<BrokerKind>,
    /// The broker of routes that name none. The bus publishes on it if a route is on it.
    pub(crate) default_provider: Option<BrokerKind>,
    pub(crate) bus: Bus,
    /// The brokers given in code, by the names of their instances.
    pub(crate) brokers: BTreeMap<String, (BrokerKind, Box<dyn DynBroker>)>,
}

impl App {
    /// Returns an app with nothing set.
    pub fn new() -> Self {
        let bus = Bus::default();
        let mut resources = Resources::new();
        resources.insert(bus.clone());
        Self {
            resources,
            layers: Vec::new(),
            around: None,
            options: BTreeMap::new(),
            on_started: Vec::new(),
            on_stop: Vec::new(),
            tasks: Vec::new(),
            reporters: Vec::new(),
            failure_log: None,
            drain: None,
            name: None,
            provider: None,
            kinds: Vec::new(),
            default_provider: None,
            bus,
            brokers: BTreeMap::new(),
        }
    }

    /// Adds a value as state: handlers take it as `State<S>`, or as the `&self` of a handler type. There is one value of each type: a
    /// second one replaces the first.
    #[must_use]
    pub fn state<S: Send + Sync + 'static>(mut self, value: S) -> Self {
        self.resources.insert(value);
        self
    }

    /// Adds a `tower` layer around every handler. Layers that are added first are outermost.
    ///
    /// A layer wraps one message at a time: if a route takes batches, [`build`](crate::program::ManagerBuilder::build) returns an error.
    #[must_use]
    pub fn layer<L>(mut self, layer: L) -> Self
    where
        L: Layer<HandlerService> + Send + Sync + 'static,
        L::Service: Service<Request, Response = Verdict, Error: Into<BoxError>, Future: Send>
            + Send
            + 'static,
    {
        self.layers.push((None, layered::erased(layer)));
        self
    }

    /// Adds a `tower` layer around the handlers of one route. If there is no such route, or it takes batches,
    /// [`build`](crate::program::ManagerBuilder::build) returns an error.
    #[must_use]
    pub fn layer_for<L>(mut self, route: impl Into<String>, layer: L) -> Self
    where
        L: Layer<HandlerService> + Send + Sync + 'static,
        L::Service: Service<Request, Response = Verdict, Error: Into<BoxError>, Future: Send>
            + Send
            + 'static,
    {
        self.layers
            .push((Some(route.into()), layered::erased(layer)));
        self
    }

    /// Sets options of one route. They override its attribute; `loafer.toml`, the environment and the command line override them.
    #[must_use]
    pub fn options(mut self, route: impl Into<String>, options: RouteOptions) -> Self {
        let known = self.options.entry(route.into()).or_default();
        *known = std::mem::take(known).overridden_by(options);
        self
    }

    /// Adds a hook that runs once every route receives messages. Hooks run one after the other. If one returns an error or panics, the
    /// program stops.
    #[must_use]
    pub fn on_started<F, Fut, E>(mut self, hook: F) -> Self
    where
        F: Fn(Running) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<BoxError>,
    {
        self.on_started.push(erased(hook));
        self
    }

    /// Adds a hook that runs after the last message was settled, before the publishers close. Hooks run one after the other, and have
    /// until 3 s after the `drain` deadline together. If a hook fails, takes longer or blocks its thread for longer, this is logged, and the
    /// program ends [unclean](crate::program::Ended::Unclean).
    #[must_use]
    pub fn on_stop<F, Fut, E>(mut self, hook: F) -> Self
    where
        F: Fn(Running) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<BoxError>,
    {
        self.on_stop.push(erased(hook));
        self
    }

    /// Adds a task that lives as long as the program: a relay, a collector, an endpoint for operators. It starts when the routes do, beside the
    /// `on_started` hooks.
    ///
    /// If the task returns an error or panics, this is logged, and the task is started again after a pause: 0.2 s at first, then twice as long
    /// each time, up to 30 s, and up to as much again at random. The program is not [ready](Running::is_ready) from the failure until the task
    /// has run for 10 s. `Ok(())` means that the task is done: it is not started again.
    ///
    /// When the program begins to stop, the task is asked to end: [`Shutdown::requested`] returns. It may still publish, and has until the
    /// `drain` deadline. What is left 0.5 s after that is aborted, this is logged, and the program ends
    /// [unclean](crate::program::Ended::Unclean). It also ends unclean if the task fails after it was asked to end. In a program that receives
    /// [once](crate::program::ManagerBuilder::once), tasks are asked to end when the routes have ended.
    ///
    /// ```
    /// use std::time::Duration;
    /// use loafer::{App, Error, program::{Running, Shutdown}};
    ///
    /// async fn report(running: Running, shutdown: Shutdown) -> Result<(), Error> {
    ///     while !shutdown.is_requested() {
    ///         println!("{} messages in flight", running.in_flight());
    ///         tokio::select! {
    ///             () = tokio::time::sleep(Duration::from_secs(60)) => {}
    ///             () = shutdown.requested() => {}
    ///         }
    ///     }
    ///     Ok(())
    /// }
    ///
    /// let app = App::new().task("report", report);
    /// ```
    #[must_use]
    pub fn task<F, Fut, E>(mut self, name: impl Into<String>, task: F) -> Self
    where
        F: Fn(Running, Shutdown) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<BoxError>,
    {
        let name = name.into().into();
        let run: TaskFn = Arc::new(move |running, shutdown| {
            let task = task(running, shutdown);
            Box::pin(async move { task.await.map_err(Into::into) })
        });
        self.tasks.push(Task { name, run });
        self
    }

    /// Adds a reporter, which receives every message that failed: for example an error tracker.
    #[must_use]
    pub fn report(mut self, reporter: impl Report) -> Self {
        self.reporters.push(Arc::new(reporter));
        self
    }

    /// Sets how long running handlers may take at shutdown. The default is 25 s; the configuration overrides it.
    #[must_use]
    pub fn drain(mut self, drain: Duration) -> Self {
        self.drain = Some(drain);
        self
    }

    /// Sets the most bytes of a payload that its sender packed, as its header `content-encoding` says, once it is unpacked. A message with more is
    /// undecodable. The default is 16 MiB; the configuration overrides it.
    #[must_use]
    pub fn max_unpacked_bytes(mut self, most: usize) -> Self {
        self.resources.insert(MaxUnpackedBytes(most));
        self
    }

    /// Sets the app's name, if `loafer.toml` gives no `app`. The name is part of what is made for this service on brokers that need it, for
    /// example of queues on RabbitMQ. The generated main sets the package's name before it calls `setup`.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Sets the broker instance that takes the place of every route's own, by its name: `--provider NAME`.
    #[must_use]
    pub fn provider(mut self, instance: impl Into<String>) -> Self {
        self.provider = Some(instance.into());
        self
    }

    /// Sets the broker of routes that name none. The [`Bus`] publishes on it if a route runs on it. Otherwise it publishes on that of the first
    /// route whose broker is the first instance of its kind, or else on that of the first route.
    #[must_use]
    pub fn default_provider(mut self, broker: BrokerKind) -> Self {
        self.default_provider = Some(broker);
        self
    }

    /// Adds kinds of brokers that the configuration may name even if no route runs on them: as `kind` of `[brokers.NAME]`, or as the
    /// instance of that name. The generated main adds those of all features that are on.
    #[must_use]
    pub fn brokers(mut self, kinds: impl IntoIterator<Item = BrokerKind>) -> Self {
        self.kinds.extend(kinds);
        self
    }

    /// Adds this value of a broker, if its `Default` would not do. It is the first instance of its kind.
    #[must_use]
    pub fn broker<B: Broker>(self, broker: B) -> Self {
        self.broker_named(B::KIND, broker)
    }

    /// Adds this value of a broker as the instance of this name. Routes run on it by `broker = "NAME"` in their configuration, or by
    /// [`RouteOptions::broker`].
    #[must_use]
    pub fn broker_named<B: Broker>(mut self, name: impl Into<String>, broker: B) -> Self {
        let instance = (
            BrokerKind::of::<B>(),
            Box::new(broker) as Box<dyn DynBroker>,
        );
        self.brokers.insert(name.into(), instance);
        self
    }

    /// Returns the name of the broker instance that takes the place of every route's own, if the command line says so.
    pub fn provider_name(&self) -> Option<&str> {
        self.provider.as_deref()
    }

    /// Returns the bus, which publishes on the broker of the service. It works once the routes are open.
    pub fn bus(&self) -> Bus {
        self.bus.clone()
    }

    /// Returns the state of this type. `None` if there is none.
    pub fn shared<S: Send + Sync + 'static>(&self) -> Option<Arc<S>> {
        self.resources.get()
    }

    /// Returns what handlers find at startup.
    pub(crate) fn resources(&self) -> &Resources {
        &self.resources
    }

    pub(crate) fn layers_of(&self, route: &str) -> Vec<LayerFn> {
        let ours = self
            .layers
            .iter()
            .filter(|(of, _)| of.as_deref().is_none_or(|of| of == route));
        ours.map(|(_, layer)| layer.clone()).collect()
    }

    /// Returns the names of the routes that layers and options were given for.
    pub(crate) fn named_routes(&self) -> impl Iterator<Item = &str> {
        let of_layers = self.layers.iter().filter_map(|(of, _)| of.as_deref());
        of_layers.chain(self.options.keys().map(String::as_str))
    }
}

fn erased<F, Fut, E>(hook: F) -> Hook
where
    F: Fn(Running) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<(), E>> + Send + 'static,
    E: Into<BoxError>,
{
    Arc::new(move |running| {
        let hook = hook(running);
        Box::pin(async move { hook.await.map_err(Into::into) })
    })
}

impl Default for App {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App")
            .field("resources", &self.resources)
            .field("layers", &self.layers.len())
            .finish_non_exhaustive()
    }
}
