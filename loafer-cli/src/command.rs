//! From the command line to the command: runtime, failures and exit code.

use std::{
    error::Error as StdError,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    process::ExitCode,
};

use loafer_core::{broker::Open, outcome::BoxError};
use loafer_runtime::program::{App, ManagerBuilder};
use tokio::runtime;

use crate::{
    args::{self, Command, Global},
    check, dead_letters, logging, panics,
    prepare::{self, Prepare},
    program::{MEMORY, Program},
    publish, routes,
    run::{Service, stop_while_starting},
    signals::Signals,
};

pub(crate) fn run<F, Fut, E>(program: Program<'_>, routes: ManagerBuilder, setup: F) -> ExitCode
where
    F: FnOnce(App) -> Fut,
    Fut: Future<Output = Result<App, E>>,
    E: Into<BoxError>,
{
    let args = match args::parse(program, std::env::args_os()) {
        Ok(args) => args,
        Err(error) => {
            // A closed pipe is not a failure: `--help | head`.
            _ = error.print();
            return u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from);
        }
    };
    logging::init(args.global.log_format);
    panics::log();

    let global = args.global.clone();
    let command = args.into_command();
    let cannot = command.cannot();
    let runtime = match runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(program, cannot, &error),
    };
    let work =
        AssertUnwindSafe(|| runtime.block_on(dispatch(program, &global, command, routes, setup)));
    let done = catch_unwind(work).unwrap_or_else(|_| {
        Err("`setup` or a hook panicked: the log above says where and why".into())
    });
    // A blocking handler that was given up, or a read that never returns, must not keep the process alive.
    runtime.shutdown_background();
    done.unwrap_or_else(|error| failed(program, cannot, &*error))
}

async fn dispatch<F, Fut, E>(
    program: Program<'_>,
    global: &Global,
    command: Command,
    routes: ManagerBuilder,
    setup: F,
) -> Result<ExitCode, BoxError>
where
    F: FnOnce(App) -> Fut,
    Fut: Future<Output = Result<App, E>>,
    E: Into<BoxError>,
{
    let memory = (global.provider.as_deref() == Some(MEMORY)).then(prepare::memory);
    let prepare = Prepare::new(program, global, memory.clone());
    match command {
        Command::Run(args) => {
            let mut signals = Signals::listen(Some(prepare.started()))?;
            let start = async {
                let manager = prepare.manager(routes, &args, setup).await?;
                Service::start(program, manager, memory.clone(), args.once).await
            };
            tokio::select! {
                started = start => Ok(started?.serve(&mut signals).await),
                // `start` is dropped by now, and with it a hook that has not returned.
                signal = signals.next() => match prepare.running() {
                    Some(running) => {
                        Ok(stop_while_starting(&running, memory.as_ref(), signal, &mut signals).await)
                    }
                    None => {
                        tracing::info!(signal, "stopped before it had started");
                        Ok(ExitCode::SUCCESS)
                    }
                }
            }
        }
        Command::Routes => routes::list(&prepare.offline(routes, setup).await?),
        Command::Check {
            create,
            policy,
            json,
            delete_reply_queues,
        } => {
            let mode = if create { Open::Create } else { Open::ReadOnly };
            let routes = routes.open(mode);
            let manager = prepare.manager(routes, &Default::default(), setup).await?;
            match policy {
                true => check::policy(&manager).await,
                false => check::check(&manager, json, delete_reply_queues).await,
            }
        }
        Command::Publish(what) => {
            let manager = prepare.manager(routes, &Default::default(), setup).await?;
            publish::publish(program, &manager, what).await
        }
        Command::DeadLetters { route, action, .. } => {
            let manager = prepare.manager(routes, &Default::default(), setup).await?;
            // From here on a signal ends the work between two steps, and leaves nothing half done.
            let mut signals = Signals::listen(None)?;
            let options = global.as_given();
            let route = route.as_deref();
            dead_letters::dead_letters(program, &options, &manager, route, action, &mut signals)
                .await
        }
    }
}

/// Prints why the command failed, in one message.
fn failed(program: Program<'_>, cannot: &str, error: &(dyn StdError + 'static)) -> ExitCode {
    logging::fatal(&format!(
        "{} {cannot}: {}",
        program.name,
        logging::reason(error)
    ));
    ExitCode::FAILURE
}
