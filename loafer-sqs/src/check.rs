//! What the command `check` says of a queue.

use std::time::Duration;

use loafer_core::{Finding, Policy};

use crate::queue::Attributes;

/// Below this a few deploys use up a message's attempts.
const ENOUGH_RECEIVES: u32 = 10;

/// What of a route's policy matters here.
pub(crate) struct Asked<'p> {
    route: &'p str,
    queue: &'p str,
    timeout: Option<Duration>,
    drain: Duration,
}

impl<'p> From<&'p Policy> for Asked<'p> {
    fn from(policy: &'p Policy) -> Self {
        Self {
            route: &policy.route,
            queue: &policy.queue,
            timeout: policy.timeout,
            drain: policy.drain,
        }
    }
}

/// Judges what a queue says of itself against a route's policy. Durations: `lease` is what receives ask for.
pub(crate) fn judge(
    policy: &Asked<'_>,
    attributes: Option<&Attributes>,
    lease: Duration,
) -> Vec<Finding> {
    let (route, queue) = (policy.route, policy.queue);
    let mut findings = vec![Finding::good(format!("queue `{queue}` exists"))];
    match attributes {
        Some(attributes) => findings.push(redrive(policy, attributes)),
        None => findings.push(Finding::warning(format!(
            "the attributes of queue `{queue}` can't be read, so redrive and lease were not checked: allow \
             sqs:GetQueueAttributes; meanwhile the lease is {lease:?}"
        ))),
    }
    let set = format!(
        "set `visibility_timeout = \"…\"` under [routes.{route}] in loafer.toml, or the queue's own"
    );
    match policy.timeout {
        Some(timeout) if timeout >= lease => findings.push(Finding::warning(format!(
            "the lease of {lease:?} is no longer than the handler's timeout of {timeout:?}: one missed renewal gives a message \
             that is being handled to somebody else; {set} to more than {timeout:?}"
        ))),
        _ if policy.drain > lease => findings.push(Finding::warning(format!(
            "the lease of {lease:?} is shorter than the drain of {:?}: one missed renewal at shutdown gives a message that is \
             being handled to somebody else; {set}, or lower `drain`",
            policy.drain
        ))),
        _ => findings.push(Finding::good(format!("lease of {lease:?}, renewed while a message is ours"))),
    }
    findings
}

fn redrive(policy: &Asked<'_>, attributes: &Attributes) -> Finding {
    let queue = policy.queue;
    let Some(redrive) = &attributes.redrive else {
        return Finding::warning(format!(
            "queue `{queue}` has no dead-letter queue: a message that always fails comes again until it is too old; set one: \
             aws sqs set-queue-attributes --queue-url URL --attributes \
             '{{\"RedrivePolicy\":\"{{\\\"deadLetterTargetArn\\\":\\\"ARN\\\",\\\"maxReceiveCount\\\":\\\"10\\\"}}\"}}'"
        ));
    };
    let letters = redrive.target.rsplit(':').next().unwrap_or_default();
    match redrive.max_receives {
        Some(max) if max < ENOUGH_RECEIVES => Finding::warning(format!(
            "queue `{queue}` gives messages to `{letters}` after {max} receives: a release at shutdown costs one, so set \
             maxReceiveCount in its RedrivePolicy to {ENOUGH_RECEIVES} or more"
        )),
        Some(max) => Finding::good(format!(
            "dead letters go to `{letters}` after {max} receives"
        )),
        None => Finding::good(format!("dead letters go to `{letters}`")),
    }
}

#[cfg(test)]
mod tests {
    use loafer_core::Level;

    use super::*;
    use crate::queue::Redrive;

    const LEASE: Duration = Duration::from_secs(30);

    fn asked(timeout: Option<u64>) -> Asked<'static> {
        let timeout = timeout.map(Duration::from_secs);
        Asked {
            route: "order-made",
            queue: "orders",
            timeout,
            drain: Duration::from_secs(25),
        }
    }

    fn redriven(max: u32) -> Attributes {
        let redrive = Redrive {
            target: "arn:aws:sqs:us-east-1:1:orders-dlq".into(),
            max_receives: Some(max),
        };
        Attributes {
            lease: Some(LEASE),
            redrive: Some(redrive),
            ..Attributes::default()
        }
    }

    fn worst(findings: &[Finding]) -> (Level, String) {
        let worst = findings.iter().max_by_key(|finding| finding.level).unwrap();
        (worst.level, worst.text.clone())
    }

    #[test]
    fn a_queue_with_redrive_and_lease_is_good() {
        let findings = judge(&asked(Some(20)), Some(&redriven(10)), LEASE);
        assert!(
            findings.iter().all(|finding| finding.level == Level::Good),
            "{findings:?}"
        );
        assert!(findings[1].text.contains("`orders-dlq` after 10 receives"));
    }

    #[test]
    fn what_is_missing_is_told_with_its_remedy() {
        let told = |attributes, timeout| worst(&judge(&asked(timeout), attributes, LEASE));
        let none = Attributes {
            lease: Some(LEASE),
            redrive: None,
            ..Attributes::default()
        };
        let good = redriven(10);
        for (attributes, timeout, remedy) in [
            (Some(&none), None, "set-queue-attributes"),
            (Some(&redriven(9)), None, "maxReceiveCount"),
            (None, None, "sqs:GetQueueAttributes"),
            (Some(&good), Some(30), "[routes.order-made]"),
        ] {
            let (level, text) = told(attributes, timeout);
            assert_eq!(level, Level::Warning);
            assert!(text.contains(remedy), "{text}");
        }
    }

    #[test]
    fn a_lease_shorter_than_the_drain_is_told() {
        let (level, text) = worst(&judge(
            &asked(None),
            Some(&redriven(10)),
            Duration::from_secs(20),
        ));
        assert_eq!(level, Level::Warning);
        assert!(text.contains("drain"), "{text}");
    }
}
