//! Messages in: a message of the SDK becomes a message of Loafer.
//!
//! | SQS | Loafer |
//! |---|---|
//! | `Body` | payload |
//! | `MessageId` | id |
//! | `ApproximateReceiveCount` | attempt |
//! | `SentTimestamp` | time of sending |
//! | `MessageGroupId` | group |
//! | message attribute, `String` | header |
//! | message attribute, `Number` or `Binary` | header with a value; its text is the number, or the bytes in base64 |
//! | `AWSTraceHeader`, `DeadLetterQueueSourceArn`, `MessageDeduplicationId`, `SequenceNumber` | header of that name |
//!
//! Headers that were folded into the envelope of a dead letter become headers again on dead-letter queues, if the dead letter was sent there and not
//! moved by SQS: then its envelope is ours.
//! An attribute that has the name of a header of SQS itself is left out: its sender could pretend to be SQS.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use aws_sdk_sqs::types::{
    MessageAttributeValue, MessageSystemAttributeName as Name, QueueAttributeName,
};
use aws_smithy_types::base64;
use loafer_core::{
    broker::DeadLetter,
    message::{HeaderValue, Headers, Message},
};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::names::{DEDUPLICATION_ID, SEQUENCE_NUMBER, SOURCE_QUEUE, TRACE, is_set_by_sqs};

/// The system attributes that every receive asks for.
pub(crate) const ASKED: [Name; 7] = [
    Name::ApproximateReceiveCount,
    Name::SentTimestamp,
    Name::MessageGroupId,
    Name::AwsTraceHeader,
    Name::DeadLetterQueueSourceArn,
    Name::MessageDeduplicationId,
    Name::SequenceNumber,
];

/// The same by the names of before 2024.
pub(crate) fn asked_of_old() -> Vec<QueueAttributeName> {
    ASKED.iter().map(|name| name.as_str().into()).collect()
}

/// A message of SQS as it came.
pub(crate) struct Received {
    pub(crate) message: Message,
    /// SQS's receipt handle. Whoever has it may delete the message.
    pub(crate) handle: String,
    /// The attributes whose type has a label of their sender's, and that type, for example `Number.cents`. Copies keep it.
    pub(crate) labels: Labels,
    /// Whether the server said how often the message was received.
    pub(crate) is_counted: bool,
}

/// Names of attributes, each with its type.
pub(crate) type Labels = Vec<(String, String)>;

/// What becomes of headers that are folded into an envelope.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Folded {
    /// They stay there: whoever may send to the queue could have written them.
    Left,
    /// They are headers again: the queue holds dead letters, and its envelopes are ours.
    Restored,
}

/// Returns a message of Loafer. Nothing is copied: the body becomes the payload.
pub(crate) fn from_sdk(message: aws_sdk_sqs::types::Message, folded: Folded) -> Received {
    let (mut headers, mut labels) = (Headers::new(), Labels::new());
    for (name, value) in message.message_attributes.unwrap_or_default() {
        if is_set_by_sqs(&name) {
            continue;
        }
        if value.data_type.contains('.') {
            labels.push((name.clone(), value.data_type.clone()));
        }
        insert(&mut headers, name, value);
    }

    let (mut attempt, mut sent_at, mut group) = (None, None, None);
    for (name, value) in message.attributes.unwrap_or_default() {
        match name {
            Name::ApproximateReceiveCount => attempt = value.parse().ok(),
            Name::SentTimestamp => sent_at = time(&value),
            Name::MessageGroupId => group = Some(value),
            Name::AwsTraceHeader => _ = headers.insert(TRACE, value),
            Name::DeadLetterQueueSourceArn => _ = headers.insert(SOURCE_QUEUE, value),
            Name::MessageDeduplicationId => _ = headers.insert(DEDUPLICATION_ID, value),
            Name::SequenceNumber => _ = headers.insert(SEQUENCE_NUMBER, value),
            _ => {}
        }
    }

    // What SQS has moved there came with the envelope of its sender, if it has one.
    if folded == Folded::Restored && headers.get(SOURCE_QUEUE).is_none() {
        unfold(&mut headers);
    }

    let body = message.body.unwrap_or_default();
    let id = message.message_id.as_deref().unwrap_or_default();
    let mut read = Message::with_id(id, body)
        .with_headers(headers)
        .with_attempt(attempt.unwrap_or(1));
    if let Some(group) = group {
        read = read.with_group(group);
    }
    if let Some(sent_at) = sent_at {
        read = read.with_sent_at(sent_at);
    }
    Received {
        message: read,
        handle: message.receipt_handle.unwrap_or_default(),
        labels,
        is_counted: attempt.is_some(),
    }
}

/// Returns whether a message says of itself that it is a dead letter of ours.
pub(crate) fn has_envelope(message: &aws_sdk_sqs::types::Message) -> bool {
    let mut names = message.message_attributes.iter().flat_map(|of| of.keys());
    names.any(|name| name == DeadLetter::HEADER)
}

/// Makes headers of those that are folded into the envelope of a dead letter.
fn unfold(headers: &mut Headers) {
    let Some(others) = headers.get(DeadLetter::HEADER).and_then(folded) else {
        return;
    };
    for (name, value) in others {
        if headers.get(&name).is_none() && !is_set_by_sqs(&name) {
            headers.insert(name, value);
        }
    }
}

/// Adds the header that an attribute is.
fn insert(headers: &mut Headers, name: String, attribute: MessageAttributeValue) {
    if let Some(bytes) = attribute.binary_value {
        return headers.insert_value(name, bytes.into_inner());
    }
    let Some(text) = attribute.string_value else {
        return;
    };
    // A type may have a label of its sender's, as `Number.cents`.
    let is_number = attribute.data_type.starts_with("Number");
    match HeaderValue::number(&text).filter(|_| is_number) {
        Some(number) => headers.insert_value_as(name, text, number),
        None => _ = headers.insert(name, text),
    }
}

/// Returns the value of an attribute as the text of a header.
pub(crate) fn text(value: MessageAttributeValue) -> Option<String> {
    value
        .string_value
        .or_else(|| value.binary_value.map(base64::encode))
}

/// Reads milliseconds since 1970.
fn time(millis: &str) -> Option<SystemTime> {
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(millis.parse().ok()?))
}

/// Returns the headers that are folded into an envelope, if there are any.
pub(crate) fn folded(envelope: &str) -> Option<BTreeMap<String, String>> {
    #[derive(Deserialize)]
    struct Envelope<'e> {
        #[serde(borrow)]
        headers: &'e RawValue,
    }
    let envelope: Envelope<'_> = serde_json::from_str(envelope).ok()?;
    serde_json::from_str(envelope.headers.get()).ok()
}

#[cfg(test)]
mod tests {
    use aws_sdk_sqs::{primitives::Blob, types};

    use super::*;

    fn attribute(kind: &str) -> types::builders::MessageAttributeValueBuilder {
        MessageAttributeValue::builder().data_type(kind)
    }

    #[test]
    fn every_field_finds_its_place() {
        let sdk = types::Message::builder()
            .message_id("059f36b4-87a3-44ab-83d2-661975830a7d")
            .receipt_handle("handle")
            .body("{}")
            .attributes(Name::ApproximateReceiveCount, "3")
            .attributes(Name::SentTimestamp, "1500")
            .attributes(Name::MessageGroupId, "g")
            .attributes(Name::AwsTraceHeader, "Root=1")
            .message_attributes(
                "tenant",
                attribute("String").string_value("acme").build().unwrap(),
            )
            .message_attributes(
                "tries",
                attribute("Number").string_value("7").build().unwrap(),
            )
            .message_attributes(
                "blob",
                attribute("Binary")
                    .binary_value(Blob::new([0, 255]))
                    .build()
                    .unwrap(),
            )
            .build();
        let Received {
            message,
            handle,
            labels,
            is_counted,
        } = from_sdk(sdk, Folded::Left);
        assert_eq!(handle, "handle");
        assert!(labels.is_empty() && is_counted);
        assert_eq!(
            message.id().to_string(),
            "059f36b4-87a3-44ab-83d2-661975830a7d"
        );
        assert_eq!(&message.payload()[..], b"{}");
        assert_eq!(message.attempt(), 3);
        assert_eq!(
            message.sent_at(),
            Some(SystemTime::UNIX_EPOCH + Duration::from_millis(1500))
        );
        assert_eq!(message.group(), Some("g"));
        let header = |name| message.headers().get(name);
        assert_eq!(header("tenant"), Some("acme"));
        assert_eq!(header("tries"), Some("7"));
        assert_eq!(header("blob"), Some("AP8="));
        assert_eq!(header(TRACE), Some("Root=1"));
        let value = |name| message.headers().value(name);
        assert_eq!(value("tries"), Some(&HeaderValue::Int(7)));
        assert_eq!(value("blob"), Some(&vec![0, 255].into()));
        assert_eq!(value("tenant"), None);
        assert_eq!(message.headers().len(), 4);
    }

    #[test]
    fn a_message_without_attributes_is_on_its_first_attempt() {
        let sdk = types::Message::builder().body("").build();
        let message = from_sdk(sdk, Folded::Left).message;
        assert_eq!(message.attempt(), 1);
        assert!(message.headers().is_empty() && message.payload().is_empty());
    }

    #[test]
    fn only_on_a_dead_letter_queue_folded_headers_are_believed_and_never_as_those_of_sqs() {
        let text = |text: &str| attribute("String").string_value(text).build().unwrap();
        let folded = r#"{"headers":{"folded":"v","tenant":"other","SequenceNumber":"1"}}"#;
        let sdk = || {
            types::Message::builder()
                .body("{}")
                .message_attributes(DeadLetter::HEADER, text(folded))
                .message_attributes("tenant", text("acme"))
                .message_attributes(SOURCE_QUEUE, text("arn:aws:sqs:eu-west-1:1:orders"))
                .build()
        };
        let read = |folded| {
            let message = from_sdk(sdk(), folded).message;
            let header = |name| message.headers().get(name).map(str::to_owned);
            ["folded", "tenant", SOURCE_QUEUE, SEQUENCE_NUMBER].map(header)
        };
        let acme = || Some("acme".to_owned());
        assert_eq!(read(Folded::Left), [None, acme(), None, None]);
        let folded = Some("v".to_owned());
        assert_eq!(read(Folded::Restored), [folded, acme(), None, None]);
        assert!(has_envelope(&sdk()));

        let mut moved = sdk();
        let by_sqs = (Name::DeadLetterQueueSourceArn, "arn".to_owned());
        moved.attributes = Some([by_sqs].into());
        let message = from_sdk(moved, Folded::Restored).message;
        assert_eq!(
            message.headers().get("folded"),
            None,
            "forged by its sender"
        );
    }

    #[test]
    fn the_label_of_a_type_is_known() {
        let cents = attribute("Number.cents").string_value("7").build().unwrap();
        let sdk = types::Message::builder().message_attributes("price", cents);
        let received = from_sdk(sdk.build(), Folded::Left);
        assert_eq!(
            received.labels,
            [("price".to_owned(), "Number.cents".to_owned())]
        );
        let value = received.message.headers().value("price").cloned();
        assert_eq!(value, Some(HeaderValue::Int(7)));
    }
}
