//! One route, from its start to its end.

use std::{sync::Arc, time::Duration};

use tokio::{
    task::{JoinError, JoinHandle},
    time::timeout_at,
};

use crate::{
    clock::later,
    program::{
        at_work::RouteAtWork,
        erased::DynProvider,
        running::{Ended, Inner, Running},
        stop::Stop,
    },
    scheduler::Phase,
    stats::RouteStats,
};

/// How long after its deadline a route may take for its last settlements and to close its provider.
pub(super) const GRACE: Duration = Duration::from_millis(2500);

/// Runs a route until it has ended, and says how it ended. It takes no longer than its deadline and [`GRACE`], whatever hangs.
pub(super) async fn run(
    inner: Arc<Inner>,
    at_work: Arc<RouteAtWork>,
    provider: Arc<dyn DynProvider>,
) {
    // A task of its own: its panic is an answer, and it can be given up while it blocks its thread.
    let work = tokio::spawn(provider.run(at_work.engine.clone()));
    let clean = until_ended(&inner, &at_work, work).await;
    let RouteStats {
        received,
        acked,
        retried,
        rejected,
        released,
        deferred,
        lost,
        repeated,
        failed,
    } = at_work.engine.stats.now();
    tracing::info!(
        route = at_work.name(),
        received,
        acked,
        retried,
        rejected,
        released,
        deferred,
        lost,
        repeated,
        failed,
        "ended"
    );
    let how = if clean { Ended::Clean } else { Ended::Unclean };
    inner.routes.ended(&at_work, how);
}

/// Waits for the end of a route, and passes on that it must stop and that its time is up. Returns whether it ended well.
async fn until_ended(inner: &Arc<Inner>, at_work: &RouteAtWork, mut work: JoinHandle<()>) -> bool {
    let (stop, scheduler) = (at_work.stop().watch(), &at_work.engine.scheduler);
    let ended = |ended: Result<(), JoinError>| {
        if let Err(error) = &ended {
            tracing::error!(route = at_work.name(), %error, "a route ended unexpectedly: stopping, so that a supervisor can restart the program");
            Running::new(inner.clone()).shutdown();
        }
        ended.is_ok()
    };
    tokio::select! {
        biased;
        how = &mut work => return ended(how),
        () = stop.requested() => scheduler.close(Phase::Draining),
    }
    let deadline = tokio::select! {
        biased;
        how = &mut work => return ended(how),
        deadline = stop.elapsed(Duration::ZERO) => deadline,
    };
    let messages = at_work.engine.in_flight();
    if messages > 0 && matches!(at_work.stop().asked(), Stop::Drain(_)) {
        let drain = at_work.engine.policy.drain;
        tracing::error!(
            route = at_work.name(),
            ?drain,
            messages,
            "`drain` has elapsed: handlers that still run are cancelled, and their messages are not acked"
        );
    }
    scheduler.close(Phase::Cancelled);
    match timeout_at(later(deadline, GRACE), &mut work).await {
        Ok(how) => ended(how) && messages == 0,
        Err(_) => {
            let messages = at_work.engine.in_flight();
            tracing::error!(
                route = at_work.name(),
                messages,
                "a provider did not close in time: its route is given up"
            );
            work.abort();
            false
        }
    }
}
