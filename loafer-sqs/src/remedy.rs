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

/// Sets a dead-letter queue for a queue, and makes it first unless it `exists`.
pub(crate) fn make_dead_letters(place: &Place, url: &str, arn: &str, exists: bool) -> String {
    let name = queue::dead_letter_name(queue::name(url));
    let target = format!("{}{name}", arn.strip_suffix(queue::name(arn)).unwrap_or(""));
    let set = set(place, url, "RedrivePolicy", redrive(&target));
    match exists {
        true => set,
        false => format!("{} && {set}", make_letters(place, &name)),
    }
}

/// Makes a dead-letter queue.
pub(crate) fn make_letters(place: &Place, name: &str) -> String {
    let mut attributes = json!({ "MessageRetentionPeriod": KEPT.to_string() });
    if queue::is_fifo(name) {
        attributes["FifoQueue"] = Value::from("true");
    }
    format!(
        "aws sqs create-queue{} --queue-name {name} --attributes {}",
        place.options(),
        quoted(&attributes.to_string())
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
        let line = |exists| {
            let url = "https://sqs.eu-west-1.amazonaws.com/1/orders.fifo";
            make_dead_letters(&place, url, "arn:aws:sqs:eu-west-1:1:orders.fifo", exists)
        };
        let make = "aws sqs create-queue --region eu-west-1 --queue-name orders-dlq.fifo \
             --attributes '{\"FifoQueue\":\"true\",\"MessageRetentionPeriod\":\"1209600\"}'";
        let set = "aws sqs set-queue-attributes --region eu-west-1 --queue-url 'https://sqs.eu-west-1.amazonaws.com/1/orders.fifo' \
             --attributes '{\"RedrivePolicy\":\"{\\\"deadLetterTargetArn\\\":\\\"arn:aws:sqs:eu-west-1:1:orders-dlq.fifo\\\",\\\"maxReceiveCount\\\":10}\"}'";
        assert_eq!(line(false), format!("{make} && {set}"));
        assert_eq!(line(true), set);
    }

    #[test]
    fn quotes_survive_a_shell() {
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }
}
