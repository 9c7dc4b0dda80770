//! Configuration, `setup` and routes, combined into one manager.

use std::{
    convert::Infallible,
    error::Error as StdError,
    fmt,
    future::{Future, ready},
    io::{IsTerminal as _, stderr, stdin},
    pin::pin,
    time::Duration,
};

use loafer_core::outcome::BoxError;
use loafer_memory::Memory;
use loafer_runtime::program::{App, Config, Manager, ManagerBuilder, Running};
use tokio::{
    sync::watch,
    time::{Instant, interval_at},
};

use crate::{
    args::{Global, RunArgs},
    program::Program,
    signals::Started,
};

/// How often a warning says that `setup` still runs.
const PATIENCE: Duration = Duration::from_secs(10);

/// How soon a message that failed is redelivered in memory: somebody who tries a service by hand does not wait for half a minute.
const LEASE: Duration = Duration::from_secs(5);

/// How long one receive waits if somebody sits at a terminal. Who stops and starts a service by hand waits no longer than this for messages
/// that a receive which was cut off took along.
const INTERACTIVE: Duration = Duration::from_secs(2);

/// What a manager is made of.
pub(crate) struct Prepare<'p> {
    program: Program<'p>,
    global: &'p Global,
    /// The broker in memory, if the command line asks for it.
    memory: Option<Memory>,
    /// Set once the routes receive, before the first hook of the program. From then on a signal stops it.
    running: watch::Sender<Option<Running>>,
}

/// `setup` failed.
#[derive(Debug)]
struct SetupFailed(BoxError);

/// Returns the broker of `--provider memory`.
pub(crate) fn memory() -> Memory {
    Memory::new().with_visibility_timeout(LEASE)
}

impl<'p> Prepare<'p> {
    pub(crate) fn new(program: Program<'p>, global: &'p Global, memory: Option<Memory>) -> Self {
        Self {
            program,
            global,
            memory,
            running: watch::Sender::new(None),
        }
    }

    /// Returns the running program, once its routes receive.
    pub(crate) fn running(&self) -> Option<Running> {
        self.running.borrow().clone()
    }

    /// Returns what sees the program start.
    pub(crate) fn started(&self) -> Started {
        self.running.subscribe()
    }

    /// Returns the program as it would run.
    pub(crate) async fn manager<F, Fut, E>(
        &self,
        routes: ManagerBuilder,
        run: &RunArgs,
        setup: F,
    ) -> Result<Manager, BoxError>
    where
        F: FnOnce(App) -> Fut,
        Fut: Future<Output = Result<App, E>>,
        E: Into<BoxError>,
    {
        let config = self.config(&routes)?.with_drain(run.drain);
        let app = reporting(self.program, set_up(self.app(), setup).await?)?;
        let routes = match stdin().is_terminal() || stderr().is_terminal() {
            true => routes.longest_poll(INTERACTIVE),
            false => routes,
        };
        Ok(routes
            .config(config)
            .app(app)
            .only(&run.only)
            .once(run.once)
            .build()?)
    }

    /// Returns the program as far as it is known without what `setup` needs: a list of routes needs no database.
    pub(crate) async fn offline<F, Fut, E>(
        &self,
        routes: ManagerBuilder,
        setup: F,
    ) -> Result<Manager, BoxError>
    where
        F: FnOnce(App) -> Fut,
        Fut: Future<Output = Result<App, E>>,
        E: Into<BoxError>,
    {
        let config = self.config(&routes)?;
        let app = set_up(self.app(), setup).await.unwrap_or_else(|error| {
            let reason = crate::logging::reason(&error);
            tracing::warn!(reason, "what `setup` would change is not shown");
            self.app()
        });
        Ok(routes.config(config).app(app).build()?)
    }

    fn config(&self, routes: &ManagerBuilder) -> Result<Config, BoxError> {
        let names = routes.route_names();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let config = Config::load(self.global.config.as_deref(), &names)?;
        Ok(if self.memory.is_some() {
            config.with_log_bodies_by_default(true)
        } else {
            config
        })
    }

    /// Returns the app that `setup` gets.
    fn app(&self) -> App {
        let started = self.running.clone();
        let mut app = App::new()
            .name(self.program.package)
            .brokers(self.program.brokers.iter().copied())
            .on_started(move |running| {
                started.send_replace(Some(running));
                ready(Ok::<_, Infallible>(()))
            });
        if let Some(default) = self.program.brokers.last() {
            app = app.default_provider(*default);
        }
        if let Some(name) = &self.global.provider {
            app = app.provider(name);
        }
        match &self.memory {
            Some(memory) => app.broker(memory.clone()),
            None => app,
        }
    }
}

async fn set_up<F, Fut, E>(app: App, setup: F) -> Result<App, SetupFailed>
where
    F: FnOnce(App) -> Fut,
    Fut: Future<Output = Result<App, E>>,
    E: Into<BoxError>,
{
    let mut setup = pin!(setup(app));
    let mut late = interval_at(Instant::now() + PATIENCE, PATIENCE);
    loop {
        tokio::select! {
            app = &mut setup => return app.map_err(|error| SetupFailed(error.into())),
            _ = late.tick() => tracing::warn!("`setup` still runs"),
        }
    }
}

#[cfg(feature = "sentry")]
fn reporting(program: Program<'_>, app: App) -> Result<App, BoxError> {
    Ok(
        match crate::Sentry::from_environment(program.name, program.version)? {
            Some(sentry) => app.report(sentry),
            None => app,
        },
    )
}

#[cfg(not(feature = "sentry"))]
fn reporting(_: Program<'_>, app: App) -> Result<App, BoxError> {
    Ok(app)
}

impl fmt::Display for SetupFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`setup` failed")
    }
}

impl StdError for SetupFailed {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.0)
    }
}
