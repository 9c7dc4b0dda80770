//! The JSON of S3: notifications, the test event, and the `detail` of events on EventBridge.

use std::borrow::Cow;

use crate::message::Message;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::{Deserialize, Serialize};

use super::{
    S3Bucket, S3Notification, S3Object, S3Record,
    fields::{time, written},
};

/// The characters that S3 does not encode in a key.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'*')
    .remove(b'/');

/// Any of the three, so that a payload is read in one pass.
#[derive(Default, Deserialize, Serialize)]
pub(super) struct Body<'m> {
    #[serde(rename = "Records", skip_serializing_if = "Option::is_none")]
    records: Option<Vec<Record>>,
    /// Set in the test event.
    #[serde(borrow, rename = "Event", skip_serializing_if = "Option::is_none")]
    event: Option<Cow<'m, str>>,
    // These are set in a `detail` of EventBridge.
    #[serde(skip_serializing_if = "Option::is_none")]
    bucket: Option<Bucket>,
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<Object>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    reason: Option<Cow<'m, str>>,
    #[serde(
        borrow,
        rename = "deletion-type",
        skip_serializing_if = "Option::is_none"
    )]
    deletion_type: Option<Cow<'m, str>>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    #[serde(skip_deserializing)]
    event_version: &'static str,
    #[serde(skip_deserializing)]
    event_source: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    aws_region: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_time: Option<String>,
    event_name: String,
    s3: Entity,
}

#[derive(Deserialize, Serialize)]
struct Entity {
    bucket: Bucket,
    object: Object,
}

#[derive(Deserialize, Serialize)]
struct Bucket {
    name: String,
}

#[derive(Deserialize, Serialize)]
struct Object {
    key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(
        rename = "eTag",
        alias = "etag",
        skip_serializing_if = "Option::is_none"
    )]
    e_tag: Option<String>,
    #[serde(
        rename = "versionId",
        alias = "version-id",
        skip_serializing_if = "Option::is_none"
    )]
    version_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sequencer: Option<String>,
}

impl<'m> Body<'m> {
    /// Takes the record out of the `detail` of an event of EventBridge. `None` means that this is no such detail.
    pub(super) fn record(&mut self, event: &Message) -> Option<S3Record> {
        if self.records.is_some() || self.event.is_some() {
            return None;
        }
        let detail_type = event.headers().get("eventbridge-detail-type")?;
        let event_name = self.name(detail_type).unwrap_or(detail_type).to_owned();
        let (bucket, object) = (self.bucket.take()?, self.object.take()?);
        Some(S3Record {
            event_name,
            event_time: event.sent_at(),
            aws_region: event.headers().get("eventbridge-region").map(str::to_owned),
            bucket: bucket.into(),
            // EventBridge does not encode the key.
            object: object.into(),
        })
    }

    /// Returns the name that notifications have for an event of EventBridge.
    ///
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/EventBridge.html> lists both names of each event.
    fn name(&self, detail_type: &str) -> Option<&'static str> {
        let reason = self.reason.as_deref().unwrap_or_default();
        let is_marker = self.deletion_type.as_deref() == Some("Delete Marker Created");
        Some(match (detail_type, reason) {
            ("Object Created", "PutObject") => "ObjectCreated:Put",
            ("Object Created", "POST Object") => "ObjectCreated:Post",
            ("Object Created", "CopyObject") => "ObjectCreated:Copy",
            ("Object Created", "CompleteMultipartUpload") => {
                "ObjectCreated:CompleteMultipartUpload"
            }
            ("Object Created", _) => "ObjectCreated:*",
            ("Object Deleted", "Lifecycle Expiration") if is_marker => {
                "LifecycleExpiration:DeleteMarkerCreated"
            }
            ("Object Deleted", "Lifecycle Expiration") => "LifecycleExpiration:Delete",
            ("Object Deleted", _) if is_marker => "ObjectRemoved:DeleteMarkerCreated",
            ("Object Deleted", _) => "ObjectRemoved:Delete",
            ("Object Restore Initiated", _) => "ObjectRestore:Post",
            ("Object Restore Completed", _) => "ObjectRestore:Completed",
            ("Object Restore Expired", _) => "ObjectRestore:Delete",
            ("Object Storage Class Changed", _) => "LifecycleTransition",
            ("Object Access Tier Changed", _) => "IntelligentTiering",
            ("Object ACL Updated", _) => "ObjectAcl:Put",
            ("Object Tags Added", _) => "ObjectTagging:Put",
            ("Object Tags Deleted", _) => "ObjectTagging:Delete",
            _ => return None,
        })
    }
}

impl TryFrom<Body<'_>> for S3Notification {
    type Error = &'static str;

    fn try_from(body: Body<'_>) -> Result<Self, Self::Error> {
        let records = match (body.records, body.event.as_deref()) {
            (Some(records), _) => records,
            (None, Some("s3:TestEvent")) => Vec::new(),
            _ => {
                return Err(
                    "the payload is no event of S3: it has neither `Records`, nor a `bucket` and an `object` behind an EventBridge event",
                );
            }
        };
        let records: Result<_, _> = records.into_iter().map(S3Record::try_from).collect();
        Ok(Self { records: records? })
    }
}

impl TryFrom<Record> for S3Record {
    type Error = &'static str;

    fn try_from(record: Record) -> Result<Self, Self::Error> {
        let Entity { bucket, mut object } = record.s3;
        object.key = decoded(object.key)?;
        // MinIO names events as configurations do, and writes empty texts for what it lacks. So does Ceph.
        let name = record.event_name.strip_prefix("s3:").map(str::to_owned);
        object.version_id = object.version_id.filter(|id| !id.is_empty());
        Ok(Self {
            event_name: name.unwrap_or(record.event_name),
            event_time: record.event_time.as_deref().and_then(time),
            aws_region: record.aws_region.filter(|region| !region.is_empty()),
            bucket: bucket.into(),
            object: object.into(),
        })
    }
}

impl From<Bucket> for S3Bucket {
    fn from(bucket: Bucket) -> Self {
        Self { name: bucket.name }
    }
}

impl From<Object> for S3Object {
    fn from(object: Object) -> Self {
        Self {
            key: object.key,
            size: object.size,
            e_tag: object.e_tag,
            version_id: object.version_id,
            sequencer: object.sequencer,
        }
    }
}

impl From<S3Notification> for Body<'static> {
    fn from(notification: S3Notification) -> Self {
        let records = notification.records.into_iter().map(Record::from).collect();
        Body {
            records: Some(records),
            ..Self::default()
        }
    }
}

impl From<S3Record> for Record {
    fn from(record: S3Record) -> Self {
        let object = record.object;
        Self {
            event_version: "2.1",
            event_source: "aws:s3",
            aws_region: record.aws_region,
            event_time: record.event_time.and_then(written),
            event_name: record.event_name,
            s3: Entity {
                bucket: Bucket {
                    name: record.bucket.name,
                },
                object: Object {
                    key: encoded(&object.key),
                    size: object.size,
                    e_tag: object.e_tag,
                    version_id: object.version_id,
                    sequencer: object.sequencer,
                },
            },
        }
    }
}

/// Decodes a key of a notification. It is encoded like a form: `+` stands for a space.
fn decoded(key: String) -> Result<String, &'static str> {
    if !key.contains(['+', '%']) {
        return Ok(key);
    }
    percent_decode_str(&key.replace('+', " "))
        .decode_utf8()
        .map(Cow::into_owned)
        .map_err(|_| "the key of an object is not UTF-8 once it is decoded")
}

fn encoded(key: &str) -> String {
    utf8_percent_encode(key, ENCODED)
        .to_string()
        .replace("%20", "+")
}
