//! From a plan to a running program, and to its end.

use std::{
    any::Any,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::{
    FutureExt,
    future::{BoxFuture, join_all},
};
use tokio::{
    sync::{Mutex as AsyncMutex, Notify, watch},
    task::JoinSet,
    time::{Instant, timeout_at},
};

use super::{
    Manager,
    io_thread::IoThread,
    launch::{self, Launcher},
    lifetime, published,
    tasks::Tasks,
    topics,
};
use crate::{
    handler::{Report, panic_text},
    program::{
        app::Hook,
        at_work::RouteAtWork,
        instances::Instance,
        running::{Ended, Inner, Running},
        stop::{Shutdown, Stopper},
    },
    stats::Failing,
    sync::locked,
};
use loafer_core::{Error, broker::Open, outcome::BoxError};

/// When each part of the end is over, whatever hangs, counted from the `drain` deadline: the `on_stop` hooks, the publishers, the brokers, the
/// reporters. All of it is over before 4 s are, when the process may be ended from outside. The routes end before, within [`lifetime::GRACE`], and the tasks within that of their own.
const HOOKS: Duration = Duration::from_millis(3000);
const PUBLISHERS: Duration = Duration::from_millis(3400);
const BROKERS: Duration = Duration::from_millis(3600);
const REPORTERS: Duration = Duration::from_millis(3900);

pub(super) async fn start(manager: Manager) -> Result<Running, Error> {
    let io_thread = IoThread::start()?;
    let io = io_thread.io.clone();
    let published = (manager.open == Open::Create).then(|| {
        let _entered = io.handle.enter();
        published::published(&manager)
    });
    let Manager {
        mut app,
        plans,
        instances,
        topics,
        config,
        open,
        once,
        longest_poll,
        default,
    } = manager;
    let on_started = std::mem::take(&mut app.on_started);
    let drain = plans.iter().map(|plan| plan.policy.drain).max();
    let launcher = Arc::new(Launcher {
        app,
        config,
        instances: Mutex::new(instances),
        started: AsyncMutex::default(),
        open,
        once,
        longest_poll,
        default,
        io: io.clone(),
    });
    let inner = Arc::new(Inner {
        routes: Arc::default(),
        publishers: Mutex::default(),
        quiet: Arc::new(Notify::new()),
        stop: Stopper::new(),
        drain: drain.unwrap_or_default(),
        tasks_failing: Failing::default(),
        launcher: Mutex::new(Some(launcher.clone())),
        ended: watch::Sender::new(None),
    });
    let handlers = launcher.prepare(&plans)?;
    let shutdown = inner.stop.watch();
    launcher.open_all(&plans, &shutdown).await?;
    // After the routes' own queues, which may be among the topics, and are made as their routes say.
    let started = async {
        if let Some(published) = &published {
            io.run(published.make()).await?;
        }
        launcher.start_brokers(&plans, &shutdown).await
    };
    if let Err(error) = started.await {
        launch::close(&plans).await;
        return Err(error);
    }
    {
        let instances = locked(&launcher.instances);
        let mut publishers = locked(&inner.publishers);
        let _entered = io.handle.enter();
        plans
            .iter()
            .for_each(|plan| _ = publishers.of(&plan.instance));
        topics::connect(
            &launcher.app.bus,
            &launcher.app,
            &launcher.config,
            &topics,
            &instances,
            &mut publishers,
        );
    }
    launcher.launch(&inner, plans, handlers).await?;
    let running = Running::new(inner.clone());
    tokio::spawn(supervise(inner, launcher, io_thread));

    let mut unfinished = StopOnDrop(Some(running.clone()));
    for hook in &on_started {
        if let Err(error) = apart(hook, &running).await {
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

/// Stops the routes if a start is dropped while its hooks run: nobody else could stop them.
struct StopOnDrop(Option<Running>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        if let Some(running) = &self.0 {
            running.shutdown();
        }
    }
}

/// Runs a hook or a task. A panic is returned as an error.
pub(super) async fn guarded(
    call: impl FnOnce() -> BoxFuture<'static, Result<(), BoxError>>,
) -> Result<(), BoxError> {
    let ran = AssertUnwindSafe(async { call().await })
        .catch_unwind()
        .await;
    let panicked = |panic: Box<dyn Any + Send>| format!("it panicked: {}", panic_text(&*panic));
    ran.unwrap_or_else(|panic| Err(panicked(panic).into()))
}

/// Runs a hook in a task of its own. So whoever stops waiting for it can, also while it blocks its thread. It is then aborted.
async fn apart(hook: &Hook, running: &Running) -> Result<(), BoxError> {
    let (hook, running) = (hook.clone(), running.clone());
    let mut task = JoinSet::new();
    task.spawn(async move { guarded(|| hook(running)).await });
    match task.join_next().await {
        Some(ran) => ran?,
        None => Ok(()),
    }
}

/// Runs the tasks of the app, waits for the routes to end, and then ends what the program had around them.
async fn supervise(inner: Arc<Inner>, launcher: Arc<Launcher>, _io_thread: IoThread) {
    let running = Running::new(inner.clone());
    let shutdown = inner.stop.watch();
    let tasks = Tasks::start(&launcher.app.tasks, &running, &shutdown);
    tokio::select! {
        () = shutdown.requested() => {}
        () = inner.routes.all_ended(), if launcher.once => running.shutdown(),
    }
    let (routes, adding) = inner.routes.close();
    let (routes_clean, tasks_clean, ()) = tokio::join!(
        end_routes(&inner, &routes, &shutdown),
        tasks.ended(&shutdown),
        end_adding(adding, &shutdown),
    );
    let mut clean = routes_clean && tasks_clean;
    if launcher.once {
        clean &= routes.iter().all(|route| route.engine.is_healthy());
    }
    let deadline = inner.stop.asked().deadline();
    let deadline = deadline.unwrap_or_else(Instant::now);
    for hook in &launcher.app.on_stop {
        let ran = timeout_at(deadline + HOOKS, apart(hook, &running)).await;
        if let Err(error) =
            ran.unwrap_or_else(|_| Err("it took longer than there was time to drain".into()))
        {
            tracing::error!(error, "an `on_stop` hook failed");
            clean = false;
        }
    }
    clean &= close(&inner, &launcher, deadline).await;
    clean &= flush(launcher.app.reporters.clone(), deadline + REPORTERS).await;
    // Nothing holds on to the app from now on: its state may hold a `Running`.
    *locked(&inner.launcher) = None;
    inner
        .ended
        .send_replace(Some(if clean { Ended::Clean } else { Ended::Unclean }));
}

/// Passes on to the routes what the program is asked for, until they have ended. Returns whether all of them ended well.
async fn end_routes(inner: &Inner, routes: &[Arc<RouteAtWork>], shutdown: &Shutdown) -> bool {
    let ended = join_all(routes.iter().map(|route| route.ended()));
    let mut ended = std::pin::pin!(ended);
    loop {
        let asked = inner.stop.asked();
        routes.iter().for_each(|route| route.stop().ask(asked));
        tokio::select! {
            biased;
            ended = &mut ended => return ended.iter().all(|how| *how == Ended::Clean),
            () = shutdown.beyond(asked) => {}
        }
    }
}

/// Waits until the routes that were being added are given up.
async fn end_adding(mut adding: JoinSet<()>, shutdown: &Shutdown) {
    tokio::select! {
        () = async { while adding.join_next().await.is_some() {} } => {}
        _ = shutdown.elapsed(lifetime::GRACE) => adding.abort_all(),
    }
}

/// Closes the bus, the publishers and the brokers, in this order. Returns whether all of them closed in time.
async fn close(inner: &Inner, launcher: &Launcher, deadline: Instant) -> bool {
    let publishers = locked(&inner.publishers).all();
    let until = deadline + PUBLISHERS;
    let publishers = publishers.iter().map(async |(broker, publisher)| {
        let closed = timeout_at(until, publisher.close()).await.is_ok();
        if !closed {
            tracing::error!(%broker, "the publisher of a broker did not close in time: it is given up");
        }
        closed
    });
    let (bus, publishers) = tokio::join!(
        timeout_at(until, launcher.app.bus.close()),
        join_all(publishers)
    );
    if bus.is_err() {
        tracing::warn!("the reply address could not be removed in time: it may be left behind");
    }
    let brokers: Vec<_> = locked(&launcher.instances).used().cloned().collect();
    let brokers = brokers.iter().map(async |Instance { name, broker, .. }| {
        let closed = timeout_at(deadline + BROKERS, broker.close()).await.is_ok();
        if !closed {
            tracing::error!(broker = %name, "a broker did not close in time: it is given up");
        }
        closed
    });
    let brokers = join_all(brokers).await;
    [publishers, brokers]
        .concat()
        .into_iter()
        .all(|closed| closed)
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
