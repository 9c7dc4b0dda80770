//! A service that a case runs.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::case::{Checked, Fault, ensure};
use loafer_runtime::{
    RouteStats,
    program::{Ended, Running},
};

/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// A service that a case runs. Dropped, as at the end of a case that failed, it is cancelled.
pub(super) struct Program {
    running: Running,
    patience: Duration,
}

impl Program {
    pub(super) fn new(running: Running, patience: Duration) -> Self {
        Self { running, patience }
    }

    pub(super) fn running(&self) -> &Running {
        &self.running
    }

    /// The counts of all its routes.
    pub(super) fn stats(&self) -> RouteStats {
        let mut all = RouteStats::default();
        for route in self.running.routes() {
            let one = self.running.stats(&route).unwrap_or_default();
            all.received += one.received;
            all.acked += one.acked;
            all.rejected += one.rejected;
            all.released += one.released;
            all.lost += one.lost;
        }
        all
    }

    /// Waits until its counts are so.
    pub(super) async fn until(&self, what: &str, holds: impl Fn(&RouteStats) -> bool) -> Checked {
        let end = Instant::now() + self.patience;
        while !holds(&self.stats()) {
            let stats = self.stats();
            ensure!(
                Instant::now() < end,
                "not {what} after {:?}: {stats:?}",
                self.patience
            );
            sleep(LOOK).await;
        }
        Ok(())
    }

    /// Waits for its end, after it was told to stop.
    pub(super) async fn ended(&self) -> Checked<Ended> {
        let patience = self.patience;
        timeout(patience, self.running.ended()).await.map_err(|_| {
            Fault::new(format_args!(
                "it had not ended {patience:?} after it was told to"
            ))
        })
    }

    /// Stops it as SIGTERM does; it must end well.
    pub(super) async fn stop(&self) -> Checked {
        self.running.shutdown();
        let ended = self.ended().await?;
        ensure!(
            ended == Ended::Clean,
            "a shutdown cut something off: {:?}",
            self.stats()
        );
        Ok(())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.running.cancel();
    }
}
