//! A handle to a running program.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

use crate::{
    bus::erased::DynPublisher,
    clock::after,
    program::{
        Route,
        at_work::{RouteAtWork, Routes, stopping},
        manager::{Launcher, Publishers},
        stop::{Stop, Stopper},
    },
    stats::{Failing, RouteStats},
    sync::locked,
};
use loafer_core::{
    Error,
    broker::{Depth, Topic},
    message::{Message, MessageId},
};

/// How long after its `drain` deadline a program may take to end, whatever hangs.
const END: Duration = Duration::from_secs(4);

/// A handle to a running program: stops it, watches it, adds and removes routes, and publishes to them. It is cheap to clone. Dropping it
/// stops nothing.
#[derive(Clone)]
pub struct Running {
    pub(in crate::program) inner: Arc<Inner>,
}

pub(in crate::program) struct Inner {
    pub(in crate::program) routes: Arc<Routes>,
    /// One for each broker that is published on.
    pub(in crate::program) publishers: Mutex<Publishers>,
    /// Notified whenever a route has no message in flight.
    pub(in crate::program) quiet: Arc<Notify>,
    pub(in crate::program) stop: Stopper,
    /// The time between a request to stop and its deadline.
    pub(in crate::program) drain: Duration,
    /// The tasks of the app that failed, and have not run well since.
    pub(in crate::program) tasks_failing: Failing,
    /// What adds routes. `None` once the program has ended: then nothing holds on to the app.
    pub(in crate::program) launcher: Mutex<Option<Arc<Launcher>>>,
    pub(in crate::program) ended: watch::Sender<Option<Ended>>,
}

/// How a program or a route ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// What ran was finished and settled.
    Clean,
    /// Something was cancelled or failed on the way. The generated main then exits with code 1.
    Unclean,
}

impl Running {
    pub(in crate::program) fn new(inner: Arc<Inner>) -> Self {
        Self { inner }
    }

    /// Stops the program: it receives no more, releases what has not started, and lets running handlers finish until the `drain` deadline.
    /// Returns at once; [`ended`](Self::ended) waits for the end.
    pub fn shutdown(&self) {
        let deadline = after(self.inner.drain);
        self.inner.stop.ask(Stop::Drain(deadline));
    }

    /// Stops the program now: running handlers are cancelled, and their messages are not acked. Returns at once.
    pub fn cancel(&self) {
        self.inner.stop.ask(Stop::Cancel(Instant::now()));
    }

    /// Waits for the end of the program. Returns how it ended.
    ///
    /// # Cancellation
    ///
    /// Safe.
    pub async fn ended(&self) -> Ended {
        let mut ended = self.inner.ended.subscribe();
        match ended.wait_for(Option::is_some).await {
            Ok(ended) => ended.unwrap_or(Ended::Unclean),
            Err(_) => Ended::Unclean,
        }
    }

    /// Waits until the program should have ended: for 4 s more than the `drain` deadline, once it was asked to stop. Never returns if it is not.
    ///
    /// The end of a program takes no longer than this, unless code that blocks has every thread of the runtime. Wait for it on a thread with a
    /// runtime of its own to end such a process, as the generated main does.
    ///
    /// # Cancellation
    ///
    /// Safe.
    pub async fn overdue(&self) {
        _ = self.inner.stop.watch().elapsed(END).await;
    }

    /// Pauses a route: it asks for no more messages and starts none. Handlers that run go on, and their messages are settled. Returns at once.
    ///
    /// Messages that wait stay leased for up to 5 minutes. Then they are released, and other consumers may have them. Where a lease has a
    /// [ceiling](loafer_core::broker::Capabilities::lease_ceiling), they are released before four fifths of it are over. A broker that
    /// pushes messages stops pushing.
    ///
    /// # Errors
    ///
    /// If there is no such route.
    pub fn pause(&self, route: &str) -> Result<(), Error> {
        self.inner.routes.find(route)?.engine.pause();
        Ok(())
    }

    /// Resumes a route that is paused. Returns at once.
    ///
    /// # Errors
    ///
    /// If there is no such route.
    pub fn resume(&self, route: &str) -> Result<(), Error> {
        self.inner.routes.find(route)?.engine.resume();
        Ok(())
    }

    /// Returns whether a route is paused.
    ///
    /// # Errors
    ///
    /// If there is no such route.
    pub fn is_paused(&self, route: &str) -> Result<bool, Error> {
        Ok(self.inner.routes.find(route)?.engine.is_paused())
    }

    /// Whether the program is ready: every route is paused or its last call to its broker succeeded, no connection is known to be lost, the
    /// broker of every publisher takes messages, and no [task](crate::program::App::task) is failing.
    pub fn is_ready(&self) -> bool {
        let publishers = locked(&self.inner.publishers).all();
        let mut routes = self.inner.routes.all().into_iter();
        routes.all(|route| route.engine.is_healthy())
            && publishers.iter().all(|(_, of)| of.is_ready())
            && !self.inner.tasks_failing.is_any()
    }

    /// Returns the counts of a route. `None` if there is no such route.
    pub fn stats(&self, route: &str) -> Option<RouteStats> {
        Some(self.find(route)?.engine.stats.now())
    }

    /// Returns the names of the routes, sorted. A route that is being removed is among them until it has ended.
    pub fn routes(&self) -> Vec<String> {
        let routes = self.inner.routes.all().into_iter();
        routes.map(|route| route.name().to_owned()).collect()
    }

    /// Returns the queue of a route, as configured. `None` if there is no such route.
    pub fn queue(&self, route: &str) -> Option<String> {
        Some(self.find(route)?.engine.policy.queue.clone())
    }

    /// Returns the name of a route's broker instance, as the command line calls it. `None` if there is no such route.
    pub fn broker(&self, route: &str) -> Option<String> {
        Some(self.find(route)?.broker.to_string())
    }

    /// Returns how many messages are leased and not yet settled, of all routes.
    pub fn in_flight(&self) -> usize {
        let routes = self.inner.routes.all().into_iter();
        routes.map(|route| route.engine.in_flight()).sum()
    }

    /// Asks the broker how much a route's queue holds, as far as it tells. It is a call to the broker, made beside the route's own.
    ///
    /// # Errors
    ///
    /// If there is no such route, it has ended, or its broker can't be reached or does not let us ask.
    ///
    /// # Cancellation
    ///
    /// Safe.
    pub async fn depth(&self, route: &str) -> Result<Depth, Error> {
        match self.inner.routes.find(route)?.provider() {
            Some(provider) => provider.depth().await,
            None => Err(Error::Config(format!("route `{route}` has ended"))),
        }
    }

    /// Puts a message on a route's own queue. Returns the id that the broker gave it, once the broker has confirmed it.
    ///
    /// # Errors
    ///
    /// If there is no such route, or the broker did not confirm the message.
    ///
    /// # Cancellation
    ///
    /// Not safe: when dropped, the message may have been published or not.
    pub async fn publish(&self, route: &str, message: Message) -> Result<MessageId, Error> {
        let at_work = self.inner.routes.find(route)?;
        publish(&*at_work.publisher, at_work.source.clone(), message).await
    }

    /// Adds a route to the running program, and returns once it receives. It is planned as a route is at the start: with what the
    /// configuration says about its name, with the app's state and layers, and on the broker that it names. If it is the first route on that
    /// broker, the broker is started.
    ///
    /// ```
    /// use loafer::{Json, Memory, Message, Route, program::Manager};
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), loafer::Error> {
    /// let route = |name: String| Route::new(name).provider::<Memory>().handler(Json, async |id: u64| id > 0);
    /// let running = Manager::builder().route(route("orders".into())).build()?.start().await?;
    ///
    /// running.add(route("invoices".into())).await?;
    /// running.publish("invoices", Message::new("1")).await?;
    /// running.remove("invoices").await?;
    /// assert_eq!(running.routes(), ["orders"]);
    /// # running.shutdown();
    /// # running.ended().await;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// What keeps a program from starting keeps a route from being added, and the error says the same. A name that a route has already is an
    /// error, also if that route is being removed. So is a program that stops. After an error nothing of the route is left.
    ///
    /// # Cancellation
    ///
    /// Safe: the route is added anyway. What keeps it from that is logged.
    pub async fn add(&self, route: Route) -> Result<(), Error> {
        let name = route.name().to_owned();
        let adding = self.inner.clone().add(route);
        let answered = self.inner.routes.add(&name, adding)?;
        let cut_off = || match self.inner.stop.asked() {
            Stop::No => Error::Start(format!("route `{name}` is not added: adding it panicked")),
            _ => stopping(&name),
        };
        answered.await.unwrap_or_else(|_| Err(cut_off()))
    }

    /// Removes a route from the running program. It receives no more, releases what has not started, and lets running handlers finish until
    /// the `drain` deadline; handlers that still run then are cancelled. Its provider is closed within 2.5 s after that. Returns how the route
    /// ended, once nothing of it is left: its name may be added again. The program goes on, also without any route.
    ///
    /// If the program stops meanwhile, the route ends with it.
    ///
    /// A handler that awaits the removal of its own route waits for itself, until the `drain` deadline cancels it.
    ///
    /// # Errors
    ///
    /// If there is no such route.
    ///
    /// # Cancellation
    ///
    /// Safe: the route is removed anyway.
    pub async fn remove(&self, route: &str) -> Result<Ended, Error> {
        Ok(self.inner.routes.remove(route)?.ended().await)
    }

    /// Waits until no message is in flight. Looks again whenever a route has none.
    pub(crate) async fn quiet(&self) {
        loop {
            let quiet = self.inner.quiet.notified();
            if self.in_flight() == 0 {
                return;
            }
            quiet.await;
        }
    }

    fn find(&self, route: &str) -> Option<Arc<RouteAtWork>> {
        self.inner.routes.find(route).ok()
    }
}

pub(in crate::program) async fn publish(
    publisher: &dyn DynPublisher,
    topic: Topic,
    message: Message,
) -> Result<MessageId, Error> {
    let answers = publisher.publish(&topic, &[message.into()]).await;
    let none = || Error::Unreachable {
        what: "publish",
        queue: topic.to_string(),
        cause: "no answer".into(),
        source: None,
    };
    answers.into_iter().next().ok_or_else(none)?
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running")
            .field("routes", &self.routes())
            .finish_non_exhaustive()
    }
}
