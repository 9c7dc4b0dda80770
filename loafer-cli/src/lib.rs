//! The command line of a service: `run`, `routes`, `check`, `publish` and `dead-letters`, around the [manager](loafer_runtime::program::Manager).
//!
//! `loafer::main!` calls [`run`]; a program that makes its routes in code calls [`run_with`].
//!
//! | module | what it holds |
//! |---|---|
//! | `args` | what the command line says, and its help |
//! | `command` | from there to the command: runtime, failures, exit code |
//! | `program` | the program that a command line is for |
//! | `prepare` | configuration, `setup` and routes, combined into one manager |
//! | `run`, `routes`, `check`, `publish`, `dead_letters` | the commands |
//! | `signals`, `stdin` | what a running service reacts to |
//! | `logging`, `text`, `fields`, `panics` | what it says on stderr |
//! | `sentry` | failures sent to Sentry, with the feature `sentry` |

mod args;
mod check;
mod command;
mod dead_letters;
mod fields;
mod logging;
mod panics;
mod prepare;
mod program;
mod publish;
mod routes;
mod run;
#[cfg(feature = "sentry")]
mod sentry;
mod signals;
mod stdin;
mod text;

use std::{future::Future, process::ExitCode};

use loafer_core::outcome::BoxError;
use loafer_runtime::program::{App, Manager, ManagerBuilder};

pub use self::program::Program;

#[cfg(feature = "sentry")]
pub use self::sentry::{InvalidDsn, Sentry};

/// Runs the command line of a service, with every annotated handler of every linked crate. Returns the exit code when the command is done.
///
/// Call it first in `main`: it makes its own tokio runtime, installs the program's log subscriber and panic hook, and reacts to SIGTERM,
/// SIGINT, SIGQUIT and SIGHUP on a thread of its own. `setup` is awaited inside the runtime, on the main thread, so it need not be `Send`.
///
/// A failure, also a panic of `setup`, is printed to stderr: the exit code is then 1, or 2 if the command line is wrong.
pub fn run<F, Fut, E>(program: Program<'_>, setup: F) -> ExitCode
where
    F: FnOnce(App) -> Fut,
    Fut: Future<Output = Result<App, E>>,
    E: Into<BoxError>,
{
    run_with(program, Manager::builder().registered(), setup)
}

/// Runs the command line of a service, with the routes of this builder. See [`run`]. The builder's app, configuration, `only` and `once`
/// are replaced by what `setup` and the command line say.
///
/// ```no_run
/// use std::{convert::Infallible, process::ExitCode};
///
/// use loafer::{App, Json, Memory, Route};
/// use loafer::program::{BrokerKind, Manager, Program, run_with};
///
/// async fn setup(app: App) -> Result<App, Infallible> {
///     Ok(app.state("a pool of connections"))
/// }
///
/// fn main() -> ExitCode {
///     let route = Route::new("greetings").handler(Json, async |name: String| !name.is_empty());
///     let program = Program { name: "greeter", package: env!("CARGO_PKG_NAME"), version: "1.0.0", brokers: &[BrokerKind::of::<Memory>()] };
///     run_with(program, Manager::builder().route(route), setup)
/// }
/// ```
pub fn run_with<F, Fut, E>(program: Program<'_>, routes: ManagerBuilder, setup: F) -> ExitCode
where
    F: FnOnce(App) -> Fut,
    Fut: Future<Output = Result<App, E>>,
    E: Into<BoxError>,
{
    command::run(program, routes, setup)
}
