//! The tasks of an app: each is started again when it fails, until it is done or the program stops.

use std::{pin::pin, sync::Arc, time::Duration};

use tokio::{
    task::JoinHandle,
    time::{sleep, timeout},
};

use super::run::guarded;
use crate::program::{app::Task, running::Running, stop::Shutdown};
use loafer_core::broker::Pauses;

/// The pauses between a failure of a task and its next start. They double.
const PAUSES: Pauses = Pauses::new(Duration::from_millis(200)).longest(LONGEST);
const LONGEST: Duration = Duration::from_secs(30);

/// After a failure a task counts as failing until it has run for so long. Then its pauses begin again, too.
const STEADY: Duration = Duration::from_secs(10);

/// How long after the drain deadline a task may still take: one that a cancel surprises can end well.
pub(super) const GRACE: Duration = Duration::from_millis(500);

/// The tasks of a running program.
pub(super) struct Tasks(Vec<(Arc<str>, JoinHandle<bool>)>);

impl Tasks {
    pub(super) fn start(tasks: &[Task], running: &Running, shutdown: &Shutdown) -> Self {
        let started = tasks.iter().cloned().map(|task| {
            let name = task.name.clone();
            let run = attend(task, running.clone(), shutdown.clone());
            (name, tokio::spawn(run))
        });
        Self(started.collect())
    }

    /// Waits for the end of all tasks, and aborts what is left when the time is up. Returns whether all of them ended well.
    pub(super) async fn ended(self, shutdown: &Shutdown) -> bool {
        let mut clean = true;
        for (task, mut run) in self.0 {
            let ended = tokio::select! {
                biased;
                ended = &mut run => ended.unwrap_or(false),
                _ = shutdown.elapsed(GRACE) => {
                    run.abort();
                    tracing::error!(task = &*task, "a task did not end in time after the program was asked to stop: it is aborted. End it when `shutdown.requested()` returns");
                    false
                }
            };
            clean &= ended;
        }
        clean
    }
}

/// Runs one task. Returns whether it ended well.
async fn attend(task: Task, running: Running, shutdown: Shutdown) -> bool {
    let (name, failing) = (task.name, &running.inner.tasks_failing);
    let (mut pauses, mut is_failing) = (PAUSES.iter(), false);
    loop {
        let run = guarded(|| (task.run)(running.clone(), shutdown.clone()));
        let mut run = pin!(run);
        let ran = match timeout(STEADY, run.as_mut()).await {
            Ok(ran) => ran,
            Err(_) => {
                pauses = PAUSES.iter();
                if is_failing {
                    tracing::info!(task = &*name, "a task that failed runs again");
                }
                failing.record(&mut is_failing, true);
                run.await
            }
        };
        let Err(error) = ran else {
            failing.record(&mut is_failing, true);
            tracing::debug!(task = &*name, "a task is done");
            return true;
        };
        if shutdown.is_requested() {
            tracing::error!(
                task = &*name,
                error,
                "a task failed while the program was stopping"
            );
            return false;
        }
        failing.record(&mut is_failing, false);
        let pause = pauses.next().unwrap_or(LONGEST);
        tracing::error!(
            task = &*name,
            error,
            ?pause,
            "a task failed: it is started again after a pause"
        );
        tokio::select! {
            () = sleep(pause) => {}
            () = shutdown.requested() => return true,
        }
    }
}
