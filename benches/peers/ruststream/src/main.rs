//! RustStream in the SQS bench: one subscriber with as many workers as handlers may run.

#[path = "../../../src/sqs/task.rs"]
mod task;

use std::num::NonZeroUsize;

use anyhow::{Context, Result};
use ruststream_sqs_sns::prelude::*;

use task::{Event, Task};

#[subscriber(SqsQueue)]
async fn handle(event: &Event) -> HandlerOutcome {
    if Task::get().handle(event).await {
        HandlerOutcome::ack()
    } else {
        HandlerOutcome::retry()
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let task = Task::get();
    let workers = NonZeroUsize::new(task.concurrency).context("no workers")?;
    let app = RustStream::new(AppInfo::new("bench", "0.0.0"));
    let app = app.with_broker(SqsBroker::new(), |broker| {
        broker.include(handle.name(task.queue.clone()).workers(workers));
    });
    app.run().await?;
    task.tell();
    Ok(())
}
