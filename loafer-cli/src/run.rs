//! The command `run`: a service from its start to its end.

use std::{future::pending, process::ExitCode, time::Duration};

use loafer_core::outcome::BoxError;
use loafer_memory::Memory;
use loafer_runtime::program::{Ended, Manager, Running};
use tokio::time::sleep;

use crate::{program::Program, signals::Signals, stdin::Lines};

/// How often to look whether the last lease is settled, once the queues are empty.
const SETTLING: Duration = Duration::from_millis(2);

/// A running service.
pub(crate) struct Service {
    running: Running,
    /// The broker in memory, if the command line asks for it.
    memory: Option<Memory>,
    /// What is published there while the service runs.
    lines: Option<Lines>,
}

impl Service {
    pub(crate) async fn start(
        program: Program<'_>,
        manager: Manager,
        memory: Option<Memory>,
        once: bool,
    ) -> Result<Self, BoxError> {
        if cfg!(panic = "abort") {
            tracing::warn!(
                "built with `panic = \"abort\"`: a handler that panics ends the whole process"
            );
        }
        let mut lines = memory.is_some().then(Lines::read).transpose()?;
        if once && let Some(mut lines) = lines.take() {
            // All lines are published before the only receive.
            while let Some(line) = lines.next().await {
                line.publish(async |route, message| manager.publish(route, message).await)
                    .await;
            }
        }
        let running = manager.start().await?;
        announce(program, &running);
        Ok(Self {
            running,
            memory,
            lines,
        })
    }

    /// Serves until the service ends: by itself, by a signal, or because stdin ended.
    pub(crate) async fn serve(self, signals: &mut Signals) -> ExitCode {
        let Self {
            running,
            memory,
            lines,
        } = self;
        // In this order: a signal is told, also if the end it brought is there already.
        let ended = tokio::select! {
            biased;
            signal = signals.next() => stop(&running, signal, signals).await,
            ended = running.ended() => ended,
            () = fed(&running, memory.as_ref(), lines) => {
                stop(&running, "stdin has ended and every message is settled", signals).await
            }
        };
        tell_end(&running, memory.as_ref(), ended)
    }
}

/// Stops a service whose `on_started` hooks have not all returned: its routes receive already.
pub(crate) async fn stop_while_starting(
    running: &Running,
    memory: Option<&Memory>,
    signal: &str,
    signals: &mut Signals,
) -> ExitCode {
    let ended = stop(running, signal, signals).await;
    tell_end(running, memory, ended)
}

fn announce(program: Program<'_>, running: &Running) {
    let routes = running.routes();
    let mut providers: Vec<String> = routes
        .iter()
        .filter_map(|route| running.broker(route))
        .collect();
    providers.sort_unstable();
    providers.dedup();
    tracing::info!(
        service = program.name,
        version = program.version,
        routes = routes.len(),
        provider = providers.join(","),
        "running"
    );
    for route in &routes {
        tracing::debug!(
            route,
            queue = running.queue(route),
            provider = running.broker(route),
            "receiving"
        );
    }
}

/// Drains the service. A further signal cancels what still runs.
async fn stop(running: &Running, why: &str, signals: &mut Signals) -> Ended {
    tracing::info!("stopping: {why}");
    running.shutdown();
    tokio::select! {
        biased;
        signal = signals.next() => tracing::warn!("{signal} again: cancelling what still runs"),
        ended = running.ended() => return ended,
    }
    running.cancel();
    running.ended().await
}

/// Publishes the lines of stdin. Returns when they have ended and everything is settled. Never returns if there was no line.
async fn fed(running: &Running, memory: Option<&Memory>, lines: Option<Lines>) {
    let (Some(memory), Some(mut lines)) = (memory, lines) else {
        return pending().await;
    };
    let mut came = false;
    while let Some(line) = lines.next().await {
        came = true;
        line.publish(async |route, message| running.publish(route, message).await)
            .await;
    }
    if !came {
        return pending().await;
    }
    tracing::debug!("stdin has ended");
    loop {
        memory.settled().await;
        if running.in_flight() == 0 && memory.is_settled() {
            return;
        }
        sleep(SETTLING).await;
    }
}

fn tell_end(running: &Running, memory: Option<&Memory>, ended: Ended) -> ExitCode {
    if let Some(memory) = memory {
        tell_dead_letters(running, memory);
    }
    match ended {
        Ended::Clean => {
            tracing::info!("stopped");
            ExitCode::SUCCESS
        }
        Ended::Unclean => {
            tracing::error!(
                "stopped before everything was finished: what was cancelled is redelivered"
            );
            ExitCode::FAILURE
        }
    }
}

/// Logs what was given up: in memory, nobody will find it later.
fn tell_dead_letters(running: &Running, memory: &Memory) {
    for route in running.routes() {
        let dead = running
            .queue(&route)
            .map_or(0, |queue| memory.dead_letters(&queue).len());
        if dead > 0 {
            tracing::warn!(
                route,
                messages = dead,
                "given up after too many attempts: these messages are dead letters, and end with this process"
            );
        }
    }
}
