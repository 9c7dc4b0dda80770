//! The broker in memory as a subject.

use super::{Declaration, Feature, Made, Subject, Wanted};
use crate::{BoxError, Broker, Memory, Source};

/// On a paused clock the whole suite takes a few seconds.
impl Subject for Memory {
    type Broker = Self;

    fn declares(&self) -> Declaration {
        Declaration::new("memory")
            .headers(100)
            .without(Feature::Limits, "it refuses nothing")
            .without(Feature::Outages, "it ends with its process")
    }

    fn broker(&self) -> Self {
        self.clone()
    }

    async fn queue(&self, wanted: &Wanted) -> Result<Made, BoxError> {
        let name = &wanted.name;
        let queue = match wanted.ordered {
            true => format!("{name}.fifo"),
            false => name.clone(),
        };
        // Whoever names it first says how it behaves.
        let broker = self.clone().with_max_receives(Some(wanted.max_receives));
        let source = Source::new(wanted.topic.as_ref().unwrap_or(name), &queue);
        broker.provider(&source)?;
        let topic = wanted.topic.as_deref().map(Into::into);
        Ok(Made {
            topic: topic.unwrap_or_else(|| self.queue_topic(&queue)),
            dead_letters: Some(format!("{queue}-dlq")),
            queue,
        })
    }
}
