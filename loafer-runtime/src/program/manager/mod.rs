//! The manager: plans the routes of a program, and runs each of them isolated from the others.

mod check;
mod io_thread;
mod launch;
mod lifetime;
mod plan;
mod published;
mod run;
mod tasks;
mod topics;

pub(in crate::program) use self::{launch::Launcher, topics::Publishers};

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use crate::{
    dead_letters::DeadLetters,
    program::{
        App, BrokerKind, Config, Route, at_work,
        erased::DynProvider,
        instances::{Instance, Instances},
        registry::registered,
        running::{self, Running},
    },
};
use loafer_core::{
    Error,
    broker::{Depth, Open, Settings, Source},
    extract::RouteName,
    policy::Policy,
};

/// The planned routes of a program: every name, option and source is known, and nothing is connected.
///
/// ```
/// use loafer::{Json, Memory, Message, Route, program::Manager};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), loafer::Error> {
/// let route = Route::new("greetings").provider::<Memory>().handler(Json, async |name: String| !name.is_empty());
/// let running = Manager::builder().route(route).build()?.start().await?;
///
/// running.publish("greetings", Message::new("\"ana\"")).await?;
/// running.shutdown();
/// running.ended().await;
/// # Ok(())
/// # }
/// ```
pub struct Manager {
    app: App,
    plans: Vec<Plan>,
    /// The broker instances that it uses.
    instances: Instances,
    /// The broker instances of topics that are not on the broker of the service.
    topics: BTreeMap<String, Instance>,
    config: Config,
    open: Open,
    once: bool,
    /// How long a receive waits for messages, at most. `None` means as long as the broker lets it.
    longest_poll: Option<Duration>,
    /// The kind of broker of routes that name none.
    default: Option<BrokerKind>,
}

/// One planned route.
struct Plan {
    /// At least one.
    handlers: Vec<PlannedHandler>,
    policy: Policy,
    /// Whether it runs from the start. Otherwise it starts paused.
    enabled: bool,
    instance: Instance,
    source: Source,
    /// Options that only its broker knows.
    options: Settings,
    provider: Arc<dyn DynProvider>,
}

/// One planned handler of a route.
struct PlannedHandler {
    route: Route,
    names: Arc<RouteName>,
    timeout: Option<Duration>,
}

/// Builds a [`Manager`].
#[derive(Debug, Default)]
pub struct ManagerBuilder {
    app: App,
    routes: Vec<Route>,
    config: Config,
    only: Vec<String>,
    open: Open,
    once: bool,
    longest_poll: Option<Duration>,
}

/// One handler of a route in short: a row of the command `routes`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RouteSummary {
    /// The route's name.
    pub route: String,
    /// Its queue, as configured.
    pub queue: String,
    /// The name of its broker's instance.
    pub broker: String,
    /// Its translator.
    pub translator: &'static str,
    /// Whether it runs from the start. Otherwise it starts paused.
    pub enabled: bool,
    /// How many handler calls may run at once.
    pub concurrency: usize,
    /// The most messages of one call. `None` if the handler takes single messages.
    pub batch: Option<usize>,
    /// Which messages the handler takes. `None` means every message, or those that no other handler takes.
    pub on: Option<String>,
    /// The handler's path, or the name that [`Route::handler_name`] gave it.
    pub handler: String,
    /// The handler's file and line.
    pub location: (&'static str, u32),
}

impl ManagerBuilder {
    /// Sets the app: state, layers, hooks and options.
    #[must_use]
    pub fn app(mut self, app: App) -> Self {
        self.app = app;
        self
    }

    /// Adds a route.
    #[must_use]
    pub fn route(mut self, route: Route) -> Self {
        self.routes.push(route);
        self
    }

    /// Adds every annotated handler of every linked crate.
    #[must_use]
    pub fn registered(mut self) -> Self {
        self.routes.extend(registered());
        self
    }

    /// Sets the configuration.
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Sets which routes run, by their names. If no route is named, all of them run.
    #[must_use]
    pub fn only(mut self, routes: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.only = routes.into_iter().map(Into::into).collect();
        self
    }

    /// Sets what may be done about sources that are missing.
    #[must_use]
    pub fn open(mut self, mode: Open) -> Self {
        self.open = mode;
        self
    }

    /// Sets whether each route receives only once. It then handles all messages of that receive, and ends.
    #[must_use]
    pub fn once(mut self, once: bool) -> Self {
        self.once = once;
        self
    }

    /// Sets how long one receive waits for messages, at most. Unless set, it waits as long as the broker lets it: 20 s on SQS.
    ///
    /// A broker may still give messages to a receive that a shutdown cut off. Short receives lose less by that, and are more requests.
    #[must_use]
    pub fn longest_poll(mut self, longest: Duration) -> Self {
        self.longest_poll = Some(longest);
        self
    }

    /// Returns the names of the routes. The configuration is read against them.
    pub fn route_names(&self) -> Vec<String> {
        self.routes
            .iter()
            .map(|route| route.name().to_owned())
            .collect()
    }

    /// Checks that the program can work, and plans it.
    ///
    /// # Errors
    ///
    /// If there are no handlers, two handlers take the same messages of one route, a layer or an option is for a route that does not exist,
    /// or options are wrong. The error says all reasons at once.
    pub fn build(self) -> Result<Manager, Error> {
        plan::plan(self)
    }
}

impl Manager {
    /// Returns a builder without routes.
    pub fn builder() -> ManagerBuilder {
        ManagerBuilder::default()
    }

    /// Returns the routes, sorted by name. A route with several handlers is there once for each of them.
    pub fn routes(&self) -> Vec<RouteSummary> {
        let summary = |plan: &Plan, route: &Route| RouteSummary {
            route: plan.policy.route.clone(),
            queue: plan.policy.queue.clone(),
            broker: plan.instance.name.to_string(),
            translator: route.translator,
            enabled: plan.enabled,
            concurrency: plan.policy.concurrency,
            batch: route.batches.then(|| plan.policy.messages_a_call()),
            on: route.on.as_ref().map(ToString::to_string),
            handler: route.handler.to_string(),
            location: route.location,
        };
        let of_route = |plan: &Plan| {
            let handlers = plan.handlers.iter();
            let summaries = handlers.map(|handler| summary(plan, &handler.route));
            summaries.collect::<Vec<_>>()
        };
        self.plans.iter().flat_map(of_route).collect()
    }

    /// Opens every source, starts every route, and starts the app's tasks. From then on, only [`Running::shutdown`] and [`Running::cancel`]
    /// end the program, unless [`once`](ManagerBuilder::once) is set.
    ///
    /// # Errors
    ///
    /// If a handler lacks state, a source can't be opened, a broker can't be started, or an `on_started` hook failed. The error says all reasons
    /// at once. What was opened and started before is closed again.
    ///
    /// # Cancellation
    ///
    /// Safe: routes that have started are shut down.
    pub async fn start(self) -> Result<Running, Error> {
        run::start(self).await
    }

    /// Puts a message on a route's queue, without starting the route. Returns the id that the broker gave it, once the broker has confirmed
    /// it.
    ///
    /// # Errors
    ///
    /// If there is no such route, or the broker did not confirm the message.
    ///
    /// # Cancellation
    ///
    /// Not safe: when dropped, the message may have been published or not.
    pub async fn publish(
        &self,
        route: &str,
        message: loafer_core::message::Message,
    ) -> Result<loafer_core::message::MessageId, Error> {
        let plan = self.plan(route)?;
        running::publish(
            &*plan.instance.broker.publisher(),
            plan.instance.broker.queue_topic(&plan.policy.queue),
            message,
        )
        .await
    }
}

impl Manager {
    /// Opens the dead letters of a route.
    ///
    /// # Errors
    ///
    /// If there is no such route, its broker can't be reached, or its queue has no dead-letter queue. The error says what to do.
    ///
    /// # Cancellation
    ///
    /// Safe.
    pub async fn dead_letters(&self, route: &str) -> Result<DeadLetters, Error> {
        let plan = self.plan(route)?;
        DeadLetters::open(
            plan.instance
                .broker
                .dead_letters(&plan.source, &plan.options)?,
        )
        .await
    }

    /// Connects the source of a route, and returns how much its queue holds, as far as its broker tells.
    ///
    /// # Errors
    ///
    /// If there is no such route, or its broker can't be reached or does not let us ask.
    ///
    /// # Cancellation
    ///
    /// Safe.
    pub async fn depth(&self, route: &str) -> Result<Depth, Error> {
        let plan = self.plan(route)?;
        launch::open(plan, self.open).await?;
        plan.provider.depth().await
    }

    fn plan(&self, route: &str) -> Result<&Plan, Error> {
        let plan = self.plans.iter().find(|plan| plan.policy.route == route);
        let known = self.plans.iter().map(|plan| &*plan.policy.route);
        plan.ok_or_else(|| at_work::no_route(route, known))
    }
}

impl std::fmt::Debug for Manager {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Manager")
            .field(
                "policies",
                &self
                    .plans
                    .iter()
                    .map(|plan| &plan.policy)
                    .collect::<Vec<_>>(),
            )
            .finish_non_exhaustive()
    }
}
