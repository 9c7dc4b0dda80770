//! The queues of the bench: made, filled, looked at and removed, without a proxy.

use anyhow::{Context, Result, ensure};
use aws_config::SdkConfig;
use aws_sdk_sqs::{
    Client,
    types::{QueueAttributeName as Name, SendMessageBatchRequestEntry as Entry},
};
use loafer_sqs::Sqs;
use tokio::task::JoinSet;

use super::task::Event;

/// How many senders run at once.
const SENDERS: usize = 4;
/// How many messages one call has (SQS API: `SendMessageBatch`).
const BATCH: usize = 10;
/// The size of a body, in bytes.
const BODY: usize = 200;

/// A queue for one run of one contestant.
#[derive(Debug)]
pub struct Queue {
    client: Client,
    /// Its name.
    pub name: String,
    url: String,
}

/// The depth of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Depth {
    /// How many messages anybody can receive.
    pub visible: usize,
    /// How many messages somebody has leased.
    pub leased: usize,
}

/// Returns a configuration for the SQS at this address.
pub async fn config(endpoint: &str) -> SdkConfig {
    Sqs::loader().endpoint_url(endpoint).load().await
}

impl Queue {
    /// Makes a queue of this name with this many messages.
    ///
    /// # Errors
    ///
    /// If a call failed, or a message was not taken.
    pub async fn filled(client: &Client, name: String, messages: usize) -> Result<Self> {
        let made = client.create_queue().queue_name(&name).send().await;
        let made = made.with_context(|| format!("can't make the queue {name}"))?;
        let url = made.queue_url.context("a queue without address")?;
        let mut senders = JoinSet::new();
        for sender in 0..SENDERS {
            senders.spawn(send(client.clone(), url.clone(), sender, messages));
        }
        while let Some(sent) = senders.join_next().await {
            sent?.with_context(|| format!("can't fill the queue {name}"))?;
        }
        Ok(Self {
            client: client.clone(),
            name,
            url,
        })
    }

    /// Returns the queue's depth.
    ///
    /// # Errors
    ///
    /// If a call failed.
    pub async fn depth(&self) -> Result<Depth> {
        let asked = [
            Name::ApproximateNumberOfMessages,
            Name::ApproximateNumberOfMessagesNotVisible,
        ];
        let asking = self.client.get_queue_attributes().queue_url(&self.url);
        let answer = asking
            .set_attribute_names(Some(asked.clone().into()))
            .send()
            .await?;
        let attributes = answer.attributes.unwrap_or_default();
        let [visible, leased] = asked.map(|name| {
            let value = attributes.get(&name).and_then(|value| value.parse().ok());
            value.with_context(|| format!("no {name} of the queue {}", self.name))
        });
        Ok(Depth {
            visible: visible?,
            leased: leased?,
        })
    }

    /// Removes the queue and its messages.
    ///
    /// # Errors
    ///
    /// If a call failed.
    pub async fn remove(self) -> Result<()> {
        self.client
            .delete_queue()
            .queue_url(self.url)
            .send()
            .await?;
        Ok(())
    }
}

/// Sends every fourth batch.
async fn send(client: Client, url: String, sender: usize, messages: usize) -> Result<()> {
    for first in (sender * BATCH..messages).step_by(SENDERS * BATCH) {
        let mut entries = Vec::with_capacity(BATCH);
        for number in first..messages.min(first + BATCH) {
            let entry = Entry::builder().id(number.to_string());
            entries.push(entry.message_body(body(number)?).build()?);
        }
        let sending = client.send_message_batch().queue_url(&url);
        let sent = sending.set_entries(Some(entries)).send().await?;
        ensure!(sent.failed().is_empty(), "refused: {:?}", sent.failed());
    }
    Ok(())
}

/// Returns the body of the message with this number.
fn body(number: usize) -> Result<String> {
    let mut event = Event {
        number,
        text: String::new(),
    };
    let empty = serde_json::to_string(&event)?.len();
    event.text = "x".repeat(BODY.saturating_sub(empty));
    Ok(serde_json::to_string(&event)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_body_has_the_same_size() {
        for number in [0, 7, 9_999] {
            assert_eq!(body(number).unwrap().len(), BODY);
        }
    }
}
