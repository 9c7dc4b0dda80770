//! Command lines that mend a queue, complete enough to paste into a shell. Only AWS has a command line for all that can be wrong.

use std::fmt;

use serde_json::{Value, json};

use super::make::{KEPT, redrive_policy};
use crate::names::{Arn, Endpoint, dead_letter_queue, is_fifo, queue_name, quoted};

/// Sets one attribute of a queue.
pub(crate) fn set(endpoint: &Endpoint, url: &str, name: &str, value: impl fmt::Display) -> String {
    let attributes = json!({ name: value.to_string() }).to_string();
    format!(
        "aws sqs set-queue-attributes{} --queue-url {} --attributes {}",
        endpoint.options(),
        quoted(url),
        quoted(&attributes)
    )
}

/// Sets a dead-letter queue for a queue, and makes it first unless it exists.
pub(crate) fn set_dead_letter_queue(
    endpoint: &Endpoint,
    url: &str,
    arn: &str,
    exists: bool,
) -> String {
    let name = dead_letter_queue(queue_name(url));
    let target = Arn::parse(arn).map_or_else(|| name.clone(), |arn| arn.beside(&name));
    let set = set(endpoint, url, "RedrivePolicy", redrive_policy(&target));
    match exists {
        true => set,
        false => format!("{} && {set}", make_dead_letter_queue(endpoint, &name)),
    }
}

/// Makes a dead-letter queue.
pub(crate) fn make_dead_letter_queue(endpoint: &Endpoint, name: &str) -> String {
    let mut attributes = json!({ "MessageRetentionPeriod": KEPT.to_string() });
    if is_fifo(name) {
        attributes["FifoQueue"] = Value::from("true");
    }
    format!(
        "aws sqs create-queue{} --queue-name {name} --attributes {}",
        endpoint.options(),
        quoted(&attributes.to_string())
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_dead_letter_queue_is_made_as_its_queue_is() {
        let endpoint = Endpoint::new("sqs", "eu-west-1", None);
        let line = |exists| {
            let url = "https://sqs.eu-west-1.amazonaws.com/1/orders.fifo";
            set_dead_letter_queue(
                &endpoint,
                url,
                "arn:aws:sqs:eu-west-1:1:orders.fifo",
                exists,
            )
        };
        let make = "aws sqs create-queue --region eu-west-1 --queue-name orders-dlq.fifo \
             --attributes '{\"FifoQueue\":\"true\",\"MessageRetentionPeriod\":\"1209600\"}'";
        let set = "aws sqs set-queue-attributes --region eu-west-1 --queue-url 'https://sqs.eu-west-1.amazonaws.com/1/orders.fifo' \
             --attributes '{\"RedrivePolicy\":\"{\\\"deadLetterTargetArn\\\":\\\"arn:aws:sqs:eu-west-1:1:orders-dlq.fifo\\\",\\\"maxReceiveCount\\\":10}\"}'";
        assert_eq!(line(false), format!("{make} && {set}"));
        assert_eq!(line(true), set);
    }
}
