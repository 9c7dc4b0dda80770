//! The hand-written loop of the SQS bench: receivers, a task for each message, deletes in batches, an end on SIGTERM.
//!
//! It has as many receives in flight as Loafer has at most, asks for the same attributes, and uses the same HTTP client. It renews no
//! lease, repeats no failed entry, and polls an empty queue with all its receivers.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use aws_sdk_sqs::{
    Client,
    types::{DeleteMessageBatchRequestEntry as Entry, MessageSystemAttributeName as Name},
};
use loafer_benches::sqs::task::{Event, Task};
use loafer_sqs::Sqs;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{Semaphore, mpsc, watch},
    task::JoinSet,
    time::{Instant, timeout_at},
};

/// How many receives run at once.
const RECEIVERS: usize = 8;
/// How many messages one call has.
const BATCH: usize = 10;
/// The longest poll, in seconds.
const POLL: i32 = 20;
/// How long a receipt may wait for others.
const LINGER: Duration = Duration::from_secs(1);
/// The attributes that Loafer asks for.
const ASKED: [Name; 7] = [
    Name::ApproximateReceiveCount,
    Name::SentTimestamp,
    Name::MessageGroupId,
    Name::AwsTraceHeader,
    Name::DeadLetterQueueSourceArn,
    Name::MessageDeduplicationId,
    Name::SequenceNumber,
];

#[tokio::main]
async fn main() -> Result<()> {
    let task = Task::get();
    let client = Client::new(&Sqs::loader().load().await);
    let found = client
        .get_queue_url()
        .queue_name(&task.queue)
        .send()
        .await?;
    let url: Arc<str> = found.queue_url.context("a queue without address")?.into();

    let (handled, receipts) = mpsc::channel(task.concurrency.max(BATCH));
    let (stop, stopped) = watch::channel(false);
    let permits = Arc::new(Semaphore::new(task.concurrency));
    let mut tasks = JoinSet::new();
    for _ in 0..RECEIVERS {
        let receiver = Receiver {
            client: client.clone(),
            url: url.clone(),
            permits: permits.clone(),
            handled: handled.clone(),
            stopped: stopped.clone(),
        };
        tasks.spawn(receiver.run());
    }
    drop(handled);
    tasks.spawn(delete(client, url, receipts));
    tasks.spawn(async move {
        signal(SignalKind::terminate())?.recv().await;
        stop.send(true).context("nobody to stop")
    });
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    task.tell();
    Ok(())
}

struct Receiver {
    client: Client,
    url: Arc<str>,
    /// One permit for each handler that may run.
    permits: Arc<Semaphore>,
    /// Receipts of handled messages.
    handled: mpsc::Sender<String>,
    /// Whether the program ends.
    stopped: watch::Receiver<bool>,
}

impl Receiver {
    async fn run(mut self) -> Result<()> {
        loop {
            let receive = self.client.receive_message().queue_url(&*self.url);
            let receive = receive
                .max_number_of_messages(BATCH as i32)
                .wait_time_seconds(POLL)
                .set_message_system_attribute_names(Some(ASKED.into()))
                .message_attribute_names("All");
            let received = tokio::select! {
                received = receive.send() => received?,
                _ = self.stopped.wait_for(|stopped| *stopped) => return Ok(()),
            };
            for message in received.messages.unwrap_or_default() {
                let permit = self.permits.clone().acquire_owned().await?;
                let handled = self.handled.clone();
                tokio::spawn(async move {
                    let event = serde_json::from_str::<Event>(&message.body.unwrap_or_default());
                    if let Ok(event) = event
                        && Task::get().handle(&event).await
                    {
                        let receipt = message.receipt_handle.unwrap_or_default();
                        // The other side ends only when everything is over.
                        handled.send(receipt).await.ok();
                    }
                    drop(permit);
                });
            }
        }
    }
}

/// Deletes until no message is handled any more, with any number of batches at once.
async fn delete(client: Client, url: Arc<str>, mut receipts: mpsc::Receiver<String>) -> Result<()> {
    let mut calls = JoinSet::new();
    loop {
        let batch = next_batch(&mut receipts).await;
        if batch.is_empty() {
            break;
        }
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

/// Returns ten receipts, or as many as arrive in time.
async fn next_batch(receipts: &mut mpsc::Receiver<String>) -> Vec<String> {
    let mut batch = Vec::with_capacity(BATCH);
    batch.extend(receipts.recv().await);
    let deadline = Instant::now() + LINGER;
    while batch.len() < BATCH {
        match timeout_at(deadline, receipts.recv()).await {
            Ok(Some(receipt)) => batch.push(receipt),
            Ok(None) | Err(_) => break,
        }
    }
    batch
}

async fn delete_batch(client: Client, url: Arc<str>, receipts: Vec<String>) -> Result<()> {
    let mut entries = Vec::with_capacity(receipts.len());
    for (id, receipt) in receipts.into_iter().enumerate() {
        let entry = Entry::builder().id(id.to_string());
        entries.push(entry.receipt_handle(receipt).build()?);
    }
    let deleting = client.delete_message_batch().queue_url(&*url);
    let deleted = deleting.set_entries(Some(entries)).send().await?;
    ensure!(
        deleted.failed().is_empty(),
        "refused: {:?}",
        deleted.failed()
    );
    Ok(())
}
