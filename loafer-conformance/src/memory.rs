//! The broker in memory as a subject.

use std::time::Duration;

use super::{BrokerProfile, BrokerUnderTest, Feature, QueueSpec, TestQueue};
use loafer_core::{
    broker::{Broker, NoOptions, Source},
    outcome::BoxError,
};
use loafer_memory::Memory;

/// Long enough for the cases that do not try longer delays.
const LONGEST_DELAY: Duration = Duration::from_secs(3);

/// On a paused clock the whole suite takes a few seconds.
impl BrokerUnderTest for Memory {
    type Broker = Self;

    fn declares(&self) -> BrokerProfile {
        BrokerProfile::new("memory")
            .headers(100)
            .without(Feature::Limits, "it refuses nothing")
            .without(Feature::Outages, "it ends with its process")
    }

    fn broker(&self) -> Self {
        self.clone().with_longest_delay(LONGEST_DELAY)
    }

    async fn queue(&self, wanted: &QueueSpec) -> Result<TestQueue, BoxError> {
        let name = &wanted.name;
        let queue = match wanted.ordered {
            true => format!("{name}.fifo"),
            false => name.clone(),
        };
        // Whoever names it first says how it behaves.
        let broker = self.broker().with_max_receives(Some(wanted.max_receives));
        let source = Source::new(wanted.topic.as_ref().unwrap_or(name), &queue);
        broker.provider(&source, &NoOptions::default())?;
        let topic = wanted.topic.as_deref().map(Into::into);
        Ok(TestQueue {
            topic: topic.unwrap_or_else(|| self.queue_topic(&queue)),
            dead_letters: Some(format!("{queue}-dlq")),
            queue,
        })
    }
}
