//! The hand-written loops of the AMQP bench, on the same client as Loafer's.
//!
//! | style | what it does |
//! |---|---|
//! | `each` | one delivery after the other: each ack is awaited until it is written |
//! | `together` | what has been delivered is handled, and then its acks are written together |
//! | `multiple` | one ack for every 50 deliveries |
//! | `pipelined` | 500 messages are unconfirmed at once, and each confirm is awaited by itself |
//! | `batches` | 50 messages are written together, and ten such batches are unconfirmed at once |
//! | `bare` | like `pipelined`, but the messages have no properties except that they are persistent |
//!
//! Messages carry what Loafer's messages carry, and the server returns them if no queue takes them. So both send and receive the same.

use std::{
    future::ready,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, bail, ensure};
use futures_util::{StreamExt, TryStreamExt, future::try_join_all, stream};
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, Consumer,
    options::{
        BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions,
        ConfirmSelectOptions,
    },
    types::FieldTable,
};
use loafer::message::MessageId;
use loafer_benches::amqp::task::{BATCH, Task, WINDOW};
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> Result<()> {
    let task = Task::get();
    let mut ending = signal(SignalKind::terminate())?;
    let connection = Connection::connect(&task.url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    if task.publishes {
        publish(task, &channel).await?;
    } else {
        consume(task, &channel).await?;
    }
    ending.recv().await;
    connection.close(200, "done".into()).await?;
    task.tell();
    Ok(())
}

async fn publish(task: &Task, channel: &Channel) -> Result<()> {
    let confirming = channel.confirm_select(ConfirmSelectOptions::default());
    confirming.await?;
    task.begin();
    let bodies = stream::iter(task.bodies());
    let one = |body| publish_one(task, channel, body);
    match task.style.as_str() {
        "pipelined" | "bare" => {
            let confirmed = bodies.map(one).buffer_unordered(WINDOW);
            confirmed.try_for_each(|()| ready(Ok(()))).await?;
        }
        "batches" => {
            let batches = bodies.chunks(BATCH);
            let confirmed = batches
                .map(|batch| try_join_all(batch.into_iter().map(one)))
                .buffer_unordered(WINDOW / BATCH);
            confirmed.try_for_each(|_| ready(Ok(()))).await?;
        }
        other => bail!("no style of publishing: {other}"),
    }
    task.end();
    Ok(())
}

async fn publish_one(task: &Task, channel: &Channel, body: String) -> Result<()> {
    let bare = task.style == "bare";
    let options = BasicPublishOptions {
        mandatory: !bare,
        ..BasicPublishOptions::default()
    };
    let written = channel.basic_publish(
        "".into(),
        task.queue.as_str().into(),
        options,
        body.as_bytes(),
        properties(bare)?,
    );
    let confirmation = written.await?.await?;
    ensure!(
        matches!(confirmation, Confirmation::Ack(None)),
        "refused, or it came back: {confirmation:?}"
    );
    Ok(())
}

/// Returns the properties of a persistent message. Unless it is bare, it carries what Loafer says of a message.
fn properties(bare: bool) -> Result<BasicProperties> {
    let persistent = BasicProperties::default().with_delivery_mode(2);
    if bare {
        return Ok(persistent);
    }
    let id = MessageId::new().to_string();
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    Ok(persistent
        .with_content_type("application/json".into())
        .with_content_encoding("utf-8".into())
        .with_message_id(id.as_str().into())
        .with_correlation_id(id.into())
        .with_timestamp(now.as_secs()))
}

async fn consume(task: &Task, channel: &Channel) -> Result<()> {
    let qos = channel.basic_qos(task.prefetch, BasicQosOptions::default());
    qos.await?;
    let consuming = channel.basic_consume(
        task.queue.as_str().into(),
        "".into(),
        BasicConsumeOptions::default(),
        FieldTable::default(),
    );
    let consumer = consuming.await?;
    match task.style.as_str() {
        "each" => each(task, consumer).await,
        "together" => together(task, consumer).await,
        "multiple" => multiple(task, consumer, channel).await,
        other => bail!("no style of consuming: {other}"),
    }
}

async fn each(task: &Task, mut consumer: Consumer) -> Result<()> {
    for _ in 0..task.messages {
        let delivery = consumer.next().await.context("cancelled")??;
        ensure!(task.handle(&delivery.data), "not one of ours");
        delivery.ack(BasicAckOptions::default()).await?;
    }
    Ok(())
}

async fn together(task: &Task, consumer: Consumer) -> Result<()> {
    let mut deliveries = consumer.ready_chunks(BATCH);
    let mut left = task.messages;
    while left > 0 {
        let batch = deliveries.next().await.context("cancelled")?;
        let batch = batch.into_iter().collect::<lapin::Result<Vec<_>>>()?;
        for delivery in &batch {
            ensure!(task.handle(&delivery.data), "not one of ours");
        }
        let acks = batch
            .iter()
            .map(|delivery| delivery.ack(BasicAckOptions::default()));
        left -= try_join_all(acks).await?.len();
    }
    Ok(())
}

async fn multiple(task: &Task, mut consumer: Consumer, channel: &Channel) -> Result<()> {
    for number in 1..=task.messages {
        let delivery = consumer.next().await.context("cancelled")??;
        ensure!(task.handle(&delivery.data), "not one of ours");
        if number % BATCH == 0 || number == task.messages {
            let all = BasicAckOptions { multiple: true };
            channel.basic_ack(delivery.delivery_tag, all).await?;
        }
    }
    Ok(())
}
