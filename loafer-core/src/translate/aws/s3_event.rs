//! Event notifications of S3.

mod wire;

use std::{borrow::Cow, time::SystemTime};

use crate::{
    message::Message,
    translate::{Envelope, Json, TranslateError, Translator},
};
use serde::{Deserialize, Serialize};

use super::{EventBridge, Sns, fields, notices};

/// Decodes event notifications of S3 into an [`S3Notification`], whether they come straight to the queue, through an SNS topic or through
/// EventBridge. MinIO and Ceph send the same notifications.
///
/// S3 sends a test event when notifications are set up. It has no records, so a handler that loops over them acks it.
///
/// ```
/// use loafer::{Message, translate::{Envelope, S3Event, S3Notification, Translator}};
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
/// # Ok::<(), loafer::translate::TranslateError>(())
/// ```
///
/// # Errors
///
/// Returns an error for a payload that is not a notification. The error names the field path, line and column, never a value.
#[derive(Clone, Copy, Debug, Default)]
pub struct S3Event;

/// What happened to objects of S3. In practice it has one record; the test event of S3 has none.
///
/// It is serialized as S3 writes its notifications, so a test can make one with `serde_json::from_value` and publish it. S3 delivers at least
/// once and in no order; [`S3Object::sequencer`] orders the events of one key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "wire::Body<'_>", into = "wire::Body<'static>")]
#[non_exhaustive]
pub struct S3Notification {
    /// The records, in the order of the notification.
    pub records: Vec<S3Record>,
}

/// What happened to one object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct S3Record {
    /// The name of the event in notifications of S3: `ObjectCreated:Put`, `ObjectRemoved:Delete`, … An event that only EventBridge has keeps the
    /// name it has there.
    pub event_name: String,
    /// When it happened. `None` means that the event has no time that can be read.
    pub event_time: Option<SystemTime>,
    /// The region of the bucket. `None` means that the event does not say, or that the store has no regions.
    pub aws_region: Option<String>,
    /// The bucket.
    pub bucket: S3Bucket,
    /// The object.
    pub object: S3Object,
}

impl S3Record {
    /// Returns whether an object was written: by a put, a post, a copy or a multipart upload.
    pub fn is_created(&self) -> bool {
        self.event_name.starts_with("ObjectCreated:")
    }

    /// Returns whether an object was deleted, or hidden by a delete marker, by a request or by a lifecycle rule.
    pub fn is_removed(&self) -> bool {
        self.event_name.starts_with("ObjectRemoved:")
            || self.event_name.starts_with("LifecycleExpiration:")
    }
}

/// A bucket of S3.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct S3Bucket {
    /// Its name.
    pub name: String,
}

/// An object in a bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct S3Object {
    /// Its key, decoded. Notifications of S3 have it URL-encoded.
    pub key: String,
    /// Its size in bytes. `None` for an object that was deleted.
    pub size: Option<u64>,
    /// Its entity tag. `None` for an object that was deleted.
    pub e_tag: Option<String>,
    /// Its version. `None` in a bucket without versioning.
    pub version_id: Option<String>,
    /// A hexadecimal number that orders the events of one key. To compare two, pad the shorter one with zeros on the right and compare them as
    /// text.
    pub sequencer: Option<String>,
}

impl Envelope for S3Event {
    fn open<'m>(&self, raw: &'m Message) -> Result<Cow<'m, Message>, TranslateError> {
        // The test of S3 has a type here: a notification without records.
        Sns::of(EventBridge::new()).open_unless(raw, notices::of_text)
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
