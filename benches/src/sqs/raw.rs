//! The hand-written loop: four receivers, a task for each message, deletes by the batch.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use aws_config::SdkConfig;
use aws_sdk_sqs::{Client, types::DeleteMessageBatchRequestEntry as Entry};
use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinSet,
    time::{Instant, timeout_at},
};

use super::{
    Event, Seen,
    meter::{Meter, Run},
    proxy::Proxy,
};

/// Receives at once.
const RECEIVERS: usize = 4;
/// Messages a call.
const BATCH: usize = 10;
/// The longest poll, in seconds.
const POLL: i32 = 20;
/// How long a receipt may wait for others.
const LINGER: Duration = Duration::from_secs(1);

/// Consumes the queue, until every message is deleted.
///
/// # Errors
///
/// A call that failed, or a message that was received twice.
pub async fn consume(
    proxy: &Proxy,
    config: &SdkConfig,
    queue: &str,
    concurrency: usize,
    seen: &Arc<Seen>,
) -> Result<Run> {
    let meter = Meter::start(proxy);
    let client = Client::new(config);
    let found = client.get_queue_url().queue_name(queue).send().await?;
    let url = found.queue_url.context("a queue without address")?;

    let (handled, receipts) = mpsc::channel(concurrency.max(BATCH));
    let permits = Arc::new(Semaphore::new(concurrency));
    let mut receivers = JoinSet::new();
    for _ in 0..RECEIVERS {
        let receiver = Receiver {
            client: client.clone(),
            url: url.clone(),
            permits: permits.clone(),
            handled: handled.clone(),
            seen: seen.clone(),
        };
        receivers.spawn(receiver.run());
    }
    drop(handled);
    tokio::select! {
        deleted = delete(client, url, receipts, seen.messages()) => deleted?,
        Some(ended) = receivers.join_next() => ended?.context("a receiver ended")?,
    }
    let run = meter.stop();
    receivers.shutdown().await;
    seen.check()?;
    Ok(run)
}

struct Receiver {
    client: Client,
    url: String,
    /// As many as handlers may run.
    permits: Arc<Semaphore>,
    /// Receipts of handled messages.
    handled: mpsc::Sender<String>,
    seen: Arc<Seen>,
}

impl Receiver {
    async fn run(self) -> Result<()> {
        loop {
            let receive = self.client.receive_message().queue_url(&self.url);
            let receive = receive.max_number_of_messages(BATCH as i32);
            let received = receive.wait_time_seconds(POLL).send().await?;
            for message in received.messages.unwrap_or_default() {
                let permit = self.permits.clone().acquire_owned().await?;
                let (handled, seen) = (self.handled.clone(), self.seen.clone());
                tokio::spawn(async move {
                    let event = serde_json::from_str::<Event>(&message.body.unwrap_or_default());
                    if let Ok(event) = event
                        && seen.handle(&event).await
                    {
                        let receipt = message.receipt_handle.unwrap_or_default();
                        // The other side goes only when everything is over.
                        handled.send(receipt).await.ok();
                    }
                    drop(permit);
                });
            }
        }
    }
}

/// Deletes until this many are deleted, any number of batches at once.
async fn delete(
    client: Client,
    url: String,
    mut receipts: mpsc::Receiver<String>,
    messages: usize,
) -> Result<()> {
    let mut calls = JoinSet::new();
    let mut taken = 0;
    while taken < messages {
        let batch = next_batch(&mut receipts, messages - taken).await;
        if batch.is_empty() {
            bail!("every receiver ended");
        }
        taken += batch.len();
        calls.spawn(delete_batch(client.clone(), url.clone(), batch));
        while let Some(deleted) = calls.try_join_next() {
            deleted??;
        }
    }
    while let Some(deleted) = calls.join_next().await {
        deleted??;
    }
    Ok(())
}

/// Ten receipts, or as many as come in time, or all there will be.
async fn next_batch(receipts: &mut mpsc::Receiver<String>, left: usize) -> Vec<String> {
    let mut batch = Vec::with_capacity(BATCH);
    batch.extend(receipts.recv().await);
    let deadline = Instant::now() + LINGER;
    while batch.len() < BATCH.min(left) {
        match timeout_at(deadline, receipts.recv()).await {
            Ok(Some(receipt)) => batch.push(receipt),
            Ok(None) | Err(_) => break,
        }
    }
    batch
}

async fn delete_batch(client: Client, url: String, receipts: Vec<String>) -> Result<()> {
    let mut entries = Vec::with_capacity(receipts.len());
    for (id, receipt) in receipts.into_iter().enumerate() {
        let entry = Entry::builder().id(id.to_string());
        entries.push(entry.receipt_handle(receipt).build()?);
    }
    let deleting = client.delete_message_batch().queue_url(url);
    let deleted = deleting.set_entries(Some(entries)).send().await?;
    ensure!(
        deleted.failed().is_empty(),
        "refused: {:?}",
        deleted.failed()
    );
    Ok(())
}
