//! What the command `check` says of a queue.

mod letters;
mod rights;
mod topic;

use std::time::Duration;

use loafer_core::{Finding, Policy};

pub(crate) use self::{
    letters::Letters,
    rights::{refused, untried},
    topic::findings as topic,
};
use crate::{error::Place, queue::Attributes, remedy};

/// What of a route's policy matters here.
pub(crate) struct Asked<'p> {
    route: &'p str,
    queue: &'p str,
    timeout: Option<Duration>,
    drain: Duration,
    /// Whether the route sets the lease itself.
    own_lease: bool,
}

impl<'p> From<&'p Policy> for Asked<'p> {
    fn from(policy: &'p Policy) -> Self {
        Self {
            route: &policy.route,
            queue: &policy.queue,
            timeout: policy.timeout,
            drain: policy.drain,
            own_lease: policy.visibility_timeout.is_some(),
        }
    }
}

/// What was found of a queue.
pub(crate) struct Looked<'l> {
    pub(crate) place: &'l Place,
    pub(crate) url: &'l str,
    /// None where they may not be read.
    pub(crate) attributes: Option<&'l Attributes>,
    /// What receives ask for.
    pub(crate) lease: Duration,
    /// The target of its redrive policy; none where it has none.
    pub(crate) letters: Option<Letters>,
    /// Whether the dead-letter queue that would be proposed is there.
    pub(crate) proposed: bool,
}

/// Judges what a queue says of itself against a route's policy.
pub(crate) fn judge(policy: &Asked<'_>, looked: &Looked<'_>) -> Vec<Finding> {
    let queue = policy.queue;
    let mut findings = vec![Finding::good(format!("queue `{queue}` exists"))];
    match looked.attributes {
        Some(attributes) => findings.extend(letters::judge(queue, looked, attributes)),
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
    let lease = looked.lease;
    let longer = |than: Duration| {
        // With room for a renewal that comes late.
        let seconds = (than.as_secs() + 1).next_multiple_of(30).min(43_200);
        match policy.own_lease {
            true => format!(
                "set `visibility_timeout = \"{seconds}s\"` under [routes.{}] in loafer.toml",
                policy.route
            ),
            false => {
                let (place, url) = (looked.place, looked.url);
                remedy::set(place, url, "VisibilityTimeout", seconds)
            }
        }
    };
    match policy.timeout {
        Some(timeout) if timeout >= lease => Finding::warning(format!(
            "the lease of {lease:?} is no longer than the handler's timeout of {timeout:?}: one missed renewal gives a message \
             that is being handled to somebody else; make it longer: {}",
            longer(timeout)
        )),
        _ if policy.drain > lease => Finding::warning(format!(
            "the lease of {lease:?} is shorter than the drain of {:?}: one missed renewal at shutdown gives a message that is \
             being handled to somebody else; lower `drain`, or make the lease longer: {}",
            policy.drain,
            longer(policy.drain)
        )),
        _ => Finding::good(format!(
            "lease of {lease:?}, renewed while a message is ours"
        )),
    }
}

#[cfg(test)]
mod tests {
    use loafer_core::Level;

    use super::*;

    fn judged(timeout: Option<u64>, drain: u64, own_lease: bool) -> Finding {
        let place = Place::new("sqs", "eu-west-1", None);
        let asked = Asked {
            route: "order-made",
            queue: "orders",
            timeout: timeout.map(Duration::from_secs),
            drain: Duration::from_secs(drain),
            own_lease,
        };
        let looked = Looked {
            place: &place,
            url: "https://sqs/1/orders",
            attributes: None,
            lease: Duration::from_secs(30),
            letters: None,
            proposed: false,
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
    fn a_lease_that_covers_timeout_and_drain_is_good() {
        assert_eq!(judged(Some(29), 30, false).level, Level::Good);
        assert_eq!(judged(None, 30, false).level, Level::Good);
    }

    #[test]
    fn a_short_lease_is_told_with_the_line_that_mends_it() {
        let told = judged(Some(30), 25, false);
        assert_eq!(told.level, Level::Warning);
        let line = "aws sqs set-queue-attributes --region eu-west-1 --queue-url 'https://sqs/1/orders' \
                    --attributes '{\"VisibilityTimeout\":\"60\"}'";
        assert!(told.text.ends_with(line), "{}", told.text);
        let told = judged(None, 31, true);
        assert!(told.text.contains("drain of 31s"), "{}", told.text);
        let set = "`visibility_timeout = \"60s\"` under [routes.order-made]";
        assert!(told.text.contains(set), "{}", told.text);
    }
}
