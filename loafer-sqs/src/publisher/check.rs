//! What the command `check` says about topics: whether the SNS topic or the queue exists.

use futures_util::{StreamExt, stream};
use loafer_core::{
    Error,
    broker::{Finding, Open, Topic},
};

use super::{AT_ONCE, target::publishing, topic as sns};
use crate::{
    client::{Clients, Shared},
    names::{Arn, QueueAddress},
    topology::{self, Seen, SnsTopic},
};

/// Looks at these topics, and makes what is missing if `mode` says so. Returns a finding for each, in order.
pub(super) async fn check(shared: &Shared, topics: &[Topic], mode: Open) -> Vec<Finding> {
    // They are collected first, since the compiler can't see that a lazy iterator is `Send`.
    let looks: Vec<_> = topics
        .iter()
        .map(|topic| Box::pin(look(shared, topic.as_str(), mode)))
        .collect();
    let found = stream::iter(looks).buffered(AT_ONCE);
    found
        .map(|found| found.unwrap_or_else(|error| Finding::problem(error.to_string())))
        .collect()
        .await
}

async fn look(shared: &Shared, topic: &str, mode: Open) -> Result<Finding, Error> {
    let clients = shared.clients(topic).await?;
    let named = topic.strip_prefix("sqs:");
    match named.map(|named| (named, Arn::parse(named))) {
        Some((_, Some(arn))) if arn.is_topic() => by_arn(clients, arn.as_str()).await,
        Some((queue, _)) => look_at_queue(clients, queue, mode).await,
        None if Arn::parse(topic).is_some() => by_arn(clients, topic).await,
        None => by_name(clients, topic, mode).await,
    }
}

async fn look_at_queue(clients: &Clients, queue: &str, mode: Open) -> Result<Finding, Error> {
    let clients = clients.for_queue(queue);
    let call = publishing(queue, &clients.endpoint);
    let address = QueueAddress::parse(queue);
    let name = match topology::url(&clients.sqs, address, call).await {
        Ok(_) => {
            return Ok(exists(
                &format!("queue `{queue}` exists"),
                "sqs:SendMessage",
            ));
        }
        Err(Error::UnknownQueue { .. }) => address.name(),
        Err(error) => return Err(error),
    };
    // One that is named by its URL or ARN may belong to somebody else.
    if matches!(address, QueueAddress::Name(_)) && mode == Open::Create {
        let made = topology::Made::default();
        topology::make_queue(&clients, name, None, call, &made).await?;
        return Ok(exists(&made.take().join(", "), "sqs:SendMessage"));
    }
    Ok(Finding::problem(format!(
        "queue `{queue}` does not exist{}: {}, or check its name",
        clients.endpoint,
        match address {
            QueueAddress::Name(_) => "run `check --create`",
            QueueAddress::Url(_) | QueueAddress::Arn(_) => "create it",
        }
    )))
}

async fn by_name(clients: &Clients, name: &str, mode: Open) -> Result<Finding, Error> {
    let (client, endpoint) = clients.for_topic(name);
    let call = publishing(name, &endpoint);
    if sns::find(&client, name, call).await?.is_some() {
        return Ok(exists(
            &format!("the SNS topic `{name}` exists"),
            "sns:Publish",
        ));
    }
    if mode == Open::Create {
        topology::create_topic(&client, name, &clients.tags, call).await?;
        let made = format!("made the SNS topic `{name}`");
        tracing::info!(topic = name, "{made}");
        return Ok(exists(&made, "sns:Publish"));
    }
    Ok(Finding::problem(format!(
        "there is no SNS topic `{name}`{endpoint}: run `check --create`, or: {}; or set `name = \"…\"` (a name or ARN) under [topics.{name}] in \
         loafer.toml, or name a queue as `sqs:{name}`",
        topology::create_topic_line(&endpoint, name)
    )))
}

/// Looks at a topic that is named by its ARN, which may belong to somebody else: it is never made.
async fn by_arn(clients: &Clients, arn: &str) -> Result<Finding, Error> {
    let (client, endpoint) = clients.for_topic(arn);
    let Some(topic) = SnsTopic::new(&client, &endpoint, arn, arn) else {
        return Err(publishing(arn, &endpoint).refused("it is no ARN".to_owned(), None));
    };
    Ok(match topic.exists().await? {
        Seen::Yes => exists(&format!("the SNS topic `{arn}` exists"), "sns:Publish"),
        Seen::No => Finding::problem(format!(
            "there is no SNS topic `{arn}`: correct the ARN, or ask its owner to create it"
        )),
        Seen::Denied(action) => Finding::warning(format!(
            "the SNS topic `{arn}` was not checked: allow {action} on it"
        )),
    })
}

/// Returns the finding of what exists. No call says whether we may publish, except one that leaves a message.
fn exists(what: &str, action: &str) -> Finding {
    Finding::good(format!(
        "{what} (not tried, since it would leave a message: {action})"
    ))
}
