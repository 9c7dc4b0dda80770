//! A queue, found by name or URL, with its attributes; made where it may be.

use std::{collections::HashMap, time::Duration};

use aws_sdk_sqs::{
    Client,
    error::{ProvideErrorMetadata, SdkError},
    types::QueueAttributeName as Name,
};
use loafer_core::Error;
use serde_json::Value;

use crate::{error::Call, remedy};

/// What a queue says of itself.
#[derive(Debug, Default)]
pub(crate) struct Attributes {
    /// Its `VisibilityTimeout`; none where we may not read it.
    pub(crate) lease: Option<Duration>,
    /// Its `RedrivePolicy`.
    pub(crate) redrive: Option<Redrive>,
    /// Its ARN.
    pub(crate) arn: Option<String>,
    /// Its `MessageRetentionPeriod`.
    pub(crate) retention: Option<Duration>,
    /// How many messages it holds, about: visible, delayed and in flight.
    pub(crate) messages: u64,
    /// Its `Policy`: who may do what with it.
    pub(crate) policy: Option<String>,
}

/// Where SQS puts what was received too often.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Redrive {
    /// The ARN of the dead-letter queue.
    pub(crate) target: String,
    /// After how many receives.
    pub(crate) max_receives: Option<u32>,
}

/// FIFO queues and topics, and no others, end so (SQS API: `CreateQueue`).
pub(crate) fn is_fifo(name: &str) -> bool {
    name.ends_with(".fifo")
}

/// The name in a queue's URL or ARN; a name is its own.
pub(crate) fn name(queue: &str) -> &str {
    queue.rsplit(['/', ':']).next().unwrap_or(queue)
}

/// Whether a queue is named by its URL.
pub(crate) fn is_url(queue: &str) -> bool {
    queue.starts_with("https://") || queue.starts_with("http://")
}

/// Whether a queue is named by its ARN.
pub(crate) fn is_arn(queue: &str) -> bool {
    queue.starts_with("arn:")
}

/// The URL of a queue; a URL is its own.
pub(crate) async fn url(
    client: &Client,
    queue: &str,
    account: Option<&str>,
    call: Call<'_>,
) -> Result<String, Error> {
    if is_url(queue) {
        return Ok(queue.to_owned());
    }
    let found = client
        .get_queue_url()
        .queue_name(queue)
        .set_queue_owner_aws_account_id(account.map(str::to_owned));
    let found = Box::pin(found.send())
        .await
        .map_err(|error| call.failed(&error))?;
    found.queue_url.ok_or_else(|| call.unanswered())
}

/// The URL of the queue that an ARN names: `arn:aws:sqs:REGION:ACCOUNT:NAME`.
pub(crate) async fn url_of_arn(
    client: &Client,
    arn: &str,
    call: Call<'_>,
) -> Result<String, Error> {
    let mut parts = arn.rsplit(':');
    let (name, account) = (parts.next().unwrap_or_default(), parts.next());
    url(
        client,
        name,
        account,
        Call {
            queue: name,
            route: None,
            ..call
        },
    )
    .await
}

/// Whether the dead-letter queue that would be made for a queue, by its ARN, is there to be seen.
pub(crate) async fn has_letters(client: &Client, arn: &str, call: Call<'_>) -> bool {
    let found = url_of_arn(client, &dead_letter_name(arn), call).await;
    found.is_ok()
}

/// The attributes of a queue; none of them where we may not read them.
pub(crate) async fn attributes(
    client: &Client,
    url: &str,
    call: Call<'_>,
) -> Result<Option<Attributes>, Error> {
    let asked = client
        .get_queue_attributes()
        .queue_url(url)
        .attribute_names(Name::All);
    match Box::pin(asked.send()).await {
        Ok(told) => Ok(Some(read(&told.attributes.unwrap_or_default()))),
        Err(error) if is_denied(&error) => Ok(None),
        Err(error) => Err(call.failed(&error)),
    }
}

/// Whether a call was refused for want of a right.
pub(crate) fn is_denied<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    let code = error.code().unwrap_or_default();
    code.contains("AccessDenied") || code.contains("AuthorizationError")
}

fn read(attributes: &HashMap<Name, String>) -> Attributes {
    let number = |name: &Name| -> Option<u64> { attributes.get(name)?.parse().ok() };
    let counts = [
        Name::ApproximateNumberOfMessages,
        Name::ApproximateNumberOfMessagesDelayed,
        Name::ApproximateNumberOfMessagesNotVisible,
    ];
    Attributes {
        lease: number(&Name::VisibilityTimeout).map(Duration::from_secs),
        arn: attributes.get(&Name::QueueArn).cloned(),
        retention: number(&Name::MessageRetentionPeriod).map(Duration::from_secs),
        messages: counts.iter().filter_map(number).sum(),
        policy: attributes.get(&Name::Policy).cloned(),
        redrive: attributes
            .get(&Name::RedrivePolicy)
            .and_then(|policy| redrive(policy)),
    }
}

/// Reads `{"deadLetterTargetArn": "…", "maxReceiveCount": 3}`; the count may be a string.
fn redrive(policy: &str) -> Option<Redrive> {
    let policy: Value = serde_json::from_str(policy).ok()?;
    let max_receives = match policy.get("maxReceiveCount") {
        Some(Value::String(count)) => count.parse().ok(),
        Some(count) => count.as_u64().and_then(|count| u32::try_from(count).ok()),
        None => None,
    };
    let target = policy.get("deadLetterTargetArn")?.as_str()?.to_owned();
    Some(Redrive {
        target,
        max_receives,
    })
}

/// The URL of a queue, which is made with its dead-letter queue if it is not there; `made` is told what was. What is there is not touched.
pub(crate) async fn create(
    client: &Client,
    queue: &str,
    lease: Option<i32>,
    call: Call<'_>,
    made: &mut Vec<String>,
) -> Result<String, Error> {
    match url(client, queue, None, call).await {
        Err(Error::UnknownQueue { .. }) => {}
        found => return found,
    }
    let letters = dead_letter_name(queue);
    let letters_url = match url(client, &letters, None, call).await {
        Err(Error::UnknownQueue { .. }) => {
            let url = make_letters(client, &letters, call).await?;
            made.push(format!("made the dead-letter queue `{letters}`"));
            url
        }
        found => found?,
    };
    let asked = client
        .get_queue_attributes()
        .queue_url(letters_url)
        .attribute_names(Name::QueueArn);
    let told = Box::pin(asked.send())
        .await
        .map_err(|error| call.failed(&error))?;
    let arn = told
        .attributes
        .unwrap_or_default()
        .remove(&Name::QueueArn)
        .ok_or_else(|| call.unanswered())?;
    let redrive = remedy::redrive(&arn).to_string();
    let lease = lease.map(|lease| (Name::VisibilityTimeout, lease.to_string()));
    let attributes = [(Name::RedrivePolicy, redrive)].into_iter().chain(lease);
    let url = make(client, queue, attributes, call).await?;
    made.push(format!("made queue `{queue}`"));
    Ok(url)
}

/// Makes a dead-letter queue, which keeps its messages for as long as there is.
pub(crate) async fn make_letters(
    client: &Client,
    name: &str,
    call: Call<'_>,
) -> Result<String, Error> {
    let kept = (Name::MessageRetentionPeriod, remedy::KEPT.to_string());
    make(client, name, [kept], call).await
}

async fn make(
    client: &Client,
    name: &str,
    attributes: impl IntoIterator<Item = (Name, String)>,
    call: Call<'_>,
) -> Result<String, Error> {
    let mut attributes: HashMap<_, _> = attributes.into_iter().collect();
    if is_fifo(name) {
        attributes.insert(Name::FifoQueue, "true".to_owned());
    }
    let made = client
        .create_queue()
        .queue_name(name)
        .set_attributes(Some(attributes));
    let made = Box::pin(made.send())
        .await
        .map_err(|error| call.failed(&error))?;
    tracing::info!(queue = name, "made a queue");
    made.queue_url.ok_or_else(|| call.unanswered())
}

/// `orders-dlq` for `orders`, `orders-dlq.fifo` for `orders.fifo`.
pub(crate) fn dead_letter_name(queue: &str) -> String {
    match queue.strip_suffix(".fifo") {
        Some(name) => format!("{name}-dlq.fifo"),
        None => format!("{queue}-dlq"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redrive_policy_counts_in_numbers_or_strings() {
        let read = |count: &str| {
            redrive(&format!(
                r#"{{"deadLetterTargetArn":"arn:q","maxReceiveCount":{count}}}"#
            ))
        };
        let expected = |max_receives| {
            Some(Redrive {
                target: "arn:q".into(),
                max_receives,
            })
        };
        assert_eq!(read("3"), expected(Some(3)));
        assert_eq!(read("\"1000\""), expected(Some(1000)));
        assert_eq!(read("-1"), expected(None));
        assert_eq!(redrive("{}"), None);
        assert_eq!(redrive("no JSON"), None);
    }

    #[test]
    fn a_dead_letter_queue_is_fifo_as_its_source_is() {
        assert_eq!(dead_letter_name("orders"), "orders-dlq");
        assert_eq!(dead_letter_name("orders.fifo"), "orders-dlq.fifo");
    }

    #[test]
    fn a_queue_is_named_or_addressed() {
        assert!(is_url("http://127.0.0.1:9324/000000000000/orders"));
        assert!(!is_url("httpd-events"));
    }
}
