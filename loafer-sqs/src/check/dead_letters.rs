//! What `check` says of the dead letters of a queue.

use std::time::Duration;

use loafer_core::{Error, broker::Finding};

use super::Looked;
use crate::{
    names::{dead_letter_queue, is_fifo, queue_name},
    topology::{
        Attributes, KEPT, MAX_RECEIVES, make_dead_letter_queue, redrive_policy, set,
        set_dead_letter_queue,
    },
};

/// What was seen of a dead-letter queue.
pub(super) enum Target {
    /// Its URL, and its attributes unless we may not read them.
    Found(String, Option<Attributes>),
    /// It does not exist, or we could not look.
    Fault(Error),
}

/// Judges the redrive policy of a queue, and the queue that it names.
pub(super) fn judge(queue: &str, looked: &Looked<'_>, source: &Attributes) -> Vec<Finding> {
    let (endpoint, url) = (looked.endpoint, looked.url);
    let set_another = || {
        let arn = source.arn.as_deref().unwrap_or_default();
        set_dead_letter_queue(endpoint, url, arn, looked.is_proposed_there)
    };
    let Some(redrive) = &source.redrive else {
        let held_up = match is_fifo(url) {
            true => ", and holds up its group",
            false => "",
        };
        return vec![Finding::warning(format!(
            "queue `{queue}` has no dead-letter queue: a message that always fails, or that ends its process each time, is redelivered until it is too \
             old{held_up}. On SQS the `maxReceiveCount` of a redrive policy is what bounds that; set `{}`: {}",
            dead_letter_queue(queue_name(url)),
            set_another()
        ))];
    };
    let target = queue_name(&redrive.target);
    let mut findings = Vec::new();
    if is_fifo(target) != is_fifo(url) {
        findings.push(Finding::problem(format!(
            "dead letters of `{queue}` go to `{target}`: both must be FIFO, or neither; set another: {}",
            set_another()
        )));
    }
    let attributes = match &looked.target {
        Some(Target::Found(found, attributes)) => {
            findings.extend(
                attributes
                    .iter()
                    .flat_map(|of| is_safe(looked, source, found, of)),
            );
            attributes.as_ref()
        }
        Some(Target::Fault(Error::UnknownQueue { .. })) => {
            findings.push(Finding::problem(format!(
                "the dead-letter queue `{target}` does not exist: a message that is received too often stays in `{queue}`, and \
                 `Outcome::Reject` retries; run `check --create`, or make it: {}",
                make_dead_letter_queue(endpoint, target)
            )));
            return findings;
        }
        Some(Target::Fault(error)) => {
            findings.push(Finding::warning(format!(
                "the dead-letter queue `{target}` was not found, so a rejected message is retried: {error}; allow sqs:GetQueueUrl on {}",
                redrive.target
            )));
            return findings;
        }
        None => None,
    };
    let times = redrive
        .max_receives
        .map_or_else(String::new, |most| format!(" after {most} receives"));
    let waiting = match attributes.map(Attributes::messages) {
        Some(0) | None => String::new(),
        Some(count) => format!("; about {count} are there: `dead-letters` lists them"),
    };
    // The manager warns of a low number on every broker; this is how to mend it on SQS.
    let more = redrive
        .max_receives
        .filter(|most| *most < MAX_RECEIVES)
        .map_or_else(String::new, |_| {
            let policy = redrive_policy(&redrive.target);
            format!(
                "; for {MAX_RECEIVES}: {}",
                set(endpoint, url, "RedrivePolicy", policy)
            )
        });
    findings.push(Finding::good(format!(
        "dead letters go to `{target}`{times}{waiting}{more}"
    )));
    findings
}

/// Says what may become of dead letters in their queue.
fn is_safe(looked: &Looked<'_>, source: &Attributes, url: &str, of: &Attributes) -> Vec<Finding> {
    let target = queue_name(url);
    let mut findings = Vec::new();
    // On FIFO the move resets the age of a message (SQS guide, "message retention periods for dead-letter queues").
    if let (Some(kept), Some(long)) = (of.retention, source.retention)
        && !is_fifo(url)
        && kept <= long
        && kept < Duration::from_secs(KEPT.into())
    {
        findings.push(Finding::warning(format!(
            "`{target}` keeps messages for {} and its source for {}, counted from when they were first sent: dead letters may \
             be gone before anybody looks; keep them longer: {}",
            days(kept),
            days(long),
            set(looked.endpoint, url, "MessageRetentionPeriod", KEPT)
        )));
    }
    if let (Some(most), Some(larger)) = (of.max_bytes, source.max_bytes)
        && most < larger
    {
        findings.push(Finding::warning(format!(
            "`{target}` takes messages of {most} bytes and its source of {larger}: a larger one can't become a dead letter by Loafer, and is retried; \
             let it take as many: {}",
            set(looked.endpoint, url, "MaximumMessageSize", larger)
        )));
    }
    if let Some(redrive) = &of.redrive {
        findings.push(Finding::warning(format!(
            "`{target}` has a redrive policy of its own: looking at dead letters moves them on to `{}`; take it away: {}",
            queue_name(&redrive.target),
            set(looked.endpoint, url, "RedrivePolicy", "")
        )));
    }
    findings
}

fn days(time: Duration) -> String {
    match time.as_secs() {
        seconds if seconds % 86_400 == 0 => format!("{} d", seconds / 86_400),
        seconds => format!("{seconds} s"),
    }
}

#[cfg(test)]
mod tests {
    use loafer_core::broker::Level;

    use super::*;
    use crate::{error::Call, names::Endpoint, topology::Redrive};

    const DAY: Duration = Duration::from_secs(86_400);

    fn redriven(target: &str, max: u32) -> Attributes {
        Attributes {
            arn: Some("arn:aws:sqs:eu-west-1:1:orders".into()),
            redrive: Some(Redrive {
                target: format!("arn:aws:sqs:eu-west-1:1:{target}"),
                max_receives: Some(max),
            }),
            retention: Some(4 * DAY),
            ..Attributes::default()
        }
    }

    fn found(attributes: Attributes) -> Target {
        Target::Found("https://sqs/1/orders-dlq".into(), Some(attributes))
    }

    fn kept(retention: Duration) -> Attributes {
        Attributes {
            retention: Some(retention),
            ..Attributes::default()
        }
    }

    fn judged(source: &Attributes, target: Option<Target>) -> Vec<Finding> {
        let endpoint = Endpoint::new("sqs", "eu-west-1", None);
        let looked = Looked {
            endpoint: &endpoint,
            url: "https://sqs/1/orders",
            attributes: Some(source),
            lease: Duration::from_secs(30),
            target,
            is_proposed_there: false,
        };
        judge("orders", &looked, source)
    }

    #[test]
    fn a_redrive_that_leads_somewhere_is_good() {
        let mut target = kept(14 * DAY);
        target.depth.ready = Some(3);
        let findings = judged(&redriven("orders-dlq", 10), Some(found(target)));
        assert_eq!(
            findings,
            [Finding::good(
                "dead letters go to `orders-dlq` after 10 receives; about 3 are there: `dead-letters` lists them"
            )]
        );
    }

    #[test]
    fn what_is_missing_comes_with_the_lines_that_make_it() {
        let none = Attributes {
            redrive: None,
            ..redriven("", 1)
        };
        let findings = judged(&none, None);
        assert_eq!(findings[0].level, Level::Warning);
        let line = "aws sqs create-queue --region eu-west-1 --queue-name orders-dlq --attributes";
        assert!(findings[0].text.contains(line), "{findings:?}");
        let bound = "or that ends its process each time, is redelivered until it is too old. On SQS the `maxReceiveCount`";
        assert!(findings[0].text.contains(bound), "{findings:?}");

        let endpoint = Endpoint::new("sqs", "eu-west-1", None);
        let call = Call::new("finding", "gone-dlq", &endpoint);
        let unknown = Target::Fault(call.unknown_queue());
        let findings = judged(&redriven("gone-dlq", 10), Some(unknown));
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].level, Level::Problem);
        let line = "aws sqs create-queue --region eu-west-1 --queue-name gone-dlq \
                    --attributes '{\"MessageRetentionPeriod\":\"1209600\"}'";
        assert!(findings[0].text.ends_with(line), "{findings:?}");
    }

    #[test]
    fn dead_letters_that_may_be_lost_are_a_warning() {
        let source = redriven("orders-dlq", 3);
        let findings = judged(&source, Some(found(kept(4 * DAY))));
        assert_eq!(findings[0].level, Level::Warning);
        let line = "--queue-url 'https://sqs/1/orders-dlq' --attributes '{\"MessageRetentionPeriod\":\"1209600\"}'";
        assert!(findings[0].text.ends_with(line), "{findings:?}");
        assert_eq!(findings[1].level, Level::Good);
        let line = "\\\"maxReceiveCount\\\":10}\"}'";
        assert!(findings[1].text.ends_with(line), "{findings:?}");

        let large = Attributes {
            max_bytes: Some(1_048_576),
            ..redriven("orders-dlq", 10)
        };
        let small = Attributes {
            max_bytes: Some(262_144),
            ..kept(14 * DAY)
        };
        let findings = judged(&large, Some(found(small)));
        let line = "--attributes '{\"MaximumMessageSize\":\"1048576\"}'";
        assert!(findings[0].text.ends_with(line), "{findings:?}");

        let chained = Attributes {
            retention: Some(5 * DAY),
            ..redriven("beyond", 3)
        };
        let findings = judged(&source, Some(found(chained)));
        assert!(
            findings[0].text.contains("moves them on to `beyond`"),
            "{findings:?}"
        );
    }

    #[test]
    fn a_dead_letter_queue_of_the_other_kind_is_a_problem() {
        let findings = judged(&redriven("orders-dlq.fifo", 10), None);
        assert_eq!(findings[0].level, Level::Problem);
        assert!(
            findings[0].text.contains("both must be FIFO"),
            "{findings:?}"
        );
    }
}
