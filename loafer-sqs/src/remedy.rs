//! Command lines that mend things: complete, to be pasted into a shell.

use std::fmt;

use serde_json::{Value, json};

use crate::{error::Place, queue};

/// After how many receives a queue should give a message to its dead letters: ten, since a release costs one too.
pub(crate) const MAX_RECEIVES: u32 = 10;
/// How long a dead-letter queue should keep its messages, in seconds: 14 days, the most there is (SQS API: `MessageRetentionPeriod`).
pub(crate) const KEPT: u32 = 1_209_600;

/// Sets one attribute of a queue.
pub(crate) fn set(place: &Place, url: &str, name: &str, value: impl fmt::Display) -> String {
    let attributes = json!({ name: value.to_string() }).to_string();
    format!(
        "aws sqs set-queue-attributes{} --queue-url {} --attributes {}",
        place.options(),
        quoted(url),
        quoted(&attributes)
    )
}

/// Makes a dead-letter queue for a queue, and sets it as its target.
pub(crate) fn make_dead_letters(place: &Place, url: &str, arn: &str) -> String {
    let name = queue::dead_letter_name(queue::name(url));
    let mut attributes = json!({ "MessageRetentionPeriod": KEPT.to_string() });
    if queue::is_fifo(&name) {
        attributes["FifoQueue"] = Value::from("true");
    }
    let target = format!("{}{name}", arn.strip_suffix(queue::name(arn)).unwrap_or(""));
    format!(
        "aws sqs create-queue{} --queue-name {name} --attributes {} && {}",
        place.options(),
        quoted(&attributes.to_string()),
        set(place, url, "RedrivePolicy", redrive(&target))
    )
}

/// Makes a queue.
pub(crate) fn make_queue(place: &Place, name: &str) -> String {
    let fifo = if queue::is_fifo(name) {
        " --attributes FifoQueue=true"
    } else {
        ""
    };
    format!(
        "aws sqs create-queue{} --queue-name {name}{fifo}",
        place.options()
    )
}

/// A redrive policy with this target.
pub(crate) fn redrive(target: &str) -> Value {
    json!({ "deadLetterTargetArn": target, "maxReceiveCount": MAX_RECEIVES })
}

/// For a shell.
pub(crate) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_dead_letter_queue_is_made_as_its_queue_is() {
        let place = Place::new("sqs", "eu-west-1", None);
        let line = make_dead_letters(
            &place,
            "https://sqs.eu-west-1.amazonaws.com/1/orders.fifo",
            "arn:aws:sqs:eu-west-1:1:orders.fifo",
        );
        assert_eq!(
            line,
            "aws sqs create-queue --region eu-west-1 --queue-name orders-dlq.fifo \
             --attributes '{\"FifoQueue\":\"true\",\"MessageRetentionPeriod\":\"1209600\"}' && \
             aws sqs set-queue-attributes --region eu-west-1 --queue-url 'https://sqs.eu-west-1.amazonaws.com/1/orders.fifo' \
             --attributes '{\"RedrivePolicy\":\"{\\\"deadLetterTargetArn\\\":\\\"arn:aws:sqs:eu-west-1:1:orders-dlq.fifo\\\",\\\"maxReceiveCount\\\":10}\"}'"
        );
    }

    #[test]
    fn quotes_survive_a_shell() {
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }
}
