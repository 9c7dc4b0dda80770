//! A handle to a running program.

use std::sync::Arc;

use tokio::sync::{Notify, watch};

use crate::{
    bus::erased::DynPublisher,
    engine::{Route, RouteStats},
};
use loafer_core::{
    Error,
    broker::Topic,
    message::{Message, MessageId},
    policy::unknown,
};

/// A handle to a running program: stops it, watches it, publishes to its routes. Cheap to clone; dropping it stops nothing.
#[derive(Clone)]
pub struct Running {
    inner: Arc<Inner>,
}

pub(in crate::program) struct Inner {
    pub(in crate::program) routes: Vec<RouteAtWork>,
    /// One of each broker that is published on.
    pub(in crate::program) publishers: Vec<Arc<dyn DynPublisher>>,
    /// Told whenever a route holds nothing.
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

/// How far it was told to stop; only ever further.
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
    /// Something was cancelled or failed on the way: exit code 1.
    Unclean,
}

impl Running {
    pub(in crate::program) fn new(inner: Arc<Inner>) -> Self {
        Self { inner }
    }

    /// Stops: receives no more, releases what has not started, lets running handlers finish to the `drain` deadline. Returns at once; wait for
    /// [`ended`](Self::ended).
    pub fn shutdown(&self) {
        self.inner
            .stop
            .send_modify(|stop| *stop = (*stop).max(Stop::Drain));
    }

    /// Stops now: what runs is cancelled and not acked.
    pub fn cancel(&self) {
        self.inner.stop.send_modify(|stop| *stop = Stop::Cancel);
    }

    /// Waits for the end.
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

    /// Whether every route's last call to its broker went through, and every publisher's broker takes messages: readiness.
    pub fn is_ready(&self) -> bool {
        let mut routes = self.inner.routes.iter();
        let mut publishers = self.inner.publishers.iter();
        routes.all(|route| route.engine.is_healthy())
            && publishers.all(|publisher| publisher.is_ready())
    }

    /// The counts of a route.
    pub fn stats(&self, route: &str) -> Option<RouteStats> {
        Some(self.find(route)?.engine.stats.now())
    }

    /// The names of its routes.
    pub fn routes(&self) -> impl Iterator<Item = &str> {
        self.inner
            .routes
            .iter()
            .map(|route| &*route.engine.policy.route)
    }

    /// The queue of a route, as configured.
    pub fn queue(&self, route: &str) -> Option<&str> {
        Some(&self.find(route)?.engine.policy.queue)
    }

    /// What a route's broker is called on the command line.
    pub fn broker(&self, route: &str) -> Option<&str> {
        Some(&*self.find(route)?.broker)
    }

    /// Messages leased and not yet settled, of all routes.
    pub fn held(&self) -> usize {
        self.inner
            .routes
            .iter()
            .map(|route| route.engine.held())
            .sum()
    }

    /// Puts a message on a route's own queue; returns once the broker confirmed it.
    ///
    /// # Errors
    ///
    /// Where there is no such route, or the broker did not confirm.
    pub async fn publish(&self, route: &str, message: Message) -> Result<MessageId, Error> {
        let Some(at_work) = self.find(route) else {
            return Err(no_route(route, self.routes()));
        };
        publish(&*at_work.publisher, at_work.source.clone(), message).await
    }

    /// Waits until this is so, asked again whenever a route has come to hold nothing.
    pub(crate) async fn quiet(&self) {
        loop {
            let quiet = self.inner.quiet.notified();
            if self.held() == 0 {
                return;
            }
            quiet.await;
        }
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
