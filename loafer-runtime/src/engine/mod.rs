//! The way of a message through a route, one step a file:
//!
//! 1. `mod.rs`: [`run`] starts the tasks of a route on its open provider: receivers, settlers, the lease renewer, the connection monitor.
//! 2. `route.rs`: [`Route`] is what all of them share, whatever the provider: policy, handlers, scheduler, counts. [`Shared`] adds what
//!    depends on the provider's types.
//! 3. `receiver.rs`: a receiver asks the broker for messages while there is room. A message that was handled before is acked at once.
//! 4. `leases/mod.rs`: each delivery gets an entry in the lease table. From now on the rest of the engine knows it by its key there.
//! 5. `leases/renewer.rs`: the renewer renews its lease until a settler takes it, and sees when a lease has expired.
//! 6. `leases/monitor.rs`: the monitor hears that the broker took leases back. Who has lost its lease is not started or is cancelled, and
//!    nothing is sent for it.
//! 7. `leases/leaving.rs`: the monitor hears that the broker will take leases back. Who has not started is released, and who runs may end in
//!    time.
//! 8. The scheduler holds the messages of the route, under its one lock. It stands beside the engine, in `scheduler/`, and knows neither
//!    providers nor handlers. Its `mod.rs` says which invariants its state keeps. What was received becomes ready (`broker_side.rs`), unless
//!    the route is paused (`pause.rs`), it waits for an earlier message of its group (`groups.rs`), or it is a suspect that runs apart
//!    (`alone.rs`). A worker is called, and takes what is ready (`worker_side.rs`). A failed head of an ordered group comes back to be tried
//!    again in place (`retries.rs`).
//! 9. `isolated.rs`: a message that may end its process was isolated by the broker, and is fetched while nothing runs. If it has done so again,
//!    it is dead-lettered.
//! 10. `worker.rs`: the worker runs the handler in its call slot, and waits for it if it waits: for its return, its `timeout` or the loss of
//!     its lease. The watchdog, which stands beside the engine, sees when a handler blocks its thread.
//! 11. `chunk.rs`: a handler that never waits runs through many messages.
//! 12. `resolve.rs`: the verdict becomes a settlement, by the route's policy and the broker's capabilities. If the handler failed, `on_error`
//!     decides first. The log says what becomes of a message that was not acked (`route.rs`). The worker brings message and settlement back
//!     when it comes for the next one (8).
//! 13. `settler/mod.rs`: a settler takes what is done (8). It sends the acks, and everything else in tasks beside it.
//! 14. `settler/batch.rs`: what is settled together, with the lease of each.
//! 15. `settler/answers.rs`: what the broker confirmed frees its capacity (8), so that a receiver may ask for more (3). What failed is tried
//!     again while its lease lasts. What can't be sent at all stays leased, and is tried again in place (8).
//!
//! The renewer and the monitor run on the I/O thread, which no handler blocks. All else runs beside the workers.
//!
//! No task of a route waits for another except through the scheduler, and every change there ends by waking whoever can act on it. A route ends
//! as it runs: receivers when the scheduler closes, workers when nothing is ready any more, settlers when everything is settled. [`run`] then
//! closes the provider.

mod chunk;
mod isolated;
mod leases;
mod receiver;
mod resolve;
mod route;
mod settler;
mod worker;

use std::{
    convert::Infallible,
    future::{Future, poll_fn},
    panic::resume_unwind,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard},
    task::Poll,
    time::Duration,
};

use futures_util::FutureExt;
use tokio::{
    sync::Notify,
    task::{JoinError, JoinSet},
    time::sleep,
};

use self::leases::LeaseTable;
use crate::{
    scheduler::{Key, Phase, Scheduler},
    stats::RouteStats,
    sync::{InFlight, locked},
};
use loafer_core::broker::Provider;

pub(crate) use self::route::{Parts, Route};

/// How long settlements may take once the drain deadline has passed.
const FLUSH_GRACE: Duration = Duration::from_secs(2);

/// What the tasks of one route share, with the provider's types.
struct Shared<P: Provider> {
    provider: Arc<P>,
    table: Mutex<LeaseTable<P::Receipt>>,
    /// The leases whose renewals are in flight. A retry or a release waits for that of its own lease, which would undo it.
    renewing: InFlight<Key>,
    /// Notified when a message may be isolated again whose lease was lost here.
    lost_alone: Notify,
    route: Arc<Route>,
}

impl<P: Provider> Shared<P> {
    fn table(&self) -> MutexGuard<'_, LeaseTable<P::Receipt>> {
        locked(&self.table)
    }

    fn scheduler(&self) -> &Scheduler {
        &self.route.scheduler
    }
}

/// Runs a route on its open provider, until it is closed and has settled everything, or until its time is up.
///
/// # Panics
///
/// If a task of the route does. So whoever runs the program learns of it, and nothing hangs.
pub(crate) async fn run<P: Provider>(provider: Arc<P>, route: Arc<Route>) {
    let shared = Arc::new(Shared {
        provider,
        table: Mutex::default(),
        renewing: InFlight::default(),
        lost_alone: Notify::new(),
        route: route.clone(),
    });

    let limits = &route.scheduler.limits;
    shared.provider.set_capacity(limits.capacity);
    let mut tasks = JoinSet::new();
    if limits.receivers == 1 && limits.settlers == 1 {
        tasks.spawn(settle_and_receive(shared.clone()));
    } else {
        for _ in 0..limits.settlers {
            tasks.spawn(settler::run(shared.clone()));
        }
        for _ in 0..limits.receivers {
            tasks.spawn(receiver::run(shared.clone()));
        }
    }
    if let Some(lease) = route.capabilities.lease {
        tasks.spawn_on(leases::renewer::run(shared.clone(), lease), &route.io);
    }
    tasks.spawn_on(leases::monitor::run(shared.clone()), &route.io);
    tasks.spawn(retry_in_place(shared.clone()));
    if limits.isolates {
        tasks.spawn(isolated::run(shared.clone()));
    }

    tokio::select! {
        biased;
        panic = route.panic() => resume_unwind(panic),
        never = watch(&mut tasks) => match never {},
        () = route.scheduler.settled() => {}
    }
    if route.scheduler.phase() == Phase::Cancelled {
        _ = tokio::time::timeout(FLUSH_GRACE, route.scheduler.flushed()).await;
    }
    // Workers that waited for other messages of a group are idle now: nothing more will come.
    route.scheduler.close(Phase::Draining);
    tasks.shutdown().await;
    shared.provider.close().await;
}

/// Makes messages ready whose retry in place is due.
async fn retry_in_place<P: Provider>(shared: Arc<Shared<P>>) {
    let (route, scheduler) = (&shared.route, shared.scheduler());
    let mut timer = pin!(sleep(Duration::ZERO));
    loop {
        let look = || _ = shared.lose_leases();
        let (again, call) = poll_fn(|cx| scheduler.poll_held(timer.as_mut(), cx, look)).await;
        route.stats.add(&RouteStats {
            retried: again as u64,
            ..RouteStats::default()
        });
        route.answer(call);
    }
}

/// Waits for a task of the engine that panics, and passes the panic on.
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
        resume_unwind(panic);
    }
}

/// Runs one settler and one receiver in one task: a settled batch makes room, and the receive that fills the room needs no wake-up.
async fn settle_and_receive<P: Provider>(shared: Arc<Shared<P>>) {
    let mut settler = pin!(settler::run(shared.clone()));
    let mut receiver = pin!(receiver::run(shared).fuse());
    poll_fn(|cx| {
        // In this order: see `Scheduler::poll_batch`.
        let settler: Poll<()> = settler.as_mut().poll(cx);
        _ = receiver.as_mut().poll(cx);
        settler
    })
    .await;
}
