//! The names of queues in memory, and the topics that name a queue.

use loafer_core::{
    Error,
    broker::{Topic, is_reply_queue},
};

/// What the topic of a queue begins with.
const BROKER: &str = "memory:";

/// Returns the name of the queue that takes the dead letters of this one.
pub(crate) fn dead_letter_queue(queue: &str) -> String {
    format!("{queue}-dlq")
}

/// Returns whether a queue of this name keeps the messages of a group in order. SQS goes by the same ending.
pub(crate) fn is_fifo(queue: &str) -> bool {
    queue.ends_with(".fifo")
}

/// Returns the queue that a topic names, for example `memory:QUEUE` or `sqs:QUEUE`. `None` means that the topic is a topic. An ARN names a topic.
pub(crate) fn queue_of(topic: &str) -> Option<&str> {
    let (broker, queue) = topic.split_once(':')?;
    (broker != "arn").then_some(queue)
}

/// Returns the topic by which a reply reaches a reply address.
///
/// # Errors
///
/// If the address is not a reply address of this broker. The error does not quote it.
pub(crate) fn reply_topic(address: &str) -> Result<Topic, Error> {
    if !is_reply_queue(address) {
        return Err(Error::Config(
            "the header `reply-to` names no reply address in memory".to_owned(),
        ));
    }
    Ok(Topic::from(format!("{BROKER}{address}")))
}
