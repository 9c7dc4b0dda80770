//! The rights that routes and publishers need, as policies of IAM. Only AWS writes rights so.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::{
    client::Shared,
    names::{Arn, QueueAddress, is_fifo},
    topology::Found,
};

/// Returns a policy with what a route on this queue needs. `found` is `None` if the queue could not be opened: then the policy names it by what is known.
pub(crate) fn policy(shared: &Shared, queue: &str, found: Option<&Found>) -> Value {
    let region = shared.region();
    let attributes = found.and_then(|found| found.attributes.as_ref());
    let own = attributes.and_then(|of| of.arn.clone());
    let arn = own.unwrap_or_else(|| queue_arn(queue, region));
    let mut receives = vec![
        "sqs:ChangeMessageVisibility",
        "sqs:DeleteMessage",
        "sqs:GetQueueAttributes",
        "sqs:GetQueueUrl",
        "sqs:ListDeadLetterSourceQueues",
        "sqs:ReceiveMessage",
    ];
    if !is_fifo(&arn) {
        // For copies of messages that are not due yet.
        receives.push("sqs:SendMessage");
    }
    let mut statements = vec![allow(&receives, &json!(arn))];
    if let Some(redrive) = attributes.and_then(|of| of.redrive.as_ref()) {
        statements.push(allow(&SENDS, &json!(redrive.target)));
    }
    if attributes.is_some_and(|of| of.key.is_some()) {
        let mut statement = allow(&["kms:Decrypt", "kms:GenerateDataKey"], &json!("*"));
        let service = format!("sqs.{region}.amazonaws.com*");
        statement["Condition"] = json!({ "StringLike": { "kms:ViaService": service } });
        statements.push(statement);
    }
    statements.extend(objects(shared));
    document(&statements)
}

/// What sending to a queue needs.
const SENDS: [&str; 3] = [
    "sqs:GetQueueAttributes",
    "sqs:GetQueueUrl",
    "sqs:SendMessage",
];

/// Returns a policy with what publishing to these topics needs.
pub(crate) fn publishing<'t>(shared: &Shared, topics: impl Iterator<Item = &'t str>) -> Value {
    let region = shared.region();
    let (mut queues, mut sns, mut is_named) = (BTreeSet::new(), BTreeSet::new(), false);
    for topic in topics {
        let named = topic.strip_prefix("sqs:").unwrap_or(topic);
        match Arn::parse(named) {
            Some(arn) if arn.is_topic() => _ = sns.insert(named.to_owned()),
            _ if named != topic => _ = queues.insert(queue_arn(named, region)),
            _ => {
                is_named = true;
                sns.insert(format!("arn:{}:sns:{region}:*:{topic}", partition(region)));
            }
        }
    }
    let mut statements = Vec::new();
    if !queues.is_empty() {
        statements.push(allow(&SENDS, &json!(queues)));
    }
    if !sns.is_empty() {
        statements.push(allow(
            &["sns:GetTopicAttributes", "sns:Publish"],
            &json!(sns),
        ));
    }
    if is_named {
        statements.push(allow(&["sns:ListTopics"], &json!("*")));
    }
    statements.extend(objects(shared));
    document(&statements)
}

fn objects(shared: &Shared) -> Option<Value> {
    let objects = shared.objects()?;
    let actions = ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"];
    Some(allow(&actions, &json!(objects)))
}

fn queue_arn(queue: &str, region: &str) -> String {
    let address = QueueAddress::parse(queue);
    if let QueueAddress::Arn(arn) = address {
        return arn.as_str().to_owned();
    }
    let region = address.region().unwrap_or(region);
    let account = address.account().unwrap_or("*");
    format!(
        "arn:{}:sqs:{region}:{account}:{}",
        partition(region),
        address.name()
    )
}

/// Returns the part of AWS that a region belongs to.
fn partition(region: &str) -> &'static str {
    match region {
        _ if region.starts_with("cn-") => "aws-cn",
        _ if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    }
}

fn allow(actions: &[&str], on: &Value) -> Value {
    json!({ "Effect": "Allow", "Action": actions, "Resource": on })
}

fn document(statements: &[Value]) -> Value {
    json!({ "Version": "2012-10-17", "Statement": statements })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_that_was_not_found_is_named_as_it_is_known() {
        let shared = Shared::default();
        let resource = |queue| policy(&shared, queue, None)["Statement"][0]["Resource"].clone();
        assert_eq!(resource("orders"), "arn:aws:sqs:*:*:orders");
        let url = "https://sqs.eu-west-1.amazonaws.com/12/orders";
        assert_eq!(resource(url), "arn:aws:sqs:eu-west-1:12:orders");
        let arn = "arn:aws-cn:sqs:cn-north-1:12:orders";
        assert_eq!(resource(arn), arn);
    }

    #[test]
    fn topics_by_name_are_looked_up_and_others_are_not() {
        let shared = Shared::default();
        let arn = "arn:aws:sns:eu-west-1:1:paid";
        let policy = publishing(&shared, ["made", "sqs:audit", arn].into_iter());
        let expected = json!([
            allow(&SENDS, &json!(["arn:aws:sqs:*:*:audit"])),
            allow(
                &["sns:GetTopicAttributes", "sns:Publish"],
                &json!(["arn:aws:sns:*:*:made", arn])
            ),
            allow(&["sns:ListTopics"], &json!("*")),
        ]);
        assert_eq!(policy["Statement"], expected);
        let by_arn = publishing(&shared, [arn].into_iter());
        assert_eq!(by_arn["Statement"].as_array().unwrap().len(), 1);
    }
}
