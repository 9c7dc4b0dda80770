//! The publisher: SNS topics by name or ARN, SQS queues as `sqs:NAME`.

mod calls;
mod check;
mod target;
mod topic;

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures_util::{StreamExt, stream};
use loafer_core::{
    Error,
    broker::{Finding, Open, PublishCapabilities, Publisher, Topic},
    message::{MessageId, Outgoing},
};

pub(crate) use self::calls::send;
use self::{
    calls::rounds,
    target::{Target, capabilities, find, publishing},
};
use crate::{
    client::Shared,
    names::{Arn, is_fifo},
    outgoing::SQS_BYTES,
    replies::is_reply,
};

/// How many payloads of one publication are put on S3 at once.
const AT_ONCE: usize = 8;

/// Publishes to SNS topics and SQS queues.
///
/// A [`Topic`] is an SNS topic or a queue. An SNS topic is named by its bare name, which is looked up once among the topics of
/// account and region (`friend-created`), or by its ARN, also behind `sqs:`. A queue is named as `sqs:NAME`, `sqs:URL` or `sqs:ARN`. A topic
/// of another instance begins with the instance's name: `overseas:NAME` is a queue there, and `overseas:ARN` a queue or an SNS topic.
///
/// A publication makes as few calls as ten messages and 1 MiB a call allow. For SNS the limit is the topic's
/// `MaximumMessageSize`: 256 KiB if it is not set or can't be read (SNS API: `SetTopicAttributes`). An entry that fails inside
/// an answered call, by no fault of ours, is tried again alone, up to four times.
///
/// Headers become attributes, ten at most: `String`, or `Number` and `Binary` for those that are numbers or bytes. FIFO topics and queues need the message's group. Their deduplication id is
/// the message's own id unless one is given, so that a message sent again is the same one; it overrides content-based
/// deduplication (SQS API). On FIFO a message is sent once the one before it in its group was accepted, and none after one that
/// failed, so that a call has one message of each group. On standard queues the group is for fairness, not for order. Only
/// standard queues have delays, up to 366 days. One stay in a queue is of 15 minutes at most (SQS API: `SendMessage`). A longer delay takes several: the
/// message has an attribute that says when it is due, and a route of Loafer that receives it earlier sends it again with the rest of the delay. Other
/// consumers of that queue would handle it at its first arrival. Answers carry the id that SQS or SNS gave.
pub struct SqsPublisher {
    shared: Arc<Shared>,
    /// The topics and queues that were found: ARNs and URLs do not change.
    found: Mutex<HashMap<Topic, Target>>,
}

impl SqsPublisher {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            found: Mutex::default(),
        }
    }

    async fn target(&self, topic: &Topic) -> Result<Target, Error> {
        if let Some(target) = self.found().get(topic) {
            return Ok(target.clone());
        }
        let clients = self.shared.clients(topic.as_str()).await?;
        let (target, sure) = find(topic.as_str(), clients).await?;
        // Each request can have a reply address of its own, which lives for a while only.
        if sure && !is_reply(topic.as_str()) {
            self.found().insert(topic.clone(), target.clone());
        }
        Ok(target)
    }

    fn found(&self) -> MutexGuard<'_, HashMap<Topic, Target>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Publisher for SqsPublisher {
    async fn publish(
        &self,
        topic: &Topic,
        batch: &[Outgoing],
        answers: &mut Vec<Result<MessageId, Error>>,
    ) {
        let target = match self.target(topic).await {
            Ok(target) => target,
            Err(error) => return answers.extend(batch.iter().map(|_| Err(error.clone()))),
        };
        let call = publishing(topic.as_str(), target.endpoint());
        let payloads = match self.shared.clients(topic.as_str()).await {
            Ok(clients) => clients.payloads.as_ref(),
            Err(error) => return answers.extend(batch.iter().map(|_| Err(error.clone()))),
        };
        let preparing: Vec<_> = batch
            .iter()
            .map(|outgoing| Box::pin(target.prepare(outgoing, payloads, call)))
            .collect();
        let mut prepared = stream::iter(preparing).buffered(AT_ONCE).enumerate();
        let groups = batch.iter().map(|outgoing| outgoing.message.group());
        let mut rounds = rounds(call, target.is_fifo(), groups);
        let mut entries = Vec::with_capacity(batch.len());
        while let Some((index, entry)) = prepared.next().await {
            entries.push(match entry {
                Ok(entry) => Some(entry),
                Err(error) => {
                    rounds.failed(index, error);
                    None
                }
            });
        }
        drop(prepared);
        let entries: Vec<_> = entries.iter().map(Option::as_ref).collect();
        let sent = target.send(rounds, &entries, call).await;
        if sent
            .iter()
            .any(|sent| matches!(sent, Err(Error::UnknownQueue { .. })))
        {
            // The next publication looks again: the target may have been made anew elsewhere.
            self.found().remove(topic);
        }
        answers.extend(sent);
    }

    /// Queues take [1 MiB](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html), and so may SNS topics: what
    /// [`MaximumMessageSize`](https://docs.aws.amazon.com/sns/latest/api/API_SetTopicAttributes.html) of one says is known from its first message on.
    /// With large payloads on S3 there is no limit. SNS drops the eleventh
    /// [attribute](https://docs.aws.amazon.com/sns/latest/dg/sns-message-attributes.html) with raw delivery.
    /// [Delays](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html) are for standard queues, and order is
    /// for FIFO queues and topics.
    fn capabilities(&self, topic: &Topic) -> PublishCapabilities {
        let name = topic.as_str();
        let queue = name.strip_prefix("sqs:");
        let is_queue =
            queue.is_some_and(|queue| Arn::parse(queue).is_none_or(|arn| !arn.is_topic()));
        let known = self.found().get(topic).map(Target::limit);
        PublishCapabilities {
            max_bytes: match self.shared.keeps_large_payloads() {
                true => None,
                false => Some(known.unwrap_or(SQS_BYTES)),
            },
            ..capabilities(is_queue, is_fifo(name))
        }
    }

    async fn check(&self, topics: &[Topic], mode: Open) -> Vec<Finding> {
        check::check(&self.shared, topics, mode).await
    }
}

impl fmt::Debug for SqsPublisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqsPublisher").finish_non_exhaustive()
    }
}
