//! Names: of queues, topics and regions as AWS writes them, and of the headers that SQS sets.

mod arn;
mod endpoint;
mod endpoints;
mod headers;
mod queue;

pub(crate) use self::{
    arn::Arn,
    endpoint::{Endpoint, quoted},
    endpoints::Endpoints,
    headers::{
        DEDUPLICATION_ID, PAYLOAD_SIZE, SEQUENCE_NUMBER, SOURCE_QUEUE, TRACE, is_set_by_sqs,
    },
    queue::{QueueAddress, dead_letter_queue, is_account, queue_name},
};

/// The kind of the broker, as in `loafer.toml`.
pub(crate) const KIND: &str = "sqs";

/// Returns whether a queue or topic is FIFO. The names of these, and of no others, end with `.fifo` (SQS API: `CreateQueue`).
pub(crate) fn is_fifo(name: &str) -> bool {
    name.ends_with(".fifo")
}
