//! What a route needs and does not find is made: its queue, dead-letter queue, topic and subscription. What exists is not changed.

use std::{
    collections::HashMap,
    mem,
    sync::{Mutex, PoisonError},
};

use aws_sdk_sqs::types::QueueAttributeName as Name;
use loafer_core::Error;
use serde_json::{Value, json};

use super::{
    find::{Attributes, Found, url},
    topic::{self, Seen, SnsTopic},
};
use crate::{
    client::{Clients, Tags},
    error::Call,
    names::{Arn, QueueAddress, dead_letter_queue, is_fifo},
};

/// After how many receives a queue should move a message to its dead letters. It is ten, since a release costs a receive too.
pub(crate) const MAX_RECEIVES: u32 = 10;
/// How long a dead-letter queue should keep its messages, in seconds: 14 days, the maximum (SQS API: `MessageRetentionPeriod`).
pub(crate) const KEPT: u32 = 1_209_600;

/// Returns a redrive policy with this target.
pub(crate) fn redrive_policy(target: &str) -> Value {
    json!({ "deadLetterTargetArn": target, "maxReceiveCount": MAX_RECEIVES })
}

/// Sentences about what was made, until `check` shows them.
#[derive(Default)]
pub(crate) struct Made(Mutex<Vec<String>>);

impl Made {
    fn add(&self, queue: &str, made: String) {
        tracing::info!(queue, "{made}");
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(made);
    }

    /// Takes the sentences out.
    pub(crate) fn take(&self) -> Vec<String> {
        mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Returns the URL of a queue, and whether it had to be made. What is made has the tags of the settings. With the queue its dead-letter queue is made, if that is missing too.
pub(crate) async fn queue(
    clients: &Clients,
    name: &str,
    lease: Option<i32>,
    call: Call<'_>,
    made: &Made,
) -> Result<(String, bool), Error> {
    let client = &clients.sqs;
    match url(client, QueueAddress::Name(name), call).await {
        Err(Error::UnknownQueue { .. }) => {}
        found => return Ok((found?, false)),
    }
    let target = dead_letter_queue(name);
    let target_url = match url(client, QueueAddress::Name(&target), call).await {
        Err(Error::UnknownQueue { .. }) => {
            let url = make_dead_letter_queue(clients, &target, call).await?;
            made.add(name, format!("made the dead-letter queue `{target}`"));
            url
        }
        found => found?,
    };
    let asked = client
        .get_queue_attributes()
        .queue_url(target_url)
        .attribute_names(Name::QueueArn);
    let answer = Box::pin(asked.send())
        .await
        .map_err(|error| call.failed(&error))?;
    let arn = answer
        .attributes
        .unwrap_or_default()
        .remove(&Name::QueueArn)
        .ok_or_else(|| call.unanswered())?;
    let redrive = redrive_policy(&arn).to_string();
    let lease = lease.map(|lease| (Name::VisibilityTimeout, lease.to_string()));
    let attributes = [(Name::RedrivePolicy, redrive)].into_iter().chain(lease);
    let url = make(clients, name, attributes, call).await?;
    made.add(name, format!("made queue `{name}`"));
    Ok((url, true))
}

/// Makes what the redrive policy of a queue names, and the topics that feed the queue. `is_new` says that the queue was made just now.
pub(crate) async fn complete(
    found: &Found,
    topics: &[SnsTopic<'_>],
    is_new: bool,
    call: Call<'_>,
    made: &Made,
) -> Result<(), Error> {
    if let Some(attributes) = &found.attributes {
        complete_dead_letters(found, attributes, call, made).await?;
    }
    let mut feeding = Vec::new();
    for topic in topics {
        match feed(topic, &found.clients.tags, call, made).await {
            Ok(true) => feeding.push(topic),
            Ok(false) => {}
            Err(error) => unconnected(call, &error),
        }
    }
    if is_new
        && !feeding.is_empty()
        && let Err(error) = let_send(found, &feeding, call, made).await
    {
        unconnected(call, &error);
    }
    Ok(())
}

/// Says that a topic does not reach the queue. The queue can be consumed without it, and `check` says what is missing.
fn unconnected(call: Call<'_>, error: &Error) {
    tracing::warn!(queue = call.queue, %error, "could not connect the queue to its SNS topic");
}

/// Makes the dead-letter queue that a redrive policy names, if it is missing and belongs to the same account and region.
async fn complete_dead_letters(
    found: &Found,
    attributes: &Attributes,
    call: Call<'_>,
    made: &Made,
) -> Result<(), Error> {
    let own = attributes.arn.as_deref().and_then(Arn::parse);
    let redrive = attributes.redrive.as_ref();
    let target = redrive.and_then(|redrive| Arn::parse(&redrive.target));
    let (Some(own), Some(target)) = (own, target) else {
        return Ok(());
    };
    if !own.is_beside(&target) {
        return Ok(());
    }
    let (sqs, name) = (&found.clients.sqs, target.name());
    let address = QueueAddress::Arn(target);
    if let Err(Error::UnknownQueue { .. }) = url(sqs, address, call.on(name)).await {
        make_dead_letter_queue(&found.clients, name, call).await?;
        made.add(call.queue, format!("made the dead-letter queue `{name}`"));
    }
    Ok(())
}

/// Makes and subscribes a topic where it is missing. Returns whether it feeds the queue now.
async fn feed(
    topic: &SnsTopic<'_>,
    tags: &Tags,
    call: Call<'_>,
    made: &Made,
) -> Result<bool, Error> {
    let queue = call.queue;
    if topic.is_pattern() || !topic.fits() {
        return Ok(false);
    }
    match topic.exists().await? {
        Seen::No if !topic.is_named_by_arn() => {
            topic.create(tags).await?;
            made.add(queue, format!("made the SNS topic `{}`", topic.name()));
        }
        Seen::Yes => {}
        // A topic that we may not see can exist, and a topic named by its ARN may belong to somebody else.
        Seen::No | Seen::Denied(_) => return Ok(false),
    }
    if matches!(topic.is_subscribed().await?, Seen::No) {
        topic.subscribe().await?;
        let name = topic.name();
        made.add(
            queue,
            format!("subscribed queue `{queue}` to the SNS topic `{name}`"),
        );
    }
    Ok(true)
}

/// Gives a queue that was made just now a policy that lets these topics send.
async fn let_send(
    found: &Found,
    topics: &[&SnsTopic<'_>],
    call: Call<'_>,
    made: &Made,
) -> Result<(), Error> {
    let queue = call.queue;
    let policy = topic::policy(None, topics.iter().copied()).to_string();
    let call = Call {
        what: "setting the policy",
        ..call
    };
    let set = found.clients.sqs.set_queue_attributes();
    let set = set.queue_url(&found.url).attributes(Name::Policy, policy);
    Box::pin(set.send())
        .await
        .map_err(|error| call.failed(&error))?;
    for topic in topics {
        let name = topic.name();
        made.add(
            queue,
            format!("let the SNS topic `{name}` send to queue `{queue}`"),
        );
    }
    Ok(())
}

/// Makes a dead-letter queue that keeps its messages as long as SQS can.
async fn make_dead_letter_queue(
    clients: &Clients,
    name: &str,
    call: Call<'_>,
) -> Result<String, Error> {
    let kept = (Name::MessageRetentionPeriod, KEPT.to_string());
    make(clients, name, [kept], call).await
}

async fn make(
    clients: &Clients,
    name: &str,
    attributes: impl IntoIterator<Item = (Name, String)>,
    call: Call<'_>,
) -> Result<String, Error> {
    let mut attributes: HashMap<_, _> = attributes.into_iter().collect();
    if is_fifo(name) {
        attributes.insert(Name::FifoQueue, "true".to_owned());
    }
    let tags = (*clients.tags).clone();
    let made = clients
        .sqs
        .create_queue()
        .queue_name(name)
        .set_tags((!tags.is_empty()).then(|| tags.into_iter().collect()))
        .set_attributes(Some(attributes));
    let made = Box::pin(made.send())
        .await
        .map_err(|error| call.failed(&error))?;
    made.queue_url.ok_or_else(|| call.unanswered())
}
