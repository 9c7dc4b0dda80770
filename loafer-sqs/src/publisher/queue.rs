//! Sending to a queue.

use std::collections::HashMap;

use aws_sdk_sqs::{
    Client,
    error::BuildError,
    types::{
        MessageAttributeValue, MessageSystemAttributeNameForSends as SystemName,
        MessageSystemAttributeValue, SendMessageBatchRequestEntry as Entry,
    },
};
use loafer_core::MessageId;

use super::calls::{Answers, Fault, Said, Sending, by_entry, in_calls};
use crate::{
    error::Call,
    parcel::{Parcel, SQS_BYTES},
    queue::is_fifo,
};

/// Sends parcels to a queue; answers for each, in order.
pub(crate) async fn send(
    client: &Client,
    url: &str,
    parcels: &[Parcel<'_>],
    call: Call<'_>,
) -> Answers {
    let sending = |some| -> Sending<'_> { Box::pin(send_ten(client, url, some, call)) };
    in_calls(parcels, SQS_BYTES, is_fifo(url), call, sending).await
}

async fn send_ten(client: &Client, url: &str, parcels: Vec<&Parcel<'_>>, call: Call<'_>) -> Said {
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
        .send_message_batch()
        .queue_url(url)
        .set_entries(Some(entries));
    match Box::pin(batch.send()).await {
        Ok(answer) => {
            let sent = answer
                .successful()
                .iter()
                .map(|sent| (sent.id(), Ok(MessageId::from(sent.message_id()))));
            let failed = answer.failed().iter().map(|failed| {
                (
                    failed.id(),
                    Err(call.entry_failed(failed.code(), failed.message(), failed.sender_fault())),
                )
            });
            by_entry(parcels.len(), sent.chain(failed), call)
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
    let mut entry = Entry::builder()
        .id(id.to_string())
        .message_body(&*parcel.body)
        .set_message_attributes((!attributes.is_empty()).then_some(attributes))
        .set_message_group_id(parcel.group.as_deref().map(str::to_owned))
        .set_message_deduplication_id(parcel.deduplication_id.as_deref().map(str::to_owned))
        .set_delay_seconds(parcel.delay);
    if let Some(trace) = parcel.trace {
        let trace = MessageSystemAttributeValue::builder()
            .data_type("String")
            .string_value(trace)
            .build()?;
        entry = entry.message_system_attributes(SystemName::AwsTraceHeader, trace);
    }
    entry.build()
}
