//! Where large payloads are kept, from which size on, and for how long.

/// How large a payload may be that is fetched, unless told otherwise.
const LARGEST: u64 = 256 * 1024 * 1024;

/// Payloads too large for a message, kept on S3: [`Sqs::with_large_payloads`](crate::Sqs::with_large_payloads).
///
/// What is published and too large (with its headers) goes to the bucket, and a pointer to the queue or topic; what is received with a
/// pointer is fetched before its handler sees it. Messages are exchanged with the extended clients of AWS for SQS and SNS, in any language,
/// both ways. A message of which the payload can't be fetched is not delivered: it is logged as an error with bucket and key, and comes back
/// at the end of its lease, until the queue's redrive policy takes it.
///
/// Wants `s3:PutObject` to publish, `s3:GetObject` to receive, `s3:DeleteObject` to clean up. Give the bucket a lifecycle rule that
/// deletes what is older than the queues' retention: objects stay where their messages expire, or are not published after all.
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
    /// In bytes; no larger object is fetched.
    pub(super) largest: u64,
    pub(super) cleanup: Cleanup,
    /// Other buckets from which payloads are fetched.
    pub(super) others: Vec<String>,
}

/// Which objects are deleted once the ack of their message is confirmed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cleanup {
    /// None: the bucket's lifecycle rule does it.
    Never,
    /// Those that Loafer published to a queue. Payloads of topics stay, since several queues point to one object, and so do those of other
    /// programs, of which that can't be told.
    #[default]
    OfQueues,
    /// All of them: where no topic has more than one queue that may point here.
    All,
}

impl S3Payloads {
    /// Payloads in this bucket.
    pub fn new(bucket: impl Into<String>) -> Self {
        Self {
            bucket: bucket.into(),
            prefix: String::new(),
            threshold: None,
            largest: LARGEST,
            cleanup: Cleanup::default(),
            others: Vec::new(),
        }
    }

    /// The same, with this before every key.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// The same, for messages of more than this many bytes, headers included; else for those that the queue or topic would not take. 0 is
    /// for every message.
    #[must_use]
    pub fn threshold(mut self, bytes: usize) -> Self {
        self.threshold = Some(bytes);
        self
    }

    /// The same, fetching payloads of up to this many bytes; else 256 MiB. A larger one is refused before it is read: whoever may send a
    /// message says what the service holds in memory, up to ten at once for each receive.
    #[must_use]
    pub fn largest(mut self, bytes: u64) -> Self {
        self.largest = bytes;
        self
    }

    /// The same, deleting these objects once their message is.
    #[must_use]
    pub fn cleanup(mut self, cleanup: Cleanup) -> Self {
        self.cleanup = cleanup;
        self
    }

    /// The same, fetching from this bucket too. A pointer to any other is refused: whoever may send a message says what is fetched with the
    /// rights of the service.
    #[must_use]
    pub fn accept(mut self, bucket: impl Into<String>) -> Self {
        self.others.push(bucket.into());
        self
    }
}
