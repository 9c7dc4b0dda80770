//! The way of a message: receivers lease, workers handle, settlers answer, the keeper renews.
//!
//! One [`Scheduler`] a route says who may do what next; it knows no types. What depends on the provider's types stands in [`Shared`].

mod batch_worker;
mod deadline;
mod failure_log;
mod fate;
mod judging;
mod leases;
mod receiver;
mod refusal;
mod route;
mod scheduler;
mod settlement;
mod settler;
mod stats;
mod unsettled;
mod worker;

use std::{
    convert::Infallible,
    future::{Future, poll_fn},
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Poll,
    time::Duration,
};

use futures_util::FutureExt;
use tokio::task::{JoinError, JoinSet};

use self::{
    fate::{Fate, RareFate},
    leases::table::LeaseTable,
    scheduler::{Job, Phase, Scheduler},
};
use loafer_core::broker::{Capabilities, Provider};

pub(crate) use self::failure_log::FailureLog;
pub(crate) use self::route::{Closing, Parts, Route};
pub use self::stats::RouteStats;
use self::stats::Stats;

/// How long settlements get once the drain deadline has passed.
const FLUSH_GRACE: Duration = Duration::from_secs(2);

/// What the tasks of one route share and the provider's types shape.
struct Shared<P: Provider> {
    provider: P,
    capabilities: Capabilities,
    table: Mutex<LeaseTable<P::Receipt>>,
    /// Held while a renewal is in flight: a retry delay set meanwhile would be overwritten by it.
    renewing: tokio::sync::Mutex<()>,
    route: Arc<Route>,
}

impl<P: Provider> Shared<P> {
    fn table(&self) -> MutexGuard<'_, LeaseTable<P::Receipt>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn scheduler(&self) -> &Scheduler {
        &self.route.scheduler
    }
}

/// Runs a route on its open provider until it is closed and has settled everything, or its time is up.
pub(crate) async fn run<P: Provider>(provider: P, route: Arc<Route>) {
    let capabilities = provider.capabilities();
    let (receivers, settlers, lease) = (
        capabilities.receivers,
        capabilities.settlers,
        capabilities.lease,
    );
    let shared = Arc::new(Shared {
        provider,
        capabilities,
        table: Mutex::default(),
        renewing: tokio::sync::Mutex::default(),
        route: route.clone(),
    });

    shared
        .provider
        .set_capacity(shared.scheduler().limits.capacity);
    let mut tasks = JoinSet::new();
    if shared.scheduler().limits.is_joined() {
        tasks.spawn(settle_and_receive(shared.clone()));
    } else {
        for _ in 0..settlers {
            tasks.spawn(settler::run(shared.clone()));
        }
        for _ in 0..receivers {
            tasks.spawn(receiver::run(shared.clone()));
        }
    }
    if let Some(lease) = lease {
        tasks.spawn(leases::renewer::run(shared.clone(), lease));
    }
    tasks.spawn(leases::monitor::run(shared.clone()));

    tokio::select! {
        () = route.scheduler.settled() => {}
        never = watch(&mut tasks) => match never {},
    }
    if route.scheduler.phase() == Phase::Cancelled {
        _ = tokio::time::timeout(FLUSH_GRACE, route.scheduler.flushed()).await;
    }
    // Workers that waited for others of a group have gone idle: nothing comes any more.
    route.scheduler.close(Phase::Draining);
    tasks.shutdown().await;
    shared.provider.close().await;
}

/// A task of the engine that panicked takes the route with it: whoever runs the program is told, and nothing hangs.
async fn watch(tasks: &mut JoinSet<()>) -> Infallible {
    while let Some(ended) = tasks.join_next().await {
        passed_on(ended);
    }
    std::future::pending().await
}

/// Passes on that a task panicked.
fn passed_on(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && let Ok(panic) = error.try_into_panic()
    {
        std::panic::resume_unwind(panic);
    }
}

/// One settler and one receiver in one task: a batch that was settled makes room, and the receive that fills it needs no waking.
async fn settle_and_receive<P: Provider>(shared: Arc<Shared<P>>) {
    let mut settler = pin!(settler::run(shared.clone()));
    let mut receiver = pin!(receiver::run(shared).fuse());
    poll_fn(|cx| {
        // In this order: see `Scheduler::freed`.
        let settler: Poll<()> = settler.as_mut().poll(cx);
        _ = receiver.as_mut().poll(cx);
        settler
    })
    .await;
}
