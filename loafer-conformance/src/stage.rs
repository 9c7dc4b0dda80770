//! What a case stands on: queues of its own, and services on them.

use std::{future::Future, sync::Arc, time::Duration};

use super::{BrokerProfile, BrokerUnderTest, Feature, case::Checked, program::Program};
use loafer_core::message::{EVENT_ID, Message, MessageId};
use loafer_runtime::program::{App, Manager, Route};

/// The lease of cases that wait for its end: renewals come at its thirds, and servers of tests share their machine.
pub(super) const SHORT: Duration = Duration::from_secs(3);
/// The lease of cases in which it should not end; shorter than anybody's patience, since a receive that a shutdown drops may take what it was given.
pub(super) const LONG: Duration = Duration::from_secs(20);
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

    /// A message of this number with as many headers as allowed, the event's id among them. [`is_itself`] knows it again.
    pub(super) fn event(&self, number: usize) -> Message {
        (1..self.declaration.headers).fold(self.plain_event(number), |message, at| {
            message.with_header(format!("header-{at}"), "value")
        })
    }

    /// A message of this number with the event's id alone.
    pub(super) fn plain_event(&self, number: usize) -> Message {
        Message::new(number.to_string()).with_header(EVENT_ID, event_id(number))
    }

    /// A name that nobody had before.
    pub(super) fn name(&self) -> String {
        let case: String = self.case.replace('_', "-").chars().take(24).collect();
        format!("{}-{}", case.trim_end_matches('-'), MessageId::new())
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

/// Returns whether the event id of a message is that of its number.
pub(super) fn is_itself(message: &Message) -> bool {
    let number = std::str::from_utf8(message.payload()).ok();
    let number = number.and_then(|number| number.parse().ok());
    number.is_some_and(|number| message.event_id() == Some(&*event_id(number)))
}

fn event_id(number: usize) -> String {
    format!("event-{number}")
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
