//! A handle to a running program.

use std::sync::Arc;

use tokio::sync::{Notify, watch};

use crate::{bus::erased::DynPublisher, engine::Route, stats::RouteStats};
use loafer_core::{
    Error,
    broker::Topic,
    message::{Message, MessageId},
    policy::unknown,
};

/// A handle to a running program: stops it, watches it, and publishes to its routes. It is cheap to clone. Dropping it stops nothing.
#[derive(Clone)]
pub struct Running {
    inner: Arc<Inner>,
}

pub(in crate::program) struct Inner {
    pub(in crate::program) routes: Vec<RouteAtWork>,
    /// One for each broker that is published on.
    pub(in crate::program) publishers: Vec<Arc<dyn DynPublisher>>,
    /// Notified whenever a route has no message in flight.
    pub(in crate::program) quiet: Arc<Notify>,
    pub(in crate::program) stop: watch::Sender<Stop>,
    pub(in crate::program) ended: watch::Sender<Option<Ended>>,
}

pub(in crate::program) struct RouteAtWork {
    pub(in crate::program) engine: Arc<Route>,
    pub(in crate::program) publisher: Arc<dyn DynPublisher>,
    /// Its own queue, as a topic.
    pub(in crate::program) source: Topic,
    pub(in crate::program) broker: Arc<str>,
}

/// How far the program was asked to stop. It only increases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::program) enum Stop {
    No,
    Drain,
    Cancel,
}

/// How a program ended.
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
        self.inner
            .stop
            .send_modify(|stop| *stop = (*stop).max(Stop::Drain));
    }

    /// Stops the program now: running handlers are cancelled, and their messages are not acked. Returns at once.
    pub fn cancel(&self) {
        self.inner.stop.send_modify(|stop| *stop = Stop::Cancel);
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
        self.find_or_error(route)?.engine.pause();
        Ok(())
    }

    /// Resumes a route that is paused. Returns at once.
    ///
    /// # Errors
    ///
    /// If there is no such route.
    pub fn resume(&self, route: &str) -> Result<(), Error> {
        self.find_or_error(route)?.engine.resume();
        Ok(())
    }

    /// Returns whether a route is paused.
    ///
    /// # Errors
    ///
    /// If there is no such route.
    pub fn is_paused(&self, route: &str) -> Result<bool, Error> {
        Ok(self.find_or_error(route)?.engine.is_paused())
    }

    /// Whether the program is ready: every route is paused or its last call to its broker succeeded, no connection is known to be lost, and the
    /// broker of every publisher takes messages.
    pub fn is_ready(&self) -> bool {
        let mut routes = self.inner.routes.iter();
        let mut publishers = self.inner.publishers.iter();
        routes.all(|route| route.engine.is_healthy())
            && publishers.all(|publisher| publisher.is_ready())
    }

    /// Returns the counts of a route. `None` if there is no such route.
    pub fn stats(&self, route: &str) -> Option<RouteStats> {
        Some(self.find(route)?.engine.stats.now())
    }

    /// Returns the names of the routes.
    pub fn routes(&self) -> impl Iterator<Item = &str> {
        self.inner
            .routes
            .iter()
            .map(|route| &*route.engine.policy.route)
    }

    /// Returns the queue of a route, as configured. `None` if there is no such route.
    pub fn queue(&self, route: &str) -> Option<&str> {
        Some(&self.find(route)?.engine.policy.queue)
    }

    /// Returns the name of a route's broker instance, as the command line calls it. `None` if there is no such route.
    pub fn broker(&self, route: &str) -> Option<&str> {
        Some(&*self.find(route)?.broker)
    }

    /// Returns how many messages are leased and not yet settled, of all routes.
    pub fn in_flight(&self) -> usize {
        self.inner
            .routes
            .iter()
            .map(|route| route.engine.in_flight())
            .sum()
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
        let at_work = self.find_or_error(route)?;
        publish(&*at_work.publisher, at_work.source.clone(), message).await
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

    fn find_or_error(&self, route: &str) -> Result<&RouteAtWork, Error> {
        let found = self.find(route);
        found.ok_or_else(|| no_route(route, self.routes()))
    }

    fn find(&self, route: &str) -> Option<&RouteAtWork> {
        self.inner
            .routes
            .iter()
            .find(|known| known.engine.policy.route == route)
    }
}

pub(in crate::program) fn no_route<'n>(route: &str, known: impl Iterator<Item = &'n str>) -> Error {
    let known: Vec<&str> = known.collect();
    Error::Config(unknown(route, &known, "", "route"))
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
            .field("routes", &self.routes().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}
