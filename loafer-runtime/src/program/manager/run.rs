//! From a plan to running routes, and to their end.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::{FutureExt, future::join_all};
use tokio::{
    sync::{Notify, watch},
    task::JoinSet,
    time::{Instant, sleep_until, timeout, timeout_at},
};

use super::{
    Manager, Plan,
    plan::combined,
    topics::{self, Publishers},
};
use crate::clock::after;
use crate::program::instances::{Instance, Instances};
use crate::program::running::{Ended, Inner, RouteAtWork, Running, Stop};
use crate::{
    bus::Bus,
    bus::erased::DynPublisher,
    engine::{Parts, Phase, Route},
    handler::{Handlers, Report, Reports, RouteHandler},
    program::app::Hook,
    stats::{RouteStats, Stats},
};
use loafer_core::{Error, broker::Open, outcome::BoxError};

/// How long a source may take to open.
const OPEN: Duration = Duration::from_secs(12);

/// When each part of the end is over, whatever hangs, counted from the `drain` deadline: the routes with their last settlements, the
/// `on_stop` hooks, the publishers, the brokers, the reporters.
const ROUTES: Duration = Duration::from_millis(2500);
const HOOKS: Duration = Duration::from_millis(3000);
const PUBLISHERS: Duration = Duration::from_millis(3400);
const BROKERS: Duration = Duration::from_millis(3700);
const REPORTERS: Duration = Duration::from_millis(4000);

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

pub(super) async fn start(manager: Manager) -> Result<Running, Error> {
    let Manager {
        app,
        plans,
        instances,
        topics,
        config,
        open: mode,
        once,
    } = manager;
    let handlers = ready(&plans, &app)?;
    open_all(&plans, mode).await?;
    let brokers = start_all(&instances).await?;

    let quiet = Arc::new(Notify::new());
    let mut routes = Vec::new();
    let mut work = JoinSet::new();
    let mut publishers = Publishers::default();
    for (plan, handlers) in plans.into_iter().zip(handlers) {
        let publisher = publishers.of(&plan.instance);
        let reports = Reports {
            route: plan.policy.route.clone(),
            queue: plan.policy.queue.clone(),
            log_bodies: config.log_bodies.unwrap_or(false),
            reporters: app.reporters.clone(),
            failure_log: app.failure_log.clone(),
            stats: Stats::default(),
        };
        let parts = Parts {
            policy: plan.policy,
            handlers,
            once,
            reports,
            quiet: quiet.clone(),
            bus: app.bus.clone(),
        };
        let source = plan.instance.broker.queue_topic(&parts.policy.queue);
        let engine = Arc::new(Route::new(parts, plan.provider.capabilities()));
        if !plan.enabled {
            engine.start_paused();
        }
        routes.push(RouteAtWork {
            engine: engine.clone(),
            publisher,
            source,
            broker: plan.instance.name,
        });
        work.spawn(plan.provider.run(engine));
    }
    topics::connect(&app, &config, &topics, &instances, &mut publishers);

    let drain = routes
        .iter()
        .map(|route| route.engine.policy.drain)
        .max()
        .unwrap_or_default();
    let inner = Arc::new(Inner {
        routes,
        publishers: publishers.all(),
        quiet,
        stop: watch::channel(Stop::No).0,
        ended: watch::channel(None).0,
    });
    let running = Running::new(inner.clone());
    let end = End {
        on_stop: app.on_stop.clone(),
        bus: app.bus.clone(),
        publishers: publishers.all(),
        brokers,
        reporters: app.reporters.clone(),
        drain,
        once,
    };
    // Subscribed before anybody can ask the program to stop.
    let stop = inner.stop.subscribe();
    tokio::spawn(supervise(inner, work, stop, end));

    let mut unfinished = StopOnDrop(Some(running.clone()));
    for hook in &app.on_started {
        if let Err(error) = guarded(hook, &running).await {
            running.shutdown();
            running.ended().await;
            return Err(Error::Start(format!(
                "an `on_started` hook failed: {error}"
            )));
        }
    }
    unfinished.0 = None;
    Ok(running)
}

/// Prepares every handler. The error says all that is missing at once.
fn ready(plans: &[Plan], app: &crate::program::App) -> Result<Vec<Handlers>, Error> {
    let mut faults = Vec::new();
    let mut of_routes = Vec::new();
    for plan in plans {
        let mut handlers = Vec::new();
        for planned in &plan.handlers {
            let (route, handler) = (planned.route.name(), planned.route.handler);
            match planned.route.ready(app.resources()) {
                Some(Ok(ready)) => handlers.push(RouteHandler {
                    ready: ready
                        .around(app.around.as_ref())
                        .layered(&app.layers_of(route)),
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

async fn open_all(plans: &[Plan], mode: Open) -> Result<(), Error> {
    let opened = plans.iter().map(|plan| Box::pin(open(plan, mode)));
    let faults = join_all(opened).await.into_iter().zip(plans);
    let faults = faults.filter_map(|(answer, plan)| {
        Some(format!("route `{}`: {}", plan.policy.route, answer.err()?))
    });
    combined(faults.collect()).map_or(Ok(()), Err)
}

/// Starts what the routes of each broker share. Returns the brokers that must be closed at the end.
async fn start_all(instances: &Instances) -> Result<Vec<Instance>, Error> {
    let brokers: Vec<Instance> = instances.used().cloned().collect();
    let started = join_all(brokers.iter().map(async |instance| {
        let started = timeout(OPEN, instance.broker.start()).await;
        let fault = match started {
            Ok(started) => started.err()?.to_string(),
            Err(_) => format!("starting it took longer than {OPEN:?}"),
        };
        Some(format!("broker `{}`: {fault}", instance.name))
    }));
    let faults = started.await.into_iter().flatten().collect();
    combined(faults).map_or(Ok(brokers), Err)
}

/// Stops the routes if a start is dropped while its hooks run: nobody else could stop them.
struct StopOnDrop(Option<Running>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        if let Some(running) = &self.0 {
            running.shutdown();
        }
    }
}

/// Runs a hook. A panic is returned as an error.
async fn guarded(hook: &Hook, running: &Running) -> Result<(), BoxError> {
    let ran = AssertUnwindSafe(async { hook(running.clone()).await })
        .catch_unwind()
        .await;
    ran.unwrap_or_else(|_| Err("it panicked".into()))
}

/// What happens at the end of a program.
struct End {
    on_stop: Vec<Hook>,
    bus: Bus,
    publishers: Vec<Arc<dyn DynPublisher>>,
    brokers: Vec<Instance>,
    reporters: Vec<Arc<dyn Report>>,
    drain: Duration,
    once: bool,
}

/// Waits for the routes to end. Passes on that they must stop, and that their time is up. Then ends what the program had around them.
async fn supervise(inner: Arc<Inner>, work: JoinSet<()>, stop: watch::Receiver<Stop>, end: End) {
    let (mut clean, deadline) = end_routes(&inner, work, stop, end.drain).await;
    if end.once {
        clean &= inner.routes.iter().all(|route| route.engine.is_healthy());
    }
    for route in &inner.routes {
        let RouteStats {
            received,
            acked,
            retried,
            rejected,
            released,
            lost,
            repeated,
            failed,
        } = route.engine.stats.now();
        tracing::info!(route = %route.engine.policy.route, received, acked, retried, rejected, released, lost, repeated, failed, "ended");
    }
    let running = Running::new(inner.clone());
    for hook in end.on_stop {
        let ran = timeout_at(deadline + HOOKS, guarded(&hook, &running)).await;
        if let Err(error) =
            ran.unwrap_or_else(|_| Err("it took longer than there was time to drain".into()))
        {
            tracing::error!(error, "an `on_stop` hook failed");
            clean = false;
        }
    }
    let publishers = join_all(end.publishers.iter().map(|publisher| publisher.close()));
    let until = deadline + PUBLISHERS;
    let (bus, publishers) = tokio::join!(
        timeout_at(until, end.bus.close()),
        timeout_at(until, publishers)
    );
    if bus.is_err() {
        tracing::warn!("the reply address could not be removed in time: it may be left behind");
    }
    let brokers = join_all(end.brokers.iter().map(|instance| instance.broker.close()));
    let brokers = timeout_at(deadline + BROKERS, brokers).await;
    for (what, closed) in [
        ("publisher", publishers.is_ok()),
        ("broker", brokers.is_ok()),
    ] {
        if !closed {
            tracing::error!("a {what} did not close in time");
            clean = false;
        }
    }
    clean &= flush(end.reporters, deadline + REPORTERS).await;
    inner
        .ended
        .send_replace(Some(if clean { Ended::Clean } else { Ended::Unclean }));
}

/// Waits for the routes to end. Returns whether all of them ended well, and the moment from which the rest of the end counts.
async fn end_routes(
    inner: &Inner,
    mut work: JoinSet<()>,
    mut stop: watch::Receiver<Stop>,
    drain: Duration,
) -> (bool, Instant) {
    let mut deadline = None;
    let mut clean = true;
    let close = |phase| {
        let routes = inner.routes.iter();
        routes.for_each(|route| route.engine.scheduler.close(phase));
    };
    let in_flight = || -> usize {
        let routes = inner.routes.iter();
        routes.map(|route| route.engine.in_flight()).sum()
    };
    loop {
        let cancelled = *inner.stop.borrow() == Stop::Cancel;
        let next = match deadline {
            Some(deadline) if cancelled => deadline + ROUTES,
            Some(deadline) => deadline,
            None => after(Duration::MAX),
        };
        tokio::select! {
            biased;
            ended = work.join_next() => match ended {
                None => break,
                Some(Ok(())) => {}
                Some(Err(error)) => {
                    tracing::error!(%error, "a route ended unexpectedly: stopping, so that a supervisor can restart the program");
                    clean = false;
                    inner.stop.send_modify(|stop| *stop = (*stop).max(Stop::Drain));
                }
            },
            Ok(()) = stop.changed() => {
                let asked = *stop.borrow_and_update();
                if asked >= Stop::Drain && deadline.is_none() {
                    deadline = Some(after(drain));
                    close(Phase::Draining);
                }
                if asked == Stop::Cancel {
                    deadline = deadline.map(|deadline| deadline.min(Instant::now()));
                    clean &= in_flight() == 0;
                    close(Phase::Cancelled);
                }
            }
            () = sleep_until(next) => {
                if cancelled {
                    tracing::error!(messages = in_flight(), "a provider did not close in time: its route is given up");
                    clean = false;
                    work.shutdown().await;
                    break;
                }
                tracing::error!(?drain, messages = in_flight(), "`drain` has elapsed: handlers that still run are cancelled, and their messages are not acked");
                inner.stop.send_modify(|stop| *stop = Stop::Cancel);
            }
        }
    }
    (clean, deadline.unwrap_or_else(|| after(drain)))
}

/// Lets the reporters send what is not sent yet, all at once and until this moment. Returns whether all of them came to an end.
async fn flush(reporters: Vec<Arc<dyn Report>>, until: Instant) -> bool {
    let within = until.saturating_duration_since(Instant::now());
    let flushed = reporters
        .into_iter()
        .map(|reporter| tokio::task::spawn_blocking(move || reporter.flush(within)));
    match timeout_at(until, join_all(flushed)).await {
        Ok(flushed) => flushed.iter().all(Result::is_ok),
        Err(_) => {
            tracing::error!("a reporter did not send its last reports in time");
            false
        }
    }
}
