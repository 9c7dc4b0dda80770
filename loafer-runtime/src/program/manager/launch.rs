//! From a plan to a running route, at the start of the program and later: by the same steps.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::future::join_all;
use tokio::{sync::Mutex as AsyncMutex, time::timeout};

use super::{
    Plan,
    io_thread::Io,
    lifetime,
    plan::{combined, plan_route},
    topics,
};
use crate::{
    engine::{Parts, Route as Engine},
    handler::{Handlers, Reports, RouteHandler},
    program::{
        App, BrokerKind, Config, Route,
        at_work::{RouteAtWork, stopping},
        instances::{Instance, Instances},
        running::Inner,
        stop::Shutdown,
    },
    stats::Stats,
    sync::locked,
};
use loafer_core::{Error, broker::Open};

/// How long a source may take to open, and a broker to start.
const OPEN: Duration = Duration::from_secs(12);

/// How long what was opened may take to close, when a start has failed.
const CLOSE: Duration = Duration::from_secs(2);

/// How long a receive of a route waits that receives only once.
const ONCE: Duration = Duration::from_secs(1);

/// What every route of a program is planned, opened and started with.
pub(in crate::program) struct Launcher {
    pub(super) app: App,
    pub(super) config: Config,
    pub(super) instances: Mutex<Instances>,
    /// The names of the instances that were started. Locked while one is: no two routes start the same one.
    pub(super) started: AsyncMutex<Vec<Arc<str>>>,
    /// What may be done about sources that are missing.
    pub(super) open: Open,
    /// Whether each route receives only once.
    pub(super) once: bool,
    /// How long a receive waits for messages, at most, if it is said.
    pub(super) longest_poll: Option<Duration>,
    /// The kind of broker of routes that name none.
    pub(super) default: Option<BrokerKind>,
    /// Where brokers are connected.
    pub(super) io: Io,
}

impl Inner {
    /// Adds a route to the running program, whose routes have reserved its name.
    pub(in crate::program) async fn add(self: Arc<Self>, route: Route) -> Result<(), Error> {
        let launcher = locked(&self.launcher).clone();
        let launcher = launcher.ok_or_else(|| stopping(route.name()))?;
        let plans = [launcher.plan(route)?];
        let handlers = launcher.prepare(&plans)?;
        let stop = self.stop.watch();
        launcher.open_all(&plans, &stop).await?;
        if let Err(error) = launcher.start_brokers(&plans, &stop).await {
            close(&plans).await;
            return Err(error);
        }
        launcher.connect(&self, &plans);
        launcher.launch(&self, plans, handlers).await
    }
}

impl Launcher {
    /// Plans one more route, by the rules of the start.
    fn plan(&self, route: Route) -> Result<Plan, Error> {
        let mut instances = locked(&self.instances);
        if let Some(kind) = route.broker {
            let known = instances.add_kind(kind);
            known.map_err(|fault| Error::Start(format!("route `{}`: {fault}", route.name())))?;
        }
        let routes = vec![route];
        let (app, config) = (&self.app, &self.config);
        let planned = plan_route(routes, app, config, self.default, &mut instances);
        planned.map_err(Error::Start)
    }

    /// Prepares every handler. The error says all that is missing at once.
    pub(super) fn prepare(&self, plans: &[Plan]) -> Result<Vec<Handlers>, Error> {
        let mut faults = Vec::new();
        let mut of_routes = Vec::new();
        for plan in plans {
            let mut handlers = Vec::new();
            for planned in &plan.handlers {
                let (route, handler) = (planned.route.name(), &planned.route.handler);
                match planned.route.ready(self.app.resources()) {
                    Some(Ok(ready)) => handlers.push(RouteHandler {
                        ready: ready
                            .around(self.app.around.as_ref())
                            .layered(&self.app.layers_of(route)),
                        names: planned.names.clone(),
                        timeout: planned.timeout,
                        on: planned.route.on.clone(),
                        replies: planned.route.replies,
                    }),
                    Some(Err(missing)) => {
                        faults.push(format!("handler `{handler}` of route `{route}`: {missing}"))
                    }
                    None => faults.push(format!(
                        "route `{route}` has no handler: give it one with `Route::handler`"
                    )),
                }
            }
            // If there is a fault, none of them is used.
            if faults.is_empty() {
                of_routes.push(Handlers::new(handlers));
            }
        }
        combined(faults).map_or(Ok(of_routes), Err)
    }

    /// Opens the sources of these routes. If one can't be opened, those that were are closed again.
    pub(super) async fn open_all(&self, plans: &[Plan], stop: &Shutdown) -> Result<(), Error> {
        let opened = plans
            .iter()
            .map(|plan| Box::pin(self.io.run(open(plan, self.open))));
        let opened = tokio::select! {
            biased;
            () = stop.requested() => return Err(stopping(&plans[0].policy.route)),
            opened = join_all(opened) => opened,
        };
        let faults = opened.iter().zip(plans).filter_map(|(answer, plan)| {
            let error = answer.as_ref().err()?;
            Some(format!("route `{}`: {error}", plan.policy.route))
        });
        let Some(error) = combined(faults.collect()) else {
            return Ok(());
        };
        let opened = plans
            .iter()
            .zip(&opened)
            .filter(|(_, answer)| answer.is_ok());
        close(opened.map(|(plan, _)| plan)).await;
        Err(error)
    }

    /// Starts what the routes of each broker share, on the brokers of these routes that are not started yet. If one does not start, those that
    /// did are closed again.
    pub(super) async fn start_brokers(&self, plans: &[Plan], stop: &Shutdown) -> Result<(), Error> {
        let mut started = tokio::select! {
            biased;
            () = stop.requested() => return Err(stopping(&plans[0].policy.route)),
            started = self.started.lock() => started,
        };
        let mut new: Vec<&Instance> = Vec::new();
        for Plan { instance, .. } in plans {
            if !started.contains(&instance.name) && !new.iter().any(|of| of.name == instance.name) {
                new.push(instance);
            }
        }
        let answers = join_all(new.iter().map(async |instance| {
            let started = self.io.run(timeout(OPEN, instance.broker.start())).await;
            let fault = match started {
                Ok(started) => started.err()?.to_string(),
                Err(_) => format!("starting it took longer than {OPEN:?}"),
            };
            Some(format!("broker `{}`: {fault}", instance.name))
        }));
        let answers = tokio::select! {
            biased;
            () = stop.requested() => return Err(stopping(&plans[0].policy.route)),
            answers = answers => answers,
        };
        if let Some(error) = combined(answers.iter().flatten().cloned().collect()) {
            let work = new
                .iter()
                .zip(&answers)
                .filter(|(_, fault)| fault.is_none());
            let closing = join_all(work.map(|(instance, _)| instance.broker.close()));
            _ = timeout(CLOSE, closing).await;
            return Err(error);
        }
        started.extend(new.into_iter().map(|instance| instance.name.clone()));
        Ok(())
    }

    /// Connects the bus to the brokers of these routes, so that their handlers find it connected.
    pub(super) fn connect(&self, inner: &Inner, plans: &[Plan]) {
        let instances = locked(&self.instances);
        let mut publishers = locked(&inner.publishers);
        let _entered = self.io.handle.enter();
        for plan in plans {
            topics::join(&self.app, &plan.instance, instances.app(), &mut publishers);
        }
    }

    /// Runs these routes.
    ///
    /// # Errors
    ///
    /// If the program is stopping: then none of them runs.
    pub(super) async fn launch(
        &self,
        inner: &Arc<Inner>,
        plans: impl IntoIterator<Item = Plan>,
        handlers: Vec<Handlers>,
    ) -> Result<(), Error> {
        for (plan, handlers) in plans.into_iter().zip(handlers) {
            let publisher = locked(&inner.publishers).of(&plan.instance);
            let reports = Reports {
                route: plan.policy.route.clone(),
                queue: plan.policy.queue.clone(),
                log_bodies: self.config.log_bodies.unwrap_or(false),
                dead_letter_reasons: self.config.dead_letter_reasons.unwrap_or(true),
                reporters: self.app.reporters.clone(),
                failure_log: self.app.failure_log.clone(),
                stats: Stats::default(),
            };
            let parts = Parts {
                policy: plan.policy,
                handlers,
                once: self.once,
                longest_poll: match self.once {
                    true => ONCE,
                    false => self.longest_poll.unwrap_or(Duration::MAX),
                },
                reports,
                quiet: inner.quiet.clone(),
                bus: self.app.bus.clone(),
                io: self.io.handle.clone(),
                watchdog: self.io.watchdog.clone(),
            };
            let source = plan.instance.broker.queue_topic(&parts.policy.queue);
            let engine = Arc::new(Engine::new(parts, plan.provider.capabilities()));
            if !plan.enabled {
                engine.start_paused();
            }
            let at_work = RouteAtWork::new(
                engine,
                publisher,
                source,
                plan.instance.name,
                &plan.provider,
            );
            let at_work = Arc::new(at_work);
            if let Err(error) = inner.routes.started(at_work.clone()) {
                _ = timeout(CLOSE, plan.provider.close()).await;
                return Err(error);
            }
            tokio::spawn(lifetime::run(inner.clone(), at_work, plan.provider));
        }
        Ok(())
    }
}

pub(super) async fn open(plan: &Plan, mode: Open) -> Result<(), Error> {
    let late = |_| Error::Timeout {
        what: "opening",
        queue: plan.policy.queue.clone(),
        after: OPEN,
    };
    timeout(OPEN, plan.provider.open(mode))
        .await
        .map_err(late)?
}

/// Closes providers that were opened, since something else failed.
pub(super) async fn close(plans: impl IntoIterator<Item = &Plan>) {
    let closing = join_all(plans.into_iter().map(|plan| plan.provider.close()));
    // What does not close in time is dropped.
    _ = timeout(CLOSE, closing).await;
}
