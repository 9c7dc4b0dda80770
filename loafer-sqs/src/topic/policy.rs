//! Queue policies: whether they let a topic send.

use serde_json::{Value, json};

/// Whether a queue's policy lets a topic send to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leave {
    Given,
    /// Something in it may, under conditions that are not understood here.
    Unclear,
    Missing,
}

/// Reads a queue's policy for a topic.
pub(crate) fn leave(policy: Option<&str>, topic_arn: &str) -> Leave {
    let Some(policy) = policy.filter(|policy| !policy.is_empty()) else {
        return Leave::Missing;
    };
    let Ok(policy) = serde_json::from_str::<Value>(policy) else {
        return Leave::Unclear;
    };
    let judged = many(&policy["Statement"]).map(|statement| judge(statement, topic_arn));
    judged.fold(Leave::Missing, |best, next| match (best, next) {
        (Leave::Given, _) | (_, Leave::Given) => Leave::Given,
        (Leave::Unclear, _) | (_, Leave::Unclear) => Leave::Unclear,
        _ => Leave::Missing,
    })
}

/// The policy with one statement more, by which the topic may send; all that stands in it stays.
pub(crate) fn with_leave(policy: Option<&str>, queue_arn: &str, topic_arn: &str) -> Value {
    let mut policy = policy
        .and_then(|policy| serde_json::from_str::<Value>(policy).ok())
        .filter(Value::is_object)
        .unwrap_or_else(|| json!({ "Version": "2012-10-17" }));
    let mut statements: Vec<Value> = many(&policy["Statement"]).cloned().collect();
    statements.push(json!({
        "Effect": "Allow",
        "Principal": { "Service": "sns.amazonaws.com" },
        "Action": "sqs:SendMessage",
        "Resource": queue_arn,
        "Condition": { "ArnEquals": { "aws:SourceArn": topic_arn } },
    }));
    policy["Statement"] = statements.into();
    policy
}

fn judge(statement: &Value, topic_arn: &str) -> Leave {
    let sends = |action: &str| matches(&action.to_lowercase(), "sqs:sendmessage");
    let principal = &statement["Principal"];
    let of_sns = [principal, &principal["AWS"], &principal["Service"]];
    let of_sns = of_sns.into_iter().flat_map(texts);
    if statement["Effect"] != "Allow"
        || !texts(&statement["Action"]).any(sends)
        || !of_sns
            .clone()
            .any(|who| who == "*" || who == "sns.amazonaws.com")
    {
        return Leave::Missing;
    }
    let Some(conditions) = statement["Condition"].as_object() else {
        return Leave::Given;
    };
    let mut named = conditions.values().filter_map(Value::as_object).flatten();
    let source = named.find(|(key, _)| key.eq_ignore_ascii_case("aws:SourceArn"));
    match (source, conditions.len()) {
        (Some((_, topics)), 1) if texts(topics).any(|topic| matches(topic, topic_arn)) => {
            Leave::Given
        }
        // For other topics only.
        (Some(_), 1) => Leave::Missing,
        _ => Leave::Unclear,
    }
}

/// One or several, as AWS writes both.
fn many(value: &Value) -> impl Iterator<Item = &Value> + Clone {
    let (one, several) = match value {
        Value::Array(several) => (None, several.as_slice()),
        Value::Null => (None, &[][..]),
        one => (Some(one), &[][..]),
    };
    one.into_iter().chain(several)
}

fn texts(value: &Value) -> impl Iterator<Item = &str> + Clone {
    many(value).filter_map(Value::as_str)
}

/// Whether a text fits a pattern, in which `*` is anything.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => text.strip_prefix(start).is_some_and(|left| {
            rest.is_empty()
                || (0..=left.len())
                    .filter(|at| left.is_char_boundary(*at))
                    .any(|at| matches(rest, &left[at..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOPIC: &str = "arn:aws:sns:eu-west-1:1:orders";
    const QUEUE: &str = "arn:aws:sqs:eu-west-1:1:orders";

    fn of(condition: Value) -> Leave {
        let mut policy = with_leave(None, QUEUE, TOPIC);
        policy["Statement"][0]["Condition"] = condition;
        leave(Some(&policy.to_string()), TOPIC)
    }

    #[test]
    fn the_policy_that_is_made_gives_leave_and_keeps_what_stood_there() {
        let policy = with_leave(None, QUEUE, TOPIC).to_string();
        assert_eq!(leave(Some(&policy), TOPIC), Leave::Given);
        let other = "arn:aws:sns:eu-west-1:1:other";
        assert_eq!(leave(Some(&policy), other), Leave::Missing);
        let both = with_leave(Some(&policy), QUEUE, other).to_string();
        assert_eq!(leave(Some(&both), TOPIC), Leave::Given);
        assert_eq!(leave(Some(&both), other), Leave::Given);
    }

    #[test]
    fn conditions_are_read_or_left_open() {
        assert_eq!(of(Value::Null), Leave::Given);
        let like = |arn: &str| of(json!({ "ArnLike": { "aws:SourceArn": [arn] } }));
        assert_eq!(like("arn:aws:sns:*:1:ord*"), Leave::Given);
        assert_eq!(like("arn:aws:sns:*:2:*"), Leave::Missing);
        let account = json!({ "StringEquals": { "aws:SourceAccount": "1" } });
        assert_eq!(of(account), Leave::Unclear);
    }

    #[test]
    fn what_gives_no_leave_is_missing() {
        assert_eq!(leave(None, TOPIC), Leave::Missing);
        assert_eq!(leave(Some(""), TOPIC), Leave::Missing);
        let receive = json!({ "Statement": { "Effect": "Allow", "Principal": "*", "Action": "sqs:ReceiveMessage" } });
        assert_eq!(leave(Some(&receive.to_string()), TOPIC), Leave::Missing);
        let all = json!({ "Statement": { "Effect": "Allow", "Principal": { "AWS": "*" }, "Action": ["SQS:Send*"] } });
        assert_eq!(leave(Some(&all.to_string()), TOPIC), Leave::Given);
    }
}
