//! Where a topic leads: to a queue or to an SNS topic. Only SQS has two kinds of them.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use loafer_core::{
    Error,
    broker::{DueTime, PublishCapabilities, Rounds},
    message::Outgoing,
};

use super::{
    calls::{Answers, send_in},
    topic,
};
use crate::{
    client::{Clients, ENTRIES},
    error::Call,
    names::{Arn, Endpoint, QueueAddress, is_fifo},
    outgoing::{ATTRIBUTES, Entry, SNS_BYTES, SQS_BYTES},
    payloads::{For, Store},
    replies::is_reply,
    seconds, topology,
};

#[cfg(feature = "s3")]
const TOO_LARGE: &str = "keep large payloads on S3: `Sqs::with_large_payloads`";
#[cfg(not(feature = "s3"))]
const TOO_LARGE: &str = "send a reference instead, or keep large payloads on S3: the feature `s3` (of loafer: `sqs-s3`)";

/// Where a topic leads.
#[derive(Clone)]
pub(super) enum Target {
    Queue {
        clients: Clients,
        url: Arc<str>,
        /// The most bytes that a message can have there.
        limit: usize,
    },
    Topic {
        client: aws_sdk_sns::Client,
        endpoint: Arc<Endpoint>,
        arn: Arc<str>,
        /// The most bytes that a message can have there.
        limit: usize,
    },
}

/// Finds where a topic leads. The second value says whether the answer may be kept.
pub(super) async fn find(topic: &str, clients: &Clients) -> Result<(Target, bool), Error> {
    let named = topic.strip_prefix("sqs:");
    // Behind the name of an instance, which comes here as `sqs:`, the ARN of a topic is a topic.
    let topic = named
        .filter(|named| Arn::parse(named).is_some_and(|arn| arn.is_topic()))
        .unwrap_or(topic);
    match topic.strip_prefix("sqs:") {
        Some(queue) => {
            let clients = clients.for_queue(queue);
            let call = publishing(queue, &clients.endpoint);
            let url = topology::url(&clients.sqs, QueueAddress::parse(queue), call).await?;
            let limit = match is_reply(queue) {
                // We make these ourselves, without a limit of their own.
                true => Some(SQS_BYTES),
                false => queue_limit(&clients.sqs, &url, call).await,
            };
            let target = Target::Queue {
                clients,
                url: url.into(),
                limit: limit.unwrap_or(SQS_BYTES),
            };
            Ok((target, limit.is_some()))
        }
        None => {
            let (client, endpoint) = clients.for_topic(topic);
            let arn = topic::arn(&client, topic, publishing(topic, &endpoint)).await?;
            let limit = topic::limit(&client, &arn).await;
            let target = Target::Topic {
                client,
                endpoint,
                arn,
                limit: limit.unwrap_or(SNS_BYTES),
            };
            Ok((target, limit.is_some()))
        }
    }
}

/// Returns how many bytes a message on a queue can have: its attribute `MaximumMessageSize`, or SQS's own limit if we may not read that. `None` means that
/// asking failed and should be repeated.
async fn queue_limit(client: &aws_sdk_sqs::Client, url: &str, call: Call<'_>) -> Option<usize> {
    let read = topology::attributes(client, url, call).await.ok()?;
    Some(read.and_then(|of| of.max_bytes).unwrap_or(SQS_BYTES))
}

/// Names a publication.
pub(super) fn publishing<'a>(topic: &'a str, endpoint: &'a Endpoint) -> Call<'a> {
    Call::new("publishing", topic, endpoint)
}

/// Returns what a queue or a topic can do with a message of any size.
pub(super) fn capabilities(is_queue: bool, fifo: bool) -> PublishCapabilities {
    PublishCapabilities {
        max_bytes: None,
        max_delay: Some(match is_queue && !fifo {
            true => DueTime::LONGEST,
            false => Duration::ZERO,
        }),
        headers: Some(ATTRIBUTES),
        binary: false,
        ordered: fifo,
        batch: ENTRIES,
    }
}

impl Target {
    pub(super) fn endpoint(&self) -> &Endpoint {
        match self {
            Self::Queue { clients, .. } => &clients.endpoint,
            Self::Topic { endpoint, .. } => endpoint,
        }
    }

    pub(super) fn is_fifo(&self) -> bool {
        match self {
            Self::Queue { url, .. } => is_fifo(url),
            Self::Topic { arn, .. } => is_fifo(arn),
        }
    }

    /// Returns the most bytes that a message can have there.
    pub(super) fn limit(&self) -> usize {
        match self {
            Self::Queue { limit, .. } | Self::Topic { limit, .. } => *limit,
        }
    }

    /// Returns the entry of a message. A payload that is too large is put on S3 first.
    pub(super) async fn prepare<'m>(
        &self,
        outgoing: &'m Outgoing,
        payloads: Option<&Store>,
        call: Call<'_>,
    ) -> Result<Entry<'m>, Error> {
        let refused = |cause| call.refused(cause, None);
        let limit = self.limit();
        let mut entry = self.entry(outgoing).map_err(refused)?;
        let most = payloads.map_or(limit, |store| store.threshold().min(limit));
        if let Some(store) = payloads.filter(|_| entry.bytes() > most) {
            let (payload, of) = (outgoing.message.payload(), self.kept_for());
            // This comes first, so that a message that is refused leaves no object behind.
            entry.offload(&outgoing.optional).map_err(refused)?;
            let pointer = store.put(payload.clone(), of).await?;
            entry.point(pointer.to_body());
        }
        entry.leave_out(&outgoing.optional, |entry| entry.bytes() <= limit);
        match entry.bytes() {
            bytes if bytes > limit => Err(refused(format!(
                "{bytes} bytes with its headers: {limit} is the most{}; {TOO_LARGE}",
                match (self, limit) {
                    (Self::Queue { .. }, ..SQS_BYTES) => " there, its `MaximumMessageSize`",
                    _ => "",
                }
            ))),
            _ => Ok(entry),
        }
    }

    fn kept_for(&self) -> For {
        match self {
            Self::Queue { .. } => For::Queue,
            Self::Topic { .. } => For::Topic,
        }
    }

    /// Returns the entry of a message of any size, or why there can't be one.
    fn entry<'m>(&self, outgoing: &'m Outgoing) -> Result<Entry<'m>, String> {
        let (fifo, is_queue) = (self.is_fifo(), matches!(self, Self::Queue { .. }));
        let mut entry = Entry::of(outgoing, fifo)?;
        // The entry has counted the attributes already: not every header is one.
        let delays = PublishCapabilities {
            headers: None,
            ..capabilities(is_queue, fifo)
        };
        if let Some(cause) = delays.refusal(outgoing) {
            return Err(match self {
                Self::Topic { .. } => format!("{cause}; publish to a queue, as `sqs:NAME`"),
                Self::Queue { .. } if fifo => {
                    format!("{cause}; a FIFO queue delays all of its messages alike")
                }
                Self::Queue { .. } => cause,
            });
        }
        // Zero overrides the delay of a queue; topics and FIFO queues refuse even that.
        if let (Some(delay), Self::Queue { clients, .. }, false) = (outgoing.delay, self, fifo) {
            if delay > clients.longest_delay {
                let due = DueTime::after(delay, Instant::now());
                entry.due(due, &outgoing.optional)?;
            }
            entry.delay = Some(seconds::delay(delay.min(clients.longest_delay)));
        }
        Ok(entry)
    }

    /// Sends the entries of these rounds; returns an answer for each, in order. An entry that is `None` has its answer already.
    pub(super) async fn send(
        &self,
        rounds: Rounds<'_>,
        entries: &[Option<&Entry<'_>>],
        call: Call<'_>,
    ) -> Answers {
        match self {
            Self::Queue { clients, url, .. } => send_in(rounds, clients, url, entries, call).await,
            Self::Topic {
                client, arn, limit, ..
            } => topic::publish(rounds, client, arn, *limit, entries, call).await,
        }
    }
}
