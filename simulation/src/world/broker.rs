//! The broker as an app knows it: it makes providers for its queues.

use std::sync::Arc;

use loafer_core::{
    Error,
    broker::{Broker, NoOptions, Publisher, Source, Topic},
    message::{MessageId, Outgoing},
};

use super::{World, provider::QueueProvider};

/// The broker of all routes of a run.
#[derive(Clone, Debug, Default)]
pub struct Simulated(Option<Arc<World>>);

impl Simulated {
    /// Returns the broker of this world.
    #[must_use]
    pub fn of(world: Arc<World>) -> Self {
        Self(Some(world))
    }
}

impl Broker for Simulated {
    type Provider = QueueProvider;
    type Publisher = Self;
    type Options = NoOptions;
    const KIND: &'static str = "simulated";

    fn provider(&self, source: &Source, _: &NoOptions) -> Result<QueueProvider, Error> {
        let number = source
            .queue
            .strip_prefix('r')
            .and_then(|it| it.parse().ok());
        match (&self.0, number) {
            (Some(world), Some(route)) => Ok(QueueProvider::new(world.clone(), route)),
            _ => Err(Error::Config(format!(
                "there is no queue `{}`",
                source.queue
            ))),
        }
    }

    fn publisher(&self) -> Self {
        self.clone()
    }
}

impl Publisher for Simulated {
    async fn publish(
        &self,
        topic: &Topic,
        batch: &[Outgoing],
        answers: &mut Vec<Result<MessageId, Error>>,
    ) {
        let refused = || Error::Config(format!("nothing is published to `{topic}`"));
        answers.extend(batch.iter().map(|_| Err(refused())));
    }
}
