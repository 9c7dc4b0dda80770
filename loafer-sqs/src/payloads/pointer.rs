//! The pointer in place of a payload: bucket and key.
//!
//! ```json
//! ["software.amazon.payloadoffloading.PayloadS3Pointer",{"s3BucketName":"payloads","s3Key":"…"}]
//! ```
//!
//! The extended clients of AWS write it so, with the attribute `ExtendedPayloadSize`. Their first versions wrote
//! `com.amazon.sqs.javamessaging.MessageS3Pointer` and `SQSLargePayloadSize`, which we read as well.

use std::{borrow::Cow, fmt};

use loafer_core::{
    message::{Headers, Message},
    translate::Bytes,
};
use memchr::memmem;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::names::PAYLOAD_SIZE;

const CLASS: &str = "software.amazon.payloadoffloading.PayloadS3Pointer";
const OLD_CLASS: &str = "com.amazon.sqs.javamessaging.MessageS3Pointer";
const SIZES: [&str; 2] = [PAYLOAD_SIZE, "SQSLargePayloadSize"];

/// Where a payload is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pointer {
    #[serde(rename = "s3BucketName")]
    pub(crate) bucket: String,
    #[serde(rename = "s3Key")]
    pub(crate) key: String,
}

impl Pointer {
    /// Returns the body of a message that points to the payload.
    pub(crate) fn to_body(&self) -> String {
        serde_json::json!([CLASS, self]).to_string()
    }

    fn parse(body: &[u8]) -> Option<Self> {
        let (class, pointer): (Cow<'_, str>, Self) = serde_json::from_slice(body).ok()?;
        [CLASS, OLD_CLASS].contains(&&*class).then_some(pointer)
    }
}

/// Writes `BUCKET/KEY`.
impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.bucket, self.key)
    }
}

/// A message whose payload is on S3.
pub(crate) struct Offloaded {
    /// The message as it was received.
    pub(crate) message: Message,
    pub(crate) pointer: Pointer,
    /// The envelope of SNS around the pointer, if there is one.
    envelope: Option<Value>,
}

impl Offloaded {
    /// Reads the pointer in a message, if there is one. A payload that can't be one is not parsed.
    pub(crate) fn of(message: &Message) -> Option<Self> {
        let body = message.payload();
        let bare = SIZES
            .iter()
            .any(|size| message.headers().get(size).is_some());
        let (pointer, envelope) = if bare {
            (Pointer::parse(body)?, None)
        } else {
            memmem::find(body, b"S3Pointer")?;
            let envelope: Value = serde_json::from_slice(body).ok()?;
            let attributes = envelope.get("MessageAttributes")?;
            SIZES.iter().find(|size| attributes.get(size).is_some())?;
            let inner = envelope.get("Message")?.as_str()?;
            (Pointer::parse(inner.as_bytes())?, Some(envelope))
        };
        Some(Self {
            message: message.clone(),
            pointer,
            envelope,
        })
    }

    /// Returns whether the pointer came in an envelope of SNS, so that others may have received it too.
    #[cfg(any(feature = "s3", test))]
    pub(crate) fn is_shared(&self) -> bool {
        self.envelope.is_some()
    }

    /// Returns the message with its payload, as if that had never been on S3. An envelope stays closed. `None` means that the payload should be
    /// text for the envelope and is not.
    pub(crate) fn with_payload(&self, payload: Bytes) -> Option<Message> {
        let Some(mut envelope) = self.envelope.clone() else {
            let headers = self.message.headers().iter();
            let others: Headers = headers
                .filter(|(name, _)| !SIZES.contains(name))
                .map(|(name, value)| (name.to_owned(), value))
                .collect();
            let message = self.message.clone().with_payload(payload);
            return Some(message.with_headers(others));
        };
        envelope["Message"] = Value::from(std::str::from_utf8(&payload).ok()?);
        if let Some(Value::Object(attributes)) = envelope.get_mut("MessageAttributes") {
            attributes.retain(|name, _| !SIZES.contains(&&**name));
        }
        Some(self.message.clone().with_payload(envelope.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = r#"["software.amazon.payloadoffloading.PayloadS3Pointer",{"s3BucketName":"b","s3Key":"k"}]"#;

    fn pointer() -> Pointer {
        Pointer {
            bucket: "b".into(),
            key: "k".into(),
        }
    }

    #[test]
    fn a_pointer_is_written_as_the_clients_of_aws_write_it() {
        assert_eq!(pointer().to_body(), BODY);
    }

    #[test]
    fn both_forms_of_a_pointer_are_read() {
        let old = BODY.replace(CLASS, OLD_CLASS);
        for (body, size) in [(BODY, PAYLOAD_SIZE), (&*old, "SQSLargePayloadSize")] {
            let message = Message::new(body.to_owned())
                .with_header(size, "7")
                .with_header("tenant", "acme");
            let offloaded = Offloaded::of(&message).unwrap();
            assert_eq!(offloaded.pointer, pointer());
            let whole = offloaded.with_payload("payload".into()).unwrap();
            assert_eq!(&whole.payload()[..], b"payload");
            assert_eq!(whole.headers().len(), 1);
            assert_eq!(whole.id(), message.id());
        }
    }

    #[test]
    fn what_is_no_pointer_is_taken_as_it_is() {
        let sized = |body: &str| Message::new(body.to_owned()).with_header(PAYLOAD_SIZE, "7");
        for message in [
            Message::new(BODY),
            sized("{}"),
            sized(r#"["other.Pointer",{"s3BucketName":"b","s3Key":"k"}]"#),
            Message::new(r#"{"Message": "S3Pointer", "MessageAttributes": {}}"#),
        ] {
            assert!(Offloaded::of(&message).is_none());
        }
    }

    #[test]
    fn a_pointer_in_an_envelope_is_replaced_inside_of_it() {
        let envelope = serde_json::json!({
            "Type": "Notification", "TopicArn": "arn:aws:sns:eu-west-1:1:t", "Message": BODY,
            "MessageAttributes": {
                PAYLOAD_SIZE: { "Type": "Number", "Value": "7" }, "tenant": { "Type": "String", "Value": "acme" },
            },
        });
        let offloaded = Offloaded::of(&Message::new(envelope.to_string())).unwrap();
        assert!(offloaded.is_shared());
        let whole = offloaded.with_payload("\"quoted\"".into()).unwrap();
        let opened: Value = serde_json::from_slice(whole.payload()).unwrap();
        assert_eq!(opened["Message"], "\"quoted\"");
        assert_eq!(opened["MessageAttributes"].as_object().unwrap().len(), 1);
    }
}
