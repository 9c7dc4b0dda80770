//! The headers that SQS sets, and the attributes that AWS's clients agreed on.

/// Carries the trace of X-Ray.
pub(crate) const TRACE: &str = "AWSTraceHeader";
/// Holds the ARN of the queue from which SQS moved a dead letter.
pub(crate) const SOURCE_QUEUE: &str = "DeadLetterQueueSourceArn";
/// Holds the deduplication id of a message on a FIFO queue.
pub(crate) const DEDUPLICATION_ID: &str = "MessageDeduplicationId";
/// Holds the place of a message in the order of its FIFO queue.
pub(crate) const SEQUENCE_NUMBER: &str = "SequenceNumber";
/// Says that the body only points to the payload, and how many bytes that has (AWS's extended clients for SQS and SNS).
pub(crate) const PAYLOAD_SIZE: &str = "ExtendedPayloadSize";

/// Returns whether a header comes from SQS itself. Such a header is never sent on as an attribute.
pub(crate) fn is_set_by_sqs(name: &str) -> bool {
    [TRACE, SOURCE_QUEUE, DEDUPLICATION_ID, SEQUENCE_NUMBER].contains(&name)
}
