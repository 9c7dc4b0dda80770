//! A queue, found by name, URL or ARN, with its attributes.

use std::{collections::HashMap, time::Duration};

use aws_sdk_sqs::{Client, types::QueueAttributeName as Name};
use loafer_core::{Error, broker::Depth};
use serde_json::Value;

use crate::{
    client::Clients,
    error::{Call, is_denied},
    names::{Arn, QueueAddress, dead_letter_queue},
};

/// A queue that exists.
pub(crate) struct Found {
    /// The clients for its region.
    pub(crate) clients: Clients,
    pub(crate) url: String,
    /// `None` means that we may not read them.
    pub(crate) attributes: Option<Attributes>,
}

/// The attributes of a queue.
#[derive(Debug, Default)]
pub(crate) struct Attributes {
    /// Its `VisibilityTimeout`.
    pub(crate) lease: Option<Duration>,
    /// Its `RedrivePolicy`.
    pub(crate) redrive: Option<Redrive>,
    /// Its ARN.
    pub(crate) arn: Option<String>,
    /// Its `MessageRetentionPeriod`.
    pub(crate) retention: Option<Duration>,
    /// Its `MaximumMessageSize`.
    pub(crate) max_bytes: Option<usize>,
    /// About how many messages it holds.
    pub(crate) depth: Depth,
    /// Its `KmsMasterKeyId`: the key that it is encrypted with, unless that is SQS's own.
    pub(crate) key: Option<String>,
    /// Its `Policy`, which says who may do what with it.
    pub(crate) policy: Option<String>,
}

impl Attributes {
    /// About how many messages it holds: visible, delayed and in flight.
    pub(crate) fn messages(&self) -> u64 {
        let Depth {
            ready,
            in_flight,
            delayed,
            ..
        } = self.depth;
        [ready, in_flight, delayed].into_iter().flatten().sum()
    }
}

/// Where SQS moves a message that was received too often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Redrive {
    /// The ARN of the dead-letter queue.
    pub(crate) target: String,
    /// After how many receives SQS moves a message.
    pub(crate) max_receives: Option<u32>,
}

/// Finds a queue and reads its attributes.
pub(crate) async fn find(
    clients: Clients,
    address: QueueAddress<'_>,
    call: Call<'_>,
) -> Result<Found, Error> {
    let url = url(&clients.sqs, address, call).await?;
    let attributes = attributes(&clients.sqs, &url, call).await?;
    let found = Found {
        clients,
        url,
        attributes,
    };
    check_found(address, found.attributes.as_ref(), call)?;
    Ok(found)
}

/// Returns the URL of a queue. A URL is not asked for.
pub(crate) async fn url(
    client: &Client,
    address: QueueAddress<'_>,
    call: Call<'_>,
) -> Result<String, Error> {
    let account = match address {
        QueueAddress::Url(url) => return Ok(url.to_owned()),
        QueueAddress::Name(_) => None,
        QueueAddress::Arn(arn) => arn.account(),
    };
    let found = client
        .get_queue_url()
        .queue_name(address.name())
        .set_queue_owner_aws_account_id(account.map(str::to_owned));
    let found = Box::pin(found.send())
        .await
        .map_err(|error| call.failed(&error))?;
    found.queue_url.ok_or_else(|| call.unanswered())
}

/// Refuses a queue that was found in place of the one that an ARN names: an endpoint of one region may know another queue of that name.
fn check_found(
    address: QueueAddress<'_>,
    attributes: Option<&Attributes>,
    call: Call<'_>,
) -> Result<(), Error> {
    let found = attributes.and_then(|attributes| attributes.arn.as_deref());
    match (address, found) {
        (QueueAddress::Arn(arn), Some(found)) if found != arn.as_str() => {
            let cause = format!("`{found}` was found in its place: name the queue by its URL");
            Err(call.refused(cause, None))
        }
        _ => Ok(()),
    }
}

/// Returns whether the dead-letter queue that we would make for a queue can be found. The queue is named by its ARN.
pub(crate) async fn has_dead_letter_queue(client: &Client, arn: &str, call: Call<'_>) -> bool {
    let Some(arn) = Arn::parse(arn) else {
        return false;
    };
    let target = arn.beside(&dead_letter_queue(arn.name()));
    url(client, QueueAddress::parse(&target), call)
        .await
        .is_ok()
}

/// Reads the attributes of a queue. `None` means that we may not read them.
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
        Ok(answer) => Ok(Some(read(&answer.attributes.unwrap_or_default()))),
        Err(error) if is_denied(&error) => Ok(None),
        Err(error) => Err(call.failed(&error)),
    }
}

fn read(attributes: &HashMap<Name, String>) -> Attributes {
    let number = |name: &Name| -> Option<u64> { attributes.get(name)?.parse().ok() };
    let mut depth = Depth::default();
    depth.ready = number(&Name::ApproximateNumberOfMessages);
    depth.in_flight = number(&Name::ApproximateNumberOfMessagesNotVisible);
    depth.delayed = number(&Name::ApproximateNumberOfMessagesDelayed);
    Attributes {
        lease: number(&Name::VisibilityTimeout).map(Duration::from_secs),
        arn: attributes.get(&Name::QueueArn).cloned(),
        retention: number(&Name::MessageRetentionPeriod).map(Duration::from_secs),
        max_bytes: number(&Name::MaximumMessageSize).and_then(|most| most.try_into().ok()),
        depth,
        key: attributes
            .get(&Name::KmsMasterKeyId)
            .filter(|key| !key.is_empty())
            .cloned(),
        policy: attributes.get(&Name::Policy).cloned(),
        redrive: attributes
            .get(&Name::RedrivePolicy)
            .and_then(|policy| redrive(policy)),
    }
}

/// Reads `{"deadLetterTargetArn": "…", "maxReceiveCount": 3}`. The count may be a string.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::Endpoint;

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
    fn an_arn_finds_no_queue_but_its_own() {
        let endpoint = Endpoint::new("sqs", "eu-west-1", None);
        let call = Call::new("finding", "orders", &endpoint);
        let address = QueueAddress::parse("arn:aws:sqs:eu-west-1:1:orders");
        let of = |account: u32| Attributes {
            arn: Some(format!("arn:aws:sqs:eu-west-1:{account}:orders")),
            ..Attributes::default()
        };
        assert!(check_found(address, Some(&of(1)), call).is_ok());
        assert!(check_found(address, Some(&of(2)), call).is_err());
        assert!(check_found(address, None, call).is_ok());
        assert!(check_found(QueueAddress::Name("orders"), Some(&of(2)), call).is_ok());
    }
}
