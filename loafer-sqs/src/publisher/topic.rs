//! Publishing to an SNS topic.

use std::{collections::HashMap, sync::Arc};

use aws_sdk_sns::{
    Client,
    error::BuildError,
    types::{MessageAttributeValue, PublishBatchRequestEntry as Entry},
};
use loafer_core::{Error, MessageId};

use super::calls::{Answers, Fault, Said, Sending, by_entry, in_calls};
use crate::{
    error::Call,
    parcel::{Parcel, SNS_BYTES},
    queue::{is_denied, is_fifo},
};

const NO_LIST: &str =
    "its ARN can't be looked up by its name: allow sns:ListTopics, or name the topic by its ARN";

/// The ARN of a topic: as it is, or found by name, a page of a hundred topics a call.
pub(super) async fn arn(client: &Client, topic: &str, call: Call<'_>) -> Result<Arc<str>, Error> {
    if topic.starts_with("arn:") {
        return Ok(topic.into());
    }
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
        if let Some(arn) = arns.find(|arn| arn.rsplit(':').next() == Some(topic)) {
            return Ok(arn.into());
        }
        from = page.next_token;
        if from.is_none() {
            return Err(unknown(topic, call));
        }
    }
}

fn unknown(topic: &str, call: Call<'_>) -> Error {
    let cause = format!(
        "there is no SNS topic of that name{}: create it, or set `name = \"…\"` (a name or ARN) under [topics.{topic}] in \
         loafer.toml, or name a queue as `sqs:{topic}`",
        call.place
    );
    call.refused(cause, None)
}

/// How large a message can be on a topic, and all of a call together: its attribute `MaximumMessageSize`, 1 KiB to 1 MiB (SNS API:
/// `SetTopicAttributes`, `PublishBatch`); the default of 256 KiB where it is not set or may not be read. None where asking failed: to be
/// asked again.
pub(super) async fn limit(client: &Client, arn: &str) -> Option<usize> {
    let asked = client.get_topic_attributes().topic_arn(arn);
    match Box::pin(asked.send()).await {
        Ok(told) => {
            let set = told
                .attributes()
                .and_then(|all| all.get("MaximumMessageSize"));
            Some(set.and_then(|set| set.parse().ok()).unwrap_or(SNS_BYTES))
        }
        Err(error) => is_denied(&error).then_some(SNS_BYTES),
    }
}

/// Publishes parcels to a topic, `limit` bytes a call; answers for each, in order.
pub(super) async fn publish(
    client: &Client,
    arn: &str,
    limit: usize,
    parcels: &[Parcel<'_>],
    call: Call<'_>,
) -> Answers {
    let sending = |some| -> Sending<'_> { Box::pin(publish_ten(client, arn, some, call)) };
    in_calls(parcels, limit, is_fifo(arn), call, sending).await
}

async fn publish_ten(
    client: &Client,
    arn: &str,
    parcels: Vec<&Parcel<'_>>,
    call: Call<'_>,
) -> Said {
    let entries = parcels
        .iter()
        .enumerate()
        .map(|(id, parcel)| entry(id, parcel))
        .collect::<Result<Vec<_>, _>>();
    let entries = match entries {
        Ok(entries) => entries,
        Err(error) => {
            let fault = |_| Err(Fault::last(call.unsendable(&error)));
            return parcels.iter().map(fault).collect();
        }
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
                (
                    failed.id(),
                    Err(call.entry_failed(failed.code(), failed.message(), failed.sender_fault())),
                )
            });
            by_entry(parcels.len(), sent.chain(failed), call)
        }
        Err(error)
            if error
                .as_service_error()
                .is_some_and(|error| error.is_not_found_exception()) =>
        {
            let topic = arn.rsplit(':').next().unwrap_or(arn);
            let fault = |_| Err(Fault::last(unknown(topic, call)));
            parcels.iter().map(fault).collect()
        }
        Err(error) => {
            let fault = |_| Err(Fault::last(call.failed(&error)));
            parcels.iter().map(fault).collect()
        }
    }
}

fn entry(id: usize, parcel: &Parcel<'_>) -> Result<Entry, BuildError> {
    let attributes = parcel.attributes().map(|(name, kind, value)| {
        let value = MessageAttributeValue::builder()
            .data_type(kind)
            .string_value(value);
        Ok((name.to_owned(), value.build()?))
    });
    let attributes = attributes.collect::<Result<HashMap<_, _>, BuildError>>()?;
    Entry::builder()
        .id(id.to_string())
        .message(&*parcel.body)
        .set_message_attributes((!attributes.is_empty()).then_some(attributes))
        .set_message_group_id(parcel.group.as_deref().map(str::to_owned))
        .set_message_deduplication_id(parcel.deduplication_id.as_deref().map(str::to_owned))
        .build()
}
