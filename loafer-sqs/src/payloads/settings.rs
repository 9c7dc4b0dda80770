//! Settings: where large payloads are kept, from which size on, and for how long.

use serde::Deserialize;

use super::Pointer;

/// The largest payload that is fetched, unless it is set.
const LARGEST: u64 = 256 * 1024 * 1024;
/// How many bytes of payloads a route holds at once, unless it is set.
const IN_FLIGHT: u64 = 512 * 1024 * 1024;

/// Keeps payloads too large for a message on S3: [`Sqs::with_large_payloads`](crate::Sqs::with_large_payloads), or the table
/// `[brokers.sqs.s3]` of `loafer.toml`, whose keys are named as the methods and override them one by one.
///
/// If a published message is too large with its headers, its payload goes to the bucket and a pointer to the queue or topic. If a received
/// message has a pointer, its payload is fetched before the handler sees it. Messages are exchanged with the extended clients of AWS for SQS
/// and SNS, in any language, both ways. A message whose payload can't be fetched is not delivered. It is logged as an error with bucket and
/// key, and is redelivered when its lease ends, until the queue's redrive policy moves it to the dead letters.
///
/// It needs `s3:PutObject` to publish, `s3:GetObject` to receive and `s3:DeleteObject` to clean up. Give the bucket a lifecycle rule that
/// deletes objects older than the queues' retention: an object stays if its message expires or is not published after all.
///
/// ```
/// use loafer_sqs::{S3Payloads, Sqs};
///
/// let payloads = S3Payloads::new("my-service-payloads").prefix("orders/").threshold(64 * 1024);
/// let sqs = Sqs::default().with_large_payloads(payloads);
/// ```
#[derive(Clone, Debug)]
pub struct S3Payloads {
    pub(super) bucket: String,
    pub(super) prefix: String,
    pub(super) threshold: Option<usize>,
    /// The size in bytes above which an object is not fetched.
    pub(super) largest: u64,
    /// How many bytes of payloads a route may hold at once.
    pub(super) in_flight: u64,
    pub(super) cleanup: Cleanup,
    /// Other buckets from which payloads may be fetched, each with what keys there begin with: `BUCKET` or `BUCKET/PREFIX`.
    pub(super) others: Vec<String>,
}

/// Which objects are deleted once the ack of their message is confirmed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cleanup {
    /// No object. The bucket's lifecycle rule deletes them.
    Never,
    /// The objects that Loafer published to a queue, with this bucket and this prefix. Payloads of topics stay, since several queues may point to one object. So do payloads of
    /// other programs, whose use we can't see.
    #[default]
    OfQueues,
    /// All objects that Loafer published with this bucket and this prefix, those of topics too. Use it only if no topic has more than one queue that may
    /// point here. Objects of other programs stay: whoever may send a message names an object, and could have any deleted.
    All,
}

impl S3Payloads {
    /// Keeps payloads in this bucket.
    pub fn new(bucket: impl Into<String>) -> Self {
        Self {
            bucket: bucket.into(),
            prefix: String::new(),
            threshold: None,
            largest: LARGEST,
            in_flight: IN_FLIGHT,
            cleanup: Cleanup::default(),
            others: Vec::new(),
        }
    }

    /// Sets what every key begins with. The default is nothing. Payloads of services with another prefix are fetched if [`accept`](Self::accept) names
    /// it.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Sets above how many bytes, headers included, a message's payload is kept on S3. 0 means every message. The default is the limit of the
    /// queue or topic.
    #[must_use]
    pub fn threshold(mut self, bytes: usize) -> Self {
        self.threshold = Some(bytes);
        self
    }

    /// Sets how many bytes a payload may have to be fetched. The default is 256 MiB. A larger one is refused before it is read: otherwise
    /// whoever may send a message decides how much memory the service needs.
    #[must_use]
    pub fn largest(mut self, bytes: u64) -> Self {
        self.largest = bytes;
        self
    }

    /// Sets how many bytes of payloads one route may hold at once, from their fetch until their messages are settled. The default is 512 MiB. A
    /// route asks for no more messages than it has room for, by the size of the payloads that came last. A payload that finds no room in
    /// time is fetched again when the lease of its message ends, which costs a receive. One that is larger than this is fetched when no other is held.
    #[must_use]
    pub fn in_flight(mut self, bytes: u64) -> Self {
        self.in_flight = bytes;
        self
    }

    /// Sets which objects are deleted after their messages.
    #[must_use]
    pub fn cleanup(mut self, cleanup: Cleanup) -> Self {
        self.cleanup = cleanup;
        self
    }

    /// Allows fetching from this bucket too: `BUCKET`, or `BUCKET/PREFIX` for those of its keys that begin so. Other pointers than to keys with the own
    /// prefix in the own bucket are refused: otherwise whoever may send a message decides what is fetched with the permissions of the service.
    #[must_use]
    pub fn accept(mut self, bucket: impl Into<String>) -> Self {
        self.others.push(bucket.into());
        self
    }

    /// Returns the ARN of all objects that are put here, with a `*`.
    pub(crate) fn objects(&self) -> String {
        format!("arn:aws:s3:::{}/{}*", self.bucket, self.prefix)
    }

    /// Returns whether a payload may be fetched from there.
    pub(super) fn accepts(&self, pointer: &Pointer) -> bool {
        let Pointer { bucket, key } = pointer;
        let is_other = |other: &String| match other.split_once('/') {
            Some((of, prefix)) => of == bucket && key.starts_with(prefix),
            None => other == bucket,
        };
        (bucket == &self.bucket && key.starts_with(&self.prefix))
            || self.others.iter().any(is_other)
    }
}
