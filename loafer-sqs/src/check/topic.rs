//! What `check` says of the topics that should feed a queue. Only SQS is fed by another service.

use loafer_core::{Error, broker::Finding};

use crate::{
    names::Endpoint,
    topology::{self, Permission, Seen, SnsTopic},
};

/// The queue that topics should feed.
pub(super) struct Queue<'q> {
    pub(super) endpoint: &'q Endpoint,
    pub(super) url: &'q str,
    /// Its policy.
    pub(super) policy: Option<&'q str>,
    /// All topics that should feed it: the line that mends its policy lets each of them send.
    pub(super) topics: &'q [SnsTopic<'q>],
}

/// Looks at topic, subscription and the queue's policy, as far as we may.
pub(super) async fn findings(
    topic: &SnsTopic<'_>,
    route: &str,
    queue: &Queue<'_>,
) -> Result<Vec<Finding>, Error> {
    let (name, policy) = (topic.name(), queue.policy);
    if topic.is_pattern() {
        return Ok(vec![Finding::warning(format!(
            "`{name}` is a pattern, and SNS has none: name each topic in `topics` under [routes.{route}] in loafer.toml"
        ))]);
    }
    if !topic.fits() {
        let set = match name == route {
            true => format!("`name = \"{name}.fifo\"` under [topics.{route}]"),
            false => format!("`{name}.fifo` in its place in `topics` under [routes.{route}]"),
        };
        return Ok(vec![Finding::warning(format!(
            "the queue is FIFO, and only a FIFO topic can feed it: set {set} in loafer.toml"
        ))]);
    }
    let line = || {
        let able = |topic: &&SnsTopic<'_>| !topic.is_pattern() && topic.fits();
        let all = topology::policy(policy, queue.topics.iter().filter(able));
        topology::set(queue.endpoint, queue.url, "Policy", all)
    };
    let permission = topic.permission(policy);
    // A subscription alone brings nothing: the policy must let the topic send.
    let missing = |what: String, lines: String| {
        let and = match permission {
            Permission::Stated => String::new(),
            Permission::NotJudged | Permission::NoPolicy => format!(" && {}", line()),
        };
        Ok(vec![Finding::warning(format!(
            "{what}: only messages sent to the queue itself come; run `check --create`, or: {lines}{and}"
        ))])
    };
    match topic.exists().await? {
        Seen::Yes => {}
        Seen::No => {
            let lines = format!("{} && {}", topic.create_line(), topic.subscribe_line());
            return missing(format!("there is no SNS topic `{name}`"), lines);
        }
        Seen::Denied(action) => return Ok(vec![denied(name, &topic.arn, action)]),
    }
    match topic.is_subscribed().await? {
        Seen::Yes => {}
        Seen::No => {
            let what = format!("the queue is not subscribed to the SNS topic `{name}`");
            return missing(what, topic.subscribe_line());
        }
        Seen::Denied(action) => return Ok(vec![denied(name, &topic.arn, action)]),
    }
    Ok(vec![match permission {
        Permission::Stated => Finding::good(format!(
            "subscribed to the SNS topic `{name}`, and the queue's policy has the statement that lets it send"
        )),
        Permission::NotJudged => Finding::warning(format!(
            "subscribed to the SNS topic `{name}`; the queue has a policy, which is not judged here: if it does not let the topic \
             send, what is published there is lost; to be sure: {}",
            line()
        )),
        Permission::NoPolicy => Finding::problem(format!(
            "subscribed to the SNS topic `{name}`, but the queue's policy does not let it send, so what is published there is lost: {}",
            line()
        )),
    }])
}

fn denied(name: &str, arn: &str, action: &str) -> Finding {
    Finding::warning(format!(
        "the SNS topic `{name}` was not checked: allow {action} on {arn}"
    ))
}
