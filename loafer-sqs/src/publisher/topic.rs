//! Publishing to an SNS topic. Only SQS has a second service to publish to.

use std::{collections::HashMap, sync::Arc};

use aws_sdk_sns::{
    Client,
    error::BuildError,
    primitives::Blob,
    types::{MessageAttributeValue, PublishBatchRequestEntry as SnsEntry},
};
use loafer_core::{Error, broker::Rounds, message::MessageId};

use super::calls::{Answers, Said, Sending, in_calls};
use crate::{
    client::{Fault, by_entry, none_sent},
    error::{Call, is_denied},
    names::Arn,
    outgoing::{Entry, SNS_BYTES, Value},
};

const NO_LIST: &str =
    "its ARN can't be looked up by its name: allow sns:ListTopics, or name the topic by its ARN";

/// Returns the ARN of a topic. A name is looked up.
pub(super) async fn arn(client: &Client, topic: &str, call: Call<'_>) -> Result<Arc<str>, Error> {
    if Arn::parse(topic).is_some() {
        return Ok(topic.into());
    }
    let found = find(client, topic, call).await?;
    found.ok_or_else(|| unknown(topic, call))
}

/// Looks a topic up by its name, with a call for each hundred topics. `None` means that there is none of this name.
pub(super) async fn find(
    client: &Client,
    topic: &str,
    call: Call<'_>,
) -> Result<Option<Arc<str>>, Error> {
    let mut from = None;
    loop {
        let page = client.list_topics().set_next_token(from);
        let page = Box::pin(page.send())
            .await
            .map_err(|error| match is_denied(&error) {
                true => call.refused(NO_LIST.to_owned(), None),
                false => call.failed(&error),
            })?;
        let mut arns = page.topics().iter().filter_map(|topic| topic.topic_arn());
        if let Some(arn) = arns.find(|arn| topic_name(arn) == topic) {
            return Ok(Some(arn.into()));
        }
        from = page.next_token;
        if from.is_none() {
            return Ok(None);
        }
    }
}

fn topic_name(arn: &str) -> &str {
    Arn::parse(arn).map_or(arn, |arn| arn.name())
}

fn unknown(topic: &str, call: Call<'_>) -> Error {
    let cause = format!(
        "there is no SNS topic of that name{}: create it, or set `name = \"…\"` (a name or ARN) under [topics.{topic}] in \
         loafer.toml, or name a queue as `sqs:{topic}`",
        call.endpoint
    );
    call.refused(cause, None)
}

/// Returns how many bytes a message on a topic, or all messages of a call, can have: its attribute `MaximumMessageSize`, 1 KiB to 1 MiB (SNS
/// API: `SetTopicAttributes`, `PublishBatch`). If that is not set or we may not read it, it is the default of 256 KiB. `None` means that
/// asking failed and should be repeated.
pub(super) async fn limit(client: &Client, arn: &str) -> Option<usize> {
    let asked = client.get_topic_attributes().topic_arn(arn);
    match Box::pin(asked.send()).await {
        Ok(answer) => {
            let set = answer
                .attributes()
                .and_then(|all| all.get("MaximumMessageSize"));
            Some(set.and_then(|set| set.parse().ok()).unwrap_or(SNS_BYTES))
        }
        Err(error) => is_denied(&error).then_some(SNS_BYTES),
    }
}

/// Publishes the entries of these rounds to a topic, `limit` bytes a call; returns an answer for each, in order.
pub(super) async fn publish(
    rounds: Rounds<'_>,
    client: &Client,
    arn: &str,
    limit: usize,
    entries: &[Option<&Entry<'_>>],
    call: Call<'_>,
) -> Answers {
    let sending = |ten| -> Sending<'_> { Box::pin(publish_ten(client, arn, ten, call)) };
    in_calls(rounds, entries, limit, call, sending).await
}

async fn publish_ten(client: &Client, arn: &str, ten: Vec<&Entry<'_>>, call: Call<'_>) -> Said {
    let entries = ten
        .iter()
        .enumerate()
        .map(|(id, entry)| sns_entry(id, entry))
        .collect::<Result<Vec<_>, _>>();
    let entries = match entries {
        Ok(entries) => entries,
        Err(error) => return none_sent(ten.len(), || call.unsendable(&error)),
    };
    let batch = client
        .publish_batch()
        .topic_arn(arn)
        .set_publish_batch_request_entries(Some(entries));
    match Box::pin(batch.send()).await {
        Ok(answer) => {
            let sent = answer
                .successful()
                .iter()
                .filter_map(|sent| Some((sent.id()?, Ok(MessageId::from(sent.message_id()?)))));
            let failed = answer.failed().iter().map(|failed| {
                let (code, message) = (failed.code(), failed.message());
                let error = call.entry_failed(code, message, failed.sender_fault());
                (failed.id(), Err(Fault::Entry(error)))
            });
            by_entry(ten.len(), sent.chain(failed), call)
        }
        Err(error) => {
            let answer = error.as_service_error();
            let is_gone = answer.is_some_and(|error| error.is_not_found_exception());
            none_sent(ten.len(), || match is_gone {
                true => unknown(topic_name(arn), call),
                false => call.failed(&error),
            })
        }
    }
}

fn sns_entry(id: usize, entry: &Entry<'_>) -> Result<SnsEntry, BuildError> {
    let attributes = entry.attributes().map(|(name, kind, value)| {
        let attribute = MessageAttributeValue::builder().data_type(kind);
        let attribute = match value {
            Value::Text(text) => attribute.string_value(text),
            Value::Binary(bytes) => attribute.binary_value(Blob::new(&**bytes)),
        };
        Ok((name.to_owned(), attribute.build()?))
    });
    let attributes = attributes.collect::<Result<HashMap<_, _>, BuildError>>()?;
    SnsEntry::builder()
        .id(id.to_string())
        .message(&*entry.body)
        .set_message_attributes((!attributes.is_empty()).then_some(attributes))
        .set_message_group_id(entry.group.as_deref().map(str::to_owned))
        .set_message_deduplication_id(entry.deduplication_id.as_deref().map(str::to_owned))
        .build()
}
