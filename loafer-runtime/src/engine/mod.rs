//! The way of a message: receivers lease it, workers handle it, settlers settle it, and meanwhile the lease renewer renews its lease.
//!
//! One [`Scheduler`] for each route decides who may do what next. It knows no types of the provider: [`Shared`] holds what depends on them.

mod batch_worker;
mod deadline;
mod disposition;
mod failure_log;
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
    disposition::{Disposition, RareDisposition},
    leases::table::LeaseTable,
    scheduler::{Job, Phase, Scheduler},
};
use loafer_core::broker::{Capabilities, Provider};

pub(crate) use self::failure_log::FailureLog;
pub(crate) use self::route::{Closing, Parts, Route};
pub use self::stats::RouteStats;
use self::stats::Stats;

/// How long settlements may take once the drain deadline has passed.
const FLUSH_GRACE: Duration = Duration::from_secs(2);

/// What the tasks of one route share, with the provider's types.
struct Shared<P: Provider> {
    provider: P,
    capabilities: Capabilities,
    table: Mutex<LeaseTable<P::Receipt>>,
    /// Locked while a renewal is in flight: the renewal would overwrite a retry delay that is set meanwhile.
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

/// Runs a route on its open provider, until it is closed and has settled everything, or until its time is up.
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
    // Workers that waited for other messages of a group are idle now: nothing more will come.
    route.scheduler.close(Phase::Draining);
    tasks.shutdown().await;
    shared.provider.close().await;
}

/// Waits for a task of the engine that panics, and passes the panic on. So the route ends, whoever runs the program learns of it, and
/// nothing hangs.
async fn watch(tasks: &mut JoinSet<()>) -> Infallible {
    while let Some(ended) = tasks.join_next().await {
        passed_on(ended);
    }
    std::future::pending().await
}

/// Passes on the panic of a task.
fn passed_on(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && let Ok(panic) = error.try_into_panic()
    {
        std::panic::resume_unwind(panic);
    }
}

/// Runs one settler and one receiver in one task: a settled batch makes room, and the receive that fills the room needs no wake-up.
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
