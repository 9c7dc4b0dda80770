//! What S3 says of its objects.

mod wire;

use std::{borrow::Cow, time::SystemTime};

use loafer_core::{Envelope, Json, Message, TranslateError, Translator};
use serde::{Deserialize, Serialize};

use crate::{EventBridge, Sns};

/// Event notifications of S3, straight to the queue, through an SNS topic or through EventBridge: gives [`S3Notification`].
///
/// The test event that S3 sends when notifications are set up has no records: a handler that goes through them acks it.
///
/// ```
/// use loafer_core::{Envelope, Message, Translator};
/// use loafer_sqs::{S3Event, S3Notification};
///
/// let message = S3Event.open_inner(Message::new(r#"{"Records": [{
///     "eventName": "ObjectCreated:Put", "eventTime": "2026-01-02T03:04:05.678Z", "awsRegion": "eu-central-1",
///     "s3": {"bucket": {"name": "photos"}, "object": {"key": "summer+2025/ana.jpg", "size": 1024}}
/// }]}"#))?;
/// let notification: S3Notification = S3Event.translate(&message)?;
/// for record in notification.records {
///     assert!(record.is_created());
///     assert_eq!((&*record.bucket.name, &*record.object.key), ("photos", "summer 2025/ana.jpg"));
/// }
/// # Ok::<(), loafer_core::TranslateError>(())
/// ```
///
/// # Errors
///
/// What is no notification, told by field path, line and column, never by its values.
#[derive(Clone, Copy, Debug, Default)]
pub struct S3Event;

/// What happened to objects of S3: in practice one record, or none in S3's test event.
///
/// Its serde form is that of S3's notifications, in both directions: a test makes one with `serde_json::from_value` and publishes it as it is.
/// S3 delivers at least once and in no order; `sequencer` orders the events of one key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "wire::Body<'_>", into = "wire::Body<'static>")]
#[non_exhaustive]
pub struct S3Notification {
    /// The records, in the order they came.
    pub records: Vec<S3Record>,
}

/// What happened to one object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct S3Record {
    /// What happened, as S3's notifications call it: `ObjectCreated:Put`, `ObjectRemoved:Delete`, … Events that only EventBridge has keep its name.
    pub event_name: String,
    /// When it happened.
    pub event_time: Option<SystemTime>,
    /// The bucket's region.
    pub aws_region: Option<String>,
    /// The bucket.
    pub bucket: S3Bucket,
    /// The object.
    pub object: S3Object,
}

impl S3Record {
    /// Whether an object was written: by a put, a post, a copy or an upload in parts.
    pub fn is_created(&self) -> bool {
        self.event_name.starts_with("ObjectCreated:")
    }

    /// Whether an object was deleted, or hidden by a delete marker; by somebody or by the lifecycle.
    pub fn is_removed(&self) -> bool {
        self.event_name.starts_with("ObjectRemoved:")
            || self.event_name.starts_with("LifecycleExpiration:")
    }
}

/// A bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct S3Bucket {
    /// Its name.
    pub name: String,
}

/// An object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct S3Object {
    /// Its key, decoded: S3's notifications have it URL-encoded.
    pub key: String,
    /// Its size in bytes; not told of deleted ones.
    pub size: Option<u64>,
    /// Its entity tag; not told of deleted ones.
    pub e_tag: Option<String>,
    /// Its version, in a bucket that keeps versions.
    pub version_id: Option<String>,
    /// Orders the events of one key: a number in hexadecimal, to be compared as text once both are padded with zeros on the right to the same length.
    pub sequencer: Option<String>,
}

impl Envelope for S3Event {
    fn open<'m>(&self, raw: &'m Message) -> Result<Cow<'m, Message>, TranslateError> {
        Sns::of(EventBridge::new()).open(raw)
    }
}

impl<'m> Translator<'m, S3Notification> for S3Event {
    fn translate(&self, message: &'m Message) -> Result<S3Notification, TranslateError> {
        let mut body: wire::Body<'m> = Json.translate(message)?;
        match body.record(message) {
            Some(record) => Ok(S3Notification {
                records: vec![record],
            }),
            None => body.try_into().map_err(TranslateError::new),
        }
    }
}

impl<'m> Translator<'m, Message> for S3Event {
    fn translate(&self, message: &'m Message) -> Result<Message, TranslateError> {
        Ok(message.clone())
    }
}

#[cfg(test)]
mod tests;
