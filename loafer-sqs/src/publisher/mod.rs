//! The publisher: SNS topics by name or ARN, SQS queues as `sqs:NAME`.

mod calls;
mod queue;
mod topic;

use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::{StreamExt, stream};
use loafer_core::{Error, MessageId, Outgoing, Publisher, Topic};

pub(crate) use self::queue::send;
use crate::{
    config::{Clients, Shared},
    error::{Call, Place, again},
    parcel::{Parcel, SNS_BYTES, SQS_BYTES},
    payloads::{For, Store},
    queue::{is_fifo, url},
    replies::is_reply,
    seconds,
};

/// The longest delay of a message (SQS API: `SendMessage`, 15 minutes).
const DELAY: Duration = Duration::from_secs(900);

/// How many payloads of one publication are put elsewhere at once.
const AT_ONCE: usize = 8;

#[cfg(feature = "s3")]
const TOO_LARGE: &str = "keep large payloads on S3: `Sqs::with_large_payloads`";
#[cfg(not(feature = "s3"))]
const TOO_LARGE: &str = "send a reference instead, or keep large payloads on S3: the feature `s3` (of loafer: `sqs-s3`)";

/// Publishes to SNS topics and SQS queues.
///
/// A [`Topic`] is an SNS topic, by bare name (`friend-created`, found among the topics of account and region, once) or
/// by ARN; or a queue, as `sqs:NAME` or `sqs:URL`. A publication takes as few calls as ten messages and 1 MiB a call allow
/// (SNS: the topic's `MaximumMessageSize`, 256 KiB unless set or where it can't be read; SNS API: `SetTopicAttributes`). An
/// entry that fails inside an answered call, by no fault of ours, is tried again alone, up to four times.
///
/// Headers travel as `String` attributes, ten at most. FIFO topics and queues need the message's group; their
/// deduplication id is the message's own id unless one is given, whether or not the queue has content-based deduplication
/// (SQS API: an explicit id overrides it), so that a message tried again is the same one. On FIFO a message is sent once
/// the one before it in its group is in, and none after one that failed: a call has one message of a group. On standard
/// queues the group makes for fairness, not for order. A delay is of queues only: up to 15 minutes, and none on FIFO.
/// Answers carry the id that SQS or SNS gave.
pub struct SqsPublisher {
    shared: Arc<Shared>,
    /// Topics and queues already found: ARNs and URLs do not change.
    found: Mutex<HashMap<Topic, Target>>,
}

/// Where a topic leads.
#[derive(Clone)]
enum Target {
    Queue {
        client: aws_sdk_sqs::Client,
        place: Arc<Place>,
        url: Arc<str>,
    },
    Topic {
        client: aws_sdk_sns::Client,
        place: Arc<Place>,
        arn: Arc<str>,
        /// How large a message can be there.
        limit: usize,
    },
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
        // Of replies there may be an address a request, and each is good for a while.
        if sure && !is_reply(topic.as_str()) {
            self.found().insert(topic.clone(), target.clone());
        }
        Ok(target)
    }

    fn found(&self) -> std::sync::MutexGuard<'_, HashMap<Topic, Target>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where a topic leads, and whether that is so from now on.
async fn find(topic: &str, clients: &Clients) -> Result<(Target, bool), Error> {
    match topic.strip_prefix("sqs:") {
        Some(queue) => {
            let clients = clients.for_url(queue);
            let url = url(&clients.sqs, queue, None, publishing(queue, &clients.place))
                .await?
                .into();
            let target = Target::Queue {
                client: clients.sqs,
                place: clients.place,
                url,
            };
            Ok((target, true))
        }
        None => {
            let (client, place) = clients.sns_for(topic);
            let arn = topic::arn(&client, topic, publishing(topic, &place)).await?;
            let told = topic::limit(&client, &arn).await;
            let target = Target::Topic {
                client,
                place,
                arn,
                limit: told.unwrap_or(SNS_BYTES),
            };
            Ok((target, told.is_some()))
        }
    }
}

fn publishing<'a>(queue: &'a str, place: &'a Place) -> Call<'a> {
    Call {
        what: "publishing",
        queue,
        route: None,
        place,
    }
}

impl Target {
    fn place(&self) -> &Place {
        match self {
            Self::Queue { place, .. } | Self::Topic { place, .. } => place,
        }
    }

    fn is_fifo(&self) -> bool {
        match self {
            Self::Queue { url, .. } => is_fifo(url),
            Self::Topic { arn, .. } => is_fifo(arn),
        }
    }

    /// How large a message can be there.
    fn limit(&self) -> usize {
        match self {
            Self::Queue { .. } => SQS_BYTES,
            Self::Topic { limit, .. } => *limit,
        }
    }

    /// The message as it is sent there; its payload is put where it belongs, if that is elsewhere.
    async fn prepare<'m>(
        &self,
        outgoing: &'m Outgoing,
        payloads: Option<&Store>,
        call: Call<'_>,
    ) -> Result<Parcel<'m>, Error> {
        let refused = |cause| call.refused(cause, None);
        let limit = self.limit();
        let mut parcel = self.parcel(outgoing).map_err(refused)?;
        let most = payloads.map_or(limit, |store| store.threshold().min(limit));
        if let Some(store) = payloads.filter(|_| parcel.bytes() > most) {
            let (payload, of) = (outgoing.message.payload(), self.kept_for());
            // First: what is refused leaves no object behind.
            parcel.offload(&outgoing.optional).map_err(refused)?;
            let pointer = store.put(payload.clone(), of).await?;
            parcel.point(pointer.to_body());
        }
        parcel.leave_out(&outgoing.optional, |parcel| parcel.bytes() <= limit);
        match parcel.bytes() {
            bytes if bytes > limit => Err(refused(format!(
                "{bytes} bytes with its headers: {limit} is the most; {TOO_LARGE}"
            ))),
            _ => Ok(parcel),
        }
    }

    fn kept_for(&self) -> For {
        match self {
            Self::Queue { .. } => For::Queue,
            Self::Topic { .. } => For::Topic,
        }
    }

    /// The message as it is sent there, whatever its size, or why it can't be.
    fn parcel<'m>(&self, outgoing: &'m Outgoing) -> Result<Parcel<'m>, String> {
        let fifo = self.is_fifo();
        let mut parcel = Parcel::of(outgoing, fifo)?;
        parcel.delay = match (outgoing.delay, self) {
            (None, _) => None,
            (Some(_), Self::Topic { .. }) => {
                return Err("SNS has no delay: publish to a queue, as `sqs:NAME`".to_owned());
            }
            (Some(_), _) if fifo => {
                return Err("FIFO queues have no delay of a single message".to_owned());
            }
            (Some(delay), _) if delay > DELAY => {
                return Err(format!("a delay of {delay:?}: SQS delays up to 15 minutes"));
            }
            (Some(delay), _) => Some(seconds::up(delay) as i32),
        };
        Ok(parcel)
    }

    async fn send(&self, parcels: &[Parcel<'_>], call: Call<'_>) -> Vec<Result<MessageId, Error>> {
        match self {
            Self::Queue { client, url, .. } => send(client, url, parcels, call).await,
            Self::Topic {
                client, arn, limit, ..
            } => topic::publish(client, arn, *limit, parcels, call).await,
        }
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
            Err(error) => return answers.extend(batch.iter().map(|_| Err(again(&error)))),
        };
        let call = publishing(topic.as_str(), target.place());
        let payloads = match self.shared.clients(topic.as_str()).await {
            Ok(clients) => clients.payloads.as_ref(),
            Err(error) => return answers.extend(batch.iter().map(|_| Err(again(&error)))),
        };
        let preparing: Vec<_> = batch
            .iter()
            .map(|outgoing| Box::pin(target.prepare(outgoing, payloads, call)))
            .collect();
        let mut prepared = stream::iter(preparing).buffered(AT_ONCE).enumerate();
        let (mut sendable, mut faults) = (Vec::with_capacity(batch.len()), Vec::new());
        // The groups of which one can't be sent: what follows it would overtake it.
        let mut overtaken = HashSet::new();
        while let Some((place, parcel)) = prepared.next().await {
            let group = batch[place].message.group();
            match parcel {
                _ if overtaken.contains(&group) => faults.push((place, call.unsent())),
                Ok(parcel) => sendable.push(parcel),
                Err(error) => {
                    faults.push((place, error));
                    overtaken.extend(target.is_fifo().then_some(group));
                }
            }
        }
        drop(prepared);
        let sent = target.send(&sendable, call).await;
        if sent
            .iter()
            .any(|sent| matches!(sent, Err(Error::UnknownQueue { .. })))
        {
            // Found anew by the next one: it may have been made again elsewhere.
            self.found().remove(topic);
        }
        let (mut sent, mut faults) = (sent.into_iter(), faults.into_iter().peekable());
        answers.extend((0..batch.len()).map(|place| {
            match faults.next_if(|(faulty, _)| *faulty == place) {
                Some((_, fault)) => Err(fault),
                None => sent.next().unwrap_or_else(|| Err(call.unanswered())),
            }
        }));
    }
}

impl fmt::Debug for SqsPublisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqsPublisher").finish_non_exhaustive()
    }
}
