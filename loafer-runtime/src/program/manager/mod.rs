//! The manager: plans the routes of a program, and runs each isolated from the others.

mod check;
mod plan;
mod run;
mod topics;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures_util::future::join_all;

use crate::{
    dead_letters::DeadLetters,
    program::{
        App, Config, Route,
        erased::DynProvider,
        instances::{Instance, Instances},
        registry::registered,
        running::{self, Running},
    },
};
use loafer_core::{
    Error,
    broker::{Finding, Level, Open, Settings, Source},
    extract::RouteName,
    policy::Policy,
};

/// The routes of a program, planned: every name, option and source is known, nothing is connected.
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
    /// The brokers it uses.
    instances: Instances,
    /// The brokers of topics that go through another than the service's.
    topics: BTreeMap<String, Instance>,
    config: Config,
    open: Open,
    once: bool,
}

/// One route, planned.
struct Plan {
    /// One at least.
    handlers: Vec<PlannedHandler>,
    policy: Policy,
    instance: Instance,
    source: Source,
    /// What only its broker knows.
    options: Settings,
    provider: Box<dyn DynProvider>,
}

/// One handler of a route, planned.
struct PlannedHandler {
    route: Route,
    names: Arc<RouteName>,
    timeout: Option<Duration>,
}

/// Puts a [`Manager`] together.
#[derive(Debug, Default)]
pub struct ManagerBuilder {
    app: App,
    routes: Vec<Route>,
    config: Config,
    only: Vec<String>,
    open: Open,
    once: bool,
}

/// What is to be said of one handler of a route: a row of the command `routes`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RouteSummary {
    /// The route's name.
    pub route: String,
    /// Its queue, as configured.
    pub queue: String,
    /// Its broker, by the instance's name.
    pub broker: String,
    /// Its translator.
    pub translator: &'static str,
    /// Handlers at once.
    pub concurrency: usize,
    /// Messages a handler's call, at most, where it takes batches.
    pub batch: Option<usize>,
    /// Which messages the handler takes; none: every one, or what no other takes.
    pub on: Option<String>,
    /// The handler's path.
    pub handler: &'static str,
    /// The handler's file and line.
    pub location: (&'static str, u32),
}

impl ManagerBuilder {
    /// The same with this app: state, layers, hooks, options.
    #[must_use]
    pub fn app(mut self, app: App) -> Self {
        self.app = app;
        self
    }

    /// The same with one route more.
    #[must_use]
    pub fn route(mut self, route: Route) -> Self {
        self.routes.push(route);
        self
    }

    /// The same with every annotated handler of every linked crate.
    #[must_use]
    pub fn registered(mut self) -> Self {
        self.routes.extend(registered());
        self
    }

    /// The same with this configuration.
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// The same with these routes only; none: all.
    #[must_use]
    pub fn only(mut self, routes: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.only = routes.into_iter().map(Into::into).collect();
        self
    }

    /// The same with what may be done about sources that are missing.
    #[must_use]
    pub fn open(mut self, mode: Open) -> Self {
        self.open = mode;
        self
    }

    /// The same for one receive a route: all its messages are handled, and it ends.
    #[must_use]
    pub fn once(mut self, once: bool) -> Self {
        self.once = once;
        self
    }

    /// The names of the routes, for the configuration to be read against.
    pub fn route_names(&self) -> Vec<String> {
        self.routes
            .iter()
            .map(|route| route.name().to_owned())
            .collect()
    }

    /// Checks that it can work, and plans it.
    ///
    /// # Errors
    ///
    /// No handlers, two handlers for the same messages of one route, a layer or option for a route that is not there, options that can't be. All reasons at once.
    pub fn build(self) -> Result<Manager, Error> {
        plan::plan(self)
    }
}

impl Manager {
    /// A manager without routes yet.
    pub fn builder() -> ManagerBuilder {
        ManagerBuilder::default()
    }

    /// Its routes, sorted by name; one that has several handlers once for each.
    pub fn routes(&self) -> Vec<RouteSummary> {
        let summary = |plan: &Plan, route: &Route| RouteSummary {
            route: plan.policy.route.clone(),
            queue: plan.policy.queue.clone(),
            broker: plan.instance.name.to_string(),
            translator: route.translator,
            concurrency: plan.policy.concurrency,
            batch: route.batches.then(|| plan.policy.messages_a_call()),
            on: route.on.as_ref().map(ToString::to_string),
            handler: route.handler,
            location: route.location,
        };
        let of_route = |plan: &Plan| {
            let handlers = plan.handlers.iter();
            let summaries = handlers.map(|handler| summary(plan, &handler.route));
            summaries.collect::<Vec<_>>()
        };
        self.plans.iter().flat_map(of_route).collect()
    }

    /// Connects every source and says what it finds; the first is the route's name.
    pub async fn check(&self) -> Vec<(String, Vec<Finding>)> {
        // All at once: a broker that can't be reached takes its time for each.
        join_all(self.plans.iter().map(async |plan| {
            let found = match run::open(plan, self.open).await {
                Ok(()) => {
                    let mut found = plan.provider.check(&plan.policy).await;
                    let capabilities = plan.provider.capabilities();
                    found.extend(check::judge(&plan.policy, &capabilities));
                    found
                }
                Err(error) => vec![Finding {
                    level: Level::Problem,
                    text: error.to_string(),
                }],
            };
            let missing = plan.handlers.iter().filter_map(|handler| {
                let missing = handler.route.ready(self.app.resources())?.err()?;
                let handler = handler.route.handler;
                Some(Finding::problem(format!("handler `{handler}`: {missing}")))
            });
            (plan.policy.route.clone(), missing.chain(found).collect())
        }))
        .await
    }

    /// Opens every source and starts every route. From here on nothing but [`Running::shutdown`] ends it.
    ///
    /// # Errors
    ///
    /// A handler that lacks state, a source that can't be opened, an `on_started` that failed. All reasons at once.
    pub async fn start(self) -> Result<Running, Error> {
        run::start(self).await
    }

    /// Puts a message on a route's source without starting it.
    ///
    /// # Errors
    ///
    /// Where there is no such route, or the broker did not confirm.
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
    /// The dead letters of a route, found.
    ///
    /// # Errors
    ///
    /// Where there is no such route, its broker can't be reached, or its queue has no dead-letter queue: with what to do.
    pub async fn dead_letters(&self, route: &str) -> Result<DeadLetters, Error> {
        let plan = self.plan(route)?;
        DeadLetters::open(
            plan.instance
                .broker
                .dead_letters(&plan.source, &plan.options)?,
        )
        .await
    }

    fn plan(&self, route: &str) -> Result<&Plan, Error> {
        let plan = self.plans.iter().find(|plan| plan.policy.route == route);
        let known = self.plans.iter().map(|plan| &*plan.policy.route);
        plan.ok_or_else(|| running::no_route(route, known))
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
