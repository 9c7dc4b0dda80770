//! What `check` says of the topic that should feed a queue.

use loafer_core::{Error, Finding};

use crate::{
    error::Place,
    remedy,
    topic::{Leave, Seen, Topic, leave, with_leave},
};

/// Looks at topic, subscription and queue policy, as far as it may. `place` and `url` are the queue's.
pub(crate) async fn findings(
    topic: &Topic<'_>,
    route: &str,
    place: &Place,
    url: &str,
    policy: Option<&str>,
) -> Result<Vec<Finding>, Error> {
    let name = topic.name();
    if !topic.fits() {
        return Ok(vec![Finding::warning(format!(
            "the queue is FIFO, and only a FIFO topic can feed it: set `name = \"{name}.fifo\"` under [topics.{route}] in loafer.toml"
        ))]);
    }
    let line = || {
        let policy = with_leave(policy, topic.queue_arn, &topic.arn);
        remedy::set(place, url, "Policy", policy)
    };
    // A subscription alone brings nothing.
    let missing = |what: String, lines: String| {
        let and = match leave(policy, &topic.arn) {
            Leave::Given => String::new(),
            Leave::Unclear | Leave::Missing => format!(" && {}", line()),
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
    Ok(vec![match leave(policy, &topic.arn) {
        Leave::Given => Finding::good(format!(
            "subscribed to the SNS topic `{name}`, which may send"
        )),
        Leave::Unclear => Finding::warning(format!(
            "subscribed to the SNS topic `{name}`; whether the queue's policy lets it send depends on conditions that are not \
             understood here; to be sure: {}",
            line()
        )),
        Leave::Missing => Finding::problem(format!(
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
