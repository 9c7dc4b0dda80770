//! The routes of a running program: which there are, and how each is asked to end.

use std::{
    collections::{BTreeMap, btree_map::Entry as Slot},
    sync::{Arc, Mutex, MutexGuard, Weak},
};

use tokio::{
    sync::{oneshot, watch},
    task::JoinSet,
};

use super::{
    erased::DynProvider,
    running::Ended,
    stop::{Stop, Stopper},
};
use crate::{bus::erased::DynPublisher, clock::after, engine::Route, sync::locked};
use loafer_core::{Error, broker::Topic, policy::unknown};

/// One route of a running program.
pub(in crate::program) struct RouteAtWork {
    pub(in crate::program) engine: Arc<Route>,
    pub(in crate::program) publisher: Arc<dyn DynPublisher>,
    /// Its own queue, as a topic.
    pub(in crate::program) source: Topic,
    pub(in crate::program) broker: Arc<str>,
    /// The engine holds it, so that it ends with its route.
    provider: Weak<dyn DynProvider>,
    /// Asks this route alone to end. The end of the program is passed on to it.
    stop: Stopper,
    /// How it ended, once it has.
    ended: watch::Sender<Option<Ended>>,
}

impl RouteAtWork {
    pub(in crate::program) fn new(
        engine: Arc<Route>,
        publisher: Arc<dyn DynPublisher>,
        source: Topic,
        broker: Arc<str>,
        provider: &Arc<dyn DynProvider>,
    ) -> Self {
        Self {
            engine,
            publisher,
            source,
            broker,
            provider: Arc::downgrade(provider),
            stop: Stopper::new(),
            ended: watch::Sender::new(None),
        }
    }

    pub(in crate::program) fn name(&self) -> &str {
        &self.engine.policy.route
    }

    pub(in crate::program) fn stop(&self) -> &Stopper {
        &self.stop
    }

    /// Returns its provider, until it has ended.
    pub(in crate::program) fn provider(&self) -> Option<Arc<dyn DynProvider>> {
        self.provider.upgrade()
    }

    /// Waits for its end.
    pub(in crate::program) async fn ended(&self) -> Ended {
        let mut ended = self.ended.subscribe();
        let ended = ended.wait_for(Option::is_some).await;
        ended.map_or(Ended::Unclean, |ended| ended.unwrap_or(Ended::Unclean))
    }
}

/// The routes of a running program, by their names.
#[derive(Default)]
pub(in crate::program) struct Routes(Mutex<State>);

/// Invariant: once `is_closed`, no entry is added, and none becomes `Running`.
#[derive(Default)]
struct State {
    entries: BTreeMap<String, Entry>,
    is_closed: bool,
    /// The routes that are being added, each a task: it goes on if whoever wanted it is gone.
    adding: JoinSet<()>,
}

enum Entry {
    /// Its name is taken, and nothing runs yet.
    Adding,
    Running(Arc<RouteAtWork>),
    /// It ends, and is forgotten then.
    Leaving(Arc<RouteAtWork>),
}

impl Entry {
    fn at_work(&self) -> Option<&Arc<RouteAtWork>> {
        match self {
            Self::Adding => None,
            Self::Running(at_work) | Self::Leaving(at_work) => Some(at_work),
        }
    }
}

impl Routes {
    /// Returns the routes that run, sorted by name.
    pub(in crate::program) fn all(&self) -> Vec<Arc<RouteAtWork>> {
        let state = self.state();
        let entries = state.entries.values();
        entries.filter_map(Entry::at_work).cloned().collect()
    }

    /// Returns the route of this name.
    ///
    /// # Errors
    ///
    /// If there is none: says which there are.
    pub(in crate::program) fn find(&self, route: &str) -> Result<Arc<RouteAtWork>, Error> {
        self.state().find(route)
    }

    /// Runs the task that adds a route of this name. Returns what brings its answer. By then the name is free again, unless the route was
    /// [`started`](Self::started). No answer means that the task was cut off or panicked.
    ///
    /// # Errors
    ///
    /// If there is a route of this name, or the program is stopping.
    pub(in crate::program) fn add(
        self: &Arc<Self>,
        name: &str,
        add: impl Future<Output = Result<(), Error>> + Send + 'static,
    ) -> Result<oneshot::Receiver<Result<(), Error>>, Error> {
        let mut state = self.state();
        if state.is_closed {
            return Err(stopping(name));
        }
        let Slot::Vacant(free) = state.entries.entry(name.to_owned()) else {
            return Err(Error::Start(format!(
                "route `{name}`: the program has a route of this name: remove that first, or give this one another name"
            )));
        };
        free.insert(Entry::Adding);
        let reserved = Reserved {
            routes: self.clone(),
            name: name.to_owned(),
        };
        // Drops those that are done.
        while state.adding.try_join_next().is_some() {}
        let (answer, answered) = oneshot::channel();
        state.adding.spawn(async move {
            let added = add.await;
            let route = reserved.name.clone();
            drop(reserved);
            if let Err(Err(error)) = answer.send(added) {
                tracing::error!(route, %error, "a route was not added");
            }
        });
        Ok(answered)
    }

    /// Takes in a route that is about to run.
    ///
    /// # Errors
    ///
    /// If the program is stopping: it must not run.
    pub(in crate::program) fn started(&self, at_work: Arc<RouteAtWork>) -> Result<(), Error> {
        let mut state = self.state();
        if state.is_closed {
            return Err(stopping(at_work.name()));
        }
        let name = at_work.name().to_owned();
        state.entries.insert(name, Entry::Running(at_work));
        Ok(())
    }

    /// Asks one route to end. It is forgotten once it has.
    ///
    /// # Errors
    ///
    /// If there is no such route.
    pub(in crate::program) fn remove(&self, route: &str) -> Result<Arc<RouteAtWork>, Error> {
        let mut state = self.state();
        let at_work = state.find(route)?;
        if at_work.ended.borrow().is_some() {
            state.forget(&at_work);
        } else {
            let leaving = Entry::Leaving(at_work.clone());
            state.entries.insert(route.to_owned(), leaving);
        }
        drop(state);
        let deadline = after(at_work.engine.policy.drain);
        at_work.stop.ask(Stop::Drain(deadline));
        Ok(at_work)
    }

    /// Says how a route ended.
    pub(in crate::program) fn ended(&self, at_work: &Arc<RouteAtWork>, how: Ended) {
        let mut state = self.state();
        if let Some(Entry::Leaving(_)) = state.entries.get(at_work.name()) {
            state.forget(at_work);
        }
        at_work.ended.send_replace(Some(how));
    }

    /// Waits until every route has ended.
    pub(in crate::program) async fn all_ended(&self) {
        for at_work in self.all() {
            at_work.ended().await;
        }
    }

    /// Ends the time in which routes are added. Returns the routes, and what was adding some: it ends by itself, and adds nothing.
    pub(in crate::program) fn close(&self) -> (Vec<Arc<RouteAtWork>>, JoinSet<()>) {
        let mut state = self.state();
        state.is_closed = true;
        let adding = std::mem::take(&mut state.adding);
        drop(state);
        (self.all(), adding)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        locked(&self.0)
    }
}

impl State {
    fn find(&self, route: &str) -> Result<Arc<RouteAtWork>, Error> {
        let found = self.entries.get(route).and_then(Entry::at_work).cloned();
        let known = self.entries.values().filter_map(Entry::at_work);
        found.ok_or_else(|| no_route(route, known.map(|known| known.name())))
    }

    /// Forgets a route, unless another one has its name by now.
    fn forget(&mut self, at_work: &Arc<RouteAtWork>) {
        let known = self.entries.get(at_work.name()).and_then(Entry::at_work);
        if known.is_some_and(|known| Arc::ptr_eq(known, at_work)) {
            self.entries.remove(at_work.name());
        }
    }
}

/// The name of a route that is being added. Dropped, it is free again, unless the route runs.
struct Reserved {
    routes: Arc<Routes>,
    name: String,
}

impl Drop for Reserved {
    fn drop(&mut self) {
        let mut state = self.routes.state();
        if let Some(Entry::Adding) = state.entries.get(&self.name) {
            state.entries.remove(&self.name);
        }
    }
}

pub(in crate::program) fn stopping(route: &str) -> Error {
    Error::Start(format!(
        "route `{route}` is not added: the program is stopping"
    ))
}

pub(in crate::program) fn no_route<'n>(route: &str, known: impl Iterator<Item = &'n str>) -> Error {
    let known: Vec<&str> = known.collect();
    Error::Config(unknown(route, &known, "", "route"))
}
