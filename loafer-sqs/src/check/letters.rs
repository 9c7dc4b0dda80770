//! What `check` says of a queue's dead letters.

use std::time::Duration;

use loafer_core::{Error, Finding};

use super::Looked;
use crate::{
    queue::{Attributes, dead_letter_name, is_fifo, name},
    remedy::{self, MAX_RECEIVES},
};

/// What was found of a dead-letter queue.
pub(crate) enum Letters {
    /// Its URL, and its attributes where they may be read.
    Found(String, Option<Attributes>),
    /// Not found, or not to be seen.
    Fault(Error),
}

/// Judges the redrive policy of a queue, and where it leads.
pub(super) fn judge(queue: &str, looked: &Looked<'_>, source: &Attributes) -> Vec<Finding> {
    let (place, url) = (looked.place, looked.url);
    let Some(redrive) = &source.redrive else {
        let arn = source.arn.as_deref().unwrap_or_default();
        return vec![Finding::warning(format!(
            "queue `{queue}` has no dead-letter queue: a message that always fails comes again until it is too old; set `{}`: {}",
            dead_letter_name(name(url)),
            remedy::make_dead_letters(place, url, arn, looked.proposed)
        ))];
    };
    let letters = name(&redrive.target);
    let mut findings = Vec::new();
    if is_fifo(letters) != is_fifo(url) {
        findings.push(Finding::problem(format!(
            "dead letters of `{queue}` go to `{letters}`: both must be FIFO, or neither; set another: {}",
            remedy::make_dead_letters(
                place,
                url,
                source.arn.as_deref().unwrap_or_default(),
                looked.proposed
            )
        )));
    }
    let attributes = match &looked.letters {
        Some(Letters::Found(found, attributes)) => {
            findings.extend(
                attributes
                    .iter()
                    .flat_map(|of| holds(looked, source, found, of)),
            );
            attributes.as_ref()
        }
        Some(Letters::Fault(Error::UnknownQueue { .. })) => {
            findings.push(Finding::problem(format!(
                "the dead-letter queue `{letters}` does not exist: what is received too often stays in `{queue}`, and \
                 `Outcome::Reject` retries; run `check --create`, or make it: {}",
                remedy::make_letters(place, letters)
            )));
            return findings;
        }
        Some(Letters::Fault(error)) => {
            findings.push(Finding::warning(format!(
                "the dead-letter queue `{letters}` was not found, so what is rejected is retried: {error}; allow sqs:GetQueueUrl on {}",
                redrive.target
            )));
            return findings;
        }
        None => None,
    };
    let times = redrive
        .max_receives
        .map_or_else(String::new, |most| format!(" after {most} receives"));
    let waiting = match attributes.map(|attributes| attributes.messages) {
        Some(0) | None => String::new(),
        Some(count) => format!("; about {count} are there: `dead-letters` lists them"),
    };
    // That so few are a fault is said for every broker alike; this is how it is mended here.
    let more = redrive
        .max_receives
        .filter(|most| *most < MAX_RECEIVES)
        .map_or_else(String::new, |_| {
            let policy = remedy::redrive(&redrive.target);
            format!(
                "; for {MAX_RECEIVES}: {}",
                remedy::set(place, url, "RedrivePolicy", policy)
            )
        });
    findings.push(Finding::good(format!(
        "dead letters go to `{letters}`{times}{waiting}{more}"
    )));
    findings
}

/// Whether dead letters are safe where they are.
fn holds(looked: &Looked<'_>, source: &Attributes, url: &str, of: &Attributes) -> Vec<Finding> {
    let letters = name(url);
    let mut findings = Vec::new();
    // On FIFO the age begins anew with the move (SQS guide, "message retention periods for dead-letter queues").
    if let (Some(kept), Some(long)) = (of.retention, source.retention)
        && !is_fifo(url)
        && kept <= long
        && kept < Duration::from_secs(remedy::KEPT.into())
    {
        findings.push(Finding::warning(format!(
            "`{letters}` keeps messages for {} and its source for {}, counted from when they were first sent: dead letters may \
             be gone before anybody looks; keep them longer: {}",
            days(kept),
            days(long),
            remedy::set(looked.place, url, "MessageRetentionPeriod", remedy::KEPT)
        )));
    }
    if let Some(redrive) = &of.redrive {
        findings.push(Finding::warning(format!(
            "`{letters}` has a redrive policy of its own: looking at dead letters moves them on to `{}`; take it away: {}",
            name(&redrive.target),
            remedy::set(looked.place, url, "RedrivePolicy", "")
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
    use loafer_core::Level;

    use super::*;
    use crate::{
        error::{Call, Place},
        queue::Redrive,
    };

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

    fn found(attributes: Attributes) -> Letters {
        Letters::Found("https://sqs/1/orders-dlq".into(), Some(attributes))
    }

    fn kept(retention: Duration) -> Attributes {
        Attributes {
            retention: Some(retention),
            ..Attributes::default()
        }
    }

    fn told(source: &Attributes, letters: Option<Letters>) -> Vec<Finding> {
        let place = Place::new("sqs", "eu-west-1", None);
        let looked = Looked {
            place: &place,
            url: "https://sqs/1/orders",
            attributes: Some(source),
            lease: Duration::from_secs(30),
            letters,
            proposed: false,
        };
        judge("orders", &looked, source)
    }

    #[test]
    fn a_redrive_that_leads_somewhere_is_good() {
        let letters = Attributes {
            messages: 3,
            ..kept(14 * DAY)
        };
        let findings = told(&redriven("orders-dlq", 10), Some(found(letters)));
        assert_eq!(
            findings,
            [Finding::good(
                "dead letters go to `orders-dlq` after 10 receives; about 3 are there: `dead-letters` lists them"
            )]
        );
    }

    #[test]
    fn what_is_missing_is_told_with_the_lines_that_make_it() {
        let none = Attributes {
            redrive: None,
            ..redriven("", 1)
        };
        let findings = told(&none, None);
        assert_eq!(findings[0].level, Level::Warning);
        let line = "aws sqs create-queue --region eu-west-1 --queue-name orders-dlq --attributes";
        assert!(findings[0].text.contains(line), "{findings:?}");

        let place = Place::new("sqs", "eu-west-1", None);
        let call = Call {
            what: "finding",
            queue: "gone-dlq",
            route: None,
            place: &place,
        };
        let unknown = Letters::Fault(call.unknown_queue());
        let findings = told(&redriven("gone-dlq", 10), Some(unknown));
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].level, Level::Problem);
        let line = "aws sqs create-queue --region eu-west-1 --queue-name gone-dlq \
                    --attributes '{\"MessageRetentionPeriod\":\"1209600\"}'";
        assert!(findings[0].text.ends_with(line), "{findings:?}");
    }

    #[test]
    fn letters_that_do_not_last_are_told() {
        let source = redriven("orders-dlq", 3);
        let findings = told(&source, Some(found(kept(4 * DAY))));
        assert_eq!(findings[0].level, Level::Warning);
        let line = "--queue-url 'https://sqs/1/orders-dlq' --attributes '{\"MessageRetentionPeriod\":\"1209600\"}'";
        assert!(findings[0].text.ends_with(line), "{findings:?}");
        assert_eq!(findings[1].level, Level::Good);
        let line = "\\\"maxReceiveCount\\\":10}\"}'";
        assert!(findings[1].text.ends_with(line), "{findings:?}");

        let chained = Attributes {
            retention: Some(5 * DAY),
            ..redriven("beyond", 3)
        };
        let findings = told(&source, Some(found(chained)));
        assert!(
            findings[0].text.contains("moves them on to `beyond`"),
            "{findings:?}"
        );
    }

    #[test]
    fn a_dead_letter_queue_of_the_other_kind_is_a_problem() {
        let findings = told(&redriven("orders-dlq.fifo", 10), None);
        assert_eq!(findings[0].level, Level::Problem);
        assert!(
            findings[0].text.contains("both must be FIFO"),
            "{findings:?}"
        );
    }
}
