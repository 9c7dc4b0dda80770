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

use futures_util::{
    FutureExt, StreamExt,
    future::{self, BoxFuture, WeakShared},
    stream,
};
use loafer_core::{
    Error,
    broker::{Finding, Open, PublishCapabilities, Publisher, Topic},
    message::{MessageId, Outgoing},
};

pub(crate) use self::calls::{is_too_long, send};
use self::{
    calls::rounds,
    target::{Target, capabilities, find, publishing},
};
use crate::{
    check::publishing_policy,
    client::Shared,
    error::{code, is_denial},
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
/// A publication makes as few calls as ten messages and 1 MiB a call allow. A message can have as many bytes as the `MaximumMessageSize` of its queue
/// says: 1 MiB if that can't be read, which needs `sqs:GetQueueAttributes` (SQS API: `SetQueueAttributes`). For SNS the limit of a message and of a call is the topic's
/// `MaximumMessageSize`: 256 KiB if it is not set or can't be read (SNS API: `SetTopicAttributes`). It is read with the first message, and again after one
/// was refused. A call that is refused as too long is sent again as smaller ones. An entry that fails inside
/// an answered call, by no fault of ours, is tried again alone, up to four times. What SQS and SNS don't carry, such as a control character, fails alone
/// and before the call.
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
    /// The topics and queues that were found, and those that are looked for now.
    found: Mutex<HashMap<Topic, Looked>>,
}

/// What is known of a topic.
enum Looked {
    /// It was found: ARNs and URLs do not change.
    Found(Target),
    /// Somebody looks for it, and whoever needs it meanwhile waits for the same answer: a cold start makes one look-up a topic. It is dropped with the last of
    /// them.
    Looking(WeakShared<Look>),
}

/// A look-up: the target, and whether it may be kept.
type Look = BoxFuture<'static, Result<(Target, bool), Error>>;

impl SqsPublisher {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            found: Mutex::default(),
        }
    }

    async fn target(&self, topic: &Topic) -> Result<Target, Error> {
        let looking = {
            let mut found = self.found();
            let looking = match found.get(topic) {
                Some(Looked::Found(target)) => return Ok(target.clone()),
                Some(Looked::Looking(looking)) => looking.upgrade(),
                None => None,
            };
            looking.unwrap_or_else(|| {
                let looking = self.look(topic.clone());
                if let Some(weak) = looking.downgrade() {
                    found.insert(topic.clone(), Looked::Looking(weak));
                }
                looking
            })
        };
        let answer = looking.clone().await;
        let mut found = self.found();
        // The first of those who waited keeps the answer, or clears the way for the next look-up.
        if let Some(Looked::Looking(same)) = found.get(topic)
            && same.upgrade().is_some_and(|same| same.ptr_eq(&looking))
        {
            match &answer {
                // Each request can have a reply address of its own, which lives for a while only.
                Ok((target, true)) if !is_reply(topic.as_str()) => {
                    found.insert(topic.clone(), Looked::Found(target.clone()));
                }
                Ok(_) | Err(_) => _ = found.remove(topic),
            }
        }
        answer.map(|(target, _)| target)
    }

    fn look(&self, topic: Topic) -> future::Shared<Look> {
        let shared = Arc::clone(&self.shared);
        let look = async move {
            let clients = shared.clients(topic.as_str()).await?;
            find(topic.as_str(), clients).await
        };
        look.boxed().shared()
    }

    fn found(&self) -> MutexGuard<'_, HashMap<Topic, Looked>> {
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
        if sent.iter().any(|sent| sent.as_ref().is_err_and(is_stale)) {
            // The next publication looks again: the target may have been made anew elsewhere, or take less than it did.
            self.found().remove(topic);
        }
        answers.extend(sent);
    }

    /// Queues take [1 MiB](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html), and so may SNS topics, unless
    /// their [`MaximumMessageSize`](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html) says less. What it says
    /// is known from the first message on.
    /// With large payloads on S3 there is no limit. SNS drops the eleventh
    /// [attribute](https://docs.aws.amazon.com/sns/latest/dg/sns-message-attributes.html) with raw delivery.
    /// [Delays](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html) are for standard queues, and order is
    /// for FIFO queues and topics.
    fn capabilities(&self, topic: &Topic) -> PublishCapabilities {
        let name = topic.as_str();
        let queue = name.strip_prefix("sqs:");
        let is_queue =
            queue.is_some_and(|queue| Arn::parse(queue).is_none_or(|arn| !arn.is_topic()));
        let known = match self.found().get(topic) {
            Some(Looked::Found(target)) => Some(target.limit()),
            Some(Looked::Looking(_)) | None => None,
        };
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

    /// Returns a policy of IAM.
    fn rights(&self, topics: &[Topic]) -> Option<serde_json::Value> {
        let topics = topics.iter().map(Topic::as_str);
        Some(publishing_policy(&self.shared, topics))
    }
}

/// Returns whether what is known of a topic may not hold any more: it is gone, or AWS refused what should fit.
fn is_stale(error: &Error) -> bool {
    match error {
        Error::UnknownQueue { .. } => true,
        Error::Refused { .. } => code(error).is_some_and(|code| !is_denial(code)),
        _ => false,
    }
}

impl fmt::Debug for SqsPublisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqsPublisher").finish_non_exhaustive()
    }
}
