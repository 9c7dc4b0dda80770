//! RustStream in the memory bench: its in-process broker, and one subscriber with as many workers as handlers may run.

#[path = "../../../src/orders.rs"]
mod orders;

use std::num::NonZeroUsize;

use anyhow::{Context, Result};
use ruststream::{OutgoingMessage, Publisher, memory::prelude::*};

use orders::{BODY, NAME, Order, Task};

#[subscriber("orders")]
async fn consume(order: &Order) -> HandlerOutcome {
    if orders::handle(order) {
        HandlerOutcome::ack()
    } else {
        HandlerOutcome::retry()
    }
}

fn main() -> Result<()> {
    let task = Task::get();
    task.runtime().block_on(run(task))
}

async fn run(task: Task) -> Result<()> {
    let workers = NonZeroUsize::new(task.concurrency).context("no workers")?;
    let broker = MemoryBroker::new();
    let app = RustStream::new(AppInfo::new("bench", "0.0.0"));
    let app = app.with_broker(broker.clone(), |broker| {
        // One worker is its default: a loop without a pool.
        if task.concurrency == 1 {
            broker.include(consume);
        } else {
            broker.include(consume.workers(workers));
        }
    });
    let _running = app.start().await?;
    let publisher = broker.publisher();
    task.run(async || {
        let published = publisher.publish(OutgoingMessage::new(NAME, BODY), None);
        published.await.expect("the broker is in this process");
    })
    .await;
    Ok(())
}
