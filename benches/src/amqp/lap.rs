//! One lap: a contestant publishes all messages into a fresh queue, and then handles them with a handler that does nothing. Watermill
//! measures its brokers in the same way.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result, ensure};

use super::{
    program::{Orders, Program, Took},
    queue::Queues,
};

/// The time from the last ack to its effect. A quorum queue takes its time: acks that are under way when their channel closes are lost, so
/// a few messages may be left.
const SETTLED: Duration = Duration::from_millis(300);

/// Who runs, and how.
#[derive(Clone, Debug)]
pub struct Lap {
    /// The name in the tables: `loafer`, or `raw`, whose styles have rows of their own.
    pub name: &'static str,
    /// The executable.
    pub program: PathBuf,
    /// Which loop publishes.
    pub publish: &'static str,
    /// Which loop consumes.
    pub consume: &'static str,
    /// The most messages that are delivered and not yet acked.
    pub prefetch: u16,
}

/// What a lap took.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// Until the last message was confirmed.
    pub published: Took,
    /// From the first call of the handler to the last one. All but `prefetch` messages are acked by then, too.
    pub consumed: Took,
}

/// Runs a lap.
///
/// # Errors
///
/// If a message was lost, handled twice or left, or if the contestant did not finish.
pub async fn run(
    url: &str,
    queues: &Queues,
    queue: &str,
    lap: &Lap,
    messages: usize,
) -> Result<Run> {
    queues.make(queue).await?;
    let orders = |work, style| Orders {
        url,
        queue,
        work,
        style,
        prefetch: lap.prefetch,
        messages,
    };
    let publishing = orders("publish", lap.publish);
    let mut publisher = Program::start(&lap.program, publishing)?;
    let published = publisher.took(messages).await.context("publishing")?;
    publisher.stop(None).await.context("publishing")?;
    let ready = queues.ready(queue).await?;
    ensure!(
        ready == messages,
        "of {messages} messages confirmed the queue has {ready}"
    );

    let consuming = orders("consume", lap.consume);
    let mut consumer = Program::start(&lap.program, consuming)?;
    let consumed = consumer.took(messages).await.context("consuming")?;
    tokio::time::sleep(SETTLED).await;
    consumer.stop(Some(messages)).await.context("consuming")?;
    let left = queues.remove(queue).await?;
    ensure!(
        left <= usize::from(lap.prefetch),
        "{left} messages were handled and not acked"
    );
    Ok(Run {
        published,
        consumed,
    })
}
