//! The command on all routes: one dead-letter queue after the other, each once.

use std::process::ExitCode;

use loafer_core::outcome::BoxError;
use loafer_runtime::{dead_letters::DeadLetters, program::Manager};

use super::{Action, Done, Session, note, opened, print};
use crate::{logging, program::Program, routes, signals::Signals};

/// A dead-letter queue, and the routes whose dead letters it takes.
struct Shared {
    /// The name of its broker's instance: two brokers may each have a queue of one name.
    broker: String,
    queue: String,
    /// At least one.
    routes: Vec<(String, DeadLetters)>,
}

pub(super) async fn run(
    program: Program<'_>,
    options: &str,
    manager: &Manager,
    action: &Action,
    signals: &mut Signals,
) -> Result<ExitCode, BoxError> {
    let (queues, mut done) = found(program, manager).await;
    'queues: for Shared {
        queue, routes: of, ..
    } in queues
    {
        let names: Vec<_> = of.iter().map(|(route, _)| route.clone()).collect();
        let heading = print::line(&format!("{queue}, of {}:", names.join(", ")));
        match action {
            Action::List { json: false, .. } => routes::print(&format!("{heading}\n"))?,
            _ => note("note", &heading),
        }
        // One look finds the dead letters of all its routes. Each route brings back those of its own source alone.
        let runs = match action {
            Action::Retry(_) => of.len(),
            _ => 1,
        };
        for (route, dead_letters) in of.into_iter().take(runs) {
            let mut session = Session {
                dead_letters,
                program,
                options,
                asked: "--all-routes",
                routes: &names,
                signals,
            };
            let ended = session.run(action).await.unwrap_or_else(|error| {
                refused(&route, &*error);
                Done::Partly
            });
            done = done.max(ended);
            if done == Done::Stopped {
                break 'queues;
            }
        }
    }
    Ok(done.into())
}

/// Opens the dead letters of every route. A route whose dead letters can't be opened is named with the reason.
async fn found(program: Program<'_>, manager: &Manager) -> (Vec<Shared>, Done) {
    let mut routes = manager.routes();
    // A route is there once for each of its handlers.
    routes.dedup_by(|one, other| one.route == other.route);
    let (mut queues, mut done): (Vec<Shared>, _) = (Vec::new(), Done::Whole);
    for summary in routes {
        let (route, broker) = (summary.route, summary.broker);
        let dead_letters = match opened(program, manager, &route).await {
            Ok(dead_letters) => dead_letters,
            Err(error) => {
                refused(&route, &*error);
                done = Done::Partly;
                continue;
            }
        };
        let queue = &dead_letters.about().queue;
        let same = |known: &&mut Shared| known.broker == broker && known.queue == *queue;
        match queues.iter_mut().find(same) {
            Some(known) => known.routes.push((route, dead_letters)),
            None => queues.push(Shared {
                broker,
                queue: queue.clone(),
                routes: vec![(route, dead_letters)],
            }),
        }
    }
    (queues, done)
}

fn refused(route: &str, error: &(dyn std::error::Error + 'static)) {
    let reason = logging::reason(error);
    note("error", &format!("route `{route}`: {reason}"));
}
