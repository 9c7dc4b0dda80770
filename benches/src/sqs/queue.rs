//! A fresh queue, full of messages.

use anyhow::{Context, Result, ensure};
use aws_config::SdkConfig;
use aws_sdk_sqs::{Client, types::SendMessageBatchRequestEntry as Entry};
use loafer_sqs::Sqs;
use tokio::task::JoinSet;

use super::Event;

/// Senders at once.
const SENDERS: usize = 4;
/// Messages a call (SQS API: `SendMessageBatch`).
const BATCH: usize = 10;

/// A configuration for the SQS at this address, with connections of its own.
pub async fn config(endpoint: &str) -> SdkConfig {
    Sqs::loader().endpoint_url(endpoint).load().await
}

/// A queue of this name with this many messages; gives its URL.
///
/// # Errors
///
/// A call that failed, a message that was not taken.
pub async fn filled(client: &Client, name: &str, messages: usize) -> Result<String> {
    let made = client.create_queue().queue_name(name).send().await;
    let made = made.with_context(|| format!("can't make the queue {name}"))?;
    let url = made.queue_url.context("a queue without address")?;
    let mut senders = JoinSet::new();
    for sender in 0..SENDERS {
        senders.spawn(send(client.clone(), url.clone(), sender, messages));
    }
    while let Some(sent) = senders.join_next().await {
        sent?.with_context(|| format!("can't fill the queue {name}"))?;
    }
    Ok(url)
}

/// Sends every fourth batch.
async fn send(client: Client, url: String, sender: usize, messages: usize) -> Result<()> {
    for first in (sender * BATCH..messages).step_by(SENDERS * BATCH) {
        let mut entries = Vec::with_capacity(BATCH);
        for number in first..messages.min(first + BATCH) {
            let entry = Entry::builder().id(number.to_string());
            entries.push(entry.message_body(Event::body(number)?).build()?);
        }
        let sending = client.send_message_batch().queue_url(&url);
        let sent = sending.set_entries(Some(entries)).send().await?;
        ensure!(sent.failed().is_empty(), "refused: {:?}", sent.failed());
    }
    Ok(())
}
