//! What the command `check` says of a queue.

mod dead_letters;
mod key;
mod look;
mod policy;
mod rights;
mod topic;

use std::time::Duration;

use loafer_core::{broker::Finding, policy::Policy};

use self::dead_letters::Target;
pub(crate) use self::{
    key::key,
    look::look,
    policy::{policy, publishing as publishing_policy},
};
use crate::{
    names::Endpoint,
    topology::{self, Attributes},
};

/// The part of a route's policy that matters here.
struct Asked<'p> {
    route: &'p str,
    queue: &'p str,
    drain: Duration,
    /// Whether the route sets the lease.
    own_lease: bool,
}

impl<'p> From<&'p Policy> for Asked<'p> {
    fn from(policy: &'p Policy) -> Self {
        Self {
            route: &policy.route,
            queue: &policy.queue,
            drain: policy.drain,
            own_lease: policy.lease.is_some(),
        }
    }
}

/// What was seen of a queue.
struct Looked<'l> {
    endpoint: &'l Endpoint,
    url: &'l str,
    /// `None` means that we may not read them.
    attributes: Option<&'l Attributes>,
    /// The lease that applies.
    lease: Duration,
    /// The target of its redrive policy. `None` means that it has no such policy.
    target: Option<Target>,
    /// Whether the dead-letter queue that we would propose exists.
    is_proposed_there: bool,
}

/// Compares the attributes of a queue with a route's policy.
fn judge(policy: &Asked<'_>, looked: &Looked<'_>) -> Vec<Finding> {
    let queue = policy.queue;
    let mut findings = vec![Finding::good(format!("queue `{queue}` exists"))];
    match looked.attributes {
        Some(attributes) => findings.extend(dead_letters::judge(queue, looked, attributes)),
        None => findings.push(Finding::warning(format!(
            "the attributes of queue `{queue}` can't be read, so redrive and lease were not checked: allow \
             sqs:GetQueueAttributes on {}; meanwhile the lease is {:?}",
            looked.url, looked.lease
        ))),
    }
    findings.push(lease(policy, looked));
    findings
}

fn lease(policy: &Asked<'_>, looked: &Looked<'_>) -> Finding {
    let (lease, drain) = (looked.lease, policy.drain);
    if drain <= lease {
        return Finding::good(format!(
            "lease of {lease:?}, renewed while a message is ours"
        ));
    }
    // Leaves room for a late renewal.
    let seconds = (drain.as_secs() + 1).next_multiple_of(30).min(43_200);
    let longer = match policy.own_lease {
        true => format!(
            "set `lease = \"{seconds}s\"` under [routes.{}] in loafer.toml",
            policy.route
        ),
        false => topology::set(looked.endpoint, looked.url, "VisibilityTimeout", seconds),
    };
    Finding::warning(format!(
        "the lease of {lease:?} is shorter than the drain of {drain:?}: one missed renewal at shutdown gives a message that is \
         being handled to somebody else; lower `drain`, or make the lease longer: {longer}"
    ))
}

#[cfg(test)]
mod tests {
    use loafer_core::broker::Level;

    use super::*;

    fn judged(drain: u64, own_lease: bool) -> Finding {
        let endpoint = Endpoint::new("sqs", "eu-west-1", None);
        let asked = Asked {
            route: "order-made",
            queue: "orders",
            drain: Duration::from_secs(drain),
            own_lease,
        };
        let looked = Looked {
            endpoint: &endpoint,
            url: "https://sqs/1/orders",
            attributes: None,
            lease: Duration::from_secs(30),
            target: None,
            is_proposed_there: false,
        };
        let findings = judge(&asked, &looked);
        assert_eq!(findings.len(), 3);
        assert!(
            findings[1]
                .text
                .contains("allow sqs:GetQueueAttributes on https://sqs/1/orders")
        );
        findings[2].clone()
    }

    #[test]
    fn a_lease_that_covers_the_drain_is_good() {
        assert_eq!(judged(30, false).level, Level::Good);
    }

    #[test]
    fn a_short_lease_comes_with_the_line_that_mends_it() {
        let finding = judged(31, false);
        assert_eq!(finding.level, Level::Warning);
        let line = "aws sqs set-queue-attributes --region eu-west-1 --queue-url 'https://sqs/1/orders' \
                    --attributes '{\"VisibilityTimeout\":\"60\"}'";
        assert!(finding.text.ends_with(line), "{}", finding.text);
        let finding = judged(31, true);
        assert!(finding.text.contains("drain of 31s"), "{}", finding.text);
        let set = "`lease = \"60s\"` under [routes.order-made]";
        assert!(finding.text.contains(set), "{}", finding.text);
    }
}
