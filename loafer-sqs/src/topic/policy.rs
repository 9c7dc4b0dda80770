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
    let statements = many(&policy["Statement"]);
    // A refusal goes before any leave.
    if statements.clone().any(may_refuse) {
        return Leave::Unclear;
    }
    let judged = statements.map(|statement| judge(statement, topic_arn));
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

/// Whether a statement is about what SNS sends.
fn is_about(statement: &Value) -> bool {
    let sends = |action: &str| matches(&action.to_lowercase(), "sqs:sendmessage");
    let principal = &statement["Principal"];
    let who = [principal, &principal["AWS"], &principal["Service"]];
    let mut who = who.into_iter().flat_map(texts);
    texts(&statement["Action"]).any(sends)
        && who.any(|who| who == "*" || who == "sns.amazonaws.com")
}

fn may_refuse(statement: &Value) -> bool {
    let inverted = ["NotAction", "NotPrincipal"];
    let inverted = inverted.iter().any(|key| !statement[key].is_null());
    // The usual one against plain HTTP: SNS speaks TLS.
    let plain = &statement["Condition"]["Bool"]["aws:SecureTransport"];
    let plain = *plain == "false" || *plain == false;
    statement["Effect"] == "Deny" && (inverted || is_about(statement)) && !plain
}

fn judge(statement: &Value, topic_arn: &str) -> Leave {
    if statement["Effect"] != "Allow" || !is_about(statement) {
        return Leave::Missing;
    }
    let Some(conditions) = statement["Condition"].as_object() else {
        return Leave::Given;
    };
    let tests = conditions.iter().flat_map(|(test, keys)| {
        let keys = keys.as_object().into_iter().flatten();
        keys.map(move |(key, values)| (test.as_str(), key, values))
    });
    // All of them must hold.
    let mut leave = Leave::Given;
    for (test, key, values) in tests {
        let is_source = key.eq_ignore_ascii_case("aws:SourceArn");
        let fits = |arn: &str| match test {
            "StringEquals" => arn == topic_arn,
            _ => matches(arn, topic_arn),
        };
        match test {
            "ArnEquals" | "ArnLike" | "StringEquals" | "StringLike" if is_source => {
                // For other topics only.
                if !texts(values).any(fits) {
                    return Leave::Missing;
                }
            }
            _ => leave = Leave::Unclear,
        }
    }
    leave
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
        let literally = json!({ "StringEquals": { "aws:SourceArn": "arn:aws:sns:*" } });
        assert_eq!(of(literally), Leave::Missing);
        let not = json!({ "ArnNotEquals": { "aws:SourceArn": TOPIC } });
        assert_eq!(of(not), Leave::Unclear);
        let both = json!({ "ArnLike": { "aws:SourceArn": TOPIC, "aws:PrincipalOrgID": "o-1" } });
        assert_eq!(of(both), Leave::Unclear);
    }

    #[test]
    fn what_may_be_refused_is_unclear() {
        let denied = |deny: Value| {
            let mut policy = with_leave(None, QUEUE, TOPIC);
            let statements = policy["Statement"].as_array_mut().unwrap();
            statements.push(deny);
            leave(Some(&policy.to_string()), TOPIC)
        };
        let all = json!({ "Effect": "Deny", "Principal": "*", "Action": "sqs:*" });
        assert_eq!(denied(all.clone()), Leave::Unclear);
        let others = json!({ "Effect": "Deny", "NotPrincipal": { "AWS": "1" }, "Action": "sqs:*" });
        assert_eq!(denied(others), Leave::Unclear);
        let purge = json!({ "Effect": "Deny", "Principal": "*", "Action": "sqs:PurgeQueue" });
        assert_eq!(denied(purge), Leave::Given);
        let mut plain = all;
        plain["Condition"] = json!({ "Bool": { "aws:SecureTransport": "false" } });
        assert_eq!(denied(plain), Leave::Given);
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
