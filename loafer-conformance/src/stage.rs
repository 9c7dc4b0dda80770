//! What a case stands on: queues of its own, and services on them.

use std::{future::Future, sync::Arc, time::Duration};

use super::{
    BrokerProfile, BrokerUnderTest, Feature, QueueSpec,
    case::{Checked, Fault},
    program::Program,
    queue::Queue,
};
use loafer_core::message::{Message, MessageId};
use loafer_runtime::program::{App, Manager, Route};

/// The lease of cases that wait for its end: renewals come at its thirds, and servers of tests share their machine.
pub(super) const SHORT: Duration = Duration::from_secs(3);
/// The lease of cases in which it should not end; shorter than anybody's patience, since a receive that a shutdown drops may take what it was given.
pub(super) const LONG: Duration = Duration::from_secs(20);
/// What stands for never.
const NEVER: u32 = 1_000;
/// What running handlers of a case get at shutdown.
const DRAIN: Duration = Duration::from_secs(10);
/// However far scaled down, so many messages are left.
const LEAST: usize = 20;

/// What a case stands on.
pub(super) struct Stage<S> {
    pub(super) subject: Arc<S>,
    declaration: Arc<BrokerProfile>,
    case: &'static str,
}

impl<S> Clone for Stage<S> {
    fn clone(&self) -> Self {
        Self {
            subject: self.subject.clone(),
            declaration: self.declaration.clone(),
            case: self.case,
        }
    }
}

impl<S: BrokerUnderTest> Stage<S> {
    pub(super) fn new(
        subject: Arc<S>,
        declaration: Arc<BrokerProfile>,
        case: &'static str,
    ) -> Self {
        Self {
            subject,
            declaration,
            case,
        }
    }

    pub(super) fn declaration(&self) -> &BrokerProfile {
        &self.declaration
    }

    pub(super) fn can(&self, feature: Feature) -> bool {
        self.declaration.lacks(feature).is_none()
    }

    /// How long anything may take.
    pub(super) fn patience(&self) -> Duration {
        self.declaration.patience
    }

    /// A count of messages, scaled.
    pub(super) fn count(&self, full: usize) -> usize {
        (full / self.declaration.scale).max(full.min(LEAST))
    }

    /// A name that nobody had before.
    pub(super) fn name(&self) -> String {
        let case: String = self.case.replace('_', "-").chars().take(24).collect();
        format!("{}-{}", case.trim_end_matches('-'), MessageId::new())
    }

    pub(super) async fn queue(&self) -> Checked<Queue<S>> {
        self.queue_with(|_| {}).await
    }

    /// A queue with a long lease that gives nothing up, but for what is changed.
    pub(super) async fn queue_with(
        &self,
        change: impl FnOnce(&mut QueueSpec),
    ) -> Checked<Queue<S>> {
        let mut wanted = QueueSpec {
            name: self.name(),
            ordered: false,
            max_receives: NEVER,
            lease: LONG,
            topic: None,
        };
        change(&mut wanted);
        let made = self.subject.queue(&wanted).await;
        let made = made.map_err(|error| {
            Fault::new(format_args!(
                "queue `{}` was not made: {error}",
                wanted.name
            ))
        })?;
        Ok(Queue::new(self.clone(), wanted, made))
    }

    /// Starts a service of these routes.
    pub(super) async fn run(&self, routes: impl IntoIterator<Item = Route>) -> Checked<Program> {
        self.run_on(self.subject.broker(), routes).await
    }

    pub(super) async fn run_on(
        &self,
        broker: S::Broker,
        routes: impl IntoIterator<Item = Route>,
    ) -> Checked<Program> {
        let app = App::new().broker(broker).drain(DRAIN);
        let manager = Manager::builder().app(app);
        let manager = routes
            .into_iter()
            .fold(manager, |all, route| all.route(route));
        let running = manager.build()?.start().await?;
        Ok(Program::new(running, self.patience()))
    }
}

/// Messages that have these numbers as their bodies.
pub(super) fn numbered(numbers: impl IntoIterator<Item = usize>) -> Vec<Message> {
    let message = |number: usize| Message::new(number.to_string());
    numbers.into_iter().map(message).collect()
}

/// Runs these at once; the first fault of any.
pub(super) async fn all<T>(
    works: impl IntoIterator<Item: Future<Output = Checked<T>>>,
) -> Checked<Vec<T>> {
    futures_util::future::try_join_all(works).await
}
